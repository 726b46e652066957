package emulator

import (
	"encoding/binary"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// oobSize holds the control messages of one datagram: the traffic class, and more than we ask for.
const oobSize = 128

// prepare asks for large buffers and for the ECN bits of what arrives. A system that refuses has more
// loss, or none of the marks: neither stops the proxy.
func prepare(conn *net.UDPConn) {
	_ = conn.SetReadBuffer(socketBuffer)
	_ = conn.SetWriteBuffer(socketBuffer)
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketBuffer)
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, socketBuffer)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTOS, 1)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1)
	})
}

// codepoint returns the ECN bits that came with a datagram.
func codepoint(oob []byte) uint8 {
	for len(oob) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return 0
		}
		v4 := header.Level == unix.IPPROTO_IP && header.Type == unix.IP_TOS
		v6 := header.Level == unix.IPPROTO_IPV6 && header.Type == unix.IPV6_TCLASS
		switch {
		case v4 && len(data) > 0:
			return data[0] & ecnMask
		case v6 && len(data) >= 4:
			return uint8(binary.NativeEndian.Uint32(data)) & ecnMask
		}
		oob = rest
	}
	return 0
}

// ecnMessages are the control messages that send a datagram with ECN bits, over IPv4 and IPv6.
var ecnMessages = func() (m [2][ecnMask + 1][]byte) {
	for ecn := uint32(1); ecn <= ecnMask; ecn++ {
		m[0][ecn] = controlMessage(unix.IPPROTO_IP, unix.IP_TOS, ecn)
		m[1][ecn] = controlMessage(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, ecn)
	}
	return m
}()

// ecnMessage returns the control message for ECN bits to an address; nil for none.
func ecnMessage(ecn uint8, to netip.Addr) []byte {
	if to.Unmap().Is4() {
		return ecnMessages[0][ecn&ecnMask]
	}
	return ecnMessages[1][ecn&ecnMask]
}

// controlMessage builds a control message that carries one int.
func controlMessage(level, kind int32, value uint32) []byte {
	const size = 4
	m := make([]byte, unix.CmsgSpace(size))
	header := (*unix.Cmsghdr)(unsafe.Pointer(&m[0]))
	header.Level, header.Type = level, kind
	header.SetLen(unix.CmsgLen(size))
	binary.NativeEndian.PutUint32(m[unix.CmsgLen(0):], value)
	return m
}
