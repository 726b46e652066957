package congestion

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func newBBRPath(t *testing.T) (*testPath, *BBR) {
	b := NewBBR(Config{MaxDatagram: testPacketSize})
	return newTestPath(t, b), b
}

// until lets time pass until the controller is in a state.
func (p *testPath) until(b *BBR, state bbrState, limit time.Duration) {
	p.t.Helper()
	for end := p.now.Add(limit); b.state != state; {
		require.True(p.t, p.now.Before(end), "state %d, not %d", b.state, state)
		p.run(time.Millisecond)
	}
}

// whileIn lets time pass until the controller has left a state.
func (p *testPath) whileIn(b *BBR, state bbrState, limit time.Duration) {
	p.t.Helper()
	for end := p.now.Add(limit); b.state == state; {
		require.True(p.t, p.now.Before(end), "still in state %d", state)
		p.run(time.Millisecond)
	}
}

func TestBBRBeginsInStartup(t *testing.T) {
	var cc Controller = NewBBR(Config{})
	require.Equal(t, "bbr", cc.Name())
	require.Equal(t, 12000, cc.Window())
	b := NewBBR(Config{})
	require.Equal(t, bbrStartup, b.state)
	require.Equal(t, 2.77, b.pacingGain)
	require.Equal(t, 2.0, b.cwndGain)
}

func TestBBRLeavesStartupOnThePlateauOfTheRate(t *testing.T) {
	p, b := newBBRPath(t)
	p.buffer = 1_000_000
	p.until(b, bbrDrain, 2*time.Second)
	require.True(t, b.fullBwNow)
	require.True(t, b.fullBwReached)
	require.Equal(t, 3, b.fullBwCount)
	require.InEpsilon(t, p.rate, b.maxBw(), 0.02)
	require.Equal(t, 0.5, b.pacingGain)
}

func TestBBRLeavesDrainWhenTheQueueIsGone(t *testing.T) {
	p, b := newBBRPath(t)
	p.until(b, bbrDrain, 2*time.Second)
	p.whileIn(b, bbrDrain, time.Second)
	require.True(t, b.inProbeBw())
	require.LessOrEqual(t, float64(b.inflight), b.inflightAt(1)+4*testPacketSize)
}

func TestBBRLeavesDrainAfterThreeRoundsInAnyCase(t *testing.T) {
	p, b := newBBRPath(t)
	p.until(b, bbrDrain, 2*time.Second)
	start := b.drainStartRound
	p.rate /= 4 // the estimate is far too high now
	p.whileIn(b, bbrDrain, 5*time.Second)
	require.True(t, b.inProbeBw())
	require.LessOrEqual(t, b.roundCount-start, uint64(bbrDrainRounds+1))
}

func TestBBRLeavesStartupOnHighLoss(t *testing.T) {
	p, b := newBBRPath(t)
	p.app, p.loss = 2e6, 0.1 // samples that the application limits show no plateau
	p.until(b, bbrDrain, 10*time.Second)
	require.True(t, b.fullBwReached)
	require.False(t, math.IsInf(b.inflightLongterm, 1))
}

func TestBBRStaysInStartupWhileTheApplicationLimitsIt(t *testing.T) {
	p, b := newBBRPath(t)
	p.app = 500_000
	p.run(8 * time.Second)
	require.Equal(t, bbrStartup, b.state)
}

func TestBBRCyclesThroughTheProbesForBandwidth(t *testing.T) {
	p, b := newBBRPath(t)
	p.buffer = 1_000_000
	p.until(b, bbrProbeCruise, 3*time.Second)
	require.Equal(t, 1.0, b.pacingGain)
	cruise := p.now
	p.until(b, bbrProbeRefill, 4*time.Second)
	require.Greater(t, p.now.Sub(cruise), time.Second, "it waits for two seconds, or as many rounds as Reno")
	require.True(t, math.IsInf(b.bwShortterm, 1), "the short-term model is forgotten")
	round := b.roundCount
	p.until(b, bbrProbeUp, time.Second)
	require.Equal(t, round+1, b.roundCount, "after one round")
	require.Equal(t, 1.25, b.pacingGain)
	require.Equal(t, 2.25, b.cwndGain)
	p.until(b, bbrProbeDown, 2*time.Second)
	require.True(t, math.IsInf(b.inflightLongterm, 1), "nothing was lost")
	p.until(b, bbrProbeCruise, time.Second)
	require.LessOrEqual(t, float64(b.inflight), b.inflightAt(1)+8*testPacketSize)
}

func TestBBRAdvancesItsFilterOnceACycle(t *testing.T) {
	p, b := newBBRPath(t)
	p.until(b, bbrProbeUp, 5*time.Second)
	p.rate /= 10
	p.run(25 * time.Second)
	require.InEpsilon(t, p.rate, b.maxBw(), 0.1, "two cycles later the old rate is forgotten")
}

func TestBBRFindsATenfoldRate(t *testing.T) {
	p, b := newBBRPath(t)
	p.rate = 1e6
	p.until(b, bbrProbeCruise, 5*time.Second)
	p.rate = 1e7
	p.run(12 * time.Second)
	require.Greater(t, b.maxBw(), 0.9*p.rate)
}

func TestBBRBoundsWhatIsInFlightByTheLossOfAProbe(t *testing.T) {
	p, b := newBBRPath(t)
	p.buffer = int(0.1 * p.bdp())
	p.until(b, bbrProbeUp, 6*time.Second)
	p.until(b, bbrProbeDown, 2*time.Second)
	require.True(t, b.prevProbeTooHigh)
	require.False(t, b.isBwProbeSample, "it reacts once a probe")
	require.False(t, math.IsInf(b.inflightLongterm, 1))
	require.GreaterOrEqual(t, b.inflightLongterm, bbrBeta*b.targetInflight())
	p.until(b, bbrProbeCruise, 2*time.Second)
	p.run(100 * time.Millisecond)
	require.LessOrEqual(t, b.cwnd, 0.86*b.inflightLongterm+testPacketSize, "headroom for others")
}

func TestBBRTakesThePrefixOfAPacketAtWhichLossCrossedTheThreshold(t *testing.T) {
	// 99 kB in flight before the packet, 1 kB of it lost: at 0.98 kB more of loss it is 2 %.
	got := inflightAtLoss(PacketLoss{Bytes: 10_000, TxInFlight: 109_000, Lost: 11_000})
	require.InDelta(t, 99_000+(0.02*99_000-1000)/0.98, got, 1)
	require.InDelta(t, 0.02, (1000+got-99_000)/got, 0.0001)
}

func TestBBRLowersTheShortTermModelOnceARound(t *testing.T) {
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
}

func TestBBRProbesTheRoundTripWhenItsEstimateIsOld(t *testing.T) {
	p, b := newBBRPath(t)
	p.until(b, bbrProbeCruise, 3*time.Second)
	bdp := b.bdp()
	for b.state != bbrProbeRTT { // a standing queue, so that the minimum is not seen again
		p.stand(10 * time.Millisecond)
		p.run(5 * time.Millisecond)
		require.Less(t, p.now.Sub(b.minRTTStamp), 12*time.Second)
	}
	require.InEpsilon(t, 0.5*bdp, b.probeRTTCwnd, 0.05, "from the estimate before it expired")
	target := b.probeRTTCwnd
	require.Equal(t, 0.5, b.cwndGain)
	start := p.now
	p.until(b, bbrProbeCruise, 2*time.Second)
	require.Equal(t, target, b.probeRTTCwnd)
	require.GreaterOrEqual(t, p.now.Sub(start), bbrProbeRTTDuration)
	require.InEpsilon(t, float64(p.base), float64(b.minRTT), 0.05)
	require.Greater(t, p.run(time.Second), 0.8*p.rate, "the low rate was not taken for the path's")
}

func TestBBRDoesNotProbeTheRoundTripAfterIdleness(t *testing.T) {
	p, b := newBBRPath(t)
	p.until(b, bbrProbeCruise, 3*time.Second)
	p.app = 1
	p.run(time.Second)
	p.now = p.now.Add(12 * time.Second)
	p.app, p.earned = 0, 0
	for range 200 {
		p.run(time.Millisecond)
		require.NotEqual(t, bbrProbeRTT, b.state)
	}
}

func TestBBRUndoesASpuriousEpisode(t *testing.T) {
	p, b := newBBRPath(t)
	p.until(b, bbrProbeUp, 6*time.Second)
	longterm, cwnd := b.inflightLongterm, b.cwnd
	for range 20 {
		b.LostPacket(PacketLoss{Bytes: 1200, TxInFlight: 200_000, Lost: 24_000})
	}
	b.Lost(LossSample{Now: p.now, Bytes: 24_000, Packets: 20, Episode: true, InFlight: 180_000})
	require.Equal(t, bbrProbeDown, b.state)
	require.Less(t, b.inflightLongterm, 1e9)
	b.Undo(p.now)
	require.Equal(t, bbrProbeRefill, b.state, "the probe begins again")
	require.Equal(t, longterm, b.inflightLongterm)
	require.Equal(t, cwnd, b.cwnd)

	p, b = newBBRPath(t)
	p.run(60 * time.Millisecond)
	b.saveStateUponLoss()
	b.undoState, b.undoStateSet, b.fullBwReached = bbrStartup, true, true
	b.enterDrain()
	b.Undo(p.now)
	require.Equal(t, bbrStartup, b.state)
	require.False(t, b.fullBwReached)
}

func TestBBRFallsToOnePacketWhenThePathDies(t *testing.T) {
	p, b := newBBRPath(t)
	p.run(3 * time.Second)
	before := b.cwnd
	b.Lost(LossSample{Now: p.now, Bytes: 1200, Packets: 1, Episode: true, Persistent: true})
	require.Equal(t, testPacketSize, b.Window())
	p.run(time.Second)
	require.Greater(t, b.cwnd, 0.7*before, "and comes back")
}

func TestBBRKeepsFourPacketsInFlightOnTheThinnestPath(t *testing.T) {
	p, b := newBBRPath(t)
	p.rate, p.base = 50_000, 5*time.Millisecond
	p.run(20 * time.Second)
	require.GreaterOrEqual(t, b.cwnd, 4.0*testPacketSize)
	require.Greater(t, p.run(10*time.Second), 0.9*p.rate)
	b.SetMaxDatagram(9000)
	require.GreaterOrEqual(t, b.Window(), 4*9000)
	b.SetMaxDatagram(-1)
	require.Equal(t, 9000, b.mss)
}

func TestBBRAddsRoomForAggregatedAcknowledgements(t *testing.T) {
	b := NewBBR(Config{})
	b.bw, b.cwnd, b.fullBwReached = 1e6, 1e6, true
	now := b.now.Add(time.Second)
	b.extraAckedStart = now
	b.updateAckAggregation(AckSample{Now: now, Bytes: 20_000})
	b.updateAckAggregation(AckSample{Now: now.Add(10 * time.Millisecond), Bytes: 50_000})
	require.InDelta(t, 60_000, b.extraAcked.get(), 100, "70 kB in 10 ms, of which 10 kB were expected")
}

func TestBBRWorksWithoutReportsOfSinglePackets(t *testing.T) {
	p, b := newBBRPath(t)
	p.cc = struct{ Controller }{b} // hides LostPacket
	p.buffer = int(0.1 * p.bdp())
	p.run(6 * time.Second)
	require.False(t, math.IsInf(b.inflightLongterm, 1))
	require.Greater(t, p.run(5*time.Second), 0.85*p.rate)
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

func TestLostPacketsTellTheStateOfThePathWhenTheyLeft(t *testing.T) {
	var s RateSampler
	a := s.OnSent(1e9, 1000, 1000)
	b := s.OnSent(1e9, 1000, 2000)
	s.SetAppLimited(2000)
	c := s.OnSent(1e9, 1000, 3000)
	require.Equal(t, PacketLoss{Bytes: 1000, TxInFlight: 1000, Lost: 1000}, s.OnLostPacket(1000, &a))
	require.Equal(t, PacketLoss{Bytes: 1000, TxInFlight: 2000, Lost: 2000}, s.OnLostPacket(1000, &b))
	require.Equal(t, PacketLoss{Bytes: 1000, TxInFlight: 3000, Lost: 3000, AppLimited: true}, s.OnLostPacket(1000, &c))
}

func TestBBRDoesNotAskForMarksThatItWouldNotAnswer(t *testing.T) {
	require.Equal(t, MarkNone, NewBBR(Config{}).Marking())
}
