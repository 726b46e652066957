package congestion

import (
	"math"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// Numbers of BBRv3 (draft-ietf-ccwg-bbr-06, section 2).
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
	bbrProbeRTTInterval  = 5 * time.Second // the same for all flows, so that they drain the queue together
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

// BBR is version 3 of the BBR congestion controller, as draft-ietf-ccwg-bbr-06 describes it. Names of
// fields are the draft's, in our spelling. It is here to compare with, and for who prefers it.
//
// Where it differs from the draft, or the draft leaves room:
//
//	section      difference                                 reason
//	3.7          a CE mark counts as a loss, and one ends    CE must be answered, how is left open; a queue
//	             Startup or a probe                          marks in place of drops
//	5.2.1        clocks start with the first RTT sample      there is no time before
//	5.3.1.3      ranges lost are counted as reports of       a report is an acknowledgement or a timer; so
//	             loss, and recovery is the round of loss     does Linux. Our recovery lasts a round
//	5.3.3.8      random waits are drawn from the time        runs can be repeated
//	5.3.4.3      ProbeRTT marks its own samples as limited   the sampler is the transport's
//	5.5.7.1      RTT is without the acknowledgement delay    as RFC 9002 takes it off, never below the minimum
//	5.5.8.2      no budget for delayed acknowledgements      extra_acked learns it
//	5.5.9        extra_acked is the maximum of five to ten   two half windows, as in Linux
//	             rounds, of one or two in Startup
//	5.5.10.2     losses are told before what the same frame  a round of loss may begin one frame earlier
//	             acknowledged
//	5.5.11.1     state is saved once an episode, before its  saved at every first loss of a round, it would be
//	             first loss                                  saved again after that loss has changed it
//	5.6.4.4      recovery ends with the first arrival from   we have no retransmission timeout: RTO is
//	             after the last episode; RTO is persistent   persistent congestion, and is never undone
//	             congestion
//
// Where the draft contradicts itself, its pseudocode counts: inflight_longterm does not bound the window in
// Drain (5.6.1, 5.6.4.7), and is not lowered by a probe that the application limited (5.5.10.2, A.6).
//
// What to expect of it: one stream on 50 Mbit/s and 40 ms with a queue of one bandwidth-delay product gets
// 46.9 / 29.1 / 5.6 / 1.8 Mbit/s at 0 / 1 / 5 / 10 % random loss (simulator, medians of 5 seeds). Above 2 %
// every probe ends at once, by design. At 1 % each round of loss lowers inflight_shortterm to what the round
// delivered, which leaves no room for the up to sixteen packets that wait for their acknowledgement; with
// that room it would be 39.7. picoquic's port, which follows an earlier revision, is measured at
// 48.0 / 17.7 / 5.5 / 1.6 on such a link. It conserves packets for a round after a loss, which the draft
// has given up: so changed, ours gets 13.6 at 1 %. And it skips ProbeRTT while the round trip stays near
// its minimum: without ProbeRTT ours gets 47.6 at no loss.
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
	limitedFrom        uint64 // what left between these counts of delivered bytes is taken for limited
	limitedTo          uint64 // by the application; 0: nothing yet
	cwndLimited        bool   // in the last round
	cwndLimitedNow     bool   // in this round

	bbrModel
	bbrProbe
	bbrRecovery
	rs RateSample // of the acknowledgement at hand
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
	if s.InFlight <= s.Bytes && (s.AppLimited || b.limited(b.delivered)) {
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
	b.delivered = max(b.delivered, s.Rate.PriorDelivered+s.Rate.Delivered)
	b.rs.AppLimited = s.Rate.AppLimited || b.limited(s.Rate.PriorDelivered)
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
	b.roundStart = b.rs.PriorDelivered >= b.nextRoundDelivered
	if !b.roundStart {
		return
	}
	b.startRound()
	b.roundCount++
	b.roundsSinceProbeUp++
	b.cwndLimited, b.cwndLimitedNow = b.cwndLimitedNow, false
}

func (b *BBR) startRound() { b.nextRoundDelivered = b.delivered }

// markLimited is "MarkConnectionAppLimited". The mark is kept here since the sampler is the transport's:
// what leaves from now on, until all that is in flight now has arrived, gives limited samples.
func (b *BBR) markLimited() {
	if b.delivered > b.limitedTo {
		b.limitedFrom = b.delivered
	}
	b.limitedTo = b.delivered + uint64(max(b.inflight, 0))
}

// limited reports whether a packet is marked that left when so much had been delivered.
func (b *BBR) limited(delivered uint64) bool {
	return b.limitedTo > 0 && delivered >= b.limitedFrom && delivered <= b.limitedTo
}

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

// checkStartupHighLoss ends Startup when a round in recovery lost too much, or was marked.
func (b *BBR) checkStartupHighLoss() {
	if b.state != bbrStartup || !b.lossRoundEnded {
		return
	}
	if !b.marked && (b.lossEvents < bbrStartupLossEvents || !b.tooHigh(b.rs)) {
		return
	}
	b.leaveForLoss(bbrStartup)
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
	q := min(b.pacingRate*seconds(bbrQuantum), bbrMaxQuantum)
	return max(q, float64(2*b.mss))
}

// seconds is Duration.Seconds without its division into whole seconds and the rest.
func seconds(d time.Duration) float64 { return float64(d) * 1e-9 }

func (b *BBR) bdp() float64 { return b.bw * seconds(b.minRTT) }

func (b *BBR) bdpMultiple(gain float64) float64 {
	if b.minRTT == 0 {
		return b.initialCwnd
	}
	return gain * b.bdp()
}

// quantized is a cap on what is in flight that batches and delayed acknowledgements do not run into.
func (b *BBR) quantized(inflight float64) float64 {
	inflight = max(inflight, b.quantum(), b.minPipe())
	if b.state == bbrProbeUp {
		inflight += float64(2 * b.mss)
	}
	return inflight
}

func (b *BBR) inflightAt(gain float64) float64 { return b.quantized(b.bdpMultiple(gain)) }

// setCwnd is "SetCwnd": up by what was acknowledged, down at once.
func (b *BBR) setCwnd(s AckSample) {
	cap := b.quantized(b.bdpMultiple(b.cwndGain) + b.extraAcked.get())
	switch {
	case b.fullBwReached:
		b.cwnd = min(b.cwnd+float64(s.Bytes), cap)
	case b.cwnd < cap || float64(b.delivered) < b.initialCwnd:
		b.cwnd += float64(s.Bytes)
	}
	b.cwnd = max(b.cwnd, b.minPipe())
	if b.state == bbrProbeRTT {
		b.cwnd = min(b.cwnd, b.probeRTTCwnd())
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
