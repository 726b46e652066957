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

func setDontFragment(raw syscall.RawConn) bool {
	return setEither(raw, option{wsaIP, ipDontFragment}, option{wsaIPv6, ipv6DontFrag})
}

func setReceiveECN(raw syscall.RawConn) bool {
	return setEither(raw, option{wsaIP, wsaECN}, option{wsaIPv6, wsaECN})
}

func setReceiveLocal(raw syscall.RawConn) bool {
	return setEither(raw, option{wsaIP, wsaPacketInfo}, option{wsaIPv6, wsaPacketInfo})
}

// option is a socket option that is switched on.
type option struct{ level, name int }

// setEither switches the option of each family on and reports whether at least one was taken: a socket of one family
// refuses the other's.
func setEither(raw syscall.RawConn, opts ...option) (ok bool) {
	_ = raw.Control(func(fd uintptr) {
		for _, o := range opts {
			if windows.SetsockoptInt(windows.Handle(fd), o.level, o.name, 1) == nil {
				ok = true
			}
		}
	})
	return ok
}

func parseControl(oob []byte) control                 { return parseWSA(oob) }
func appendLocal(oob []byte, a netip.Addr) []byte     { return appendWSALocal(oob, a) }
func appendECN(oob []byte, v4 bool, ecn uint8) []byte { return appendWSAECN(oob, v4, ecn) }

// refusesOption reports whether the error can mean that the system does not know the control data.
func refusesOption(err error) bool {
	return errors.Is(err, windows.WSAEINVAL) || errors.Is(err, windows.WSAEOPNOTSUPP) || errors.Is(err, windows.WSAENOPROTOOPT)
}

// refusesAddress reports whether the error can mean that the chosen local address is not ours any more.
func refusesAddress(err error) bool {
	return errors.Is(err, windows.WSAEADDRNOTAVAIL) || errors.Is(err, windows.WSAENETUNREACH) || errors.Is(err, windows.WSAEHOSTUNREACH)
}

// isTooBig reports whether the interface carries no datagram of this size.
func isTooBig(err error) bool { return errors.Is(err, windows.WSAEMSGSIZE) }

// isHint reports whether a failed read only tells of an ICMP message.
func isHint(err error) bool {
	return errors.Is(err, windows.WSAECONNRESET) || errors.Is(err, windows.WSAENETRESET)
}
