package conn

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// drive advances w as a shard does, from wake-up to wake-up until end, and calls due for each node with
// the time of the wake-up.
func drive(w *wheel, end monotime.Time, due func(n *wheelNode, now monotime.Time)) (wakeUps int) {
	for {
		now := w.next()
		if now.IsZero() || now.After(end) {
			return wakeUps
		}
		wakeUps++
		for _, n := range w.advance(now, nil) {
			due(n, now)
		}
	}
}

func TestDeadlineIsNeverEarlyAndAtMostATickLate(t *testing.T) {
	for _, d := range []time.Duration{1, time.Millisecond, 67 * time.Millisecond, 5 * time.Second, 30 * time.Second, 24 * time.Hour, 200 * 24 * time.Hour} {
		for _, start := range []monotime.Time{1, 1 << 30, 1<<40 - 1, 1 << 50} {
			var w wheel
			w.advance(start, nil)
			n := &wheelNode{}
			at := start.Add(d)
			w.set(n, at)
			calls := 0
			wakeUps := drive(&w, at.Add(time.Hour), func(_ *wheelNode, now monotime.Time) {
				calls++
				require.False(t, now.Before(at), "early by %v", at.Sub(now))
				require.LessOrEqual(t, now.Sub(at), 2*time.Duration(wheelTick))
			})
			require.Equal(t, 1, calls)
			require.LessOrEqual(t, wakeUps, wheelLevels, "a distant deadline wakes once a level")
		}
	}
}

func TestPastDeadlineIsDueAtTheNextTick(t *testing.T) {
	var w wheel
	now := monotime.Time(time.Hour)
	w.advance(now, nil)
	n := &wheelNode{}
	w.set(n, 5)
	require.LessOrEqual(t, w.next().Sub(now), time.Duration(wheelTick))
	require.Equal(t, []*wheelNode{n}, w.advance(w.next(), nil))
	require.True(t, w.next().IsZero(), "an empty wheel wants nothing")
}

func TestMovedDeadlineCountsOnlyAtItsNewPlace(t *testing.T) {
	var w wheel
	n, other := &wheelNode{}, &wheelNode{}
	w.set(n, monotime.Time(time.Second))
	w.set(other, monotime.Time(time.Second))
	w.set(n, monotime.Time(time.Minute))
	require.Equal(t, []*wheelNode{other}, w.advance(monotime.Time(2*time.Second), nil))
	w.remove(n)
	w.remove(n)
	require.Empty(t, w.advance(monotime.Time(time.Hour), nil))
	require.True(t, w.next().IsZero())
}

func TestLateWakeUpHandsOutEverythingDue(t *testing.T) {
	var w wheel
	for i := range 1000 {
		w.set(&wheelNode{}, monotime.Time(i)*monotime.Time(17*time.Millisecond))
	}
	require.Len(t, w.advance(monotime.Time(time.Hour), nil), 1000)
}

func TestWheelAgreesWithASortedListOverRandomOperations(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var w wheel
	nodes := make([]wheelNode, 200)
	want := make(map[*wheelNode]monotime.Time)
	now := monotime.Time(1)
	for range 20000 {
		n := &nodes[rng.IntN(len(nodes))]
		switch rng.IntN(4) {
		case 0:
			w.remove(n)
			delete(want, n)
		case 1:
			now = now.Add(time.Duration(rng.Int64N(int64(1) << rng.IntN(36))))
			for _, n := range w.advance(now, nil) {
				require.False(t, want[n].After(now))
				delete(want, n)
			}
			for _, at := range want {
				require.Less(t, now.Sub(at), 2*time.Duration(wheelTick), "overdue and still in the wheel")
			}
		default:
			at := now.Add(time.Duration(rng.Int64N(int64(1) << rng.IntN(40))))
			w.set(n, at)
			want[n] = at
		}
		if len(want) == 0 {
			require.True(t, w.next().IsZero())
			continue
		}
		require.False(t, w.next().IsZero())
	}
}

func TestWheelDoesNotAllocate(t *testing.T) {
	var w wheel
	var n wheelNode
	out := make([]*wheelNode, 0, 1)
	now := monotime.Time(1)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		w.set(&n, now.Add(10*time.Second))
		w.set(&n, now.Add(time.Second))
		now = now.Add(2 * time.Second)
		out = w.advance(now, out[:0])
	}))
	require.Len(t, out, 1)
}
