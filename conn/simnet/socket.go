package simnet

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// inboxLimit is how many datagrams wait in a socket that nobody reads, as a kernel's buffer of about
// 6 MB would hold them at 1,500 bytes each; the rest is dropped.
const inboxLimit = 4096

// Socket is a net.PacketConn on a Network. Deadlines work for reading; writing never waits.
type Socket struct {
	net  *Network
	addr netip.AddrPort // guarded by net.mu

	mu       sync.Mutex
	inbox    []flight
	closed   bool
	deadline time.Time
	arrived  chan struct{} // capacity 1: something changed for the reader
	moved    chan struct{} // closed when the deadline moves
}

// Rebind gives the socket a new address, as a NAT on the path does to a client: its peers see the new one
// from now on, and datagrams to the old one are lost. Port 0 takes a free port.
func (s *Socket) Rebind(addr netip.AddrPort) error {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	addr, err := s.net.claim(addr)
	if err != nil {
		return err
	}
	delete(s.net.sockets, s.addr)
	s.addr = addr
	s.net.sockets[addr] = s
	return nil
}

func (s *Socket) deliver(f flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.inbox) >= inboxLimit {
		return
	}
	s.inbox = append(s.inbox, f)
	s.notify()
}

func (s *Socket) notify() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// ReadFromUDPAddrPort is ReadFrom without the allocation of a net.Addr.
func (s *Socket) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		f, ok, moved, left, err := s.take()
		if err != nil {
			return 0, netip.AddrPort{}, &net.OpError{Op: "read", Net: "udp", Addr: s.LocalAddr(), Err: err}
		}
		if ok {
			return copy(b, f.data), f.route.from, nil
		}
		s.await(moved, left)
	}
}

// take returns the first datagram of the inbox, or what to wait for: a move of the deadline, and the time
// that is left until it, 0 for ever.
func (s *Socket) take() (f flight, ok bool, moved <-chan struct{}, left time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return f, false, nil, 0, net.ErrClosed
	}
	if !s.deadline.IsZero() {
		left = time.Until(s.deadline)
		if left <= 0 {
			return f, false, nil, 0, os.ErrDeadlineExceeded
		}
	}
	if len(s.inbox) == 0 {
		return f, false, s.moved, left, nil
	}
	f = s.inbox[0]
	s.inbox[0] = flight{}
	s.inbox = s.inbox[1:]
	if len(s.inbox) > 0 {
		s.notify() // another reader may wait
	}
	return f, true, nil, 0, nil
}

func (s *Socket) await(moved <-chan struct{}, left time.Duration) {
	var passed <-chan time.Time
	if left > 0 {
		timer := time.NewTimer(left)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-s.arrived:
	case <-moved:
	case <-passed:
	}
}

// ReadFrom reads one datagram; what does not fit into b is lost.
func (s *Socket) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := s.ReadFromUDPAddrPort(b)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// WriteToUDPAddrPort is WriteTo with another form of address.
func (s *Socket) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: s.LocalAddr(), Err: net.ErrClosed}
	}
	s.net.send(route{from: s.addrPort(), to: to}, b)
	return len(b), nil
}

// WriteTo sends one datagram.
func (s *Socket) WriteTo(b []byte, to net.Addr) (int, error) {
	udp, ok := to.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: to, Err: &net.AddrError{Err: "not a UDP address", Addr: to.String()}}
	}
	return s.WriteToUDPAddrPort(b, udp.AddrPort())
}

// Close ends all reads. Datagrams on their way to it are lost.
func (s *Socket) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return net.ErrClosed
	}
	s.closed = true
	s.inbox = nil
	s.wakeReaders()
	s.mu.Unlock()
	s.net.forget(s)
	return nil
}

func (s *Socket) addrPort() netip.AddrPort {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	return s.addr
}

// LocalAddr returns the socket's current address.
func (s *Socket) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(s.addrPort()) }

// SetDeadline sets the read deadline; writing never waits.
func (s *Socket) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// SetReadDeadline ends reads at t, those that wait included. The zero time means never.
func (s *Socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	s.wakeReaders()
	return nil
}

// SetWriteDeadline does nothing: writing never waits.
func (s *Socket) SetWriteDeadline(time.Time) error { return nil }

// wakeReaders makes all readers look again.
func (s *Socket) wakeReaders() {
	close(s.moved)
	s.moved = make(chan struct{})
}
