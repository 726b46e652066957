package congestion

import (
	"math"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// Numbers of BBRv3 (draft-ietf-ccwg-bbr, section "Core Algorithm Design Parameters" and others).
const (
	bbrStartupPacingGain = 2.77 // 4 ln 2: the least that doubles the rate each round
	bbrDrainPacingGain   = 0.5
	bbrDownPacingGain    = 0.9
	bbrUpPacingGain      = 1.25
	bbrPacingMargin      = 0.99 // a percent below the bandwidth, for short queues
	bbrCwndGain          = 2.0
	bbrUpCwndGain        = 2.25
	bbrProbeRTTCwndGain  = 0.5
	bbrLossThresh        = 0.02
	bbrBeta              = 0.7
	bbrHeadroom          = 0.15
	bbrMinPipePackets    = 4
	bbrFullBwGrowth      = 1.25
	bbrFullBwCount       = 3
	bbrStartupLossEvents = 6
	bbrDrainRounds       = 3
	bbrExtraAckedRounds  = 10
	bbrRenoRounds        = 63
	bbrMaxProbeUpRounds  = 30
	bbrMinRTTFilter      = 10 * time.Second
	bbrProbeRTTDuration  = 200 * time.Millisecond
	bbrProbeWait         = 2 * time.Second // and up to bbrProbeWaitSpread more, at random
	bbrProbeWaitSpread   = time.Second
	bbrQuantum           = time.Millisecond
	bbrMaxQuantum        = 64 << 10
	bbrNominalRTT        = time.Millisecond // for the first rate, while no round trip is known
)

// bbrState is the state of the state machine.
type bbrState uint8

const (
	bbrStartup bbrState = iota
	bbrDrain
	bbrProbeDown
	bbrProbeCruise
	bbrProbeRefill
	bbrProbeUp
	bbrProbeRTT
)

// bbrAckPhase says what acknowledgements tell about the probe for bandwidth.
type bbrAckPhase uint8

const (
	bbrAcksInit bbrAckPhase = iota
	bbrAcksRefilling
	bbrAcksProbeStarting
	bbrAcksProbeFeedback
	bbrAcksProbeStopping
)

// BBR is version 3 of the BBR congestion controller, as draft-ietf-ccwg-bbr describes it. Names of
// fields are the draft's, in our spelling. It is here to compare with, and for who prefers it.
//
// Where the draft leaves room, or our transport is different:
//   - It counts "discontiguous ranges lost" as reports of loss, one for each acknowledgement or timer.
//   - Randomness (the wait for the next probe) is drawn from the time, so that runs can be repeated.
//   - Nothing in flight, and nothing lost, is taken for "limited by the application" when a flow restarts.
//   - The state to undo to is saved once a recovery. The draft's text saves it again at the next lost
//     packet, after the first one has changed it.
//   - Without per-packet reports of loss (LossObserver) it judges a probe by the samples of
//     acknowledgements alone, which sees the loss a little later.
type BBR struct {
	mss         int
	initialCwnd float64
	cwnd        float64
	pacingRate  float64 // bytes a second
	srtt        time.Duration
	inflight    int
	now         monotime.Time

	state      bbrState
	pacingGain float64
	cwndGain   float64

	delivered          uint64
	nextRoundDelivered uint64
	roundCount         uint64
	roundStart         bool
	idleRestart        bool
	limitedUntil       uint64 // samples of rounds up to this one count as limited by the application
	cwndLimited        bool   // in the last round
	cwndLimitedNow     bool   // in this round

	bbrModel
	bbrProbe
	bbrUndo
	rs RateSample // of the acknowledgement at hand
}

// bbrUndo is what a spurious episode of loss restores.
type bbrUndo struct {
	inRecovery            bool
	priorCwnd             float64
	undoSaved             bool // in this recovery
	undoState             bbrState
	undoStateSet          bool
	undoBwShortterm       float64
	undoInflightShortterm float64
	undoInflightLongterm  float64
}

// NewBBR returns a BBRv3 controller.
func NewBBR(cfg Config) *BBR {
	cfg = cfg.withDefaults()
	b := &BBR{mss: cfg.MaxDatagram, initialCwnd: float64(cfg.InitialWindow), cwnd: float64(cfg.InitialWindow)}
	b.inflightLongterm = math.Inf(1)
	b.resetShortTermModel()
	b.resetFullBw()
	b.enterStartup()
	return b
}

// Name returns "bbr".
func (b *BBR) Name() string { return "bbr" }

// Window returns how many bytes may be in flight.
func (b *BBR) Window() int { return max(int(b.cwnd), b.mss) }

// PacingRate returns the rate at which packets may leave, in bytes a second; 0 before the first round
// trip is known.
func (b *BBR) PacingRate() uint64 { return uint64(b.pacingRate) }

// SetMaxDatagram tells the largest datagram of the path.
func (b *BBR) SetMaxDatagram(n int) {
	if n > 0 {
		b.mss = n
		b.cwnd = max(b.cwnd, b.minPipe())
	}
}

func (b *BBR) minPipe() float64 { return float64(bbrMinPipePackets * b.mss) }

// Sent looks for a restart from idle, and whether the window is what limits.
func (b *BBR) Sent(s SendSample) {
	b.now = s.Now
	if s.InFlight <= s.Bytes && b.delivered > 0 && !b.inRecovery {
		b.restartFromIdle(s.Now)
	}
	b.inflight = s.InFlight
	if float64(s.InFlight+b.mss) > b.cwnd {
		b.cwndLimitedNow = true
	}
}

func (b *BBR) restartFromIdle(now monotime.Time) {
	b.idleRestart = true
	b.extraAckedStart = now
	switch {
	case b.inProbeBw():
		b.setPacingRate(1)
	case b.state == bbrProbeRTT:
		b.checkProbeRTTDone(now)
	}
}

// Acked takes what one acknowledgement frame brought: "UpdateOnACK".
func (b *BBR) Acked(s AckSample) {
	b.now, b.srtt, b.inflight, b.rs = s.Now, s.SmoothedRTT, s.InFlight, s.Rate
	b.delivered += uint64(s.Bytes)
	b.rs.AppLimited = s.Rate.AppLimited || b.roundCount <= b.limitedUntil && b.limitedUntil > 0
	b.leaveRecovery(s)
	b.initPacingRate()

	b.updateLatestDeliverySignals()
	b.updateCongestionSignals()
	b.updateAckAggregation(s)
	b.checkFullBw()
	b.checkStartupDone()
	b.checkDrainDone()
	b.updateProbeBw(s)
	b.updateMinRTT(s)
	b.checkProbeRTT(s)
	b.advanceLatestDeliverySignals()
	b.bw = min(b.maxBw(), b.bwShortterm)

	b.setPacingRate(b.pacingGain)
	b.setCwnd(s)
}

// updateRound counts packet-timed round trips.
func (b *BBR) updateRound() {
	b.roundStart = b.priorDelivered() >= b.nextRoundDelivered
	if !b.roundStart {
		return
	}
	b.startRound()
	b.roundCount++
	b.roundsSinceProbeUp++
	b.cwndLimited, b.cwndLimitedNow = b.cwndLimitedNow, false
}

func (b *BBR) startRound() { b.nextRoundDelivered = b.delivered }

// priorDelivered is what had been delivered when the packet left that the sample is taken from.
func (b *BBR) priorDelivered() uint64 { return b.delivered - min(b.rs.Delivered, b.delivered) }

func (b *BBR) enterStartup() {
	b.state, b.pacingGain, b.cwndGain = bbrStartup, bbrStartupPacingGain, bbrCwndGain
}

func (b *BBR) enterDrain() {
	b.state, b.pacingGain, b.cwndGain = bbrDrain, bbrDrainPacingGain, bbrCwndGain
	b.drainStartRound = b.roundCount
}

func (b *BBR) resetFullBw() { b.fullBw, b.fullBwCount, b.fullBwNow = 0, 0, false }

// checkFullBw looks for the plateau of the delivery rate.
func (b *BBR) checkFullBw() {
	if b.fullBwNow || !b.roundStart || b.rs.AppLimited {
		return
	}
	if rate := float64(b.rs.BytesPerSecond); rate >= b.fullBw*bbrFullBwGrowth {
		b.resetFullBw()
		b.fullBw = rate
		return
	}
	b.fullBwCount++
	b.fullBwNow = b.fullBwCount >= bbrFullBwCount
	b.fullBwReached = b.fullBwReached || b.fullBwNow
}

func (b *BBR) checkStartupDone() {
	b.checkStartupHighLoss()
	if b.state == bbrStartup && b.fullBwReached {
		b.enterDrain()
	}
}

// checkStartupHighLoss ends Startup when a round in recovery lost too much.
func (b *BBR) checkStartupHighLoss() {
	if b.state != bbrStartup || !b.lossRoundEnded || b.lossEvents < bbrStartupLossEvents || !b.tooHigh(b.rs) {
		return
	}
	b.undoState, b.undoStateSet = bbrStartup, true
	b.fullBwReached, b.fullBwNow = true, true
	b.inflightLongterm = max(b.bdp(), b.inflightLatest)
}

func (b *BBR) checkDrainDone() {
	if b.state != bbrDrain {
		return
	}
	if float64(b.inflight) <= b.inflightAt(1) || b.roundCount > b.drainStartRound+bbrDrainRounds {
		b.cwndGain = bbrCwndGain
		b.startDown()
	}
}

// initPacingRate paces the first window by the first round trip.
func (b *BBR) initPacingRate() {
	if b.pacingRate > 0 {
		return
	}
	rtt := b.srtt
	if rtt <= 0 {
		rtt = bbrNominalRTT
	}
	b.pacingRate = bbrStartupPacingGain * b.initialCwnd / rtt.Seconds()
}

func (b *BBR) setPacingRate(gain float64) {
	rate := gain * b.bw * bbrPacingMargin
	if rate > 0 && (b.fullBwReached || rate > b.pacingRate) {
		b.pacingRate = rate
	}
}

// quantum is what leaves at once.
func (b *BBR) quantum() float64 {
	q := min(b.pacingRate*bbrQuantum.Seconds(), bbrMaxQuantum)
	return max(q, float64(2*b.mss))
}

func (b *BBR) bdp() float64 {
	if b.minRTT == 0 {
		return b.initialCwnd
	}
	return b.bw * b.minRTT.Seconds()
}

// quantized is a cap on what is in flight that batches and delayed acknowledgements do not run into.
func (b *BBR) quantized(inflight float64) float64 {
	inflight = max(inflight, b.quantum(), b.minPipe())
	if b.state == bbrProbeUp {
		inflight += float64(2 * b.mss)
	}
	return inflight
}

func (b *BBR) inflightAt(gain float64) float64 { return b.quantized(gain * b.bdp()) }

// setCwnd is "SetCwnd": up by what was acknowledged, down at once.
func (b *BBR) setCwnd(s AckSample) {
	cap := b.quantized(b.cwndGain*b.bdp() + b.extraAcked.get())
	switch {
	case b.fullBwReached:
		b.cwnd = min(b.cwnd+float64(s.Bytes), cap)
	case b.cwnd < cap || float64(b.delivered) < b.initialCwnd:
		b.cwnd += float64(s.Bytes)
	}
	b.cwnd = max(b.cwnd, b.minPipe())
	if b.state == bbrProbeRTT {
		b.cwnd = min(b.cwnd, b.probeRTTCwnd)
	}
	b.boundCwnd()
}

func (b *BBR) boundCwnd() {
	limit := math.Inf(1)
	switch b.state {
	case bbrProbeDown, bbrProbeRefill, bbrProbeUp:
		limit = b.inflightLongterm
	case bbrProbeRTT, bbrProbeCruise:
		limit = b.inflightWithHeadroom()
	}
	limit = max(min(limit, b.inflightShortterm), b.minPipe())
	b.cwnd = min(b.cwnd, limit)
}

// Marking returns MarkNone: the draft leaves the answer to CE open, so packets do not ask for it.
func (b *BBR) Marking() Marking { return MarkNone }
