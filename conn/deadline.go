package conn

import (
	"sync"
	"time"
)

// deadline is the read or write deadline of a stream. Its fields are guarded by the session's lock. A
// timer of the runtime exists only while a deadline is set.
type deadline struct {
	timer  *time.Timer
	moved  chan struct{} // closed when the deadline passes or is moved; made when somebody waits
	set    uint32        // counts settings, so that a timer which fired late knows that it is an old one
	passed bool
}

// wait returns a channel that is closed when the deadline passes or moves.
func (d *deadline) wait() <-chan struct{} {
	if d.moved == nil {
		d.moved = make(chan struct{})
	}
	return d.moved
}

// to moves the deadline; the zero time means none. Waiting callers look again.
func (d *deadline) to(t time.Time, mu *sync.Mutex) {
	d.set++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.passed = false
	d.wakeAll()
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.passed = true
		return
	}
	set := d.set
	d.timer = time.AfterFunc(left, func() {
		mu.Lock()
		defer mu.Unlock()
		if d.set == set {
			d.passed = true
			d.timer = nil
			d.wakeAll()
		}
	})
}

// rest gives memory back while nobody waits.
func (d *deadline) rest() { d.moved = nil }

// stop ends the timer for good.
func (d *deadline) stop(mu *sync.Mutex) { d.to(time.Time{}, mu) }

func (d *deadline) wakeAll() {
	if d.moved != nil {
		close(d.moved)
		d.moved = nil
	}
}
