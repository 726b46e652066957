package congestion

import (
	"math"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// bbrProbe is the state of BBR's probes, for bandwidth and for the round trip.
type bbrProbe struct {
	ackPhase              bbrAckPhase
	cycleStamp            monotime.Time
	bwProbeWait           time.Duration
	roundsSinceProbeUp    uint64
	bwProbeUpRounds       int
	bwProbeUpAcked        float64
	probeUpAckedPerInc    float64
	isBwProbeSample       bool
	prevProbeTooHigh      bool
	prevProbePrecautioned bool
	drainStartRound       uint64

	probeRTTMinDelay  time.Duration // smallest of the last bbrProbeRTTInterval; 0: none yet
	probeRTTMinStamp  monotime.Time
	probeRTTExpired   bool
	probeRTTDone      monotime.Time
	probeRTTRoundDone bool
}

func (b *BBR) inProbeBw() bool { return b.state >= bbrProbeDown && b.state <= bbrProbeUp }

func (b *BBR) startDown() {
	b.resetCongestionSignals()
	b.probeUpAckedPerInc = math.Inf(1)
	b.pickProbeWait()
	b.cycleStamp = b.now
	b.ackPhase = bbrAcksProbeStopping
	b.startRound()
	b.state, b.pacingGain, b.cwndGain = bbrProbeDown, bbrDownPacingGain, bbrCwndGain
}

func (b *BBR) startCruise() { b.state, b.pacingGain, b.cwndGain = bbrProbeCruise, 1, bbrCwndGain }

func (b *BBR) startRefill() {
	b.resetShortTermModel()
	b.bwProbeUpRounds, b.bwProbeUpAcked = 0, 0
	b.prevProbePrecautioned = false
	b.ackPhase = bbrAcksRefilling
	b.startRound()
	b.state, b.pacingGain, b.cwndGain = bbrProbeRefill, 1, bbrCwndGain
}

func (b *BBR) startUp() {
	b.ackPhase = bbrAcksProbeStarting
	b.startRound()
	b.resetFullBw()
	b.fullBw = float64(b.rs.BytesPerSecond)
	b.state, b.pacingGain, b.cwndGain = bbrProbeUp, bbrUpPacingGain, bbrUpCwndGain
	b.raiseSlope()
}

// pickProbeWait draws when to probe next. Flows must not do so in step; the low bits of the time serve,
// stirred (the finaliser of SplitMix64).
func (b *BBR) pickProbeWait() {
	z := uint64(b.now) + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	b.roundsSinceProbeUp = z & 1
	b.bwProbeWait = bbrProbeWait + time.Duration(z>>1%uint64(bbrProbeWaitSpread))
}

// updateProbeBw is the core of the state machine in steady state.
func (b *BBR) updateProbeBw(s AckSample) {
	if !b.fullBwReached || b.adaptLongTermModel(s) {
		return
	}
	switch b.state {
	case bbrProbeDown:
		if !b.probeIfTime() && b.timeToCruise() {
			b.startCruise()
		}
	case bbrProbeCruise:
		b.probeIfTime()
	case bbrProbeRefill:
		if b.roundStart {
			b.isBwProbeSample = true
			b.startUp()
		}
	case bbrProbeUp:
		if b.timeToGoDown() {
			b.prevProbeTooHigh = false
			b.startDown()
		}
	}
}

func (b *BBR) probeIfTime() bool {
	if b.now.Sub(b.cycleStamp) <= b.bwProbeWait && !b.renoWouldProbe() {
		return false
	}
	b.startRefill()
	return true
}

// renoWouldProbe bounds the wait by what Reno's sawtooth would take at this window.
func (b *BBR) renoWouldProbe() bool {
	rounds := min(b.targetInflight()/float64(b.mss), bbrRenoRounds)
	return float64(b.roundsSinceProbeUp) >= rounds
}

func (b *BBR) targetInflight() float64 { return min(b.bdp(), b.cwnd) }

func (b *BBR) timeToCruise() bool {
	inflight := float64(b.inflight)
	if inflight > b.inflightWithHeadroom() {
		return false
	}
	return inflight <= b.quantized(b.maxBw()*seconds(b.minRTT))
}

func (b *BBR) timeToGoDown() bool {
	if b.prevProbeTooHigh && float64(b.inflight) >= b.inflightLongterm {
		b.prevProbePrecautioned = true
		return true
	}
	if b.isCwndLimited() && b.cwnd >= b.inflightLongterm {
		b.resetFullBw()
		b.fullBw = float64(b.rs.BytesPerSecond)
		return false
	}
	return b.fullBwNow
}

func (b *BBR) isCwndLimited() bool { return b.cwndLimited || b.cwndLimitedNow }

func (b *BBR) inflightWithHeadroom() float64 {
	if math.IsInf(b.inflightLongterm, 1) {
		return b.inflightLongterm
	}
	headroom := max(float64(b.mss), bbrHeadroom*b.inflightLongterm)
	return max(b.inflightLongterm-headroom, b.minPipe())
}

func (b *BBR) raiseSlope() {
	growth := float64(uint64(1) << b.bwProbeUpRounds)
	b.bwProbeUpRounds = min(b.bwProbeUpRounds+1, bbrMaxProbeUpRounds)
	b.probeUpAckedPerInc = max(b.cwnd/growth, float64(b.mss))
}

func (b *BBR) probeUpward(acked int) {
	if !b.isCwndLimited() || b.cwnd < b.inflightLongterm {
		return
	}
	b.bwProbeUpAcked += float64(acked)
	if b.bwProbeUpAcked >= b.probeUpAckedPerInc {
		delta := math.Floor(b.bwProbeUpAcked / b.probeUpAckedPerInc)
		b.bwProbeUpAcked -= delta * b.probeUpAckedPerInc
		b.inflightLongterm += delta * float64(b.mss)
	}
	if b.roundStart {
		b.raiseSlope()
	}
}

// adaptLongTermModel follows the phases of a probe and raises the bounds that it passed. It reports
// whether it changed the state.
func (b *BBR) adaptLongTermModel(s AckSample) bool {
	if b.ackPhase == bbrAcksProbeStarting && b.roundStart {
		b.ackPhase = bbrAcksProbeFeedback
	}
	if b.ackPhase == bbrAcksProbeStopping && b.roundStart {
		b.isBwProbeSample = false
		b.ackPhase = bbrAcksInit
		if b.inProbeBw() && !b.rs.AppLimited {
			b.advanceMaxBwFilter()
		}
		if b.inProbeBw() && b.prevProbePrecautioned && !b.prevProbeTooHigh {
			b.startRefill()
			return true
		}
	}
	if b.tooHigh(b.rs) || math.IsInf(b.inflightLongterm, 1) {
		return false
	}
	b.inflightLongterm = max(b.inflightLongterm, float64(b.rs.TxInFlight))
	if b.state == bbrProbeUp {
		b.probeUpward(s.Bytes)
	}
	return false
}

// updateMinRTT keeps two minima: one of five seconds, which says when to probe, and the model's of ten,
// which outlives a probe and so tells how small the window of the next one must be.
func (b *BBR) updateMinRTT(s AckSample) {
	b.probeRTTExpired = b.probeRTTMinDelay > 0 && s.Now.Sub(b.probeRTTMinStamp) > bbrProbeRTTInterval
	if s.RTT > 0 && (b.probeRTTMinDelay == 0 || s.RTT < b.probeRTTMinDelay || b.probeRTTExpired) {
		b.probeRTTMinDelay, b.probeRTTMinStamp = s.RTT, s.Now
	}
	if b.minRTT == 0 || b.probeRTTMinDelay < b.minRTT || s.Now.Sub(b.minRTTStamp) > bbrMinRTTFilter {
		b.minRTT, b.minRTTStamp = b.probeRTTMinDelay, b.probeRTTMinStamp
	}
}

// probeRTTCwnd is the window while the round trip is probed.
func (b *BBR) probeRTTCwnd() float64 { return max(b.bdpMultiple(bbrProbeRTTCwndGain), b.minPipe()) }

func (b *BBR) checkProbeRTT(s AckSample) {
	if b.state != bbrProbeRTT && b.probeRTTExpired && !b.idleRestart {
		b.state, b.pacingGain, b.cwndGain = bbrProbeRTT, 1, bbrProbeRTTCwndGain
		b.saveCwnd()
		b.probeRTTDone = 0
		b.ackPhase = bbrAcksProbeStopping
		b.startRound()
	}
	if b.state == bbrProbeRTT {
		b.handleProbeRTT(s.Now)
	}
	if b.rs.Delivered > 0 {
		b.idleRestart = false
	}
}

func (b *BBR) handleProbeRTT(now monotime.Time) {
	b.markLimited() // the low rate is of our own making
	switch {
	case b.probeRTTDone == 0 && float64(b.inflight) <= b.probeRTTCwnd():
		b.probeRTTDone = now.Add(bbrProbeRTTDuration)
		b.probeRTTRoundDone = false
		b.startRound()
	case b.probeRTTDone != 0:
		b.probeRTTRoundDone = b.probeRTTRoundDone || b.roundStart
		if b.probeRTTRoundDone {
			b.checkProbeRTTDone(now)
		}
	}
}

func (b *BBR) checkProbeRTTDone(now monotime.Time) {
	if b.probeRTTDone == 0 || !now.After(b.probeRTTDone) {
		return
	}
	b.probeRTTMinStamp = now
	b.restoreCwnd()
	b.resetShortTermModel()
	if !b.fullBwReached {
		b.enterStartup()
		return
	}
	b.startDown()
	b.startCruise()
}
