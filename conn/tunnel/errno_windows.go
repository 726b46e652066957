package tunnel

import (
	"errors"

	"golang.org/x/sys/windows"
)

func isRefused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }

func isUnreachable(err error) bool {
	return errors.Is(err, windows.WSAENETUNREACH) || errors.Is(err, windows.WSAEHOSTUNREACH)
}

func isInUse(err error) bool { return errors.Is(err, windows.WSAEADDRINUSE) }

func isNotAvailable(err error) bool { return errors.Is(err, windows.WSAEADDRNOTAVAIL) }
