package congestion

import (
	"math"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// bbrModel is BBR's model of the path.
type bbrModel struct {
	bw            float64    // bytes a second, what to pace by
	maxBwFilter   [2]float64 // of the cycle before and of this one
	bwShortterm   float64    // +Inf: no bound
	bwLatest      float64    // of the last round
	fullBw        float64
	fullBwCount   int
	fullBwNow     bool
	fullBwReached bool

	minRTT        time.Duration
	minRTTStamp   monotime.Time
	minRTTExpired bool

	inflightLongterm  float64
	inflightShortterm float64
	inflightLatest    float64

	extraAcked          maxFilter
	extraAckedStart     monotime.Time
	extraAckedDelivered float64

	lossRoundDelivered uint64
	lossRoundStart     bool
	lossRoundEnded     bool // this acknowledgement ended a round with loss
	lossInRound        bool
	lossEvents         int // reports of loss in this round
}

// maxFilter is the maximum over the last rounds, in two half windows: what it returns covers between
// half of the window and the whole.
type maxFilter struct {
	now, old float64
	since    uint64
}

func (f *maxFilter) get() float64 { return max(f.now, f.old) }

func (f *maxFilter) update(value float64, round, window uint64) {
	if round-f.since >= max(window/2, 1) {
		f.old, f.now, f.since = f.now, 0, round
	}
	f.now = max(f.now, value)
}

func (b *BBR) maxBw() float64 { return max(b.maxBwFilter[0], b.maxBwFilter[1]) }

// updateMaxBw takes a sample into the filter. One that the application limited counts only if it is
// higher than all.
func (b *BBR) updateMaxBw() {
	b.updateRound()
	rate := float64(b.rs.BytesPerSecond)
	if rate > 0 && (rate >= b.maxBw() || !b.rs.AppLimited) {
		b.maxBwFilter[1] = max(b.maxBwFilter[1], rate)
	}
}

// advanceMaxBwFilter begins another cycle.
func (b *BBR) advanceMaxBwFilter() { b.maxBwFilter = [2]float64{b.maxBwFilter[1], 0} }

func (b *BBR) updateLatestDeliverySignals() {
	b.lossRoundStart, b.lossRoundEnded = false, false
	b.bwLatest = max(b.bwLatest, float64(b.rs.BytesPerSecond))
	b.inflightLatest = max(b.inflightLatest, float64(b.rs.Delivered))
	if b.priorDelivered() >= b.lossRoundDelivered {
		b.lossRoundDelivered = b.delivered
		b.lossRoundStart = true
	}
}

func (b *BBR) advanceLatestDeliverySignals() {
	if b.lossRoundStart {
		b.bwLatest = float64(b.rs.BytesPerSecond)
		b.inflightLatest = float64(b.rs.Delivered)
		b.lossEvents = 0
	}
}

func (b *BBR) resetCongestionSignals() { b.lossInRound, b.bwLatest, b.inflightLatest = false, 0, 0 }

func (b *BBR) updateCongestionSignals() {
	b.updateMaxBw()
	if !b.lossRoundStart {
		return
	}
	if b.lossInRound && !b.probingBw() {
		b.lowerShortTermModel()
	}
	b.lossRoundEnded = b.lossInRound
	b.lossInRound = false
}

// probingBw reports whether the flow accelerates, so that loss is a result and no signal.
func (b *BBR) probingBw() bool {
	return b.state == bbrStartup || b.state == bbrProbeRefill || b.state == bbrProbeUp
}

// lowerShortTermModel follows what was delivered in a round with loss, at most a beta a round.
func (b *BBR) lowerShortTermModel() {
	if math.IsInf(b.bwShortterm, 1) {
		b.bwShortterm = b.maxBw()
	}
	if math.IsInf(b.inflightShortterm, 1) {
		b.inflightShortterm = b.cwnd
	}
	b.bwShortterm = max(b.bwLatest, bbrBeta*b.bwShortterm)
	b.inflightShortterm = max(b.inflightLatest, bbrBeta*b.inflightShortterm)
}

func (b *BBR) resetShortTermModel() {
	b.bwShortterm, b.inflightShortterm = math.Inf(1), math.Inf(1)
}

// updateAckAggregation estimates how much more may be acknowledged at once than the rate explains.
func (b *BBR) updateAckAggregation(s AckSample) {
	expected := b.bw * s.Now.Sub(b.extraAckedStart).Seconds()
	if b.extraAckedDelivered <= expected {
		b.extraAckedDelivered, b.extraAckedStart, expected = 0, s.Now, 0
	}
	b.extraAckedDelivered += float64(s.Bytes)
	extra := min(b.extraAckedDelivered-expected, b.cwnd)
	window := uint64(1)
	if b.fullBwReached {
		window = bbrExtraAckedRounds
	}
	b.extraAcked.update(extra, b.roundCount, window)
}

// LostPacket takes one packet that was declared lost: "HandleLostPacket".
func (b *BBR) LostPacket(p PacketLoss) {
	b.observed = true
	b.noteLoss()
	if !b.isBwProbeSample {
		return
	}
	rs := RateSample{TxInFlight: p.TxInFlight, Lost: p.Lost, AppLimited: p.AppLimited}
	if b.tooHigh(rs) {
		rs.TxInFlight = int(inflightAtLoss(p))
		b.handleInflightTooHigh(rs)
	}
}

func (b *BBR) noteLoss() {
	if !b.lossInRound {
		b.lossRoundDelivered = b.delivered
	}
	b.lossInRound = true
	if !b.undoSaved {
		b.saveStateUponLoss()
	}
}

// tooHigh reports whether what was in flight lost more than it should.
func (b *BBR) tooHigh(rs RateSample) bool {
	return float64(rs.Lost) > float64(rs.TxInFlight)*bbrLossThresh
}

// inflightAtLoss is what was in flight at the moment when losses crossed the threshold, which may have
// been within the packet.
func inflightAtLoss(p PacketLoss) float64 {
	before := float64(p.TxInFlight - p.Bytes)
	lostBefore := float64(p.Lost) - float64(p.Bytes)
	prefix := (bbrLossThresh*before - lostBefore) / (1 - bbrLossThresh)
	return before + prefix
}

func (b *BBR) handleInflightTooHigh(rs RateSample) {
	b.prevProbeTooHigh = true
	b.isBwProbeSample = false
	if !rs.AppLimited {
		b.inflightLongterm = max(float64(rs.TxInFlight), b.targetInflight()*bbrBeta)
	}
	if b.state == bbrProbeUp {
		b.undoState, b.undoStateSet = bbrProbeUp, true
		b.startDown()
	}
}

// Lost takes a report of loss.
func (b *BBR) Lost(s LossSample) {
	b.now, b.inflight = s.Now, s.InFlight
	if s.Packets > 0 {
		b.noteLoss() // does nothing when LostPacket was told
		b.lossEvents++
	}
	switch {
	case s.Persistent:
		b.saveCwnd()
		b.saveStateUponLoss()
		b.inRecovery = true
		b.cwnd = float64(s.InFlight + b.mss)
	case s.Episode && s.Packets > 0 && !b.inRecovery:
		b.saveCwnd()
		b.inRecovery = true
	}
}

// leaveRecovery ends the episode of loss when something that left after its begin arrived.
func (b *BBR) leaveRecovery(s AckSample) {
	if b.inRecovery && s.Bytes > s.RecoveryBytes {
		b.inRecovery, b.undoSaved = false, false
		b.restoreCwnd()
	}
}

func (b *BBR) saveCwnd() {
	if !b.inRecovery && b.state != bbrProbeRTT {
		b.priorCwnd = b.cwnd
		return
	}
	b.priorCwnd = max(b.priorCwnd, b.cwnd)
}

func (b *BBR) restoreCwnd() { b.cwnd = max(b.cwnd, b.priorCwnd) }

func (b *BBR) saveStateUponLoss() {
	b.saveCwnd()
	b.undoStateSet, b.undoSaved = false, true
	b.undoBwShortterm = b.bwShortterm
	b.undoInflightShortterm = b.inflightShortterm
	b.undoInflightLongterm = b.inflightLongterm
}

// Undo takes back what a spurious episode did: "HandleSpuriousLossDetection".
func (b *BBR) Undo(now monotime.Time) {
	b.now = now
	b.inRecovery, b.undoSaved = false, false
	b.restoreCwnd()
	b.lossInRound = false
	b.resetFullBw()
	b.bwShortterm = max(b.bwShortterm, b.undoBwShortterm)
	b.inflightShortterm = max(b.inflightShortterm, b.undoInflightShortterm)
	b.inflightLongterm = max(b.inflightLongterm, b.undoInflightLongterm)
	if !b.undoStateSet {
		return
	}
	b.undoStateSet = false
	switch {
	case b.undoState == bbrStartup && b.state != bbrStartup:
		b.fullBwReached = false
		if b.state != bbrProbeRTT {
			b.enterStartup()
		}
	case b.undoState == bbrProbeUp && b.state != bbrProbeUp && b.state != bbrProbeRTT:
		b.startRefill()
	}
}
