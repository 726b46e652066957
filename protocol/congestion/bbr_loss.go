package congestion

import "github.com/godwit-net/godwit/protocol/monotime"

// bbrRecovery is what BBR keeps while it recovers from loss. Recovery begins with an episode of loss and
// ends when a packet arrives that left after the last episode began.
type bbrRecovery struct {
	inRecovery bool
	priorCwnd  float64 // the last good window, from before recovery or ProbeRTT
	reporting  bool    // LostPacket was called, and Lost will be
	fresh      bbrUndo // as it was before this report
	undo       bbrUndo // as it was before the last episode
}

// bbrUndo is what a spurious episode of loss restores.
type bbrUndo struct {
	bwShortterm       float64
	inflightShortterm float64
	inflightLongterm  float64
	state             bbrState // the state that the episode ended
	stateSet          bool     // it did end one
}

// LostPacket takes one packet that was declared lost: "HandleLostPacket".
func (b *BBR) LostPacket(p PacketLoss) {
	b.noteLoss()
	rs := RateSample{TxInFlight: p.TxInFlight, Lost: p.Lost, AppLimited: p.AppLimited}
	if b.isBwProbeSample && b.tooHigh(rs) {
		rs.TxInFlight = int(inflightAtLoss(p))
		b.handleInflightTooHigh(rs)
	}
}

// noteLoss begins a round of loss, and saves what an undo may need.
func (b *BBR) noteLoss() {
	if !b.reporting {
		b.reporting = true
		b.fresh = bbrUndo{
			bwShortterm: b.bwShortterm, inflightShortterm: b.inflightShortterm, inflightLongterm: b.inflightLongterm,
		}
	}
	if !b.lossInRound {
		b.lossRoundDelivered = b.delivered
	}
	b.lossInRound = true
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
		b.leaveForLoss(bbrProbeUp)
		b.startDown()
	}
}

// leaveForLoss notes a state that loss ends. The report at hand may or may not begin an episode.
func (b *BBR) leaveForLoss(state bbrState) {
	b.fresh.state, b.fresh.stateSet = state, true
	b.undo.state, b.undo.stateSet = state, true
}

// Lost takes a report of loss, or of marks.
func (b *BBR) Lost(s LossSample) {
	b.now, b.inflight = s.Now, s.InFlight
	if s.ECN > 0 {
		b.takeMarks(s)
	}
	if s.Packets > 0 {
		b.noteLoss()
		b.lossEvents++
	}
	b.reporting = false
	if s.Episode || s.Persistent {
		b.saveCwnd()
		b.undo, b.inRecovery = b.fresh, true
	}
	if s.Persistent {
		b.cwnd = float64(s.InFlight + b.mss)
	}
}

// takeMarks answers CE marks, which "MUST" be taken for congestion, although the draft leaves open how:
// a mark is a loss, and one is enough to end Startup or a probe, since queues mark in place of drops.
func (b *BBR) takeMarks(s LossSample) {
	b.noteLoss()
	b.marked = true
	if b.isBwProbeSample {
		b.handleInflightTooHigh(RateSample{TxInFlight: s.PriorInFlight, AppLimited: b.rs.AppLimited})
	}
}

// leaveRecovery ends recovery when something that left after its begin arrived.
func (b *BBR) leaveRecovery(s AckSample) {
	if b.inRecovery && s.Bytes > s.RecoveryBytes {
		b.inRecovery = false
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

// Undo takes back what a spurious episode did: "HandleSpuriousLossDetection".
func (b *BBR) Undo(now monotime.Time) {
	b.now, b.inRecovery = now, false
	b.restoreCwnd()
	b.lossInRound = false
	b.resetFullBw()
	b.bwShortterm = max(b.bwShortterm, b.undo.bwShortterm)
	b.inflightShortterm = max(b.inflightShortterm, b.undo.inflightShortterm)
	b.inflightLongterm = max(b.inflightLongterm, b.undo.inflightLongterm)
	if !b.undo.stateSet {
		return
	}
	b.undo.stateSet = false
	switch {
	case b.undo.state == bbrStartup && b.state != bbrStartup:
		b.fullBwReached = false
		if b.state != bbrProbeRTT {
			b.enterStartup()
		}
	case b.undo.state == bbrProbeUp && b.state != bbrProbeUp && b.state != bbrProbeRTT:
		b.startRefill()
	}
}
