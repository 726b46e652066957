package congestion

import (
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

const (
	// MaxFixedRate is the highest rate of a Fixed controller in bytes a second: 1 Gbit/s. More than
	// that is a mistake in the unit more often than a reserved path.
	MaxFixedRate = 125_000_000
	// MaxFixedWindow is the most that a Fixed controller ever has in flight, in bytes: MaxFixedRate for a
	// quarter of a second. It bounds what is sent into a path that has just died.
	MaxFixedWindow = 32_000_000
	// fixedRounds is how many round trips of the rate fit into the window. One is on its way, and what
	// is lost counts for an eighth of a round trip more; the rest is for a round trip that grows.
	fixedRounds = 2
	// fixedSlack is for the time that the peer may take to acknowledge, and for timers.
	fixedSlack = 50 * time.Millisecond
	// fixedUnknownRTT stands for the round trip before it is measured (RFC 9002, section 6.2.2).
	fixedUnknownRTT = 333 * time.Millisecond
)

// Fixed is no congestion control: it sends at a given rate, whatever is lost. It is for paths of which
// that capacity is reserved for this flow, such as a leased line, a link of one's own, or a class of
// service that somebody polices. On a shared path it takes from all others what they need, and it can
// keep a path congested for as long as it sends (RFC 8085, section 3.1.3); do not use it there. That is
// why no name stands for it: who wants it writes it, with its rate.
//
// Three things bound it. The rate is at most MaxFixedRate. The bytes in flight are at most two round trips
// of the rate and 50 ms, and never more than MaxFixedWindow, so a path that died is not flooded, and a path
// with less capacity than promised has a queue of about as long as the round trip before the window
// closes. In persistent congestion it sends no more than two datagrams a round trip, until one that left
// after it began is acknowledged.
//
// Its packets carry no ECN marks, since it would not answer them.
type Fixed struct {
	rate    uint64
	mss     int
	minRTT  time.Duration // 0: not known yet
	srtt    time.Duration // 0: not known yet
	stopped bool          // persistent congestion
}

// NewFixed returns a controller that sends at rate, in bytes of UDP payload a second. A rate above
// MaxFixedRate is taken as MaxFixedRate, one below a datagram a second as that.
//
//	config.CongestionControl = func(c congestion.Config) congestion.Controller {
//		return congestion.NewFixed(c, 2_500_000) // 20 Mbit/s
//	}
func NewFixed(cfg Config, rate uint64) *Fixed {
	cfg = cfg.withDefaults()
	return &Fixed{rate: min(max(rate, uint64(cfg.MaxDatagram)), MaxFixedRate), mss: cfg.MaxDatagram}
}

// Name returns "fixed".
func (f *Fixed) Name() string { return "fixed" }

// Marking returns MarkNone.
func (f *Fixed) Marking() Marking { return MarkNone }

// Sent does nothing.
func (f *Fixed) Sent(SendSample) {}

// Acked measures the round trip, and ends persistent congestion.
func (f *Fixed) Acked(s AckSample) {
	f.minRTT, f.srtt = s.MinRTT, s.SmoothedRTT
	if s.Bytes > s.RecoveryBytes {
		f.stopped = false
	}
}

// Lost does nothing but in persistent congestion.
func (f *Fixed) Lost(s LossSample) {
	f.stopped = f.stopped || s.Persistent
}

// Undo does nothing: nothing was done.
func (f *Fixed) Undo(monotime.Time) {}

// SetMaxDatagram tells the largest datagram of the path.
func (f *Fixed) SetMaxDatagram(n int) {
	if n > 0 {
		f.mss = n
	}
}

func (f *Fixed) minWindow() int { return minWindowPackets * f.mss }

// Window returns how many bytes may be in flight.
func (f *Fixed) Window() int {
	if f.stopped {
		return f.minWindow()
	}
	window := float64(f.rate) * (fixedRounds*orUnknown(f.minRTT) + fixedSlack).Seconds()
	return max(int(min(window, MaxFixedWindow)), f.minWindow())
}

// PacingRate returns the rate, or in persistent congestion the minimum window in a round trip.
func (f *Fixed) PacingRate() uint64 {
	if !f.stopped {
		return f.rate
	}
	return min(f.rate, uint64(float64(f.minWindow())/orUnknown(f.srtt).Seconds()))
}

func orUnknown(rtt time.Duration) time.Duration {
	if rtt <= 0 {
		return fixedUnknownRTT
	}
	return rtt
}
