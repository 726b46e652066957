package emulator

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// waiter sleeps to the microsecond, on a timer of the kernel, since those of the runtime are about a
// millisecond coarse. It is a file for the runtime's poller: a goroutine that sleeps in a system call would
// keep its processor (GOMAXPROCS), so that whoever reads packets wakes milliseconds late.
type waiter struct {
	timer *os.File
	fd    int // of timer, whose Fd method would make it block
}

func (w *waiter) open() (err error) {
	w.fd, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err == nil {
		w.timer = os.NewFile(uintptr(w.fd), "timerfd")
	}
	return err
}

// set makes wait return at next (0: never), instead of when was set before.
func (w *waiter) set(next, now monotime.Time) {
	var spec unix.ItimerSpec
	if !next.IsZero() {
		spec.Value = unix.NsecToTimespec(int64(max(next.Sub(now), time.Nanosecond)))
	}
	_ = unix.TimerfdSettime(w.fd, 0, &spec, nil) // it fails for invalid arguments only
}

// wait returns when the time has come that was set. Early returns are allowed.
func (w *waiter) wait() {
	var expired [8]byte
	_, _ = w.timer.Read(expired[:])
}

func (w *waiter) close() { _ = w.timer.Close() }
