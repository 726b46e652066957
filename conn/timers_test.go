package conn

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// pausing is timers with a clock that can jump: that of a program that was stopped, with the rest of the world going on.
type pausing struct {
	timers
	jumped atomic.Int64 // ns
	fired  atomic.Int32 // turns
}

func newPausing() *pausing {
	p, start := &pausing{}, time.Now()
	p.clock = func() monotime.Time {
		return monotime.Time(time.Hour + time.Since(start)).Add(time.Duration(p.jumped.Load()))
	}
	p.fire = func([]*wheelNode, monotime.Time) { p.fired.Add(1) }
	return p
}

// pass lets d pass, by which the clock moves too.
func (p *pausing) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// spec: SESS-32
func TestWhatCameDuringAPauseGoesBeforeTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPausing()
		var idle, other wheelNode
		p.set(&idle, p.clock().Add(time.Second))
		p.pass(999 * time.Millisecond)
		p.jumped.Add(int64(10 * time.Second))
		p.pass(3 * time.Millisecond)
		require.Zero(t, p.fired.Load(), "the runtime's timer has rung, but what came goes first")
		p.set(&other, p.clock().Add(time.Minute))
		p.pass(time.Millisecond)
		require.Zero(t, p.fired.Load(), "whatever the reader sets meanwhile")
		p.set(&idle, p.clock().Add(time.Second))
		p.pass(900 * time.Millisecond)
		require.Zero(t, p.fired.Load(), "the peer had spoken")
		p.pass(105 * time.Millisecond)
		require.EqualValues(t, 1, p.fired.Load())
	})
}

// spec: SESS-32
func TestALateTurnIsPutOffOnceAndAShortDelayNotAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			late, after time.Duration
		}{
			{lateTurn - 3*time.Millisecond, 0},
			{lateTurn + 3*time.Millisecond, readFirst},
			{time.Hour, readFirst},
		} {
			p := newPausing()
			var n, other wheelNode
			p.set(&n, p.clock().Add(time.Second))
			p.pass(999 * time.Millisecond)
			p.jumped.Add(int64(test.late))
			p.pass(3 * time.Millisecond)
			p.set(&other, p.clock().Add(time.Minute)) // puts nothing off anew
			p.pass(test.after)
			require.EqualValues(t, 1, p.fired.Load(), "%v late", test.late)
			p.set(&n, p.clock().Add(time.Second))
			p.pass(time.Second + 2*time.Millisecond)
			require.EqualValues(t, 2, p.fired.Load(), "and the next one is as ever")
		}
	})
}
