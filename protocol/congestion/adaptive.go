package congestion

import (
	"math"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// Numbers of the adaptive controller. What was tried instead is in decision 14.
const (
	// adaptiveInitial is the window to start with, in packets, as in Chromium and quic-go. With ten (RFC 9002) the
	// first key frame of a video takes four round trips, and messages with a deadline do not wait for so long.
	adaptiveInitial = 32
	// adaptiveTarget is the queue that a flow lets build before it cuts. It is far below what people
	// notice and fits into a quarter of the bandwidth-delay product of a domestic line.
	adaptiveTarget = 4 * time.Millisecond
	// adaptiveTargetPackets is the least target, in datagrams at the flow's rate: on a slow path one
	// datagram takes longer than adaptiveTarget.
	adaptiveTargetPackets = 4
	// adaptiveDrained is the part of the target below which a queue counts as gone.
	adaptiveDrained = 0.5
	// adaptiveMargin is what a cut leaves of the window that would just fill the path, so that the
	// queue drains to its end, and every flow on the path sees the true round trip.
	adaptiveMargin = 0.97
	// adaptiveMinCut bounds one cut. A deeper one would say more about a wrong base than about a queue.
	adaptiveMinCut = 0.25
	// adaptiveGrowth times the square root of the window, in datagrams, is what the window grows in a
	// round trip. Growing less than in proportion, and cutting in proportion, is what makes flows
	// converge to equal shares (binomial controls: k = -1/2, l = 1).
	adaptiveGrowth = 0.5
	// adaptiveHurry is after how many times the expected rounds without a queue growth doubles, again
	// and again: then the path has become faster.
	adaptiveHurry = 2
	// adaptiveStreak is how many cuts in a row may fail to drain the queue before it must be another's.
	adaptiveStreak = 2
	// adaptiveLossCut is what excess loss without a queue leaves of the window.
	adaptiveLossCut = 0.85
	// adaptiveSameLoss is the part of the loss that must be left after a cut for it to have another reason.
	adaptiveSameLoss = 0.6
	// adaptiveMarkCut is what a CE mark leaves of the window (RFC 8511 suggests 0.85 for CUBIC; marks
	// come with a short queue, which the target takes care of).
	adaptiveMarkCut = 0.85
	// adaptivePacing is the rate in windows per round trip: above 1, so that the window is what limits.
	adaptivePacing = 1.2
	// adaptiveMinWindow in datagrams keeps acknowledgements flowing.
	adaptiveMinWindow = 4
)

// adaptiveMode is what the controller is doing.
type adaptiveMode uint8

const (
	adaptiveStartup adaptiveMode = iota // doubling the window each round, to find the rate
	adaptiveCruise                      // growing gently until there is a queue
	adaptiveSettle                      // after a cut: waiting to see what it did
	adaptiveCompete                     // somebody else holds the queue: CUBIC, but deaf to random loss
)

// Adaptive is the controller for paths that lose packets at random. It models the path: round trip
// without a queue, the queue, the rate, and the loss that has nothing to do with its own sending. It
// keeps the queue short by watching the round trip, answers loss only as far as it comes with a full
// queue or with a rate that no longer grows, and falls back to CUBIC's way of sharing where another
// flow keeps the queue full. Decision 14 says why.
type Adaptive struct {
	mss    int
	window float64
	path   pathModel
	loss   lossFloor

	// Of startup.
	fullRate   float64 // the rate that has to be exceeded
	fullRounds int     // rounds in which it was not
	overshot   float64 // window when the queue ended it, until a round has shown the rate; 0: it has

	// Of cruise.
	rounds int // since the last cut

	// Of settle.
	cutAt    monotime.Time
	settled  monotime.Time // when the verdict falls; 0: nothing sent after the cut was acknowledged yet
	baseCut  time.Duration // base when the cut was made
	afterCut time.Duration // smallest round trip of what was sent after the cut
	lastLeft time.Duration // afterCut when the verdict was put off last, at first the first round trip
	before   float64       // window before the first cut of a streak
	streak   int           // cuts in a row that did not drain the queue

	firstCut  float64       // window after the first cut of a streak
	firstLeft time.Duration // smallest round trip after it

	compete *competitor // nil until there was one
	ceiling ceiling
	known   float64 // window that filled the path before it died; 0: nothing to come back to

	mode    adaptiveMode
	cutLoss bool // the cut was for loss
	testing bool // the cut only tests, in competition, whether the queue is still another's
	limited bool // the application limited what was sent after the cut
	saw     bool // a cut has drained the queue before: the base is to be trusted
	dead    bool // nothing arrives any more

	company company
}

// NewAdaptive returns an adaptive controller.
func NewAdaptive(cfg Config) *Adaptive {
	first := cfg.InitialWindow
	cfg = cfg.withDefaults()
	if first <= 0 {
		first = adaptiveInitial * cfg.MaxDatagram
	}
	return &Adaptive{mss: cfg.MaxDatagram, window: float64(first)}
}

// Name returns "adaptive".
func (a *Adaptive) Name() string { return "adaptive" }

// Window returns how many bytes may be in flight.
func (a *Adaptive) Window() int { return int(a.window) }

// PacingRate returns the rate at which packets may leave, in bytes a second; 0 before the first
// acknowledgement.
func (a *Adaptive) PacingRate() uint64 {
	if a.path.smoothed <= 0 {
		return 0
	}
	gain := adaptivePacing
	if a.mode == adaptiveStartup {
		gain = slowStartPacing
	}
	return uint64(a.company.limit(a.ceiling.limit(gain * a.window / a.path.smoothed.Seconds())))
}

// SetMaxDatagram tells the largest datagram of the path.
func (a *Adaptive) SetMaxDatagram(n int) {
	if n <= 0 {
		return
	}
	a.mss = n
	if a.compete != nil {
		a.compete.cubic.SetMaxDatagram(n)
	}
	a.window = max(a.window, a.minWindow())
}

// Sent notes whether there is urgent data. The window keeps its size while the application is silent, and
// the pacer keeps what follows from being a burst.
func (a *Adaptive) Sent(s SendSample) {
	if s.Urgent {
		a.company.since = s.Now
		a.company.urgent += s.Bytes
	}
}

func (a *Adaptive) minWindow() float64 { return float64(adaptiveMinWindow * a.mss) }

// target is the queue that may build.
func (a *Adaptive) target() time.Duration {
	t := adaptiveTarget + a.path.noise
	if a.company.here {
		t = companyTarget + a.path.noise
	}
	if a.path.rate > 0 {
		packets := time.Duration(float64(adaptiveTargetPackets*a.mss) / a.path.rate * float64(time.Second))
		t = max(t, packets)
	}
	return t
}

// fill is the window that just fills the path at the rate of late.
func (a *Adaptive) fill() float64 {
	return max(a.path.rate*a.path.base().Seconds(), a.minWindow())
}

// carried is what was in flight of late and arrived, the queue included.
func (a *Adaptive) carried() float64 {
	return a.path.best() * (a.path.base() + a.path.queue()).Seconds()
}

// Acked takes what one acknowledgement frame brought.
func (a *Adaptive) Acked(s AckSample) {
	if a.dead {
		a.revive(s)
	}
	a.path.acked(s, a.mode == adaptiveCompete)
	a.loss.acked(s)
	if a.company.acked(s, a.mode, a.path.best(), a.window) {
		a.window, a.rounds = min(a.window, max(a.fill(), float64(s.PriorInFlight))), 0
	}
	if a.overshot > 0 && s.RoundStart {
		a.window = max(a.window, min(a.fill(), a.overshot))
		a.overshot = 0
	}
	switch a.mode {
	case adaptiveStartup:
		a.ackedStartup(s)
	case adaptiveCruise:
		a.ackedCruise(s)
	case adaptiveSettle:
		a.ackedSettle(s)
	case adaptiveCompete:
		a.ackedCompete(s)
	}
	a.window = max(a.window, a.minWindow())
}

// cut lowers the window and waits to see what that does to the queue.
func (a *Adaptive) cut(now monotime.Time, window float64) {
	if a.streak == 0 {
		a.before = a.window
	}
	a.window = max(window, a.minWindow())
	a.mode = adaptiveSettle
	a.cutAt, a.settled, a.afterCut, a.baseCut = now, 0, 0, a.path.base()
	a.cutLoss, a.testing, a.limited = false, false, false
	a.rounds = 0
}

// ackedCruise grows the window until there is a queue, or loss that grows with the window.
func (a *Adaptive) ackedCruise(s AckSample) {
	if q := a.path.queue(); q > a.target() {
		if !s.Rate.AppLimited {
			a.company.line = a.path.best()
		}
		base := a.path.base()
		share := float64(base) / float64(base+q) * adaptiveMargin
		a.cut(s.Now, a.window*max(share, adaptiveMinCut))
		return
	}
	if s.RoundStart {
		a.rounds++
		if a.ceiling.round() {
			a.rounds = 0
		}
		if a.excessLoss() {
			a.ceiling.suspect = a.path.rate
			a.cut(s.Now, adaptiveLossCut*min(a.window, a.carried()))
			a.cutLoss = true
			return
		}
	}
	if !s.Rate.AppLimited && !a.ceiling.holds() && a.company.grows(s, a.window) {
		a.window += a.step() * float64(s.Bytes) / a.window
	}
}

// step is how many bytes the window grows in a round.
func (a *Adaptive) step() float64 {
	mss := float64(a.mss)
	step := adaptiveGrowth * math.Sqrt(a.window/mss) * mss
	late := a.rounds - a.hurryAfter()
	if late <= 0 {
		return step
	}
	return min(step*math.Exp2(float64(late)/2), a.window/2)
}

// hurryAfter is after how many rounds without a queue the path must have become faster.
func (a *Adaptive) hurryAfter() int {
	step := adaptiveGrowth * math.Sqrt(a.window/float64(a.mss)) * float64(a.mss)
	return int(adaptiveHurry * (a.target().Seconds()*a.path.rate/step + 2))
}

// excessLoss reports whether a round lost more than the floor explains.
func (a *Adaptive) excessLoss() bool {
	ratio, n := a.loss.peek()
	if n < lossPackets {
		return false
	}
	a.loss.round()
	if ratio <= a.loss.floor+a.loss.noise(n) {
		a.loss.fall(ratio)
		a.loss.excess = 0
		return false
	}
	a.ceiling.refute()
	a.loss.excess++
	a.loss.suspect = ratio
	return a.loss.excess >= lossRounds
}

// Lost takes losses and marks.
func (a *Adaptive) Lost(s LossSample) {
	a.loss.lost(s.Packets)
	switch {
	case s.Persistent:
		a.suspend()
	case a.mode == adaptiveCompete || a.mode == adaptiveSettle && a.testing:
		a.lostCompete(s)
	case s.ECN > 0 && s.Episode && a.mode != adaptiveSettle:
		a.cut(s.Now, a.window*adaptiveMarkCut)
	}
}

// Undo takes back what the last episode did.
func (a *Adaptive) Undo(now monotime.Time) {
	switch {
	case a.mode == adaptiveCompete:
		a.compete.cubic.Undo(now)
		a.window = max(a.window, a.compete.cubic.window)
	case a.mode == adaptiveSettle && a.cutLoss:
		a.mode, a.cutLoss = adaptiveCruise, false
		a.window = max(a.window, a.before)
	}
}
