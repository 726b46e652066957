package sim

import (
	"math/rand/v2"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// alternation is a process of two states in time with exponential stays: the channel of Gilbert and
// Elliott, or a path with outages. Its timeline depends on its generator and its start alone, not on
// the traffic that looks at it.
type alternation struct {
	rng   *rand.Rand
	stay  [2]time.Duration // mean stay in the first and in the second state
	state int
	until monotime.Time // end of the present stay
}

// newAlternation begins in a state drawn by how much of the time each takes. With a second stay of 0
// there is only the first state.
func newAlternation(rng *rand.Rand, start monotime.Time, first, second time.Duration) alternation {
	a := alternation{rng: rng, stay: [2]time.Duration{first, second}}
	if second == 0 {
		return a
	}
	if rng.Float64()*float64(first+second) < float64(second) {
		a.state = 1
	}
	a.until = start.Add(a.draw())
	return a
}

// draw returns the length of a stay in the present state, at least 1 ns so that time always moves.
func (a *alternation) draw() time.Duration {
	return time.Duration(a.rng.ExpFloat64()*float64(a.stay[a.state])) + 1
}

// second reports whether the second state reigns at now. Times do not fall from call to call.
func (a *alternation) second(now monotime.Time) bool {
	if a.stay[1] == 0 {
		return false
	}
	for !now.Before(a.until) {
		a.state = 1 - a.state
		a.until = a.until.Add(a.draw())
	}
	return a.state == 1
}
