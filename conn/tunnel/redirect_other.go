//go:build !linux

package tunnel

import (
	"net"
	"net/netip"
)

const redirectSupported = false

func originalDestination(*net.TCPConn) (netip.AddrPort, error) {
	return netip.AddrPort{}, errNoRedirect
}
