package udp

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// FreeBSD carries only the IPv4 address itself; IP_SENDSRCADDR has the number of IP_RECVDSTADDR (ip(4)).
const (
	receiveLocal4 = unix.IP_RECVDSTADDR
	localType4    = unix.IP_RECVDSTADDR
)

func parseLocal4(data []byte) netip.Addr {
	if len(data) < 4 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(data[:4]))
}

func appendLocal4(oob []byte, a netip.Addr) []byte {
	oob, data := appendHeader(oob, unix.IPPROTO_IP, unix.IP_SENDSRCADDR, 4)
	ip := a.As4()
	copy(data, ip[:])
	return oob
}
