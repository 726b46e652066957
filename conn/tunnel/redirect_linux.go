package tunnel

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// redirectSupported tells whether this system knows where a redirected connection wanted to go.
const redirectSupported = true

// originalDestination returns where a connection was going before the packet filter redirected it
// (iptables REDIRECT, nftables redirect), for IPv4 and IPv6. spec: TUN-22
func originalDestination(c *net.TCPConn) (netip.AddrPort, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, err
	}
	local := c.LocalAddr().(*net.TCPAddr).AddrPort()
	var dst netip.AddrPort
	var optErr error
	err = raw.Control(func(fd uintptr) {
		if local.Addr().Unmap().Is4() {
			dst, optErr = originalIPv4(int(fd))
		} else {
			dst, optErr = originalIPv6(int(fd))
		}
	})
	if err = errors.Join(err, optErr); err != nil {
		return netip.AddrPort{}, err
	}
	if sameAddrPort(dst, local) {
		return netip.AddrPort{}, errNotRedirected
	}
	return dst, nil
}

// originalIPv4 reads a struct sockaddr_in. unix.IPv6Mreq serves as 16 octets or more of space, which
// saves a raw system call.
func originalIPv4(fd int) (netip.AddrPort, error) {
	v, err := unix.GetsockoptIPv6Mreq(fd, unix.IPPROTO_IP, unix.SO_ORIGINAL_DST)
	if err != nil {
		return netip.AddrPort{}, os.NewSyscallError("getsockopt SO_ORIGINAL_DST", err)
	}
	port := binary.BigEndian.Uint16(v.Multiaddr[2:4])
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(v.Multiaddr[4:8])), port), nil
}

// originalIPv6 reads a struct sockaddr_in6, which leads the struct ip6_mtuinfo.
func originalIPv6(fd int) (netip.AddrPort, error) {
	const ip6tSoOriginalDst = 80 // linux/netfilter_ipv6/ip6_tables.h
	v, err := unix.GetsockoptIPv6MTUInfo(fd, unix.IPPROTO_IPV6, ip6tSoOriginalDst)
	if err != nil {
		return netip.AddrPort{}, os.NewSyscallError("getsockopt IP6T_SO_ORIGINAL_DST", err)
	}
	port := (*[2]byte)(unsafe.Pointer(&v.Addr.Port)) // in network order
	return netip.AddrPortFrom(netip.AddrFrom16(v.Addr.Addr), binary.BigEndian.Uint16(port[:])), nil
}

func sameAddrPort(a, b netip.AddrPort) bool {
	return a.Addr().Unmap() == b.Addr().Unmap().WithZone("") && a.Port() == b.Port()
}
