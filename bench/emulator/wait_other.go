//go:build !linux

package emulator

import (
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// waiter sleeps on the runtime's timers, about a millisecond coarse, and can be woken.
type waiter struct {
	event chan struct{}
}

func (w *waiter) open() error {
	w.event = make(chan struct{}, 1)
	return nil
}

func (w *waiter) sharpen() {}

// wait returns at next (0: never), or when woken. Early returns are allowed.
func (w *waiter) wait(next, now monotime.Time) {
	if next.IsZero() {
		<-w.event
		return
	}
	timer := time.NewTimer(next.Sub(now))
	defer timer.Stop()
	select {
	case <-w.event:
	case <-timer.C:
	}
}

func (w *waiter) wake() {
	select {
	case w.event <- struct{}{}:
	default:
	}
}

func (w *waiter) close() {}
