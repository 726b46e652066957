package udp

import (
	"encoding/binary"
	"net/netip"
	"unsafe"
)

// Control data of Windows: struct WSACMSGHDR of ws2def.h (a length as wide as a pointer, level, type), data, padding to
// the width of a pointer. It is written here byte by byte, so that it is tested on every system.
const (
	wsaAlign  = int(unsafe.Sizeof(uintptr(0)))
	wsaHeader = wsaAlign + 8
)

// Levels and types of ws2def.h, ws2ipdef.h and ws2tcpip.h; golang.org/x/sys/windows does not name all of them.
const (
	wsaIP         = 0  // IPPROTO_IP
	wsaUDP        = 17 // IPPROTO_UDP
	wsaIPv6       = 41 // IPPROTO_IPV6
	wsaPacketInfo = 19 // IP_PKTINFO, IPV6_PKTINFO: IN_PKTINFO and IN6_PKTINFO, which begin with the address
	wsaECN        = 50 // IP_ECN, IPV6_ECN: an int; as options, IP_RECVECN and IPV6_RECVECN
	wsaSendSize   = 2  // UDP_SEND_MSG_SIZE: a DWORD
)

func wsaPadded(n int) int { return (n + wsaAlign - 1) &^ (wsaAlign - 1) }

// appendWSA adds the header of a control message for n bytes of data to oob, which must have the capacity, and returns the
// grown oob and the zeroed data.
func appendWSA(oob []byte, level, kind uint32, n int) (grown, data []byte) {
	start := len(oob)
	grown = oob[:start+wsaPadded(wsaHeader+n)]
	b := grown[start:]
	clear(b)
	binary.LittleEndian.PutUint32(b, uint32(wsaHeader+n)) // the rest of the length stays 0
	binary.LittleEndian.PutUint32(b[wsaAlign:], level)
	binary.LittleEndian.PutUint32(b[wsaAlign+4:], kind)
	return grown, b[wsaHeader : wsaHeader+n]
}

// appendWSALocal adds the control message that makes a datagram leave from a.
func appendWSALocal(oob []byte, a netip.Addr) []byte {
	if a.Is4() {
		oob, data := appendWSA(oob, wsaIP, wsaPacketInfo, 8)
		ip := a.As4()
		copy(data, ip[:])
		return oob
	}
	oob, data := appendWSA(oob, wsaIPv6, wsaPacketInfo, 20)
	ip := a.As16()
	copy(data, ip[:])
	return oob
}

// appendWSAECN adds the control message that sets the two ECN bits.
func appendWSAECN(oob []byte, v4 bool, ecn uint8) []byte {
	level := uint32(wsaIPv6)
	if v4 {
		level = wsaIP
	}
	oob, data := appendWSA(oob, level, wsaECN, 4)
	data[0] = ecn
	return oob
}

// appendWSASegment adds the control message that has Windows cut a buffer into datagrams of size bytes.
func appendWSASegment(oob []byte, size int) []byte {
	oob, data := appendWSA(oob, wsaUDP, wsaSendSize, 4)
	binary.LittleEndian.PutUint32(data, uint32(size))
	return oob
}

// parseWSA reads control data.
func parseWSA(oob []byte) (c control) {
	for len(oob) >= wsaHeader {
		length := int(binary.LittleEndian.Uint32(oob))
		if length < wsaHeader || length > len(oob) {
			return c
		}
		level, kind := binary.LittleEndian.Uint32(oob[wsaAlign:]), binary.LittleEndian.Uint32(oob[wsaAlign+4:])
		data := oob[wsaHeader:length]
		switch {
		case level == wsaIP && kind == wsaPacketInfo && len(data) >= 8:
			c.local = netip.AddrFrom4([4]byte(data[:4]))
		case level == wsaIPv6 && kind == wsaPacketInfo && len(data) >= 20:
			c.local = netip.AddrFrom16([16]byte(data[:16]))
		case (level == wsaIP || level == wsaIPv6) && kind == wsaECN && len(data) >= 4:
			c.ecn = data[0] & 3
		}
		oob = oob[min(wsaPadded(length), len(oob)):]
	}
	return c
}
