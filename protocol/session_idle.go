package protocol

import (
	"time"

	"github.com/godwit-net/godwit/protocol/wire"
)

// A server of ten thousand players mostly holds sessions in which nothing happens, so a session that is quiet
// gives back what only traffic needs. It is then its keys and its numbers, and whatever happens next makes the
// rest again, in a few microseconds.
const (
	// restAfter is how long after the last data a session rests: longer than the pauses of a person or a
	// game, so that those cost no allocation.
	restAfter = 5 * time.Second
	// restSoon is how long after packets without data: longer than most round trips, so that one exchange wakes it once.
	restSoon = 300 * time.Millisecond
	// dozeFor is how long a session that rests keeps the ciphers of its packets, 1.5 kB, for the next packet that
	// keeps it alive: longer than the usual intervals of those, 15 to 25 s. Made anew for each, ciphers would be garbage
	// of some ten times their size until the next collection, and with Go's default the heap grows to twice what lives.
	dozeFor = 30 * time.Second
	// restSlack is by how much a rest may come later than it could, so that the sessions of one wheel share wake-ups.
	restSlack = 1 << 28 // ns: 268 ms
)

// restIfIdle lets a session rest in which nothing happens.
func (s *Session) restIfIdle(now Time) {
	if i := &s.idle; i.rest != 0 && !now.Before(i.rest) {
		i.rest, i.dozing = 0, !i.dozing && i.keptAlive()
		if i.dozing {
			i.rest = restTime(now, dozeFor)
		}
		s.rest()
	}
}

// Resting reports whether nothing has happened for so long that the session has given memory back. Its owner
// may do the same.
func (s *Session) Resting() bool { return s.idle.resting() && s.state == stateEstablished }

// rest gives back what only traffic needs. It can be called again when something has used the session although
// nothing has happened: a datagram that was forged, one that keeps the session alive, or a question for datagrams.
func (s *Session) rest() {
	if s.idle.dozing {
		s.keys.recv.Doze()
		s.keys.send.Doze()
	} else {
		s.keys.recv.Rest()
		s.keys.send.Rest()
	}
	s.rng.rest()
	s.events.rest()
	for _, p := range s.paths.list {
		p.loss.rest()
		p.acks.rest()
	}
	if s.repair != nil {
		s.repair.release()
	}
}

// idleProbes is the least idle timeout in probe timeouts, so that a session does not die of a few
// lost packets (RFC 9000, section 10.1).
const idleProbes = 3

// idleState owns the clocks of a session in which nothing happens.
type idleState struct {
	agreed    time.Duration // agreed; 0: never
	keepAlive time.Duration // 0: none
	since     Time          // last sign of life, or our first question after it
	ping      Time          // when to ping; 0: no keepalive
	rest      Time          // when to give memory back; 0: the session is at rest
	dozing    bool          // the session is at rest but for its ciphers, which go then
	asked     bool          // we have asked something since the peer's last sign of life
	pingDue   bool          // a ping should go out
}

// keptAlive reports whether the session will hear from its peer before dozeFor is over, or end soon: keepalives come
// at least twice in an idle timeout.
func (i *idleState) keptAlive() bool { return i.agreed != 0 && i.agreed <= 2*dozeFor }

func (i *idleState) resting() bool { return i.rest == 0 || i.dozing }

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
	i.rest = restTime(now, restSoon)
	i.received(now)
}

// received restarts all clocks at a sign of life.
func (i *idleState) received(now Time) {
	i.since, i.asked = now, false
	i.stir(now)
	i.armPing(now)
}

// sent restarts the idle clock at the first question after a sign of life, so that the peer has the
// whole timeout to answer.
func (i *idleState) sent(now Time) {
	if !i.asked {
		i.since, i.asked = now, true
	}
	i.stir(now)
	i.armPing(now)
}

// quietTime is the silence after which the peer may have been restarted, so that the next packet should
// be able to provoke a reset.
const quietTime = time.Second

// quiet reports whether what is sent now breaks a silence.
func (i *idleState) quiet(now Time) bool { return !i.asked && now.Sub(i.since) >= quietTime }

// stir notes a packet. One without data does not wake a session that rests.
func (i *idleState) stir(now Time) {
	if i.resting() {
		i.dozing, i.rest = true, restTime(now, dozeFor)
		return
	}
	i.rest = max(i.rest, restTime(now, restSoon))
}

// wake notes data.
func (i *idleState) wake(now Time) {
	if i.dozing {
		i.dozing, i.rest = false, 0
	}
	i.rest = max(i.rest, restTime(now, restAfter))
}

// restTime is the first time for a rest after a silence that begins now.
func restTime(now Time, silence time.Duration) Time {
	return (now.Add(silence) + restSlack - 1) &^ (restSlack - 1)
}

const (
	// pingSlack is by how much a keepalive may come early, so that those of many sessions in one process leave together.
	pingSlack = 1 << 27 // ns: 134 ms
	// minSlackened is the least interval that is cut by it: by a sixteenth at most.
	minSlackened = 16 * pingSlack
)

func (i *idleState) armPing(now Time) {
	if i.keepAlive == 0 {
		return
	}
	i.ping = now.Add(i.keepAlive)
	if i.keepAlive >= minSlackened {
		i.ping &^= pingSlack - 1
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
