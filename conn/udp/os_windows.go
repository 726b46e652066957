package udp

import (
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/sys/windows"
)

// canShare: Windows has no sharing of a port that spreads the datagrams.
const canShare = false

// The options of ws2ipdef.h that golang.org/x/sys/windows does not name.
const (
	ipDontFragment = 14
	ipv6DontFrag   = 14
)

func controlShare(_, _ string, _ syscall.RawConn) error { return nil }

// forceBuffers returns the granted sizes; there is nothing to force.
func forceBuffers(raw syscall.RawConn, _ int) (receive, send int) {
	_ = raw.Control(func(fd uintptr) {
		h := windows.Handle(fd)
		receive, _ = windows.GetsockoptInt(h, windows.SOL_SOCKET, windows.SO_RCVBUF) // 0 says unknown
		send, _ = windows.GetsockoptInt(h, windows.SOL_SOCKET, windows.SO_SNDBUF)
	})
	return receive, send
}

func setDontFragment(raw syscall.RawConn) (ok bool) {
	_ = raw.Control(func(fd uintptr) {
		h := windows.Handle(fd)
		v4 := windows.SetsockoptInt(h, windows.IPPROTO_IP, ipDontFragment, 1)
		v6 := windows.SetsockoptInt(h, windows.IPPROTO_IPV6, ipv6DontFrag, 1)
		ok = v4 == nil || v6 == nil
	})
	return ok
}

// ECN bits and local addresses are not asked for on Windows: sessions run without them.
func setReceiveECN(syscall.RawConn) bool   { return false }
func setReceiveLocal(syscall.RawConn) bool { return false }

func parseControl([]byte) control                  { return control{} }
func appendLocal(oob []byte, _ netip.Addr) []byte  { return oob }
func appendECN(oob []byte, _ bool, _ uint8) []byte { return oob }
func refusesOption(error) bool                     { return false }
func refusesAddress(error) bool                    { return false }

// isTooBig reports whether the interface carries no datagram of this size.
func isTooBig(err error) bool { return errors.Is(err, windows.WSAEMSGSIZE) }

// isHint reports whether a failed read only tells of an ICMP message.
func isHint(err error) bool {
	return errors.Is(err, windows.WSAECONNRESET) || errors.Is(err, windows.WSAENETRESET)
}
