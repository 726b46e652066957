package congestion

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// The tests of this file play whole flows over a path. Sections and cases are those of
// draft-ietf-ccwg-bbr-06, whose appendix A lists what an implementation should be seen to do. Case A.19, a
// spurious timeout, has no counterpart here: persistent congestion is never taken back.

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

// Sections 5.3.1.1 and 5.6.4.1.
func TestBBRBeginsInStartup(t *testing.T) {
	var cc Controller = NewBBR(Config{})
	require.Equal(t, "bbr", cc.Name())
	require.Equal(t, 12000, cc.Window())
	b := NewBBR(Config{})
	require.Equal(t, bbrStartup, b.state)
	require.Equal(t, 2.77, b.pacingGain)
	require.Equal(t, 2.0, b.cwndGain)
}

// Case A.1, section 5.3.1.2.
func TestBBRLeavesStartupOnThePlateauOfTheRate(t *testing.T) {
	p, b := newBBRPath(t)
	p.buffer = 1_000_000
	p.until(b, bbrDrain, 2*time.Second)
	require.True(t, b.fullBwNow)
	require.True(t, b.fullBwReached)
	require.Equal(t, 3, b.fullBwCount)
	require.InEpsilon(t, p.rate, b.maxBw(), 0.02)
}

// Case A.2, section 5.3.1.3.
func TestBBRLeavesStartupOnHighLoss(t *testing.T) {
	p, b := newBBRPath(t)
	p.app, p.loss = 2e6, 0.1 // samples that the application limits show no plateau
	p.until(b, bbrDrain, 10*time.Second)
	require.True(t, b.fullBwNow)
	require.True(t, b.fullBwReached)
	require.False(t, math.IsInf(b.inflightLongterm, 1))
}

// Case A.3, section 5.3.2.
func TestBBRLeavesDrainWhenTheQueueIsGone(t *testing.T) {
	p, b := newBBRPath(t)
	p.until(b, bbrDrain, 2*time.Second)
	require.Equal(t, 0.5, b.pacingGain)
	require.Equal(t, 2.0, b.cwndGain)
	p.whileIn(b, bbrDrain, time.Second)
	require.True(t, b.inProbeBw())
	require.LessOrEqual(t, float64(b.inflight), b.inflightAt(1)+4*testPacketSize)
}

// Case A.4, section 5.3.2.
func TestBBRLeavesDrainAfterThreeRoundsInAnyCase(t *testing.T) {
	p, b := newBBRPath(t)
	p.buffer = 2_000_000
	p.until(b, bbrDrain, 2*time.Second)
	start := b.drainStartRound
	p.rate /= 4 // the estimate is far too high now
	for b.state == bbrDrain {
		p.run(time.Millisecond)
		require.LessOrEqual(t, b.roundCount, start+bbrDrainRounds+1)
	}
	require.True(t, b.inProbeBw())
	require.Equal(t, start+bbrDrainRounds+1, b.roundCount)
	require.Greater(t, float64(b.inflight), b.inflightAt(1), "for its time, not for the queue")
}

// Case A.7.
func TestBBRStaysInStartupWhileTheApplicationLimitsIt(t *testing.T) {
	p, b := newBBRPath(t)
	p.app = 500_000
	for range 8000 {
		p.run(time.Millisecond)
		require.Contains(t, []bbrState{bbrStartup, bbrProbeRTT}, b.state)
	}
	require.False(t, b.fullBwReached)
}

// Cases A.5 and A.8, sections 5.3.3.1 to 5.3.3.4.
func TestBBRCyclesThroughTheProbesForBandwidth(t *testing.T) {
	p, b := newBBRPath(t)
	p.buffer = 1_000_000
	p.until(b, bbrProbeCruise, 3*time.Second)
	require.Equal(t, 1.0, b.pacingGain)
	cruise := p.now
	p.until(b, bbrProbeRefill, 4*time.Second)
	require.Greater(t, p.now.Sub(cruise), time.Second, "it waits for two seconds, or as many rounds as Reno")
	require.Equal(t, 1.0, b.pacingGain)
	round := b.roundCount
	p.until(b, bbrProbeUp, time.Second)
	require.Equal(t, round+1, b.roundCount, "after one round")
	require.Equal(t, 1.25, b.pacingGain)
	require.Equal(t, 2.25, b.cwndGain)
	round = b.roundCount
	p.until(b, bbrProbeDown, 2*time.Second)
	require.True(t, b.fullBwNow, "a plateau of three rounds")
	require.Equal(t, 0.9, b.pacingGain)
	require.Equal(t, 2.0, b.cwndGain)
	require.GreaterOrEqual(t, b.roundCount, round+bbrFullBwCount)
	require.True(t, math.IsInf(b.inflightLongterm, 1), "nothing was lost")
	p.until(b, bbrProbeCruise, time.Second)
	require.LessOrEqual(t, float64(b.inflight), b.inflightAt(1)+8*testPacketSize)
}

// Cases A.6 and A.7: what the application limits ends a probe by its loss alone, and says nothing about
// what may be in flight.
func TestBBREndsAProbeThatTheApplicationLimitsByLossOnly(t *testing.T) {
	p, b := newBBRPath(t)
	p.until(b, bbrProbeUp, 6*time.Second)
	p.app = 1e6
	for range 3000 {
		b.probeRTTMinStamp = p.now
		p.run(time.Millisecond)
		require.Equal(t, bbrProbeUp, b.state, "it stays while nothing is lost")
	}
	longterm := b.inflightLongterm
	p.loss = 0.3
	p.whileIn(b, bbrProbeUp, time.Second)
	require.True(t, b.prevProbeTooHigh)
	require.Equal(t, longterm, b.inflightLongterm)
}

// Case A.9, section 5.3.3.8: a queue that does not drain does not put off the next probe for ever.
func TestBBRProbesAgainThoughTheQueueStays(t *testing.T) {
	p, b := newBBRPath(t)
	p.until(b, bbrProbeUp, 6*time.Second)
	p.until(b, bbrProbeDown, time.Second)
	for end := b.cycleStamp.Add(b.bwProbeWait); b.state != bbrProbeRefill; {
		require.Equal(t, bbrProbeDown, b.state, "no cruise")
		require.Less(t, p.now, end.Add(p.base))
		b.inflightLongterm = float64(b.inflight) // so that there is never headroom
		b.probeRTTMinStamp = p.now
		p.run(time.Millisecond)
	}
}

// Case A.10, sections 5.3.4.3 and 5.3.4.4.
func TestBBRProbesTheRoundTripEveryFiveSeconds(t *testing.T) {
	p, b := newBBRPath(t)
	p.until(b, bbrProbeCruise, 3*time.Second)
	var fresh monotime.Time
	for b.state != bbrProbeRTT { // a standing queue, so that the minimum is not seen again
		fresh = b.probeRTTMinStamp
		p.stand(10 * time.Millisecond)
		p.run(5 * time.Millisecond)
	}
	require.InDelta(t, 5, p.now.Sub(fresh).Seconds(), 0.02, "since the least round trip was seen")
	require.Equal(t, 1.0, b.pacingGain)
	require.Equal(t, 0.5, b.cwndGain)
	require.InEpsilon(t, float64(p.base), float64(b.minRTT), 0.05, "the model still knows the path without its queue")
	require.InEpsilon(t, 0.5*b.bdp(), b.probeRTTCwnd(), 0.01)
	prior := b.priorCwnd
	start := p.now
	for b.probeRTTDone == 0 {
		p.run(time.Millisecond)
	}
	require.LessOrEqual(t, float64(b.inflight), b.probeRTTCwnd()+testPacketSize)
	held, round := p.now, b.roundCount
	b.bwShortterm, b.inflightShortterm = 1e9, 1e9
	p.until(b, bbrProbeCruise, 2*time.Second)
	require.GreaterOrEqual(t, p.now.Sub(held), bbrProbeRTTDuration-time.Millisecond)
	require.Greater(t, b.roundCount, round, "and a round")
	require.Less(t, p.now.Sub(start), 400*time.Millisecond)
	require.True(t, math.IsInf(b.bwShortterm, 1), "the short-term model is reset")
	require.InEpsilon(t, prior, b.priorCwnd, 0.01)
	require.Less(t, p.now.Sub(b.probeRTTMinStamp), 10*time.Millisecond, "the next one is five seconds away")
	require.Greater(t, p.run(time.Second), 0.8*p.rate, "the low rate was not taken for the path's")
}

// Case A.11, section 5.4.1.
func TestBBRDoesNotProbeTheRoundTripAfterIdleness(t *testing.T) {
	p, b := newBBRPath(t)
	p.until(b, bbrProbeCruise, 3*time.Second)
	p.app = 1
	p.run(time.Second)
	p.now = p.now.Add(12 * time.Second)
	p.app, p.earned = 0, 0
	restarted := false
	for range 200 {
		p.run(time.Millisecond)
		restarted = restarted || b.idleRestart
		require.NotEqual(t, bbrProbeRTT, b.state)
	}
	require.True(t, restarted)
	require.False(t, b.idleRestart, "over when something is delivered")
	require.Greater(t, p.run(time.Second), 0.8*p.rate, "idleness took nothing from the model")
}

// Case A.20.
func TestBBRGoesBackToStartupFromAProbeOfTheRoundTrip(t *testing.T) {
	p, b := newBBRPath(t)
	p.app = 200_000
	for b.state != bbrProbeRTT {
		require.Equal(t, bbrStartup, b.state)
		p.stand(10 * time.Millisecond)
		p.run(5 * time.Millisecond)
	}
	p.whileIn(b, bbrProbeRTT, time.Second)
	require.Equal(t, bbrStartup, b.state)
	require.Equal(t, 2.77, b.pacingGain)
	p.app = 0
	p.until(b, bbrDrain, 2*time.Second)
	require.InEpsilon(t, p.rate, b.maxBw(), 0.05)
}

// Cases A.12 and A.13, section 5.5.9.
func TestBBRKeepsItsRateOverAggregatedAcknowledgements(t *testing.T) {
	p, b := newBBRPath(t)
	p.batch = 30 * time.Millisecond
	p.buffer = 1_000_000
	p.until(b, bbrDrain, 3*time.Second)
	require.InEpsilon(t, p.rate, b.maxBw(), 0.2, "the send rate caps what a batch seems to deliver")
	p.until(b, bbrProbeCruise, 3*time.Second)
	require.Greater(t, b.extraAcked.get(), 0.5*p.rate*p.batch.Seconds())
	require.Greater(t, b.quantized(2*b.bdp()+b.extraAcked.get()), 2.2*b.bdp())
	require.Greater(t, p.run(5*time.Second), 0.9*p.rate)
}

// Case A.14, section 5.6.4.3.
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

// Case A.15.
func TestBBRFindsATenfoldRate(t *testing.T) {
	p, b := newBBRPath(t)
	p.rate = 1e6
	p.until(b, bbrProbeCruise, 5*time.Second)
	p.rate = 1e7
	p.run(12 * time.Second)
	require.Greater(t, b.maxBw(), 0.9*p.rate)
}

// Case A.16, section 5.5.6.
func TestBBRForgetsARateAfterTwoCycles(t *testing.T) {
	p, b := newBBRPath(t)
	p.until(b, bbrProbeUp, 5*time.Second)
	p.whileIn(b, bbrProbeUp, time.Second)
	p.rate /= 10
	p.run(1500 * time.Millisecond)
	require.Less(t, b.bwShortterm, 0.5*b.maxBw(), "the short-term model follows by a beta a round")
	p.run(25 * time.Second)
	require.InEpsilon(t, p.rate, b.maxBw(), 0.1)
}

// Case A.17.
func TestBBRSettlesBelowAPolicer(t *testing.T) {
	p, b := newBBRPath(t)
	p.police = true
	p.until(b, bbrProbeCruise, 5*time.Second)
	p.run(10 * time.Second)
	sent := p.delivered/testPacketSize + p.dropped
	dropped := p.dropped
	require.Greater(t, p.run(20*time.Second), 0.7*p.rate)
	sent = p.delivered/testPacketSize + p.dropped - sent
	require.Less(t, float64(p.dropped-dropped)/float64(sent), 0.05, "a loss in twenty, most of it in probes")
}

// Case A.18, section 5.5.11.2.
func TestBBRGoesBackToTheProbeThatASpuriousEpisodeEnded(t *testing.T) {
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
	b.startCruise()
	b.Undo(p.now)
	require.Equal(t, bbrProbeCruise, b.state, "once")
}

// Case A.21, section 5.5.10.2.
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

// Case A.22, section 5.5.4.
func TestBBRLearnsNothingFromARefillThatTheApplicationLimits(t *testing.T) {
	p, b := newBBRPath(t)
	p.until(b, bbrProbeRefill, 6*time.Second)
	before := b.maxBw()
	p.app = 500_000
	p.until(b, bbrProbeUp, time.Second)
	p.run(2 * time.Second)
	require.Equal(t, before, b.maxBw())
	p.app = 0
	require.Greater(t, p.run(5*time.Second), 0.85*p.rate)
}

// Section 5.6.4.4.
func TestBBRFallsToOnePacketWhenThePathDies(t *testing.T) {
	p, b := newBBRPath(t)
	p.run(3 * time.Second)
	before := b.cwnd
	b.Lost(LossSample{Now: p.now, Bytes: 1200, Packets: 1, Episode: true, Persistent: true})
	require.Equal(t, testPacketSize, b.Window())
	p.run(time.Second)
	require.Greater(t, b.cwnd, 0.7*before, "and comes back")
}
