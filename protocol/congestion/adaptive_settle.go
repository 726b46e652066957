package congestion

import (
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

const (
	// sameQueue is how much of the target two queues may differ and be the same.
	sameQueue = 0.25
	// baseWrong is the part of the longest queue by which a base must have fallen to have been wrong.
	// Flows of this kind that came one after the other have bases that differ by less.
	baseWrong = 0.25
	// rebaseMoved is how many times that a cut must have shortened the queue, if it was one.
	rebaseMoved = 4
	// overflowStreak is after how many cuts in a row a queue that none of them moves is the way although packets
	// are lost: several flows that overflow one queue together have cut to a sixth by then.
	overflowStreak = 4
	// overflowCut is the most that such a cut leaves of the window.
	overflowCut = 0.5
)

// ackedSettle waits for the round trips of what was sent after a cut.
func (a *Adaptive) ackedSettle(s AckSample) {
	if s.RTT <= 0 || s.Now.Add(-s.RTT).Before(a.cutAt) {
		return
	}
	if a.settled.IsZero() {
		a.settled = s.Now.Add(max(a.path.base(), timerNoise))
		a.lastLeft = s.RTT
		a.loss.round()
	}
	if a.afterCut == 0 || s.RTT < a.afterCut {
		a.afterCut = s.RTT
	}
	a.limited = a.limited || s.Rate.AppLimited
	over := !s.Now.Before(a.settled)
	switch {
	case a.cutLoss:
		if over {
			a.judgeLoss()
		}
	case a.drained() && !(a.testing && a.baseFell()):
		a.saw = true
		if a.testing {
			a.compete.left = s.Now
		}
		a.mode, a.testing, a.streak = adaptiveCruise, false, 0
	case over && a.falls():
		a.settled = s.Now.Add(max(a.path.base(), timerNoise))
		a.lastLeft = a.afterCut
	case over:
		a.notDrained(s.Now)
	}
}

// timerNoise is by how much round trips differ for reasons of their own where the path is very short.
const timerNoise = 2 * time.Millisecond

func (a *Adaptive) drained() bool { return a.afterCut-a.path.base() <= a.drainedQueue() }

// drainedQueue is the longest queue that counts as none.
func (a *Adaptive) drainedQueue() time.Duration {
	return time.Duration(adaptiveDrained * float64(a.target()))
}

// same is how much two queues may differ and be the same.
func (a *Adaptive) same() time.Duration { return time.Duration(sameQueue * float64(a.target())) }

// falls reports whether the queue became shorter since the verdict was put off. Then others have cut
// too, a little later, and theirs is still draining: flows of this kind, most likely, which see the
// same queue. Whoever holds a queue does not let it fall for a round trip.
func (a *Adaptive) falls() bool { return a.lastLeft-a.afterCut > a.same() }

// baseFell reports whether the cut uncovered a shorter round trip than any before. Then the base was
// wrong, and that the queue is at it says nothing.
func (a *Adaptive) baseFell() bool {
	return a.baseCut-a.path.base() > max(a.drainedQueue(), time.Duration(baseWrong*float64(a.path.longest())))
}

// notDrained: a queue stands that is not this flow's.
func (a *Adaptive) notDrained(now monotime.Time) {
	if a.testing {
		a.testing = false
		a.mode = adaptiveCompete
		a.window = a.compete.cubic.window
		a.compete.tested = now
		return
	}
	a.streak++
	base := a.path.base()
	share := float64(base) / float64(max(a.afterCut, base)) * adaptiveMargin
	if a.streak >= adaptiveStreak {
		switch {
		case !a.unmoved():
			a.enterCompete(now)
			return
		case a.streak >= overflowStreak || !a.overflows():
			a.rebase(now)
			return
		}
		share = min(share, overflowCut)
	}
	a.firstCut, a.firstLeft = a.window, a.afterCut
	streak, before := a.streak, a.before
	a.cut(now, a.window*max(share, adaptiveMinCut))
	a.streak, a.before = streak, before
}

// unmoved reports whether the queue that two cuts left is the same to a part of the target, although
// the second would have made it shorter by some targets. Then it is no queue: the way is longer now,
// or something at its ends takes its time.
func (a *Adaptive) unmoved() bool {
	same := a.same()
	moved := time.Duration((a.firstCut - a.window) / a.path.best() * float64(time.Second))
	return !a.limited && moved >= rebaseMoved*same && max(a.afterCut-a.firstLeft, a.firstLeft-a.afterCut) <= same
}

// overflows reports whether more was lost since the last cut than the floor explains. Then a queue that this flow's
// cut does not move may be full: of several flows that send too much, each finds that what it leaves is filled by the
// others. If all took the full queue for the way, and what overflows for loss at random, none would ever cut again.
func (a *Adaptive) overflows() bool {
	ratio, n := a.loss.peek()
	return n > 0 && ratio > a.loss.floor+a.loss.noise(n)
}

// rebase takes what is left of the round trip for that of the path.
func (a *Adaptive) rebase(now monotime.Time) {
	a.path.rebase(now, a.afterCut)
	a.company.line = 0
	a.window = max(a.window, a.before)
	a.mode, a.streak, a.saw = adaptiveCruise, 0, true
	a.rounds = a.hurryAfter()
}

// judgeLoss decides what a cut for loss has shown: loss that stays where it was has nothing to do
// with the window.
func (a *Adaptive) judgeLoss() {
	a.mode, a.cutLoss = adaptiveCruise, false
	a.loss.excess = 0
	ratio, n := a.loss.round()
	if n < lossPackets/2 {
		return
	}
	a.loss.floor = ratio
	if ratio > a.loss.suspect*adaptiveSameLoss {
		a.window = max(a.window, a.before)
		return
	}
	a.ceiling.confirm()
	a.window = max(a.window, (1-a.loss.suspect)*a.before)
}
