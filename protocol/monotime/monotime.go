// Package monotime is the clock reading that the pure packages share: eight bytes of monotonic time.
//
// It knows no clock. Whoever drives a session (package conn with the runtime's clock, the simulator
// with its event heap) converts once and hands the reading in; everything below compares and adds.
package monotime

import "time"

// Time is nanoseconds since an origin that the driver chooses. Only differences mean anything.
// The zero value means "not set": a driver starts its clock above zero.
type Time int64

// Add returns t moved by d.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns the time from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Before reports whether t comes before u.
func (t Time) Before(u Time) bool { return t < u }

// After reports whether t comes after u.
func (t Time) After(u Time) bool { return t > u }

// IsZero reports whether t is unset.
func (t Time) IsZero() bool { return t == 0 }

// Earliest returns the earlier of two times, where an unset time never wins.
func Earliest(a, b Time) Time {
	if a.IsZero() {
		return b
	}
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}
