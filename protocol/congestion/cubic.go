package congestion

import (
	"math"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// Numbers of CUBIC (RFC 9438).
const (
	cubicBeta  = 0.7                                   // section 4.6: what is left of the window after a loss
	cubicC     = 0.4                                   // section 5: how steep the curve is, segments per s^3
	cubicAlpha = 3 * (1 - cubicBeta) / (1 + cubicBeta) // section 4.3: as fast as Reno on average
	// cubicMaxStep is section 4.2's bound on the target: half a window above the window, a round.
	cubicMaxStep = 1.5

	// The pacer must not be what limits growth: twice the window per RTT while the window doubles,
	// and the 1.25 that RFC 9002, section 7.7 suggests after that.
	slowStartPacing = 2.0
	steadyPacing    = 1.25
)

// Cubic is the CUBIC congestion controller (RFC 9438) with HyStart++ (RFC 9406).
//
// Where RFC 9438 leaves a choice, or it is another: a loss counts the window and not what was in flight,
// except where the application was the limit (4.6); the floor is two datagrams for marks too, as RFC 9002
// has it; in slow start a window grows when more than half of it is used; the curve's clock stands still
// while the application is the limit (5.8); a loss is undone when all of its episode arrived (4.9.2), and
// persistent congestion, which is our timeout (4.8), never.
type Cubic struct {
	mss     int           // largest datagram, the "segment" of the RFCs
	srtt    time.Duration // 0: not known yet
	limited bool          // the last acknowledgement was limited by the application

	cubicState
	hystart hystart
	undo    cubicState // as it was before the last episode
	canUndo bool
}

// cubicState is what an episode changes and an undo restores. Windows are bytes.
type cubicState struct {
	window   float64
	ssthresh float64       // +Inf until slow start has ended once
	wMax     float64       // window at the plateau: where the last loss was, or below it
	prior    float64       // window just before the last loss, from where growth like Reno's has alpha 1
	wEst     float64       // what Reno would have
	k        float64       // seconds from epoch to plateau
	epoch    monotime.Time // start of the current curve, 0: the next acknowledgement starts it
	lastAck  monotime.Time // last acknowledgement in this epoch
}

// NewCubic returns a CUBIC controller.
func NewCubic(cfg Config) *Cubic {
	cfg = cfg.withDefaults()
	return &Cubic{
		mss:        cfg.MaxDatagram,
		cubicState: cubicState{window: float64(cfg.InitialWindow), ssthresh: math.Inf(1)},
	}
}

// Name returns "cubic".
func (c *Cubic) Name() string { return "cubic" }

// Window returns how many bytes may be in flight.
func (c *Cubic) Window() int { return int(c.window) }

// PacingRate returns the rate at which packets may leave, in bytes a second; 0 before the first
// acknowledgement.
func (c *Cubic) PacingRate() uint64 {
	if c.srtt <= 0 {
		return 0
	}
	gain := steadyPacing
	if c.slowStart() {
		gain = slowStartPacing
	}
	return uint64(gain * c.window / c.srtt.Seconds())
}

// SetMaxDatagram tells the largest datagram of the path.
func (c *Cubic) SetMaxDatagram(n int) {
	if n <= 0 {
		return
	}
	c.mss = n
	c.window = max(c.window, c.minWindow())
}

// Sent does nothing: CUBIC looks at what arrives.
func (c *Cubic) Sent(SendSample) {}

func (c *Cubic) slowStart() bool    { return c.window < c.ssthresh }
func (c *Cubic) minWindow() float64 { return float64(minWindowPackets * c.mss) }

// Acked grows the window.
func (c *Cubic) Acked(s AckSample) {
	if s.SmoothedRTT > 0 {
		c.srtt = s.SmoothedRTT
	}
	bytes := float64(s.Bytes - s.RecoveryBytes)
	if c.slowStart() {
		c.ackedSlowStart(s, bytes)
		return
	}
	// spec: REL-24
	c.limited = s.Rate.AppLimited
	if c.limited {
		c.pauseEpoch(s.Now)
		return
	}
	if bytes > 0 {
		c.ackedAvoidance(s.Now, bytes)
	}
}

func (c *Cubic) ackedSlowStart(s AckSample, bytes float64) {
	if c.overshoots(s) {
		c.ssthresh, c.prior = c.window, c.window
		c.leaveSlowStart()
		return
	}
	// A window of which less than half is used says nothing about the path. Above half, one more
	// doubling may be needed by the next burst.
	c.limited = s.Rate.AppLimited && 2*s.PriorInFlight <= int(c.window)
	if c.limited {
		return
	}
	if c.hystart.css {
		bytes /= hystartGrowthDivisor
	}
	c.window += bytes
	if !c.slowStart() {
		c.window = max(c.ssthresh, c.minWindow())
		c.leaveSlowStart()
	}
}

// overshoots runs HyStart++, in the first slow start only: later ones know where to stop (RFC 9406,
// section 4.3).
func (c *Cubic) overshoots(s AckSample) bool {
	if !math.IsInf(c.ssthresh, 1) {
		return false
	}
	if s.RoundStart {
		c.hystart.startRound()
	}
	c.hystart.sample(s.RTT, s.Packets)
	return c.hystart.over()
}

// leaveSlowStart starts the curve at its plateau, K = 0 (RFC 9438, sections 4.8 and 4.10).
func (c *Cubic) leaveSlowStart() {
	c.wMax = c.window
	c.epoch = 0
	c.hystart = hystart{}
}

// pauseEpoch stops the curve's clock while the application limits the path, so that the window does
// not jump when it no longer does (RFC 9438, section 5.8).
func (c *Cubic) pauseEpoch(now monotime.Time) {
	if c.epoch.IsZero() {
		return
	}
	c.epoch = c.epoch.Add(now.Sub(c.lastAck))
	c.lastAck = now
}

// ackedAvoidance is RFC 9438, sections 4.2 to 4.5.
func (c *Cubic) ackedAvoidance(now monotime.Time, bytes float64) {
	if c.epoch.IsZero() {
		c.startEpoch(now)
	}
	c.lastAck = now
	c.growEstimate(bytes)
	t := now.Sub(c.epoch).Seconds()
	if c.curve(t) < c.wEst {
		// Reno would be faster here.
		c.window = max(c.window, c.wEst)
		return
	}
	target := min(max(c.curve(t+c.srtt.Seconds()), c.window), cubicMaxStep*c.window)
	c.window += (target - c.window) / c.window * bytes
}

func (c *Cubic) startEpoch(now monotime.Time) {
	c.epoch = now
	c.wEst = c.window
	c.k = 0
	if c.wMax > c.window {
		c.k = math.Cbrt((c.wMax - c.window) / float64(c.mss) / cubicC)
	} else {
		c.wMax = c.window
	}
}

// curve is W_cubic(t) in bytes, t in seconds since the epoch began.
func (c *Cubic) curve(t float64) float64 {
	d := t - c.k
	return cubicC*d*d*d*float64(c.mss) + c.wMax
}

// growEstimate is W_est of section 4.3. Its slope is Reno's own once it has passed the window that
// the loss was at.
func (c *Cubic) growEstimate(bytes float64) {
	alpha := cubicAlpha
	if c.wEst >= c.prior {
		alpha = 1
	}
	c.wEst += alpha * bytes / c.window * float64(c.mss)
}

// Lost backs off once per episode.
func (c *Cubic) Lost(s LossSample) {
	if s.Persistent {
		c.restart()
		return
	}
	if s.ECN > 0 {
		c.canUndo = false
	}
	if !s.Episode {
		return
	}
	c.undo, c.canUndo = c.cubicState, s.ECN == 0
	c.backOff(s)
}

func (c *Cubic) backOff(s LossSample) {
	used := c.window
	if c.limited {
		// Section 4.6: a window that was not used is not a window that the path carried.
		used = min(used, float64(max(s.PriorInFlight, 0)))
		used = max(used, c.minWindow())
	}
	c.prior = c.window
	if c.window < c.wMax {
		// Section 4.7, fast convergence: this flow is losing share to others, so it makes room.
		c.wMax = c.window * (1 + cubicBeta) / 2
	} else {
		c.wMax = c.window
	}
	c.ssthresh = max(used*cubicBeta, c.minWindow())
	c.window = c.ssthresh
	c.epoch = 0
	c.hystart = hystart{}
}

// ease takes the window down to a part of it, by less than a loss does. What is left is the plateau from
// which it grows again, and slow start is over.
func (c *Cubic) ease(part float64) {
	c.window = max(c.window*part, c.minWindow())
	c.ssthresh, c.wMax, c.prior = c.window, c.window, c.window
	c.epoch, c.canUndo = 0, false
	c.hystart = hystart{}
}

// restart is the answer to persistent congestion (RFC 9002, section 7.6.2): the minimum window, and
// slow start up to where the trouble may have begun.
func (c *Cubic) restart() {
	c.backOff(LossSample{PriorInFlight: int(c.window)})
	c.window = c.minWindow()
	c.canUndo = false
}

// Undo goes back to before the last episode, unless the window has come further meanwhile (RFC 9438,
// section 4.9.2). HyStart++ begins anew.
func (c *Cubic) Undo(monotime.Time) {
	if c.canUndo && c.window < c.undo.window {
		c.cubicState, c.hystart = c.undo, hystart{}
	}
	c.canUndo = false
}
