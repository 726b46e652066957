package conn

import (
	"sync"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// timers is a shard's timing wheel with the one timer of the runtime that drives it. The timer sleeps
// until the earliest deadline; with none set it does not exist.
type timers struct {
	clock func() monotime.Time
	fire  func(due []*wheelNode, now monotime.Time) // what to do for nodes that are due; called without the lock

	mu      sync.Mutex
	wheel   wheel
	timer   *time.Timer
	wakeAt  monotime.Time // when timer wakes; 0: it does not
	due     []*wheelNode  // scratch of turn
	turning bool          // a turn is under way and will set the timer itself
}

// set makes n due at a time, and not at the one that was set before.
func (t *timers) set(n *wheelNode, at monotime.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wheel.set(n, at)
	if !t.turning {
		t.sleep()
	}
}

// remove makes n not due at all.
func (t *timers) remove(n *wheelNode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wheel.remove(n)
}

// sleep sets the timer if something is due before it wakes.
func (t *timers) sleep() {
	next := t.wheel.next()
	if next.IsZero() || !t.wakeAt.IsZero() && !next.Before(t.wakeAt) {
		return
	}
	t.wakeAt = next
	wait := max(next.Sub(t.clock()), 0)
	if t.timer == nil {
		t.timer = time.AfterFunc(wait, t.turn)
		return
	}
	t.timer.Reset(wait)
}

// turn runs when the timer wakes: it fires what is due, and goes back to sleep.
func (t *timers) turn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.turning {
		return
	}
	t.turning, t.wakeAt = true, 0
	for {
		now := t.clock()
		t.due = t.wheel.advance(now, t.due[:0])
		if len(t.due) == 0 {
			break
		}
		t.mu.Unlock()
		t.fire(t.due, now)
		clear(t.due)
		t.mu.Lock()
	}
	t.turning = false
	t.sleep()
}
