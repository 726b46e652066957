package tunnel

import (
	"context"
	"sync"
)

// beginSession has everything go through a new session that does not open streams of it. What it returns serves the
// session.
func (c *Client) beginSession(ctx context.Context, s session) (serve func()) {
	carryUDP := c.beginUDP(ctx, s)
	return func() {
		var udp sync.WaitGroup
		udp.Go(carryUDP)
		c.serveStreams(ctx, s)
		udp.Wait()
	}
}

// serveStreams takes the streams that the server opens in a session: connections to ports that it was asked to
// listen on.
func (c *Client) serveStreams(ctx context.Context, s session) {
	var streams sync.WaitGroup
	defer streams.Wait()
	for {
		t, err := s.AcceptStream(ctx)
		if err != nil {
			return // the session has ended, or the client
		}
		streams.Go(func() { c.deliver(ctx, t) })
	}
}

// deliver carries one connection from the server to its target here. A server can reach nothing but the targets of
// the ports that it was asked for. spec: TUN-64
func (c *Client) deliver(ctx context.Context, t stream) {
	defer c.open.Add(-1)
	busy := c.open.Add(1) > int64(c.config.Load().MaxConnections)
	on, err := readRequestInTime(t)
	if err == nil && on.Network != NetworkTCP {
		err = errNetwork
	}
	if err != nil {
		if refusal := requestRefusal(t, err); refusal != nil {
			sendRefusal(t, refusal)
		}
		return
	}
	r := c.reverse(on)
	if r == nil {
		c.log.Warn("the server has a connection for a port that it was not asked for", "on", on)
		sendRefusal(t, &RefusedError{Target: on, Code: CodeNotAllowed})
		return
	}
	partCtx, leave, ok := r.enter()
	if !ok {
		sendRefusal(t, &RefusedError{Target: on, Code: CodeNotAllowed})
		return
	}
	defer leave()
	r.count.open.Add(1)
	defer r.count.open.Add(-1)
	if refusal := r.connect(partCtx, ctx, t, busy); refusal != nil {
		r.count.refused.Add(1)
		c.log.Warn("connection refused", "on", on, "target", r.target, "reason", refusal.Code)
		sendRefusal(t, refusal)
	}
}

// connect connects a stream of the server to the target, and carries it to its end or to that of either context.
func (r *reverse) connect(part, session context.Context, t stream, busy bool) *RefusedError {
	if busy {
		return &RefusedError{Target: r.target, Code: CodeBusy}
	}
	ctx, cancel := context.WithCancel(part)
	defer cancel()
	defer context.AfterFunc(session, cancel)()
	c, _, refusal := r.client.dialer.dial(ctx, onlyTo(r.target), r.target)
	if refusal == nil {
		confirm(ctx, newRelay(c, t, &r.count), &r.count)
	}
	return refusal
}

// reverse returns the part that asked the server to listen there, nil if none did.
func (c *Client) reverse(on Target) *reverse {
	for _, p := range c.list() {
		if r, ok := p.part.(*reverse); ok && r.on == on {
			return r
		}
	}
	return nil
}

// onlyTo allows one target and nothing else.
func onlyTo(t Target) Rules {
	r := Rule{network: t.Network, name: t.Name, from: t.Port, to: t.Port}
	if t.Addr.IsValid() {
		r.prefix, _ = t.Addr.Prefix(t.Addr.BitLen()) // a whole address is always a range
	}
	return Rules{r}
}
