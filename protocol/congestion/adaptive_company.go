package congestion

import (
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

const (
	// companyFor is for how long after urgent data left the rest of the traffic is gentle.
	companyFor = time.Second
	// companyHeavy is the part of the window in a round from which on urgent data is no company but what fills the
	// path: a video. It would wait longer, not shorter.
	companyHeavy = 0.25
	// companyTarget is the queue that may build beside urgent data. It peaks at two or three times that: it grows
	// on for the round trip in which it is noticed.
	companyTarget = 1500 * time.Microsecond
	// companyRefill times the rate of the path is how fast an empty path is filled: faster would make a queue at
	// once, slower would leave it empty for longer.
	companyRefill = 1.02
	// companyFull is the part of the window that must be in flight for it to grow.
	companyFull = 0.9
)

// company makes a flow gentle while its session has urgent data, which waits in the queue that the flow makes. The
// target is shorter, and after a pause, in which the application was the limit, a path whose rate is known is filled
// at that rate and not with a window as fast as the pacer goes.
type company struct {
	since  monotime.Time // when urgent data left last
	line   float64       // rate of the path in bytes a second, seen when there was a queue; 0: not known
	rate   float64       // what the path is filled at; 0: as the window says
	urgent int           // bytes of it in this round
	heavy  monotime.Time // when it was much last
	here   bool          // there is some urgent data
}

// acked takes an acknowledgement, and says whether a path has just been filled: then the window should be what it
// holds, since it said nothing meanwhile (RFC 7661, on windows that are not in use).
// spec: REL-47
func (c *company) acked(s AckSample, mode adaptiveMode, best, window float64) bool {
	if s.RoundStart {
		if float64(c.urgent) > companyHeavy*window {
			c.heavy = s.Now
		}
		c.urgent = 0
	}
	c.here = recent(s.Now, c.since) && !recent(s.Now, c.heavy)
	refilling := c.rate > 0
	c.rate = 0
	if c.here && c.line > 0 && (mode == adaptiveCruise || mode == adaptiveSettle) {
		if s.Rate.AppLimited {
			c.rate = companyRefill * max(c.line, best)
			return false
		}
		return refilling
	}
	return false
}

// recent reports whether something was less than companyFor ago.
func recent(now, at monotime.Time) bool { return !at.IsZero() && now.Sub(at) < companyFor }

// limit returns the rate at which packets may leave.
func (c *company) limit(rate float64) float64 {
	if c.rate > 0 {
		return min(rate, c.rate)
	}
	return rate
}

// grows reports whether the window is in use. Between transfers it is not, and what was sent before goes on
// being acknowledged.
func (c *company) grows(s AckSample, window float64) bool {
	return !c.here || float64(s.PriorInFlight) > companyFull*window
}
