package congestion

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The tests of this file are those of BBR's model and of its controls. Sections are those of
// draft-ietf-ccwg-bbr-06.

// Section 5.5.1: a round ends with the arrival of a packet that left after it began.
func TestBBRCountsRoundsByPackets(t *testing.T) {
	w := newBBRWire()
	w.send(4)
	w.pass(50 * time.Millisecond)
	w.ack(1)
	require.Equal(t, uint64(1), w.b.roundCount)
	require.True(t, w.b.roundStart)
	w.send(1)
	w.ack(3)
	require.Equal(t, uint64(1), w.b.roundCount, "all of them left before")
	require.False(t, w.b.roundStart)
	w.ack(1)
	require.Equal(t, uint64(2), w.b.roundCount)
}

// Sections 5.5.4 to 5.5.6: the filter covers this cycle and the one before.
func TestBBRKeepsTheLargestRateOfTwoCycles(t *testing.T) {
	b := NewBBR(Config{})
	sample := func(rate uint64, limited bool) {
		b.rs = RateSample{BytesPerSecond: rate, AppLimited: limited}
		b.updateMaxBw()
	}
	sample(1000, false)
	sample(900, false)
	sample(0, false)
	require.Equal(t, 1000.0, b.maxBw())
	b.advanceMaxBwFilter()
	sample(800, false)
	sample(950, true)
	require.Equal(t, 1000.0, b.maxBw())
	b.advanceMaxBwFilter()
	require.Equal(t, 800.0, b.maxBw(), "a limited sample below the maximum never counted")
	sample(850, true)
	require.Equal(t, 850.0, b.maxBw(), "a limited sample above it is news")
}

// Section 5.3.4.3, UpdateMinRTT.
func TestBBRKeepsOneMinimumForFiveSecondsAndOneForTen(t *testing.T) {
	b := NewBBR(Config{})
	now := testStart
	sample := func(after, rtt time.Duration) {
		now = now.Add(after)
		b.updateMinRTT(AckSample{Now: now, RTT: rtt})
	}
	sample(0, 40*ms)
	sample(4900*ms, 60*ms)
	require.False(t, b.probeRTTExpired)
	require.Equal(t, 40*ms, b.probeRTTMinDelay)
	sample(101*ms, 60*ms)
	require.True(t, b.probeRTTExpired, "five seconds and a millisecond")
	require.Equal(t, 60*ms, b.probeRTTMinDelay)
	require.Equal(t, 40*ms, b.minRTT, "the model remembers")
	sample(4900*ms, 55*ms)
	require.Equal(t, 40*ms, b.minRTT)
	sample(100*ms, 70*ms)
	require.Equal(t, 55*ms, b.minRTT, "ten seconds: the smaller of the last five, not this sample")
	sample(ms, 30*ms)
	require.Equal(t, 30*ms, b.minRTT)
	require.Equal(t, now, b.minRTTStamp)
	sample(ms, 0)
	require.Equal(t, 30*ms, b.minRTT, "no sample")
}

// Section 5.5.10.3, AdaptLowerBoundsFromCongestion.
func TestBBRLowersTheShortTermModelWhereItDoesNotProbe(t *testing.T) {
	for state, lowers := range map[bbrState]bool{
		bbrStartup: false, bbrDrain: true, bbrProbeDown: true, bbrProbeCruise: true, bbrProbeRefill: false,
		bbrProbeUp: false, bbrProbeRTT: true,
	} {
		b := NewBBR(Config{})
		b.state, b.cwnd, b.maxBwFilter[1] = state, 100_000, 1e6
		b.lossInRound, b.lossRoundStart = true, true
		b.updateCongestionSignals()
		require.Equal(t, lowers, b.bwShortterm == 0.7e6, "state %d", state)
		require.Equal(t, lowers, b.inflightShortterm == 70_000, "state %d", state)
		require.False(t, b.lossInRound)
		b.lossRoundStart = true
		before := b.bwShortterm
		b.updateCongestionSignals()
		require.Equal(t, before, b.bwShortterm, "a round without loss lowers nothing")
	}
}

// Section 5.5.10.3: once a round, at its end.
func TestBBRLowersTheShortTermModelAtTheEndOfARoundOfLoss(t *testing.T) {
	w := newBBRWire()
	w.send(10)
	w.pass(40 * ms)
	w.ack(10)
	w.b.state = bbrProbeCruise
	w.send(20)
	w.pass(40 * ms)
	w.ack(1)
	w.lose(1)
	w.send(1)
	w.lose(1)
	w.ack(17)
	require.True(t, math.IsInf(w.b.bwShortterm, 1), "these left before the loss")
	w.pass(40 * ms)
	w.ack(1)
	require.False(t, math.IsInf(w.b.bwShortterm, 1))
}

// Section 5.5.10.3: what is delivered is the floor.
func TestBBRDoesNotLowerTheShortTermModelBelowWhatWasDelivered(t *testing.T) {
	_, b := newBBRPath(t)
	b.state, b.cwnd = bbrProbeCruise, 100_000
	b.maxBwFilter[1] = 1e6
	b.bwLatest, b.inflightLatest = 9e5, 50_000
	b.lowerShortTermModel()
	require.Equal(t, 9e5, b.bwShortterm, "to what was delivered")
	require.Equal(t, 70_000.0, b.inflightShortterm, "at most by beta")
	b.bwLatest = 1e5
	b.lowerShortTermModel()
	require.InDelta(t, 0.7*9e5, b.bwShortterm, 1)
	b.startRefill()
	require.True(t, math.IsInf(b.bwShortterm, 1), "section 5.3.3.3: forgotten before the next probe")
	require.True(t, math.IsInf(b.inflightShortterm, 1))
}

// Section 5.5.9.
func TestBBRAddsRoomForAggregatedAcknowledgements(t *testing.T) {
	b := NewBBR(Config{})
	b.bw, b.cwnd, b.fullBwReached = 1e6, 1e6, true
	now := testStart
	b.updateAckAggregation(AckSample{Now: now, Bytes: 20_000})
	b.updateAckAggregation(AckSample{Now: now.Add(10 * ms), Bytes: 50_000})
	require.InDelta(t, 60_000, b.extraAcked.get(), 100, "70 kB in 10 ms, of which 10 kB were expected")
	b.updateAckAggregation(AckSample{Now: now.Add(time.Second), Bytes: 1000})
	require.Equal(t, 1000.0, b.extraAckedDelivered, "the episode is over when less came than expected")
	b.cwnd = 500
	b.updateAckAggregation(AckSample{Now: now.Add(time.Second), Bytes: 1e6})
	require.InDelta(t, 60_000, b.extraAcked.get(), 100, "never more than a window")
	b.roundCount = 20
	b.updateAckAggregation(AckSample{Now: now.Add(2 * time.Second), Bytes: 1})
	b.roundCount = 30
	b.updateAckAggregation(AckSample{Now: now.Add(3 * time.Second), Bytes: 1})
	require.Less(t, b.extraAcked.get(), 600.0)
}

func TestMaxFiltersForgetAfterTheirWindow(t *testing.T) {
	var f maxFilter
	f.update(10, 1, 10)
	for round := uint64(2); round < 6; round++ {
		f.update(1, round, 10)
		require.Equal(t, 10.0, f.get())
	}
	for round := uint64(6); round < 20; round++ {
		f.update(1, round, 10)
	}
	require.Equal(t, 1.0, f.get())
}

// Section 5.6.1: the table of gains and caps, as BoundCwndForModel (5.6.4.7) has it.
func TestBBRBoundsTheWindowByStateAndModel(t *testing.T) {
	inf := math.Inf(1)
	for state, limit := range map[bbrState]float64{
		bbrStartup: inf, bbrDrain: inf, bbrProbeDown: 100_000, bbrProbeCruise: 85_000, bbrProbeRefill: 100_000,
		bbrProbeUp: 100_000, bbrProbeRTT: 85_000,
	} {
		b := NewBBR(Config{MaxDatagram: testPacketSize})
		b.state, b.cwnd, b.inflightLongterm = state, 1e6, 100_000
		b.boundCwnd()
		require.InDelta(t, min(limit, 1e6), b.cwnd, 0.001, "state %d", state)
		b.inflightShortterm = 30_000
		b.boundCwnd()
		require.Equal(t, 30_000.0, b.cwnd)
		b.inflightShortterm = 100
		b.boundCwnd()
		require.Equal(t, 4.0*testPacketSize, b.cwnd)
	}
}

// Section 5.6.4.6.
func TestBBRRaisesTheWindowByWhatArrivesAndLowersItAtOnce(t *testing.T) {
	b := NewBBR(Config{MaxDatagram: testPacketSize})
	b.minRTT, b.bw, b.cwnd, b.delivered = 100*ms, 1e6, 100_000, 1e6
	b.setCwnd(AckSample{Bytes: 2400})
	require.Equal(t, 102_400.0, b.cwnd)
	b.cwnd = 300_000
	b.setCwnd(AckSample{Bytes: 2400})
	require.Equal(t, 300_000.0, b.cwnd, "in Startup a window above the estimate stays")
	b.fullBwReached = true
	b.setCwnd(AckSample{Bytes: 2400})
	require.InDelta(t, 200_000, b.cwnd, 0.001, "twice the product")
	b.extraAcked.now = 5000
	b.setCwnd(AckSample{Bytes: 24_000})
	require.InDelta(t, 205_000, b.cwnd, 0.001, "and what is acknowledged at once")
	b = NewBBR(Config{MaxDatagram: testPacketSize})
	b.minRTT, b.bw, b.delivered = 10*ms, 1e5, 11_999
	b.setCwnd(AckSample{Bytes: 1200})
	require.Equal(t, 13_200, b.Window(), "the first window is trusted")
}

// Section 5.6.2.
func TestBBRPacesAPercentBelowItsBandwidthAndNeverSlowerInStartup(t *testing.T) {
	b := NewBBR(Config{})
	require.Zero(t, b.PacingRate(), "left to the transport before the first round trip")
	b.srtt = 100 * ms
	b.initPacingRate()
	require.InDelta(t, 2.77*120_000, b.pacingRate, 0.001)
	b.bw = 50_000
	b.setPacingRate(2.77)
	require.InDelta(t, 2.77*120_000, b.pacingRate, 0.001)
	b.bw = 1e6
	b.setPacingRate(2.77)
	require.InDelta(t, 2.77*0.99e6, b.pacingRate, 0.001)
	b.fullBwReached = true
	b.setPacingRate(0.9)
	require.InDelta(t, 0.9*0.99e6, b.pacingRate, 0.001)
}

// Section 5.6.3.
func TestBBRSendsAMillisecondAtOnceOrTwoPacketsOr64kB(t *testing.T) {
	b := NewBBR(Config{MaxDatagram: testPacketSize})
	for rate, quantum := range map[float64]float64{1e5: 2400, 1e7: 1e4, 1e9: 64 << 10} {
		b.pacingRate = rate
		require.Equal(t, quantum, b.quantum())
		require.Equal(t, max(quantum, 4800), b.quantized(0), "section 5.5.8.2")
	}
	b.state = bbrProbeUp
	require.Equal(t, 100_000.0+2400, b.quantized(100_000))
}

// Section 5.6.4.4.
func TestBBRRestoresItsWindowAfterRecovery(t *testing.T) {
	w := newBBRWire()
	w.send(10)
	w.pass(40 * ms)
	w.ack(2)
	before := w.b.cwnd + 100_000
	w.b.cwnd = before
	w.lose(1)
	require.True(t, w.b.inRecovery)
	w.b.cwnd = 6000
	w.pass(ms)
	w.send(1)
	w.ack(3)
	require.True(t, w.b.inRecovery, "those left before the loss")
	require.Less(t, w.b.cwnd, before)
	w.ack(5)
	require.False(t, w.b.inRecovery)
	require.GreaterOrEqual(t, w.b.cwnd, before)
}

// Section 5.5.11.1: every episode has its own state to go back to.
func TestBBRUndoesTheLastEpisodeOnly(t *testing.T) {
	w := newBBRWire()
	b := w.b
	b.now, b.minRTT, b.bw, b.cwnd = testStart, 100*ms, 1e6, 100_000
	b.startUp()
	b.isBwProbeSample = true
	b.LostPacket(PacketLoss{Bytes: 1200, TxInFlight: 100_000, Lost: 12_000})
	b.Lost(LossSample{Now: testStart, Packets: 1, Bytes: 1200, Episode: true})
	first := b.inflightLongterm
	require.False(t, math.IsInf(first, 1))
	b.bwShortterm = 5e5

	b.LostPacket(PacketLoss{Bytes: 1200, TxInFlight: 100_000, Lost: 12_000})
	b.Lost(LossSample{Now: testStart, Packets: 1, Bytes: 1200, Episode: true})
	b.bwShortterm = 3e5
	b.LostPacket(PacketLoss{Bytes: 1200, TxInFlight: 100_000, Lost: 12_000})
	b.Lost(LossSample{Now: testStart, Packets: 1, Bytes: 1200}) // of the same episode
	b.Undo(testStart)
	require.Equal(t, first, b.inflightLongterm, "the first was no mistake")
	require.Equal(t, 5e5, b.bwShortterm)
	require.Equal(t, bbrProbeDown, b.state)
	require.False(t, b.lossInRound)
}

// Section 5.5.11.2.
func TestBBRGoesBackToStartupWhenTheLossThatEndedItWasNone(t *testing.T) {
	for state, want := range map[bbrState]bbrState{bbrDrain: bbrStartup, bbrProbeRTT: bbrProbeRTT} {
		b := NewBBR(Config{})
		b.noteLoss()
		b.Lost(LossSample{Now: testStart, Packets: 1, Bytes: 1200, Episode: true})
		b.leaveForLoss(bbrStartup)
		b.fullBwReached, b.state = true, state
		b.Undo(testStart)
		require.Equal(t, want, b.state)
		require.False(t, b.fullBwReached)
	}
}

// Section 3.7: CE marks are congestion. That one is enough is ours.
func TestBBRAnswersAMarkLikeALoss(t *testing.T) {
	b := NewBBR(Config{MaxDatagram: testPacketSize})
	b.minRTT, b.bw, b.cwnd = 100*ms, 1e6, 100_000
	b.startUp()
	b.isBwProbeSample = true
	b.Lost(LossSample{Now: testStart, ECN: 1, PriorInFlight: 90_000, InFlight: 90_000, Episode: true})
	require.Equal(t, bbrProbeDown, b.state, "the probe went too high")
	require.Equal(t, 90_000.0, b.inflightLongterm)
	b.startCruise()
	b.Lost(LossSample{Now: testStart, ECN: 1, PriorInFlight: 90_000, InFlight: 90_000})
	require.True(t, b.lossInRound, "the short-term model follows")
	require.Equal(t, 90_000.0, b.inflightLongterm)

	w := newBBRWire()
	w.send(10)
	w.pass(40 * ms)
	w.ack(10)
	w.send(10)
	w.b.Lost(LossSample{Now: w.now, ECN: 1, PriorInFlight: w.inFlight, InFlight: w.inFlight})
	w.pass(40 * ms)
	w.ack(10)
	require.True(t, w.b.fullBwReached, "a round with a mark ends Startup")
	require.NotEqual(t, bbrStartup, w.b.state)
}

func TestBBRAllocatesNothing(t *testing.T) {
	w := newBBRWire()
	w.send(10)
	w.pass(40 * ms)
	w.ack(10)
	state := w.s.OnSent(w.now, testPacketSize, 50_000)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		w.pass(ms)
		w.b.Sent(SendSample{Now: w.now, Bytes: testPacketSize, InFlight: 50_000})
		w.b.LostPacket(w.s.OnLostPacket(testPacketSize, &state))
		w.b.Lost(LossSample{Now: w.now, Bytes: testPacketSize, Packets: 1, Episode: true})
		w.b.Acked(AckSample{Now: w.now, Bytes: 2400, Packets: 2, RTT: 40 * ms, SmoothedRTT: 40 * ms})
	}))
}
