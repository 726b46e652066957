package udp

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// macOS carries the IPv4 address of a datagram in IP_PKTINFO, as Linux does.
const (
	receiveLocal4 = unix.IP_PKTINFO
	localType4    = unix.IP_PKTINFO
)

func parseLocal4(data []byte) netip.Addr {
	if len(data) < unix.SizeofInet4Pktinfo {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(data[8:12])) // ipi_addr
}

func appendLocal4(oob []byte, a netip.Addr) []byte {
	oob, data := appendHeader(oob, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
	ip := a.As4()
	copy(data[4:8], ip[:]) // ipi_spec_dst
	return oob
}
