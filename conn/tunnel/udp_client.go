package tunnel

import (
	"context"
	"net"
	"net/netip"
	"sync"
)

// beginUDP has UDP go through a new session from now on. What it returns carries it until ctx ends.
func (c *Client) beginUDP(ctx context.Context, s session) (carry func()) {
	m := newUDPMux(s, true, c, &c.farUDP, c.log)
	c.udp.Store(m)
	c.askAll(m)
	c.resumeAll(m)
	return func() {
		m.run(ctx) // spec: TUN-40
		c.udp.CompareAndSwap(m, nil)
	}
}

// resumeAll opens flows again in a new session: their targets may have something to say first. spec: TUN-40
func (c *Client) resumeAll(m *udpMux) {
	for _, r := range c.list() {
		if u, ok := r.part.(*udpForward); ok {
			for _, p := range u.ports {
				p.resume(m)
			}
		}
	}
	m.flush()
}

// reachTarget refuses: nothing at the client can be reached from the server.
func (c *Client) reachTarget(_ context.Context, t Target, _ *farFlow, _ func()) (udpConn, func(), *RefusedError) {
	return nil, nil, notAllowed(t)
}

func (c *Client) kept() *keptFlows { return &c.keptUDP }

func (c *Client) keep(f *farFlow, t Target) {
	f.key = keptKey{token: f.names.resume, target: t}
	c.keptUDP.enter(f)
}

// listenUDP refuses: the server cannot have the client listen.
func (c *Client) listenUDP(asked *control, _ func()) (listened, *RefusedError) {
	return listened{}, notAllowed(asked.target)
}

// udpForward is the ports of one UDP forward.
type udpForward struct {
	name  string
	ports []*udpPort
}

// newUDPForward opens the ports of a forward.
func (c *Client) newUDPForward(f Forward) (part, error) {
	u := &udpForward{name: f.String()}
	for i := range f.More + 1 {
		one := f.port(i)
		s, err := c.dialer.openUDP(one.Listen)
		if err != nil {
			_ = u.close()
			return nil, err
		}
		p := newUDPPort(s, one, c.udp.Load, new(udpCounters), c.log)
		p.pair = f.pairNumber(i)
		u.ports = append(u.ports, p)
		granted := s.Info()
		c.log.Debug("UDP socket buffers", "port", s.Addr(), "receive", granted.ReceiveBuffer, "send", granted.SendBuffer)
	}
	return u, nil
}

// addr is the address of the first port.
func (u *udpForward) addr() net.Addr { return u.ports[0].socket.Addr() }

// run carries the datagrams of all ports until ctx ends.
func (u *udpForward) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	for _, p := range u.ports {
		running.Go(func() { cancel(p.run(ctx)) })
	}
	running.Wait()
	return context.Cause(ctx)
}

func (u *udpForward) close() error {
	for _, p := range u.ports {
		p.close()
	}
	return nil
}

// stats sums the counters of all ports.
func (u *udpForward) stats() ForwardStats {
	var s UDPStats
	for _, p := range u.ports {
		s.add(p.count.stats())
	}
	first := u.ports[0]
	s.Repair = first.mux().repair(first.options())
	return s.forward(u.name)
}

// dialUDP opens a socket to the first of the addresses to which there is a way.
func (d *dialer) dialUDP(t Target, addrs []netip.Addr, pair *portPair) (c udpConn, a netip.Addr, refusal *RefusedError) {
	for _, a = range addrs {
		c, err := pair.dial(d, netip.AddrPortFrom(a, t.Port))
		if err == nil {
			return c, a, nil
		}
		refusal = &RefusedError{Target: t, Code: dialCode(err)}
	}
	return nil, a, refusal
}
