// Package testutil is for tests of packages that use real sockets and goroutines.
package testutil

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// drainLimit is how long sockets may stay open behind sessions that were closed: three probe timeouts, of a second each
// where the round trip was never measured, and more where a busy machine made it look long.
const drainLimit = 20 * time.Second

// Leaks waits until no goroutine is left but those that options ignore. It returns an error that names those that stay.
func Leaks(options ...goleak.Option) error {
	end := time.Now().Add(drainLimit)
	err := goleak.Find(options...)
	for err != nil && time.Now().Before(end) {
		err = goleak.Find(options...)
	}
	return err
}

// Main runs the tests of a package, which fail where goroutines are left. It is all of TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if err := Leaks(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// FewestAllocs is how many allocations f costs in the quietest of up to ten rounds, on average of its runs and rounded
// down. What other goroutines of the process allocate meanwhile comes on top: earlier tests leave sessions that are
// still being closed.
func FewestAllocs(runs int, f func()) float64 {
	fewest := testing.AllocsPerRun(runs, f)
	for range 9 {
		if fewest > 0 {
			fewest = min(fewest, testing.AllocsPerRun(runs, f))
		}
	}
	return fewest
}
