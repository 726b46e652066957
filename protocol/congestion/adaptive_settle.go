package congestion

import (
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

const (
	// rebaseSame is how much of the target two queues may differ and be the same.
	rebaseSame = 0.25
	// rebaseMoved is how many times that a cut must have shortened the queue, if it was one.
	rebaseMoved = 4
)

// ackedSettle waits for the round trips of what was sent after a cut.
func (a *Adaptive) ackedSettle(s AckSample) {
	if s.RTT <= 0 || s.Now.Add(-s.RTT).Before(a.cutAt) {
		return
	}
	if a.settled.IsZero() {
		a.settled = s.Now.Add(max(a.path.base(), timerNoise))
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
	case over:
		a.notDrained(s.Now)
	}
}

// timerNoise is by how much round trips differ for reasons of their own where the path is very short.
const timerNoise = 2 * time.Millisecond

func (a *Adaptive) drained() bool {
	q := a.afterCut - a.path.base()
	return q <= time.Duration(adaptiveDrained*float64(a.target()))
}

// baseFell reports whether the cut uncovered a shorter round trip than any before. Then the base was
// wrong, and that the queue is at it says nothing.
func (a *Adaptive) baseFell() bool {
	return a.baseCut-a.path.base() > time.Duration(adaptiveDrained*float64(a.target()))
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
	if a.streak >= adaptiveStreak {
		if a.unmoved() {
			a.rebase(now)
			return
		}
		a.enterCompete(now)
		return
	}
	a.firstCut, a.firstLeft = a.window, a.afterCut
	base := a.path.base()
	share := float64(base) / float64(max(a.afterCut, base)) * adaptiveMargin
	streak, before := a.streak, a.before
	a.cut(now, a.window*max(share, adaptiveMinCut))
	a.streak, a.before = streak, before
}

// unmoved reports whether the queue that two cuts left is the same to a part of the target, although
// the second would have made it shorter by some targets. Then it is no queue: the way is longer now,
// or something at its ends takes its time.
func (a *Adaptive) unmoved() bool {
	same := time.Duration(rebaseSame * float64(a.target()))
	moved := time.Duration((a.firstCut - a.window) / a.path.best() * float64(time.Second))
	return !a.limited && moved >= rebaseMoved*same && max(a.afterCut-a.firstLeft, a.firstLeft-a.afterCut) <= same
}

// rebase takes what is left of the round trip for that of the path.
func (a *Adaptive) rebase(now monotime.Time) {
	a.path.rebase(now, a.afterCut)
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
