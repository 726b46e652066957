//go:build !windows

package tunnel

import (
	"errors"
	"syscall"
)

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

func isUnreachable(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH)
}

func isInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

func isNotAvailable(err error) bool { return errors.Is(err, syscall.EADDRNOTAVAIL) }
