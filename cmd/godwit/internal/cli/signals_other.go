//go:build !unix

package cli

import "os"

// notifyStatus does nothing: this system has no signal for it.
func notifyStatus(chan<- os.Signal) {}
