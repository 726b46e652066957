//go:build !windows

package tunnel

import "syscall"

var refusedError error = syscall.ECONNREFUSED
