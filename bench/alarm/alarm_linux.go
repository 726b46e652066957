// Package alarm wakes a goroutine at a time, exactly enough to measure with.
//
// It is for programs that act at moments of their own while they measure how late others are. The runtime's timers wake
// an idle process up to a millisecond late, since it waits in epoll, which counts whole ones. An Alarm is late by what
// the kernel's timers are, some 60 µs, and by what the process needs to get a processor.
package alarm

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Alarm is a timer of the kernel, for one goroutine.
type Alarm struct {
	file *os.File
	raw  syscall.RawConn
}

// New returns an Alarm, which must be closed.
func New() (*Alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("timerfd_create: %w", err)
	}
	a := &Alarm{file: os.NewFile(uintptr(fd), "timerfd")}
	if a.raw, err = a.file.SyscallConn(); err != nil {
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	return a, nil
}

// start is one moment on the clock of the runtime and, at most a microsecond later, on that of the machine.
var (
	start = time.Now()
	base  = monotonic()
)

func monotonic() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic("BUG: " + err.Error()) // every Linux has this clock
	}
	return time.Duration(t.Nano())
}

// Now is the clock of Wait: that of the machine since it started, the same for all its processes. It reads the same
// clock through the runtime, which needs no system call for it.
func Now() time.Duration { return base + time.Since(start) }

// Wait returns at a time, or at once when that is over.
func (a *Alarm) Wait(at time.Duration) error {
	if at <= Now() {
		return nil
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(at))}
	var refused error
	err := a.raw.Control(func(fd uintptr) { refused = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME, &spec, nil) })
	if err == nil {
		err = refused
	}
	if err != nil {
		return fmt.Errorf("timerfd_settime: %w", err)
	}
	var times [8]byte // how often it went off: once
	_, err = a.file.Read(times[:])
	return err
}

// Close ends the Alarm.
func (a *Alarm) Close() error { return a.file.Close() }
