package udp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// maxCalls is how many buffers one sendmmsg or recvmmsg moves.
	maxCalls = 64
)

// fast is a socket's way past package net: several datagrams in one system call.
type fast struct {
	raw      syscall.RawConn
	v6       bool        // the socket's family: IPv4 peers are written in mapped form
	segment  atomic.Bool // UDP_SEGMENT works
	many     bool        // use sendmmsg and recvmmsg for more than one buffer
	coalesce bool        // UDP_GRO is on
	zones    sync.Map    // names of interfaces by number, as package net writes them in addresses
}

// newFast probes what the system can do with pc. Only a *net.UDPConn itself is driven past its methods: a
// wrapper may have its own.
func newFast(pc net.PacketConn, want Features) *fast {
	c, ok := pc.(*net.UDPConn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	f := &fast{raw: raw, many: want&Many != 0}
	usable := false
	_ = raw.Control(func(fd uintptr) {
		family, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		usable = err == nil && callsAreKnown(fd)
		f.v6 = family == unix.AF_INET6
		if want&Segment != 0 {
			_, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT)
			f.segment.Store(err == nil)
		}
		if want&Coalesce != 0 {
			f.coalesce = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) == nil
		}
	})
	if !usable || f.features() == 0 {
		return nil
	}
	return f
}

// callsAreKnown asks for the transfer of no buffer: a sandbox may not know sendmmsg and recvmmsg, or not allow them.
func callsAreKnown(fd uintptr) bool {
	_, _, send := syscall.Syscall6(unix.SYS_SENDMMSG, fd, 0, 0, unix.MSG_DONTWAIT, 0, 0)
	_, _, receive := syscall.Syscall6(unix.SYS_RECVMMSG, fd, 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return send == 0 && receive == 0
}

// features returns what is in use.
func (f *fast) features() (have Features) {
	if f == nil {
		return 0
	}
	if f.segment.Load() {
		have |= Segment
	}
	if f.coalesce {
		have |= Coalesce
	}
	if f.many {
		have |= Many
	}
	return have
}

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// name is room for a socket address of either family.
type name [unix.SizeofSockaddrInet6]byte

// encode writes addr for a socket of the family, and returns its length; 0: it needs package net (a zone).
func (n *name) encode(addr netip.AddrPort, v6 bool) uint32 {
	ip := addr.Addr()
	port := addr.Port()
	*n = name{2: byte(port >> 8), 3: byte(port)}
	switch {
	case !v6 && ip.Unmap().Is4():
		a := ip.Unmap().As4()
		binary.NativeEndian.PutUint16(n[:], unix.AF_INET)
		copy(n[4:], a[:])
		return unix.SizeofSockaddrInet4
	case v6 && ip.IsValid() && ip.Zone() == "":
		a := ip.As16()
		binary.NativeEndian.PutUint16(n[:], unix.AF_INET6)
		copy(n[8:], a[:])
		return unix.SizeofSockaddrInet6
	}
	return 0
}

func (n *name) family() uint16 { return binary.NativeEndian.Uint16(n[:]) }

// decode reads the address that the system wrote.
func (f *fast) decode(n *name) netip.AddrPort {
	port := uint16(n[2])<<8 | uint16(n[3])
	if n.family() == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(n[4:8])), port)
	}
	ip := netip.AddrFrom16([16]byte(n[8:24])).Unmap()
	if scope := binary.NativeEndian.Uint32(n[24:]); scope != 0 && ip.Is6() {
		ip = ip.WithZone(f.zone(scope))
	}
	return netip.AddrPortFrom(ip, port)
}

// zone returns the name of an interface, or its number if it has none any more.
func (f *fast) zone(index uint32) string {
	if z, ok := f.zones.Load(index); ok {
		return z.(string)
	}
	z := strconv.FormatUint(uint64(index), 10)
	if i, err := net.InterfaceByIndex(int(index)); err == nil {
		z = i.Name
	}
	f.zones.Store(index, z)
	return z
}
