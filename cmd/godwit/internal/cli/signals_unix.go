//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyStatus asks for SIGUSR1, on which a command that runs on reports its status.
func notifyStatus(c chan<- os.Signal) { signal.Notify(c, syscall.SIGUSR1) }
