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
	// hystartMaxWeight bounds what one sample stands for. RFC 9406 assumes an acknowledgement for
	// every second packet, ours come for sixteen; so a sample counts for half its packets, and at
	// least two samples make a decision.
	hystartMaxWeight = 4
)

// hystart leaves slow start when the RTT begins to rise, before the queue overflows.
type hystart struct {
	css         bool // conservative slow start: an exit is being checked
	cssRounds   int
	cssBaseline time.Duration // the RTT that raised the doubt
	lastMin     time.Duration // smallest RTT of the round before, 0: unknown
	currentMin  time.Duration // smallest RTT of this round, 0: none yet
	samples     int
}

// startRound ends a round. It reports whether slow start is over.
func (h *hystart) startRound() (exit bool) {
	h.lastMin, h.currentMin, h.samples = h.currentMin, 0, 0
	if !h.css {
		return false
	}
	h.cssRounds++
	return h.cssRounds >= hystartRounds
}

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
		h.doubtDoubt()
		return
	}
	h.doubt()
}

// doubt enters conservative slow start when the RTT has risen since the last round.
func (h *hystart) doubt() {
	if h.lastMin == 0 {
		return
	}
	threshold := min(max(h.lastMin/hystartRTTDivisor, hystartMinRTTThreshold), hystartMaxRTTThreshold)
	if h.currentMin >= h.lastMin+threshold {
		h.css, h.cssRounds, h.cssBaseline = true, 0, h.currentMin
	}
}

// doubtDoubt goes back to slow start when the RTT fell again: the rise was a passing one.
func (h *hystart) doubtDoubt() {
	if h.currentMin < h.cssBaseline {
		h.css, h.cssBaseline = false, 0
	}
}
