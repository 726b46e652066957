package tunnel

import (
	"context"
	"net"
	"slices"
)

// udpReverses is the ports of one reverse forward of UDP.
type udpReverses struct {
	name  string
	ports []*udpReverse
}

// newUDPReverse prepares a reverse forward; run asks the server for it.
func (c *Client) newUDPReverse(f Forward) (part, error) {
	u := &udpReverses{name: f.String()}
	for i := range f.More + 1 {
		one := f.port(i)
		listen, err := listenTarget(one)
		if err != nil {
			return nil, err
		}
		u.ports = append(u.ports, &udpReverse{
			client: c, forward: one, listen: listen, names: flowNames{resume: newFlowToken(), pair: f.pairNumber(i)},
		})
	}
	return u, nil
}

func (u *udpReverses) addr() net.Addr { return nil }
func (u *udpReverses) close() error   { return nil }

// run has the server listen, in each session, until ctx ends.
func (u *udpReverses) run(ctx context.Context) error {
	c := u.ports[0].client
	c.asking.Lock()
	c.reverses = append(c.reverses, u.ports...)
	if m := c.udp.Load(); m != nil {
		for _, r := range u.ports {
			m.ask(r)
		}
	}
	c.asking.Unlock()
	<-ctx.Done()
	c.asking.Lock()
	defer c.asking.Unlock()
	c.reverses = slices.DeleteFunc(c.reverses, func(r *udpReverse) bool { return slices.Contains(u.ports, r) })
	if m := c.udp.Load(); m != nil {
		for _, r := range u.ports {
			m.forgetAsked(r.number)
		}
	}
	return nil
}

// askAll asks for all ports in a new session.
func (c *Client) askAll(m *udpMux) {
	c.asking.Lock()
	defer c.asking.Unlock()
	for _, r := range c.reverses {
		m.ask(r)
	}
}

// askAgain asks for a port that was refused in session m.
func (c *Client) askAgain(r *udpReverse, m *udpMux) {
	c.asking.Lock()
	defer c.asking.Unlock()
	if c.udp.Load() == m && slices.Contains(c.reverses, r) {
		m.ask(r)
	}
}

// stats sums the counters of all ports: of flows whose targets are here.
func (u *udpReverses) stats() ForwardStats {
	var s UDPStats
	for _, r := range u.ports {
		s.add(r.count.stats())
	}
	first := u.ports[0]
	s.Repair = first.client.udp.Load().repair(&first.forward.UDP)
	return s.forward(u.name)
}
