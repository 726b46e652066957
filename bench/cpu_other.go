//go:build !unix

package bench

import "time"

// ProcessorTime is not measured on this system.
func ProcessorTime() time.Duration { return 0 }
