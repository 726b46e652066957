package compare

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/godwit-net/godwit/bench/alarm"
	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// ticker says something to many sessions, each at a phase of its own.
type ticker struct {
	play
	sessions []transport.Session
	phase    func(i int) time.Duration
	class    transport.Class
	size     int
	end      any // a transport.Ticker, which sends a turn at once, or not
	late     *histogram
}

// turns wakes a goroutine when something is due, and not more often than every gameGrain.
type turns struct {
	alarm *alarm.Alarm
	last  time.Duration
}

func newTurns() *turns {
	a, err := alarm.New()
	if err != nil {
		panic("BUG: " + err.Error()) // every Linux has these timers
	}
	return &turns{alarm: a}
}

func (t *turns) close() { _ = t.alarm.Close() }

// await waits for a time, or for the end of the grain, and returns how late it is if it waited.
func (t *turns) await(at time.Duration) (late time.Duration, waited bool) {
	at = max(at, t.last+gameGrain)
	waited = now() < at
	if err := t.alarm.Wait(at); err != nil {
		panic("BUG: " + err.Error()) // nobody else has the timer
	}
	t.last = now()
	return t.last - at, waited
}

// run sends until the end of the game. It is as late as timers are, or as sending takes too long.
func (t *ticker) run(ctx context.Context) (sent int64) {
	type due struct {
		at      time.Duration
		session transport.Session
	}
	order := make([]due, len(t.sessions))
	start := now()
	for i, s := range t.sessions {
		order[i] = due{start + t.phase(i), s}
	}
	slices.SortStableFunc(order, func(a, b due) int { return cmp.Compare(a.at, b.at) })
	all, ticks := t.end.(transport.Ticker)
	flush := func() {
		if ticks {
			all.Flush()
		}
	}
	defer flush()
	turns := newTurns()
	defer turns.close()
	buf := make([]byte, t.size)
	number := uint64(0)
	for i := 0; ; i = (i + 1) % len(order) {
		d := &order[i]
		if d.at >= t.End {
			return sent
		}
		if d.at > now() {
			flush()
			late, waited := turns.await(d.at)
			if ctx.Err() != nil {
				return sent
			}
			if waited && t.counts(d.at) {
				t.late.add(late)
			}
		}
		if t.counts(d.at) {
			sent++
		}
		if now() < t.End+gameGrace { // what is later yet is lost
			stamp(buf, number, d.at)
			number++
			_ = d.session.SendMessage(buf, t.class, ticks) // what is refused is lost, too
		}
		d.at += gameStep
	}
}
