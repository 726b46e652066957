package congestion

import "time"

// Numbers of HyStart++ (RFC 9406, section 4.3).
const (
	hystartMinRTTThreshold = 4 * time.Millisecond  // a rise below this is noise
	hystartMaxRTTThreshold = 16 * time.Millisecond // a rise above this is a queue on any path
	hystartRTTDivisor      = 8
	hystartSamples         = 8 // packets' worth of RTT samples before a round may decide
	hystartGrowthDivisor   = 4 // how much slower the window grows while it is in doubt
	hystartRounds          = 5 // rounds of doubt before slow start ends
	hystartCertain         = 2 // a rise by half of the RTT is no doubt
	// hystartMaxWeight bounds what one sample stands for. RFC 9406 assumes an acknowledgement for
	// every second packet, ours come for sixteen; so a sample counts for half its packets, and at
	// least two samples make a decision.
	hystartMaxWeight = 4
)

// hystart leaves slow start when the RTT begins to rise, before the queue overflows.
//
// It differs from RFC 9406 in two things. A sample counts for half of the packets it acknowledges, see
// hystartMaxWeight. And five rounds of doubt grow the window threefold, which a queue of one
// bandwidth-delay product does not survive; so slow start ends at once when the RTT of a round is far above
// that of the round before, or rises once more while in doubt. Growth is not held to a few packets for
// each acknowledgement, since all that leaves is paced (section 4.3: L is infinity).
type hystart struct {
	css         bool // conservative slow start: an exit is being checked
	certain     bool // the queue is beyond doubt
	cssRounds   int
	cssBaseline time.Duration // the RTT that raised the doubt
	lastMin     time.Duration // smallest RTT of the round before, 0: unknown
	currentMin  time.Duration // smallest RTT of this round, 0: none yet
	samples     int
}

// startRound ends a round.
func (h *hystart) startRound() {
	h.lastMin, h.currentMin, h.samples = h.currentMin, 0, 0
	if h.css {
		h.cssRounds++
	}
}

// over reports whether slow start should end.
func (h *hystart) over() bool { return h.certain || h.cssRounds >= hystartRounds }

// sample takes an RTT that an acknowledgement of n packets gave.
func (h *hystart) sample(rtt time.Duration, n int) {
	if rtt <= 0 {
		return
	}
	if h.currentMin == 0 || rtt < h.currentMin {
		h.currentMin = rtt
	}
	h.samples += min(max(n/2, 1), hystartMaxWeight)
	if h.samples < hystartSamples {
		return
	}
	if h.css {
		h.check()
		return
	}
	h.doubt()
}

// threshold is the rise above rtt that is more than noise.
func threshold(rtt time.Duration) time.Duration {
	return min(max(rtt/hystartRTTDivisor, hystartMinRTTThreshold), hystartMaxRTTThreshold)
}

// doubt enters conservative slow start when the RTT has risen since the last round.
func (h *hystart) doubt() {
	if h.lastMin == 0 || h.currentMin < h.lastMin+threshold(h.lastMin) {
		return
	}
	h.css, h.cssRounds, h.cssBaseline = true, 0, h.currentMin
	h.certain = h.currentMin >= h.lastMin+max(h.lastMin/hystartCertain, hystartMaxRTTThreshold)
}

// check goes back to slow start when the RTT fell again, and ends it when the RTT rose further.
func (h *hystart) check() {
	switch {
	case h.currentMin < h.cssBaseline:
		h.css, h.cssRounds, h.cssBaseline = false, 0, 0
	case h.currentMin >= h.cssBaseline+threshold(h.cssBaseline):
		h.certain = true
	}
}
