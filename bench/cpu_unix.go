//go:build unix

package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// ProcessorTime is the processor time that this process has used, 0 where the system does not tell.
func ProcessorTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
