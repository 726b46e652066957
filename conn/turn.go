package conn

import (
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

const (
	// turnLength is how much a goroutine works for strangers at a stretch while sessions are in use: one or two pieces of
	// public-key work, or some two hundred first packets.
	turnLength = time.Millisecond
	// turnPause is what it leaves to the sessions then, at least. It takes up to a millisecond where nobody else has
	// anything to do, since the runtime's timers are coarse.
	turnPause = 100 * time.Microsecond
	// longestTurn is how long a turn becomes where pauses are long, as those of a machine that is stopped for an hour
	// are: about as long as others keep a processor that they have.
	longestTurn = 20 * time.Millisecond
	// settledAge is when a session is no new one any more: most handshakes, with what follows and the end of a session
	// that was opened for one question, take less.
	settledAge = 200 * time.Millisecond
	// servedFor is how long after a datagram of such a session more of them are expected.
	servedFor = 100 * time.Millisecond
	// servedStep is how old the note of the last datagram may be: goroutines on all processors read it.
	servedStep = time.Millisecond
)

// turn is the work of one goroutine for strangers since its last pause. A goroutine that only yields is found again
// before the runtime asks which sockets have something to read, so that on processors that are all busy nobody
// learns of that while there is such work. One that sleeps lets the runtime look. Where it gets no processor for long
// after its pause, its next turn is as long as that was: strangers are slowed down, not locked out.
type turn struct {
	endpoint *Endpoint
	spent    time.Duration
	last     monotime.Time // when it last worked or slept
	paused   time.Duration // how long its last pause was
}

// over counts the work between two moments, with what lies between it and the work before unless that was a pause,
// too. It reports whether the turn is over, and begins the next one.
func (t *turn) over(from, to monotime.Time) bool {
	if from.Sub(t.last) < turnPause {
		from = t.last
	}
	t.spent, t.last = t.spent+to.Sub(from), to
	if t.spent < max(turnLength, min(t.paused, longestTurn)) {
		return false
	}
	t.spent = 0
	return true
}

// giveWay pauses after work between two moments if that was the end of a turn and sessions are in use. It returns the
// time. Work that is not in turns has none.
func (t *turn) giveWay(from, to monotime.Time) monotime.Time {
	if t == nil {
		return to
	}
	if t.over(from, to) && t.endpoint.inUse(to) { // spec: SESS-31
		time.Sleep(turnPause)
		t.last = t.endpoint.now()
		t.paused = t.last.Sub(to)
	}
	return t.last
}

// serves notes that a session has a datagram from its peer.
func (e *Endpoint) serves(s *Session, now monotime.Time) {
	if !s.dialed && s.core.Age(now) >= settledAge && now.Sub(monotime.Time(e.served.Load())) >= servedStep {
		e.served.Store(int64(now))
	}
}

// inUse reports whether sessions that are no new ones are in use.
func (e *Endpoint) inUse(now monotime.Time) bool {
	served := monotime.Time(e.served.Load())
	return !served.IsZero() && now.Sub(served) <= servedFor
}
