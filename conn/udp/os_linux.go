package udp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// canShare: several sockets may be bound to one port, and the kernel keeps the datagrams of one
// source at one socket.
const canShare = true

func controlShare(_, _ string, c syscall.RawConn) error {
	var err error
	cerr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	return errors.Join(cerr, err)
}

// forceBuffers goes past the system's limit where the process may, and returns the granted sizes. Linux
// reports twice the usable size, the other half is for its own bookkeeping (socket(7), SO_RCVBUF).
func forceBuffers(raw syscall.RawConn, want int) (receive, send int) {
	_ = raw.Control(func(fd uintptr) {
		receive = forceBuffer(int(fd), unix.SO_RCVBUF, unix.SO_RCVBUFFORCE, want)
		send = forceBuffer(int(fd), unix.SO_SNDBUF, unix.SO_SNDBUFFORCE, want)
	})
	return receive, send
}

func forceBuffer(fd, opt, force, want int) int {
	got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, opt)
	if err == nil && got/2 < want {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, want) // needs CAP_NET_ADMIN; refused elsewhere
		got, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, opt)
	}
	if err != nil {
		return 0
	}
	return got / 2
}

// setDontFragment sets the DF bit and makes the kernel ignore what ICMP says about sizes: the sizes are
// found by own probes. Either family succeeding is enough, a socket may have only one.
func setDontFragment(raw syscall.RawConn) bool {
	return setEither(raw,
		option{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE},
		option{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE})
}

func setReceiveECN(raw syscall.RawConn) bool {
	return setEither(raw,
		option{unix.IPPROTO_IP, unix.IP_RECVTOS, 1},
		option{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1})
}

func setReceiveLocal(raw syscall.RawConn) bool {
	return setEither(raw,
		option{unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
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
		case hdr.Level == unix.IPPROTO_IP && hdr.Type == unix.IP_TOS && len(data) >= 1:
			c.ecn = data[0] & 3
		case hdr.Level == unix.IPPROTO_IPV6 && hdr.Type == unix.IPV6_TCLASS && len(data) >= 4:
			c.ecn = uint8(binary.NativeEndian.Uint32(data)) & 3
		case hdr.Level == unix.IPPROTO_IP && hdr.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			c.local = netip.AddrFrom4([4]byte(data[8:12])) // ipi_addr: the header's destination
		case hdr.Level == unix.IPPROTO_IPV6 && hdr.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			c.local = netip.AddrFrom16([16]byte(data[:16]))
		case hdr.Level == unix.IPPROTO_UDP && hdr.Type == unix.UDP_GRO && len(data) >= 4:
			c.segment = int(binary.NativeEndian.Uint32(data))
		}
	}
	return c
}

// appendLocal adds the control message that makes a datagram leave from a.
func appendLocal(oob []byte, a netip.Addr) []byte {
	if a.Is4() {
		oob, data := appendHeader(oob, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		ip := a.As4()
		copy(data[4:8], ip[:]) // ipi_spec_dst: the source to use
		return oob
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
