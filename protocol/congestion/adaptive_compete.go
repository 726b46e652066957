package congestion

import (
	"math"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

const (
	// competeFull is the part of the longest queue from which on a loss is taken for that of a full
	// queue. Loss at random meets shorter queues as well.
	competeFull = 0.8
	// competeTest is the least time between two tests whether the queue is still another's.
	competeTest = 2 * time.Second
	// competeTestRounds is the same in round trips: where the queue is long, a test costs more.
	competeTestRounds = 25
	// competeTestLate is after which time a test is made even without a loss.
	competeTestLate = 10 * time.Second
	// competeFell is the part of the longest queue below which another flow must have backed off, or
	// tests: then is the time to test as well.
	competeFell = 0.4
	// competeJoin is the same, in round trips, where somebody else's test has emptied the queue: tests
	// of several flows of this kind are of use only together.
	competeJoin = 4
	// competeReturn is how soon after its end a competition that begins is the same one.
	competeReturn = 2 * time.Second
	// competeSlowStart is by how much slower than CUBIC a flow doubles its window that met a filled
	// queue from its very beginning.
	competeSlowStart = 2
	// competeOneRound is how many smoothed round trips the losses of one overflow last.
	competeOneRound = 1.25
)

// competitor is the controller's way of sharing with flows that fill the queue: theirs.
type competitor struct {
	cubic  Cubic
	backed monotime.Time // last backoff
	tested monotime.Time // last test
	left   monotime.Time // when a test ended the competition
}

// enterCompete takes up CUBIC where the flow was before its cuts.
func (a *Adaptive) enterCompete(now monotime.Time) {
	window := max(a.before, a.window)
	if a.compete == nil {
		a.compete = new(competitor)
	}
	c := a.compete
	if !c.left.IsZero() && now.Sub(c.left) < competeReturn {
		// It had not ended: go on where the test began.
		a.window = c.cubic.window
		a.mode, a.streak = adaptiveCompete, 0
		c.tested = now
		return
	}
	c.cubic = Cubic{mss: a.mss, srtt: a.path.smoothed, cubicState: cubicState{window: window, ssthresh: window, wMax: window, prior: window}}
	if !a.saw {
		c.cubic.ssthresh = math.Inf(1)
	}
	c.backed, c.tested = now, now
	a.window = window
	a.mode, a.streak = adaptiveCompete, 0
}

func (a *Adaptive) ackedCompete(s AckSample) {
	c := a.compete
	s.RecoveryBytes = 0
	if c.cubic.slowStart() {
		s.RTT = 0
		s.Bytes /= competeSlowStart
	}
	c.cubic.Acked(s)
	a.window = c.cubic.window
	if a.testDue(s.Now) {
		a.test(s.Now)
	}
}

// testDue reports whether it is time to test whether the queue is still another's: when it is short,
// since others have backed off or test, and now and then in any case.
func (a *Adaptive) testDue(now monotime.Time) bool {
	since := now.Sub(a.compete.tested)
	queue := a.path.queue()
	switch {
	case since > competeTestLate:
		return true
	case float64(queue) < competeFell*float64(a.path.longest()) && since > a.testInterval():
		return true
	}
	return a.saw && queue <= a.drainedQueue() && since > competeJoin*a.path.smoothed
}

// testInterval is the least time from one test to the next.
func (a *Adaptive) testInterval() time.Duration {
	return max(competeTest, competeTestRounds*a.path.smoothed)
}

// lostCompete backs off when the queue was full.
func (a *Adaptive) lostCompete(s LossSample) {
	c := a.compete
	if s.ECN == 0 {
		if float64(a.path.queue()) < competeFull*float64(a.path.longest()) {
			return
		}
		if float64(s.Now.Sub(c.backed)) < competeOneRound*float64(a.path.smoothed) {
			return
		}
	} else if !s.Episode {
		return
	}
	s.Episode = true
	c.backed = s.Now
	c.cubic.Lost(s)
	a.window = c.cubic.window
	if s.Now.Sub(c.tested) > a.testInterval() {
		a.test(s.Now)
	}
}

// test drains this flow's part of the queue: what is left then is another's.
func (a *Adaptive) test(now monotime.Time) {
	a.cut(now, min(a.fill(), a.compete.cubic.window))
	a.testing = true
}
