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
	// restSoon is how long after packets without data, such as those that keep it alive: longer than most round
	// trips, so that one exchange wakes it once. Of sessions with keepalives every 15 s, one in 50 is awake.
	restSoon = 300 * time.Millisecond
)

// restIfIdle lets a session rest in which nothing happens.
func (s *Session) restIfIdle(now Time) {
	if s.idle.rest != 0 && !now.Before(s.idle.rest) {
		s.idle.rest = 0
		s.rest()
	}
}

// Resting reports whether nothing has happened for so long that the session has given memory back. Its owner
// may do the same.
func (s *Session) Resting() bool { return s.idle.rest == 0 && s.state == stateEstablished }

// rest gives back what only traffic needs. It can be called again when something has used the session although
// nothing has happened: a datagram that was forged, or a question for datagrams.
func (s *Session) rest() {
	s.keys.recv.Rest()
	s.keys.send.Rest()
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
	asked     bool          // we have asked something since the peer's last sign of life
	ping      Time          // when to ping; 0: no keepalive
	pingDue   bool          // a ping should go out
	rest      Time          // when to give memory back; 0: the session is at rest
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
	i.wake(now, restSoon)
	i.armPing(now)
}

// sent restarts the idle clock at the first question after a sign of life, so that the peer has the
// whole timeout to answer.
func (i *idleState) sent(now Time) {
	if !i.asked {
		i.since, i.asked = now, true
	}
	i.wake(now, restSoon)
	i.armPing(now)
}

// quietTime is the silence after which the peer may have been restarted, so that the next packet should
// be able to provoke a reset.
const quietTime = time.Second

// quiet reports whether what is sent now breaks a silence.
func (i *idleState) quiet(now Time) bool { return !i.asked && now.Sub(i.since) >= quietTime }

// wake puts the next rest off to the end of a silence that begins now.
func (i *idleState) wake(now Time, silence time.Duration) { i.rest = max(i.rest, now.Add(silence)) }

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
