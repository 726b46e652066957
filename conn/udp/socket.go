package udp

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// MaxDatagram is the largest UDP payload that IP can carry in IPv6 without jumbograms, in bytes
// (65,535 less the UDP header). Reading into less would cut a datagram silently.
const MaxDatagram = 65527

// bufferWanted is what a socket asks for in each direction, in bytes. The systems' usual 208 kB lose a
// third of a burst of 500 datagrams; 7 MB hold about 6 ms of 10 Gbit/s.
const bufferWanted = 7 << 20

// The values of the two ECN bits of an IP header (RFC 3168 section 5).
const (
	NotECT uint8 = 0
	ECT1   uint8 = 1
	ECT0   uint8 = 2
	CE     uint8 = 3
)

// Message is one datagram on its way in or out.
type Message struct {
	Data   []byte         // the UDP payload
	Remote netip.AddrPort // the peer; IPv4 is never written as mapped IPv6
	Local  netip.AddrPort // our address: where it came to, or which one it must leave from; zero: unknown, the system chooses
	ECN    uint8          // NotECT, ECT1, ECT0 or CE
	TooBig bool           // set by WriteBatch: the system refused it as larger than the interface carries
}

// Info says what the system granted a Socket.
type Info struct {
	ReceiveBuffer int      // bytes; 0: unknown
	SendBuffer    int      // bytes; 0: unknown
	ECN           bool     // ECN bits are read and written
	LocalAddress  bool     // the local address of each datagram is known and can be chosen
	DontFragment  bool     // too large datagrams are refused or dropped on the way, never fragmented
	Features      Features // in use
}

// oobConn is what *net.UDPConn, and any wrapper that embeds one, can do beyond a net.PacketConn.
type oobConn interface {
	ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error)
	WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error)
	syscall.Conn
}

// portConn is what in-memory networks and thin wrappers offer: addresses without allocation, no control data.
type portConn interface {
	ReadFromUDPAddrPort(b []byte) (n int, addr netip.AddrPort, err error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
}

// Socket is one UDP socket. One goroutine reads; any number write.
type Socket struct {
	pc    net.PacketConn
	oob   oobConn  // nil: no control data
	port  portConn // nil: net.Addr is all there is
	addr  netip.AddrPort
	info  Info
	noECN atomic.Bool // the system refused to send ECN bits
	fast  *fast       // nil: one system call a datagram

	steered bool    // the kernel knows whose datagrams are ours
	door    *Socket // nil: none
}

// New prepares pc for batches, with those of the features that the system has. It takes pc over: closing the
// Socket closes pc. Only a *net.UDPConn itself has features: a wrapper's own methods must not be passed by.
func New(pc net.PacketConn, features Features) (*Socket, error) {
	if pc == nil {
		return nil, errors.New("udp: no socket was given")
	}
	if c, ok := pc.(interface{ RemoteAddr() net.Addr }); ok && c.RemoteAddr() != nil {
		return nil, errors.New("udp: the socket is connected to one peer: open it with net.ListenUDP or net.ListenPacket")
	}
	s := &Socket{pc: pc, addr: addrPortOf(pc.LocalAddr())}
	s.port, _ = pc.(portConn)
	raw, err := rawConn(pc)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return s, nil
	}
	sizeBuffers(pc, raw, &s.info)
	s.info.DontFragment = features&Fragment == 0 && setDontFragment(raw)
	if oob, ok := pc.(oobConn); ok {
		s.oob = oob
		s.info.ECN = features&ECN != 0 && setReceiveECN(raw)
		// A socket bound to one address has nothing to choose and nothing to learn.
		s.info.LocalAddress = s.addr.Addr().IsUnspecified() && setReceiveLocal(raw)
		s.fast = newFast(pc, features)
	}
	return s, nil
}

// rawConn returns the system's handle of pc, or nil when pc is not a system socket.
func rawConn(pc net.PacketConn) (syscall.RawConn, error) {
	sc, ok := pc.(syscall.Conn)
	if !ok {
		return nil, nil
	}
	return sc.SyscallConn()
}

// sizeBuffers asks for bufferWanted in both directions and records what was granted.
func sizeBuffers(pc net.PacketConn, raw syscall.RawConn, info *Info) {
	if b, ok := pc.(interface {
		SetReadBuffer(int) error
		SetWriteBuffer(int) error
	}); ok {
		// A refusal shows in the granted size below.
		_ = b.SetReadBuffer(bufferWanted)
		_ = b.SetWriteBuffer(bufferWanted)
	}
	info.ReceiveBuffer, info.SendBuffer = forceBuffers(raw, bufferWanted)
}

// Info returns what the system granted at start, less what it refused later.
func (s *Socket) Info() Info {
	info := s.info
	info.ECN = info.ECN && !s.noECN.Load()
	info.Features = s.fast.features()
	if info.ECN {
		info.Features |= ECN
	}
	if s.steered {
		info.Features |= Steer
	}
	return info
}

// Addr returns the address that the socket is bound to.
func (s *Socket) Addr() net.Addr { return s.pc.LocalAddr() }

// AddrPort returns the address that the socket is bound to; zero when it is not an IP address.
func (s *Socket) AddrPort() netip.AddrPort { return s.addr }

// Door returns the socket to which the kernel gives what is addressed to no session, above all first packets; nil: they
// come to this socket. However many they are, they fill the door's buffer and not that of the sessions. It is closed
// with this socket.
func (s *Socket) Door() *Socket { return s.door }

// Close closes the socket; a waiting ReadBatch returns net.ErrClosed.
func (s *Socket) Close() error {
	if s.door == nil {
		return s.pc.Close()
	}
	return errors.Join(s.pc.Close(), s.door.Close())
}

// addrPortOf turns a net.Addr of any kind into an address without an IPv4-mapped form; zero if it is none.
func addrPortOf(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case nil:
		return netip.AddrPort{}
	case interface{ AddrPort() netip.AddrPort }:
		return unmap(a.AddrPort())
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return unmap(ap)
}

// unmap makes ::ffff:1.2.3.4 and 1.2.3.4 the same address, as a dual-stack socket reports the first for the second.
func unmap(a netip.AddrPort) netip.AddrPort {
	if !a.Addr().Is4In6() {
		return a
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
