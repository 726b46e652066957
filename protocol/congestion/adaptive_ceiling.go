package congestion

const (
	// ceilingMargin is what a ceiling leaves of the rate that came through.
	ceilingMargin = 0.97
	// ceilingFirst and ceilingMost are for how many rounds a ceiling holds: none until the same rate
	// has met it twice, as the loss may have been another's or chance; then a few, and twice as many
	// each time. BBR's long-term model holds for 48 rounds.
	ceilingFirst = 8
	ceilingMost  = 64
	// ceilingSame is by which part two ceilings may differ and be the same.
	ceilingSame = 0.125
	// ceilingWeight is the weight of a new measurement of the same ceiling.
	ceilingWeight = 0.25
)

// ceiling is the rate above which a path without a queue drops packets, as a policer does: a cut
// ended the loss. The flow stays below it for a while and then tries again.
type ceiling struct {
	rate    float64 // bytes a second; 0: none is known
	suspect float64 // rate that came through when the last cut for loss was made
	hold    int     // rounds that the last one was to hold
	left    int     // of them, those to come
}

// confirm says that the loss ended with the cut.
func (c *ceiling) confirm() {
	d := c.suspect - c.rate
	if c.rate > 0 && max(d, -d) <= ceilingSame*c.rate {
		c.rate += ceilingWeight * d
		c.hold = min(max(2*c.hold, ceilingFirst), ceilingMost)
	} else {
		c.rate, c.hold = c.suspect, 0
	}
	c.left = c.hold
}

// refute says that there is loss below the ceiling as well: it has another reason.
func (c *ceiling) refute() {
	if c.holds() {
		*c = ceiling{}
	}
}

func (c *ceiling) holds() bool { return c.left > 0 }

// round counts a round trip, and reports whether the ceiling holds.
func (c *ceiling) round() bool {
	if c.left == 0 {
		return false
	}
	c.left--
	return true
}

// limit returns how much of a rate in bytes a second is allowed.
func (c *ceiling) limit(rate float64) float64 {
	if c.left == 0 {
		return rate
	}
	return min(rate, ceilingMargin*c.rate)
}
