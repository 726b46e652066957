package conn

import (
	"sync"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

const (
	// lateTurn is how late a turn must be to be taken for the end of a pause: of the process, of the machine, or of a
	// processor that others took. Schedulers of busy machines make goroutines wait for less.
	lateTurn = 50 * time.Millisecond
	// readFirst is for how long such a turn is put off, so that the reader takes what came during the pause: a thousand
	// datagrams and more.
	readFirst = 5 * time.Millisecond
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
	putOff  bool          // the next turn is late, and has been put off
}

// set makes n due at a time, and not at the one that was set before.
func (t *timers) set(n *wheelNode, at monotime.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wheel.set(n, at)
	if !t.turning && !t.putOff {
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

// turn runs when the timer wakes: it fires what is due, and goes back to sleep. After a pause what came meanwhile goes
// first: a peer that was silent for too long by the clock may have spoken.
//
// spec: SESS-32
func (t *timers) turn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.turning {
		return
	}
	if now := t.clock(); !t.putOff && !t.wakeAt.IsZero() && now.Sub(t.wakeAt) > lateTurn {
		t.putOff, t.wakeAt = true, now.Add(readFirst)
		t.timer.Reset(readFirst)
		return
	}
	t.putOff = false
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
