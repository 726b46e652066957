package congestion

import "github.com/godwit-net/godwit/protocol/monotime"

const (
	// startupFull ends the search for the rate: so many rounds without startupGrowth.
	startupFull   = 3
	startupGrowth = 1.25
	// startupLoss above the floor ends it after one such round.
	startupLoss = 0.1
	// adaptiveComeback is the part of the window that a path gets back that was dead for a while, at
	// its first sign of life.
	adaptiveComeback = 0.25
)

// ackedStartup doubles the window each round until there is a queue, or the rate grows no more.
func (a *Adaptive) ackedStartup(s AckSample) {
	if !s.Rate.AppLimited || 2*s.PriorInFlight > int(a.window) {
		a.window += float64(s.Bytes)
	}
	if a.path.queue() > a.target() {
		a.leaveStartup(s.Now)
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
		a.leaveStartup(s.Now)
	}
}

func (a *Adaptive) leaveStartup(now monotime.Time) {
	a.fullRate, a.fullRounds = 0, 0
	a.cut(now, min(a.fill(), a.window))
	a.before = a.window
}

// suspend is the answer to a path on which nothing arrived for long.
func (a *Adaptive) suspend() {
	a.suspended = max(a.suspended, a.window)
	a.window = float64(minWindowPackets * a.mss)
	a.mode = adaptiveStartup
	a.fullRate, a.fullRounds, a.streak = 0, 0, 0
	a.testing, a.cutLoss = false, false
	a.path.restart()
}
