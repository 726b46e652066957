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

	minRTT      time.Duration
	minRTTStamp monotime.Time

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
	lossEvents         int  // reports of loss in this round
	marked             bool // a packet of this round was marked CE
}

// maxFilter is the maximum over the last rounds, in two half windows: what it returns covers between
// half of the window and the whole. A window of one round covers one or two.
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
	if b.rs.PriorDelivered >= b.lossRoundDelivered {
		b.lossRoundDelivered = b.delivered
		b.lossRoundStart = true
	}
}

func (b *BBR) advanceLatestDeliverySignals() {
	if b.lossRoundStart {
		b.bwLatest = float64(b.rs.BytesPerSecond)
		b.inflightLatest = float64(b.rs.Delivered)
		b.lossEvents, b.marked = 0, false
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
	expected := b.bw * seconds(s.Now.Sub(b.extraAckedStart))
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
