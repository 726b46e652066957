package tunnel

import (
	"context"
	"time"
)

// listenFor opens a port for the peer, which asked for it. spec: TUN-41
func (m *udpMux) listenFor(c *control) error {
	if c.number <= m.portLast { // spec: TUN-31
		return errControl
	}
	m.portLast = c.number
	code, reason := c.bad, ""
	if code == CodeConnected {
		code, reason = m.openPort(c)
	}
	if code != CodeConnected {
		m.count.refused.Add(1)
		m.log.Warn("listening refused", "on", c.target, "reason", code)
	}
	_ = m.tell(appendReply(appendVarint([]byte{controlListening}, c.number), code, reason)) // it asks again
	m.flush()
	return nil
}

// openPort opens a port that the peer asked for and carries what comes there.
func (m *udpMux) openPort(c *control) (code Code, reason string) {
	if !c.target.Addr.IsValid() {
		return CodeMalformed, "a port is opened at an address, not at a name"
	}
	number := c.number
	m.mu.Lock()
	full := len(m.ports) >= maxListens
	if !full {
		m.ports[number] = nil // until it is open
	}
	m.mu.Unlock()
	if full {
		return CodeBusy, ""
	}
	l, refusal := m.reach.listenUDP(c, func() { m.closePort(number) })
	if refusal != nil {
		m.closePort(number)
		return refusal.Code, refusal.Reason
	}
	p := newUDPPort(l.socket, Forward{Target: c.target, UDP: c.udp}, func() *udpMux { return m }, m.count, m.log)
	p.listener, p.asked, p.pair = number, l, c.names.pair
	p.taken = func() { m.closePort(number) }
	m.mu.Lock()
	_, wanted := m.ports[number]
	if wanted {
		m.ports[number] = p
	}
	m.mu.Unlock()
	if !wanted { // the right to it was taken away meanwhile
		p.give(false)
		return CodeNotAllowed, ""
	}
	l.kept.enter(p)
	p.restore(m, l.peers)
	m.running.Go(func() { _ = p.run(m.ctx) })
	return CodeConnected, ""
}

// closePort gives a port back that the peer asked for.
func (m *udpMux) closePort(number uint64) {
	m.mu.Lock()
	p := m.ports[number]
	delete(m.ports, number)
	m.mu.Unlock()
	if p != nil {
		p.give(false)
		m.flush() // the peer learns that its flows are over
	}
}

// udpReverse is a port that the other end is to listen on for this one.
type udpReverse struct {
	client  *Client
	forward Forward // of one port: Listen there, Target here
	listen  Target  // Listen as a target
	names   flowNames

	// Guarded by client.asking.
	number   uint64        // in the present session
	reported string        // the last refusal that was logged
	pause    time.Duration // before it is asked for again

	count udpCounters
}

// ask asks the peer to listen. It is asked in each session, and again after a refusal. Called with r.client.asking held.
func (m *udpMux) ask(r *udpReverse) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return
	}
	m.askedLast++
	number := m.askedLast
	b := appendUDPRequest(appendVarint([]byte{controlListen}, number), r.listen, &r.forward.UDP, r.names)
	if m.tell(b) != nil {
		return // the session is about to end, or asking is what fills it
	}
	m.asked[number] = r
	r.number = number
	m.running.Go(m.flush)
}

// listening takes note of what the peer says to a request to listen.
func (m *udpMux) listening(c *control) {
	m.mu.Lock()
	r := m.asked[c.number]
	if r != nil && c.code != CodeConnected {
		delete(m.asked, c.number)
	}
	m.mu.Unlock()
	if r == nil {
		return // it was asked to stop meanwhile
	}
	r.client.asking.Lock()
	defer r.client.asking.Unlock()
	if c.code == CodeConnected {
		r.reported, r.pause = "", 0
		m.log.Info("the server listens", "on", r.listen, "for", r.forward.Target)
		return
	}
	e := &RefusedError{Target: r.listen, Code: c.code, Reason: c.reason}
	if r.reported != e.Error() {
		r.reported = e.Error()
		m.log.Warn("the server does not listen, asking again", "reason", e)
	}
	r.pause = min(max(2*r.pause, firstListenPause), lastListenPause) // spec: TUN-65
	time.AfterFunc(r.pause, func() { r.client.askAgain(r, m) })
}

// inbound returns what a flow from a port leads to that the peer opened for this end. spec: TUN-42
func (m *udpMux) inbound(listener uint64) *udpReverse {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked[listener]
}

// forgetAsked forgets a port that the peer listens on and tells it.
func (m *udpMux) forgetAsked(number uint64) {
	m.mu.Lock()
	_, ok := m.asked[number]
	delete(m.asked, number)
	m.mu.Unlock()
	if ok {
		_ = m.tell(appendVarint([]byte{controlUnlisten}, number)) // else it ends with the session
		m.flush()
	}
}

// reach opens a socket to the target of a flow that the server opened.
func (r *udpReverse) reach(ctx context.Context, f *farFlow) (udpConn, *RefusedError) {
	t := r.forward.Target
	if c := r.client.keptUDP.take(keptKey{token: f.names.resume, target: t}); c != nil { // spec: TUN-49
		return c, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, refusal := r.client.dialer.addresses(ctx, onlyTo(t), t)
	if refusal != nil {
		return nil, refusal
	}
	c, _, refusal := r.client.dialer.dialUDP(t, addrs, f.pair)
	return c, refusal
}
