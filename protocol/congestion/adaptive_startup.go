package congestion

import "github.com/godwit-net/godwit/protocol/monotime"

const (
	// startupFull ends the search for the rate: so many rounds without startupGrowth.
	startupFull   = 3
	startupGrowth = 1.25
	// startupLoss above the floor ends it after one such round.
	startupLoss = 0.1
	// comebackSame is the part of the window that filled the path before it died, that a path gets
	// back at its first sign of life, if the round trip says that it is the same (as in
	// draft-ietf-tsvwg-careful-resume). One round later the window is what it was.
	comebackSame = 0.5
	// comebackOther is the part that a path gets whose round trip is another.
	comebackOther = 0.25
)

// ackedStartup doubles the window each round until there is a queue, or the rate grows no more.
func (a *Adaptive) ackedStartup(s AckSample) {
	if !s.Rate.AppLimited || 2*s.PriorInFlight > int(a.window) {
		a.window += float64(s.Bytes)
	}
	if a.path.queue() > a.target() {
		// The rate of the last whole round is up to half of what fills the path, and so is the window
		// that came through without a queue. The end of this round tells the rate.
		window := a.window
		a.leaveStartup(s.Now, window/2)
		a.overshot = window
		return
	}
	if a.known > 0 && a.window >= a.known {
		a.window, a.known = a.known, 0
		a.mode, a.rounds = adaptiveCruise, 0
		return
	}
	if !s.RoundStart {
		return
	}
	ratio, n := a.loss.round()
	if s.Rate.AppLimited || a.path.rate <= 0 {
		return
	}
	if a.path.rate >= startupGrowth*a.fullRate {
		a.fullRate, a.fullRounds = a.path.rate, 0
		if n >= lossPackets {
			a.loss.floor = ratio // the rate still grew: this loss has another reason
		}
		return
	}
	a.fullRounds++
	if a.fullRounds >= startupFull || n >= lossPackets && ratio > a.loss.floor+startupLoss {
		a.leaveStartup(s.Now, 0)
	}
}

// leaveStartup leaves a window that fills the path, and not less than least bytes.
func (a *Adaptive) leaveStartup(now monotime.Time, least float64) {
	a.fullRate, a.fullRounds, a.known = 0, 0, 0
	a.cut(now, min(max(a.fill(), least), a.window))
	a.before = a.window
}

// suspend is the answer to a path on which nothing arrived for long. The loss says nothing about the
// floor.
func (a *Adaptive) suspend() {
	if !a.dead {
		a.known = min(a.window, a.path.best()*a.path.base().Seconds())
	}
	a.dead, a.company.line = true, 0
	a.window = float64(minWindowPackets * a.mss)
	a.mode = adaptiveStartup
	a.fullRate, a.fullRounds, a.streak = 0, 0, 0
	a.testing, a.cutLoss = false, false
	a.loss.round()
	a.path.restart()
}

// revive takes the first sign of life. No queue of this flow outlasts the silence, so another round
// trip means another path.
func (a *Adaptive) revive(s AckSample) {
	a.dead = false
	if s.RTT > 0 && s.RTT-a.path.base() <= a.target() {
		a.window = max(a.window, comebackSame*a.known)
		return
	}
	a.window = max(a.window, comebackOther*a.known)
	a.known = 0
	if s.RTT > 0 {
		a.path.rebase(s.Now, s.RTT)
	}
}
