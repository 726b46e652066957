package emulator

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// timerSlack is how late the kernel may end a sleep to save wakeups, in ns. Its default is 50 µs.
const timerSlack = 1_000

// waiter sleeps in the kernel to the microsecond and can be woken.
type waiter struct {
	event int // eventfd
}

func (w *waiter) open() (err error) {
	w.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return err
}

// sharpen asks for precise sleeps; the calling goroutine owns its thread.
func (w *waiter) sharpen() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlack, 0, 0, 0) }

// wait returns at next (0: never), or when woken. Early returns are allowed.
func (w *waiter) wait(next, now monotime.Time) {
	var timeout *unix.Timespec
	if !next.IsZero() {
		t := unix.NsecToTimespec(int64(max(next.Sub(now), time.Nanosecond)))
		timeout = &t
	}
	fds := [1]unix.PollFd{{Fd: int32(w.event), Events: unix.POLLIN}}
	if n, _ := unix.Ppoll(fds[:], timeout, nil); n > 0 {
		var count [8]byte
		_, _ = unix.Read(w.event, count[:])
	}
}

func (w *waiter) wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(w.event, one[:])
}

func (w *waiter) close() { _ = unix.Close(w.event) }
