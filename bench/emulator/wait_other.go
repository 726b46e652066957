//go:build !linux

package emulator

import (
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// waiter sleeps on the runtime's timers, about a millisecond coarse.
type waiter struct {
	timer *time.Timer
}

func (w *waiter) open() error {
	w.timer = time.NewTimer(0)
	return nil
}

// set makes wait return at next (0: never), instead of when was set before.
func (w *waiter) set(next, now monotime.Time) {
	if next.IsZero() {
		w.timer.Stop()
		return
	}
	w.timer.Reset(next.Sub(now))
}

// wait returns when the time has come that was set. Early returns are allowed.
func (w *waiter) wait() { <-w.timer.C }

func (w *waiter) close() { w.timer.Stop() }
