package protocol

import (
	"time"

	"github.com/godwit-net/godwit/protocol/wire"
)

// Timer says why a session wants to be woken.
type Timer uint8

// The timers of a session, by name.
const (
	TimerNone      Timer = iota
	TimerHandshake       // send the handshake message again, or give up
	TimerLoss            // declare packets lost, or probe
	TimerAck             // a delayed acknowledgement is due
	TimerPace            // the pacer lets the next packet go
	TimerPath            // ask an address again, or forget a path
	TimerKey             // forget the peer's previous key
	TimerKeepAlive       // ping
	TimerMessage         // the deadline of a message passes, or its play-out is due
	TimerRepair          // a symbol, or the repetition of a message, is due
	TimerRelease         // nothing happens: give memory back
	TimerIdle            // the peer has been silent for too long
	TimerClose           // the drain period, or the linger of a graceful close, is over
	numTimers
)

var timerNames = [...]string{"none", "handshake", "loss", "ack", "pace", "path", "key", "keepalive", "message", "repair", "release", "idle", "close"}

func (t Timer) String() string {
	if t < numTimers {
		return timerNames[t]
	}
	return "unknown timer"
}

// NextTimeout returns when HandleTimeout should be called next, and why; zero means never.
// It may lie in the past: then the call is due now.
func (s *Session) NextTimeout() (Time, Timer) {
	var at Time
	var why Timer
	consider := func(t Time, timer Timer) {
		if t != 0 && (at == 0 || t < at) {
			at, why = t, timer
		}
	}
	switch s.state {
	case stateDead:
		return 0, TimerNone
	case stateHandshake:
		consider(s.hs.deadline(), TimerHandshake)
		consider(s.hs.giveUp, TimerHandshake)
		return at, why
	case stateClosing, stateDraining:
		consider(s.closing.drained, TimerClose)
		consider(s.closing.again, TimerClose)
		return at, why
	}
	if s.hs != nil {
		consider(s.hs.deadline(), TimerHandshake)
	}
	if !s.paths.active.silenced() {
		for _, p := range s.paths.list {
			t, _ := p.loss.deadline()
			consider(t, TimerLoss)
			consider(p.acks.deadline(), TimerAck)
		}
		consider(s.paceUntil, TimerPace)
		consider(s.repairDeadline(), TimerRepair)
	}
	consider(s.pathDeadline(), TimerPath)
	if s.messages != nil {
		consider(s.messages.deadline(), TimerMessage)
	}
	consider(s.keys.dropPrevious, TimerKey)
	consider(s.idle.ping, TimerKeepAlive)
	consider(s.stalledPing(), TimerKeepAlive)
	consider(s.idle.release, TimerRelease)
	consider(s.idle.deadline(s.probeTimeout()), TimerIdle)
	consider(s.closing.lingerUntil(), TimerClose)
	return at, why
}

// HandleTimeout does what is due at now. It is safe to call at any time.
func (s *Session) HandleTimeout(now Time) {
	s.handleEarly(now)
	switch s.state {
	case stateDead:
		return
	case stateHandshake:
		s.handshakeTimeout(now)
		return
	case stateClosing, stateDraining:
		s.closingTimeout(now)
		return
	}
	if at := s.idle.deadline(s.probeTimeout()); at != 0 && !now.Before(at) {
		s.end(now, ErrIdleTimeout) // spec: SESS-14
		return
	}
	if s.hs != nil {
		s.handshakeTimeout(now)
	}
	if !s.paths.active.silenced() {
		for _, p := range s.paths.list {
			p.loss.handleTimeout(now, (*sentHandler)(s))
			p.acks.handleTimeout(now, p.loss.rtt.smoothed)
		}
	}
	s.pathTimeout(now)
	if s.messages != nil {
		s.messages.timeout(now)
	}
	s.expirePreviousKey(now)
	s.idle.timeout(now)
	if at := s.stalledPing(); at != 0 && !now.Before(at) {
		s.idle.pingDue = true
	}
	s.releaseIdle(now)
	s.lingerTimeout(now)
}

// probeTimeout is the base probe timeout of the active path.
func (s *Session) probeTimeout() time.Duration {
	if s.paths.active == nil {
		return 0
	}
	return s.paths.active.loss.pto()
}

// releaseAfter is how long a session must be quiet before it gives back what only traffic needs:
// longer than the pauses of a person or a game, so that those cost no allocation.
const releaseAfter = 5 * time.Second

// releaseIdle gives back the memory of a session in which nothing happens.
func (s *Session) releaseIdle(now Time) {
	if s.idle.release == 0 || now.Before(s.idle.release) {
		return
	}
	s.idle.release = 0
	s.keys.recv.Rest()
	s.keys.send.Rest()
	s.rng.rest()
	for _, p := range s.paths.list {
		p.loss.release()
		p.acks.release()
	}
	if s.repair != nil {
		s.repair.release()
	}
}

// stalledPing is when to ask for a sign of life although no keepalive was wished for: data waits for the
// peer's flow control, and its reader may pause for longer than the idle timeout. 0: no need.
// spec: SESS-24
func (s *Session) stalledPing() Time {
	i := &s.idle
	if i.keepAlive != 0 || i.agreed == 0 || i.asked || i.pingDue || s.delivered() {
		return 0
	}
	return i.since.Add(i.agreed / 2)
}

// idleProbes is the least idle timeout in probe timeouts, so that a session does not die of a few
// lost packets (RFC 9000, section 10.1).
const idleProbes = 3

// idleState owns the clocks of a session in which nothing happens.
type idleState struct {
	agreed    time.Duration // agreed; 0: never
	keepAlive time.Duration // 0: none
	since     Time          // last sign of life, or our first question after it
	asked     bool          // we have asked something since the peer's last sign of life
	ping      Time          // when to ping; 0: no keepalive
	pingDue   bool          // a ping should go out
	release   Time          // when to give memory back; 0: it was given back
}

// start agrees on the idle timeout: the smaller one of both ends.
func (i *idleState) start(now Time, local, remote *wire.Parameters, keepAlive time.Duration) {
	ms := local.IdleTimeoutMillis
	if remote.IdleTimeoutMillis != 0 && (ms == 0 || remote.IdleTimeoutMillis < ms) {
		ms = remote.IdleTimeoutMillis
	}
	const longest = 24 * time.Hour // beyond a day a timeout is a leak
	i.agreed = time.Duration(min(ms, uint64(longest/time.Millisecond))) * time.Millisecond
	i.keepAlive = keepAlive
	if i.agreed != 0 && keepAlive > i.agreed/2 {
		i.keepAlive = i.agreed / 2
	}
	i.received(now)
}

// received restarts all clocks at a sign of life.
func (i *idleState) received(now Time) {
	i.since, i.asked = now, false
	i.release = now.Add(releaseAfter)
	i.armPing(now)
}

// sent restarts the idle clock at the first question after a sign of life, so that the peer has the
// whole timeout to answer.
func (i *idleState) sent(now Time) {
	if !i.asked {
		i.since, i.asked = now, true
	}
	i.release = now.Add(releaseAfter)
	i.armPing(now)
}

// quietTime is the silence after which the peer may have been restarted, so that the next packet should
// be able to provoke a reset.
const quietTime = time.Second

// quiet reports whether what is sent now breaks a silence.
func (i *idleState) quiet(now Time) bool { return !i.asked && now.Sub(i.since) >= quietTime }

func (i *idleState) armPing(now Time) {
	if i.keepAlive != 0 {
		i.ping = now.Add(i.keepAlive)
	}
}

// deadline is when the session dies of silence; 0: never.
func (i *idleState) deadline(pto time.Duration) Time {
	if i.agreed == 0 {
		return 0
	}
	return i.since.Add(max(i.agreed, idleProbes*pto))
}

func (i *idleState) timeout(now Time) {
	if i.ping != 0 && !now.Before(i.ping) {
		i.pingDue = true
		i.armPing(now)
	}
}
