//go:build darwin || freebsd

package udp

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// canShare: these systems give all datagrams of a shared port to one of the sockets.
const canShare = false

func controlShare(_, _ string, _ syscall.RawConn) error { return nil }

// forceBuffers returns the granted sizes; there is nothing to force.
func forceBuffers(raw syscall.RawConn, _ int) (receive, send int) {
	_ = raw.Control(func(fd uintptr) {
		receive, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) // 0 says unknown
		send, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF)
	})
	return receive, send
}

func setDontFragment(raw syscall.RawConn) bool {
	return setEither(raw,
		option{unix.IPPROTO_IP, unix.IP_DONTFRAG, 1},
		option{unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 1})
}

func setReceiveECN(raw syscall.RawConn) bool {
	return setEither(raw,
		option{unix.IPPROTO_IP, unix.IP_RECVTOS, 1},
		option{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1})
}

func setReceiveLocal(raw syscall.RawConn) bool {
	return setEither(raw,
		option{unix.IPPROTO_IP, receiveLocal4, 1},
		option{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1})
}

// parseControl reads control data.
func parseControl(oob []byte) (c control) {
	for len(oob) > 0 {
		hdr, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return c
		}
		oob = rest
		switch {
		case hdr.Level == unix.IPPROTO_IP && hdr.Type == unix.IP_RECVTOS && len(data) >= 1:
			c.ecn = data[0] & 3
		case hdr.Level == unix.IPPROTO_IPV6 && hdr.Type == unix.IPV6_TCLASS && len(data) >= 4:
			c.ecn = uint8(binary.NativeEndian.Uint32(data)) & 3
		case hdr.Level == unix.IPPROTO_IP && hdr.Type == localType4:
			c.local = parseLocal4(data)
		case hdr.Level == unix.IPPROTO_IPV6 && hdr.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			c.local = netip.AddrFrom16([16]byte(data[:16]))
		}
	}
	return c
}

// appendLocal adds the control message that makes a datagram leave from a.
func appendLocal(oob []byte, a netip.Addr) []byte {
	if a.Is4() {
		return appendLocal4(oob, a)
	}
	oob, data := appendHeader(oob, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	ip := a.As16()
	copy(data, ip[:])
	return oob
}

// appendECN adds the control message that sets the two ECN bits.
func appendECN(oob []byte, v4 bool, ecn uint8) []byte {
	level, kind := unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	if v4 {
		level, kind = unix.IPPROTO_IP, unix.IP_TOS
	}
	oob, data := appendHeader(oob, level, kind, 4)
	binary.NativeEndian.PutUint32(data, uint32(ecn))
	return oob
}
