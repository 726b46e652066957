package tunnel

import (
	"errors"
	"sync"
	"time"
)

// errNoSession says that there is no session to send on.
var errNoSession = errors.New("there is no session with the server")

// udpTunnel is one flow through the client's session, for a program that is not known by its address. It opens with
// its first datagram, and again in a new session.
type udpTunnel struct {
	client  *Client
	target  Target
	udp     UDPOptions
	receive func(data []byte)
	count   *udpCounters

	mu     sync.Mutex
	flow   udpFlow
	packet []byte
	err    error
	ended  chan struct{}
}

// openUDP returns a flow to a target. receive is called with each datagram that comes from it, by one goroutine at a
// time for all flows of the session: it must not wait, nor keep data. Nothing is sent before the first datagram is, so
// that a refusal comes later: then done is closed, and err says why.
func (c *Client) openUDP(target Target, o UDPOptions, count *udpCounters, receive func(data []byte)) *udpTunnel {
	t := &udpTunnel{client: c, target: target, udp: o, receive: receive, count: count, ended: make(chan struct{})}
	t.flow.owner, t.flow.token = t, newFlowToken()
	count.flows.Add(1)
	count.opened.Add(1)
	return t
}

// send sends a datagram, which is copied. It never waits. An error concerns this datagram, unless done is closed.
func (t *udpTunnel) send(data []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return t.err
	}
	t.count.in.add(len(data))
	m := t.client.udp.Load()
	if m == nil {
		t.count.noSession.Add(1)
		return errNoSession
	}
	s, err := t.flow.open(m, time.Now())
	if err != nil {
		t.count.noFlow.Add(1)
		return err
	}
	t.packet = append(appendVarint(t.packet[:0], s.id), data...)
	err = m.send(&s, t.packet, len(data))
	if err != nil {
		t.count.lost(err)
	}
	m.flush()
	return err
}

// close ends the flow.
func (t *udpTunnel) close() { t.fail(errors.New("closed")) }

func (t *udpTunnel) done() <-chan struct{} { return t.ended }

// failure says why the flow has ended; nil: it has not.
func (t *udpTunnel) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

func (t *udpTunnel) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return
	}
	t.err = err
	t.count.flows.Add(-1)
	t.flow.end()
	close(t.ended)
}

func (t *udpTunnel) options() *UDPOptions { return &t.udp }

func (t *udpTunnel) announcement(f *udpFlow, id uint64) []byte {
	return appendUDPRequest(appendVarint([]byte{controlOpen}, id), t.target, &t.udp, flowNames{resume: f.token})
}

func (t *udpTunnel) deliver(_ *udpFlow, data []byte, _ *writeQueue) {
	t.count.out.add(len(data))
	t.receive(data)
}

// closed ends the flow if it was refused; else it opens again with the next datagram.
func (t *udpTunnel) closed(f *udpFlow, m *udpMux, c *control) {
	t.mu.Lock()
	refused := f.over(m, c, time.Now())
	t.mu.Unlock()
	if refused {
		t.count.refused.Add(1)
		t.fail(&RefusedError{Target: t.target, Code: c.code, Reason: c.reason})
	}
}
