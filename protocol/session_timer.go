package protocol

import (
	"time"
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
	TimerPath            // ask an address again, forget a path, or look for its size
	TimerKey             // forget the peer's previous key
	TimerKeepAlive       // ping
	TimerMessage         // the deadline of a message passes, or its play-out is due
	TimerRepair          // a symbol, or the repetition of a message, is due
	TimerMemory          // something waits for memory
	TimerRest            // nothing happens: give memory back
	TimerIdle            // the peer has been silent for too long
	TimerClose           // the drain period, or the linger of a graceful close, is over
	numTimers
)

var timerNames = [...]string{"none", "handshake", "loss", "ack", "pace", "path", "key", "keepalive", "message", "repair", "memory", "rest", "idle", "close"}

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
		consider(s.nextLastChance(), TimerRepair)
		if s.messages != nil {
			consider(s.messages.carry.deadline(&s.paths.active.loss), TimerMessage)
		}
	}
	consider(s.pathDeadline(), TimerPath)
	if s.messages != nil {
		consider(s.messages.deadline(), TimerMessage)
	}
	consider(s.keys.dropPrevious, TimerKey)
	consider(s.idle.ping, TimerKeepAlive)
	consider(s.stalledPing(), TimerKeepAlive)
	consider(s.streams.book.retry, TimerMemory)
	consider(s.idle.rest, TimerRest)
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
	s.memoryTimeout(now)
	s.expirePreviousKey(now)
	s.idle.timeout(now)
	if at := s.stalledPing(); at != 0 && !now.Before(at) {
		s.idle.pingDue = true
	}
	s.restIfIdle(now)
	s.lingerTimeout(now)
}

// probeTimeout is the base probe timeout of the active path.
func (s *Session) probeTimeout() time.Duration {
	if s.paths.active == nil {
		return 0
	}
	return s.paths.active.loss.pto()
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
