package tunnel

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// udpConn is what a flow needs of a connected *net.UDPConn: a socket of its own, so that answers find their
// flow and nobody but the target is heard.
type udpConn interface {
	Read(b []byte) (int, error)
	Write(b []byte) (int, error)
	Close() error
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	SetReadDeadline(t time.Time) error
}

// farFlow is a flow that the peer opened. Its target is here.
type farFlow struct {
	mux     *udpMux
	sending sending
	count   *udpCounters
	reverse *udpReverse // the port it came from, that the peer listens on for us; nil: the peer named the target
	names   flowNames
	pair    *portPair // nil: it is in none
	key     keptKey
	last    atomic.Int64  // when a datagram passed, Unix ns
	unread  chan struct{} // closed when nobody reads the socket any more

	// Guarded by mux.mu.
	conn    udpConn // nil while the target is looked for
	release func()
	ended   bool
}

// openFar opens a flow that the peer announced.
func (m *udpMux) openFar(c *control) {
	m.mu.Lock()
	m.farNext = c.number + 2
	m.mu.Unlock()
	f := &farFlow{mux: m, sending: sending{id: c.number, class: classOf(&c.udp)}, count: m.count, names: c.names, unread: make(chan struct{})}
	target, code := c.target, c.bad
	if c.kind == controlInbound {
		if f.reverse = m.inbound(c.parent); f.reverse == nil {
			code = CodeNotAllowed // spec: TUN-42
		} else {
			target, f.count = f.reverse.forward.Target, &f.reverse.count
			f.sending.class = classOf(&f.reverse.forward.UDP)
		}
	}
	f.touch()
	if code == CodeConnected {
		code = m.addFar(f)
	}
	if code != CodeConnected {
		m.refuse(&RefusedError{Target: target, Code: code}, c.number)
		return
	}
	if target.Addr.IsValid() { // no waiting
		f.connect(target)
		return
	}
	m.mu.Lock()
	busy := m.solving == maxResolving
	if !busy {
		m.solving++
	}
	m.mu.Unlock()
	if busy {
		m.dropFar(c.number)
		m.refuse(&RefusedError{Target: target, Code: CodeBusy}, c.number)
		return
	}
	m.running.Go(func() {
		f.connect(target)
		m.mu.Lock()
		m.solving--
		m.mu.Unlock()
	})
}

// addFar takes a flow in, if there is room.
func (m *udpMux) addFar(f *farFlow) Code {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return CodeStopping
	}
	if len(m.far) >= maxSessionFlows { // spec: TUN-34
		return CodeBusy
	}
	var ok bool
	if f.sending.channel, ok = m.lanes.take(f.sending.class); !ok {
		return CodeBusy
	}
	m.far[f.sending.id] = f
	f.count.flows.Add(1)
	f.count.opened.Add(1)
	if m.sweeper == nil {
		m.sweeper = time.AfterFunc(udpSweep, m.sweepFar)
	}
	return CodeConnected
}

// connect finds the target, gives it what was held, and has its answers read.
func (f *farFlow) connect(target Target) {
	m := f.mux
	f.pair = m.enterPair(f.names.pair)
	c, release, refusal := f.reach(target)
	if refusal != nil {
		m.leavePair(f.names.pair)
		if m.dropFar(f.sending.id) {
			m.refuse(refusal, f.sending.id)
		}
		return
	}
	f.pair.settle(c)
	m.mu.Lock()
	if f.ended || m.over {
		m.mu.Unlock()
		_ = c.Close()
		m.leavePair(f.names.pair)
		release()
		return
	}
	defer m.mu.Unlock()
	f.conn, f.release = c, func() {
		m.leavePair(f.names.pair)
		release()
	}
	m.held.take(f.sending.id, func(data []byte) { f.write(c, data) })
	if f.names.resume != (flowToken{}) {
		m.reach.keep(f, target)
	}
	m.running.Go(func() {
		defer close(f.unread)
		f.read(c)
	})
}

// reach opens a socket to the flow's target.
func (f *farFlow) reach(target Target) (udpConn, func(), *RefusedError) {
	if f.reverse != nil {
		c, refusal := f.reverse.reach(f.mux.ctx, f)
		return c, func() {}, refusal
	}
	return f.mux.reach.reachTarget(f.mux.ctx, target, f, func() { f.mux.endFar(f.sending.id, CodeNotAllowed) })
}

// refuse tells the peer, and the log, that a flow is not carried.
func (m *udpMux) refuse(e *RefusedError, id uint64) {
	m.count.refused.Add(1)
	m.log.Warn("flow refused", "target", e.Target, "reason", e.Code)
	m.mu.Lock()
	m.held.take(id, func([]byte) { m.count.dropped.Add(1) })
	m.mu.Unlock()
	m.tellClosed(id, e.Code, e.Reason)
}

// tellClosed tells the peer that a flow is over.
func (m *udpMux) tellClosed(id uint64, code Code, reason string) {
	b := appendVarint([]byte{controlClose}, id)
	_ = m.tell(appendReply(b, code, reason)) // a queue that is full: the peer asks again with a new flow
	m.flush()
}

// toFar passes a datagram of the peer on to the target of its flow.
func (m *udpMux) toFar(id uint64, data []byte) {
	m.mu.Lock()
	f := m.far[id]
	if f != nil && f.conn != nil {
		c := f.conn
		m.mu.Unlock()
		f.touch()
		f.write(c, data)
		return
	}
	defer m.mu.Unlock()
	if f == nil && id < m.farNext { // spec: TUN-35
		m.strayed(id)
		return
	}
	kept, dropped := m.held.add(id, data, time.Now())
	if !kept {
		dropped++
	}
	m.count.dropped.Add(uint64(dropped))
}

// strayPause is how often a peer that goes on with flows that are over is told so.
const strayPause = time.Second

// strayed counts a datagram of a flow that is over here, and tells the peer. Called with the lock held.
func (m *udpMux) strayed(id uint64) {
	m.count.stale.Add(1)
	if now := time.Now(); now.Sub(m.lastTold) >= strayPause {
		m.lastTold = now
		m.running.Go(func() { m.tellClosed(id, CodeConnected, "") })
	}
}

// endFar ends a flow and tells the peer why.
func (m *udpMux) endFar(id uint64, code Code) {
	if m.dropFar(id) {
		m.tellClosed(id, code, "")
	}
}

// dropFar forgets a flow, and returns whether there was one.
func (m *udpMux) dropFar(id uint64) bool {
	m.mu.Lock()
	f := m.far[id]
	delete(m.far, id)
	if f != nil {
		m.lanes.release(f.sending.channel)
		f.count.flows.Add(-1)
	}
	m.mu.Unlock()
	if f != nil {
		f.close(false)
	}
	return f != nil
}

// close ends the flow's socket, and with it the reading. The socket of a flow that can be resumed is kept for a
// while if the session was lost.
func (f *farFlow) close(sessionLost bool) {
	f.mux.mu.Lock()
	c := f.conn
	f.ended, f.conn = true, nil
	f.mux.mu.Unlock()
	if c == nil {
		return
	}
	f.release()
	kept := f.mux.reach.kept()
	if kept != nil && sessionLost && f.names.resume != (flowToken{}) {
		f.stopReading(c)
	}
	if kept == nil || !kept.leave(f, c, sessionLost) {
		_ = c.Close()
	}
}

func (f *farFlow) touch() { f.last.Store(time.Now().UnixNano()) }

// write gives a datagram to the target. That it does not listen, or that the system has no room, loses the datagram
// and nothing else. spec: TUN-39
func (f *farFlow) write(c udpConn, data []byte) {
	_, err := c.Write(data)
	if isRefused(err) { // that is about an earlier one: this one was not sent
		f.count.unanswered.Add(1)
		_, err = c.Write(data)
	}
	if err != nil {
		f.count.unwritten.Add(1)
		return
	}
	f.count.out.add(len(data))
}

// read carries the target's answers until the flow ends.
func (f *farFlow) read(c udpConn) {
	r := newFlowReader(c, f.sending.id)
	answer := f.answer // made once
	for {
		err := r.read(answer)
		f.mux.flush()
		switch {
		case err == nil:
			f.touch()
		case isRefused(err) || isUnreachable(err):
			f.count.unanswered.Add(1)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return // the socket goes to another session
		default:
			f.mux.endFar(f.sending.id, CodeFailed) // unless it was ended here
			return
		}
	}
}

// answer sends one datagram of the target to the peer.
func (f *farFlow) answer(packet []byte, size int) {
	f.count.in.add(size)
	if err := f.mux.send(&f.sending, packet, size); err != nil {
		f.count.lost(err)
	}
}

// sweepFar ends flows of which nothing was heard for long.
func (m *udpMux) sweepFar() {
	before := time.Now().Add(-udpIdleFar).UnixNano() // spec: TUN-43
	var idle []uint64
	m.mu.Lock()
	for id, f := range m.far {
		if f.last.Load() < before {
			idle = append(idle, id)
		}
	}
	again := !m.over && len(m.far) > len(idle)
	if again {
		m.sweeper.Reset(udpSweep)
	} else {
		m.sweeper = nil
	}
	m.mu.Unlock()
	for _, id := range idle {
		m.endFar(id, CodeConnected)
	}
}
