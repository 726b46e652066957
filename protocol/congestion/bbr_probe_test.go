package congestion

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// The tests of this file look at one rule of the state machine each. Sections are those of draft-ietf-ccwg-bbr-06.

// bbrWire drives a BBR packet by packet: nothing leaves, arrives or is lost unless the test says so.
type bbrWire struct {
	b        *BBR
	s        RateSampler
	frame    AckedFrame
	now      monotime.Time
	flying   []testPacket
	inFlight int
	recovery monotime.Time
}

func newBBRWire() *bbrWire {
	return &bbrWire{b: NewBBR(Config{MaxDatagram: testPacketSize}), now: testStart}
}

func (w *bbrWire) pass(d time.Duration) { w.now = w.now.Add(d) }

func (w *bbrWire) send(n int) {
	for range n {
		w.inFlight += testPacketSize
		w.flying = append(w.flying, testPacket{sent: w.now, state: w.s.OnSent(w.now, testPacketSize, w.inFlight)})
		w.b.Sent(SendSample{Now: w.now, Bytes: testPacketSize, InFlight: w.inFlight, AppLimited: w.s.AppLimited()})
	}
}

// ack lets the n oldest packets arrive in one frame.
func (w *bbrWire) ack(n int) {
	s := AckSample{Now: w.now, PriorInFlight: w.inFlight}
	for _, q := range w.flying[:n] {
		w.s.OnAcked(&w.frame, w.now, q.sent, testPacketSize, &q.state)
		s.Bytes += testPacketSize
		s.Packets++
		if q.sent <= w.recovery {
			s.RecoveryBytes += testPacketSize
		}
		s.RTT = w.now.Sub(q.sent)
	}
	w.flying = w.flying[n:]
	w.inFlight -= s.Bytes
	s.SmoothedRTT, s.MinRTT, s.InFlight = s.RTT, s.RTT, w.inFlight
	s.Rate, s.RoundStart = w.s.Sample(&w.frame, 0)
	w.b.Acked(s)
}

// lose reports the n oldest packets as lost.
func (w *bbrWire) lose(n int) {
	s := LossSample{Now: w.now, Packets: n, Bytes: n * testPacketSize, PriorInFlight: w.inFlight}
	for _, q := range w.flying[:n] {
		s.Episode = s.Episode || q.sent > w.recovery
		w.b.LostPacket(w.s.OnLostPacket(testPacketSize, &q.state))
	}
	if s.Episode {
		w.recovery = w.now
	}
	w.flying = w.flying[n:]
	w.inFlight -= s.Bytes
	s.InFlight = w.inFlight
	w.b.Lost(s)
}

// Section 5.3.1.3: Startup ends when a round in recovery lost more than 2 % in at least six reports.
func TestBBRNeedsSixReportsAndTwoPercentOfLossToLeaveStartup(t *testing.T) {
	for _, c := range []struct {
		name         string
		flight       int // packets
		reports, per int
		leaves       bool
	}{
		{"both", 200, 6, 1, true},
		{"five reports", 200, 5, 2, false},
		{"one report of many", 200, 1, 20, false},
		{"a loss of 1.7 %", 600, 6, 1, false},
	} {
		w := newBBRWire()
		w.send(10)
		w.pass(50 * time.Millisecond)
		w.ack(10)
		w.send(c.flight / 2)
		w.ack(1)
		w.lose(c.per)
		w.send(c.flight / 2) // of which the first ends the round of loss
		for range c.reports - 1 {
			w.lose(c.per)
		}
		w.pass(50 * time.Millisecond)
		w.ack(c.flight/2 - 1 - c.reports*c.per)
		require.Equal(t, bbrStartup, w.b.state, "%s: not before the round is over", c.name)
		w.ack(1)
		require.Equal(t, c.leaves, w.b.fullBwReached, c.name)
		if c.leaves {
			require.Equal(t, bbrDrain, w.b.state)
		}
	}
}

// Section 5.3.1.3: what may be in flight after that is what was delivered, or the product.
func TestBBRTakesWhatARoundDeliveredForSafeWhenLossEndsStartup(t *testing.T) {
	for delivered, want := range map[float64]float64{60_000: 100_000, 140_000: 140_000} {
		b := NewBBR(Config{})
		b.minRTT, b.bw, b.inflightLatest = 100*ms, 1e6, delivered
		b.lossRoundEnded, b.lossEvents = true, bbrStartupLossEvents
		b.rs = RateSample{TxInFlight: 100_000, Lost: 2001}
		b.checkStartupDone()
		require.Equal(t, bbrDrain, b.state)
		require.InDelta(t, want, b.inflightLongterm, 0.001)
	}
}

// Section 5.3.1.2: the plateau is looked for once a round, in samples that the application did not limit.
func TestBBRCountsTheRoundsOfAPlateau(t *testing.T) {
	b := NewBBR(Config{})
	sample := func(rate uint64, round, limited bool) {
		b.roundStart, b.rs = round, RateSample{BytesPerSecond: rate, AppLimited: limited}
		b.checkFullBw()
	}
	sample(1000, true, false)
	require.Equal(t, 1000.0, b.fullBw)
	sample(1249, true, false)
	require.Equal(t, 1, b.fullBwCount)
	sample(1249, false, false)
	sample(1249, true, true)
	require.Equal(t, 1, b.fullBwCount)
	sample(1250, true, false)
	require.Zero(t, b.fullBwCount, "a quarter more is growth")
	require.Equal(t, 1250.0, b.fullBw)
	for range 3 {
		require.False(t, b.fullBwReached)
		sample(1250, true, false)
	}
	require.True(t, b.fullBwNow)
	require.True(t, b.fullBwReached)
}

// Section 5.3.3.9, AdaptLongTermModel: a cycle ends a round after its probe.
func TestBBRAdvancesItsFilterOnceACycle(t *testing.T) {
	for _, limited := range []bool{false, true} {
		b := NewBBR(Config{})
		b.maxBwFilter = [2]float64{5, 7}
		b.startDown()
		b.rs.AppLimited = limited
		b.adaptLongTermModel(AckSample{})
		require.Equal(t, [2]float64{5, 7}, b.maxBwFilter, "not yet")
		b.roundStart, b.isBwProbeSample = true, true
		b.adaptLongTermModel(AckSample{})
		require.Equal(t, limited, b.maxBwFilter == [2]float64{5, 7}, "not for a round that the application limited")
		require.False(t, b.isBwProbeSample)
		filter := b.maxBwFilter
		b.adaptLongTermModel(AckSample{})
		require.Equal(t, filter, b.maxBwFilter, "once")
	}
}

// Section 5.3.4.3, HandleProbeRTT: the window is the path's minimum multiple, and samples are marked until
// what left during the probe has arrived.
func TestBBRTakesTheRatesOfItsOwnProbeOfTheRoundTripForLimited(t *testing.T) {
	w := newBBRWire()
	w.send(10)
	w.pass(40 * ms)
	w.ack(5)
	w.b.fullBwReached = true
	w.b.state, w.b.probeRTTExpired = bbrProbeRTT, true
	w.send(2) // left before the mark
	w.ack(5)
	w.send(2) // left after it
	w.pass(40 * ms)
	w.b.state = bbrProbeCruise
	w.ack(2)
	require.False(t, w.b.rs.AppLimited)
	w.ack(2)
	require.True(t, w.b.rs.AppLimited)
	w.send(1)
	w.ack(1)
	require.False(t, w.b.rs.AppLimited, "the bubble is gone")
}

// Sections 5.4.1 and 5.6.2.
func TestBBRRestartsFromIdleAtItsBandwidth(t *testing.T) {
	w := newBBRWire()
	w.send(10)
	w.pass(40 * ms)
	w.ack(10)
	w.b.fullBwReached, w.b.bw, w.b.pacingRate = true, 1e6, 5e5
	w.b.state = bbrProbeUp
	w.send(1)
	require.Equal(t, 5e5, w.b.pacingRate, "the application was not what emptied the path")
	require.False(t, w.b.idleRestart)
	w.pass(40 * ms)
	w.ack(1)
	w.b.fullBwReached, w.b.bw, w.b.pacingRate = true, 1e6, 5e5
	w.b.state = bbrProbeUp
	w.s.SetAppLimited(0)
	w.pass(time.Second)
	window := w.b.Window()
	w.send(1)
	require.Equal(t, 0.99e6, w.b.pacingRate, "without a gain")
	require.Equal(t, window, w.b.Window())
	require.True(t, w.b.idleRestart)
	require.Equal(t, w.now, w.b.extraAckedStart)
}

// Section 5.4.1: a probe of the round trip that idleness has ended is over before the next packet leaves.
func TestBBREndsAProbeOfTheRoundTripWhenItRestarts(t *testing.T) {
	w := newBBRWire()
	w.send(10)
	w.pass(40 * ms)
	w.ack(10)
	w.b.fullBwReached, w.b.state, w.b.priorCwnd, w.b.cwnd = true, bbrProbeRTT, 90_000, 5000
	w.b.probeRTTDone = w.now.Add(200 * ms)
	w.s.SetAppLimited(0)
	w.pass(time.Second)
	w.send(1)
	require.Equal(t, bbrProbeCruise, w.b.state)
	require.Equal(t, 90_000, w.b.Window())
}

// Section 5.3.3.8, PickProbeWait: at random, but the same in every run.
func TestBBRWaitsBetweenTwoAndThreeSecondsForItsNextProbe(t *testing.T) {
	var shortest, longest time.Duration = time.Hour, 0
	rounds := map[uint64]int{}
	for i := range 1000 {
		b := NewBBR(Config{})
		b.now = testStart.Add(time.Duration(i) * time.Microsecond)
		b.pickProbeWait()
		shortest, longest = min(shortest, b.bwProbeWait), max(longest, b.bwProbeWait)
		rounds[b.roundsSinceProbeUp]++
		again := NewBBR(Config{})
		again.now = b.now
		again.pickProbeWait()
		require.Equal(t, b.bwProbeWait, again.bwProbeWait)
	}
	require.InDelta(t, 2, shortest.Seconds(), 0.02)
	require.InDelta(t, 3, longest.Seconds(), 0.02)
	require.GreaterOrEqual(t, shortest, 2*time.Second)
	require.Less(t, longest, 3*time.Second)
	require.Len(t, rounds, 2)
	require.InDelta(t, 500, rounds[0], 80, "0 or 1 round")
}

// Section 5.3.3.8, IsRenoCoexistenceProbeTime: as many rounds as packets in flight, at most 63.
func TestBBRProbesAsOftenAsRenoWould(t *testing.T) {
	for packets, rounds := range map[float64]uint64{20: 20, 63: 63, 1000: 63} {
		b := NewBBR(Config{MaxDatagram: testPacketSize})
		b.minRTT, b.bw, b.cwnd = time.Second, packets*testPacketSize, 1e9
		b.roundsSinceProbeUp = rounds - 1
		require.False(t, b.renoWouldProbe())
		b.roundsSinceProbeUp = rounds
		require.True(t, b.renoWouldProbe())
		b.cwnd, b.roundsSinceProbeUp = 10*testPacketSize, 10
		require.True(t, b.renoWouldProbe(), "a cut window counts")
	}
}

// Section 5.3.3.5: inflight_longterm grows by 1, 2, 4 ... packets a round, evenly, when it is what limits.
func TestBBRRaisesTheLongTermBoundFasterEveryRound(t *testing.T) {
	b := NewBBR(Config{MaxDatagram: testPacketSize})
	b.cwnd, b.inflightLongterm = 100*testPacketSize, 100*testPacketSize
	b.startUp()
	b.probeUpward(1e6)
	require.Equal(t, 100.0*testPacketSize, b.inflightLongterm, "the window did not limit")
	b.cwndLimited = true
	for _, growth := range []float64{1, 2, 4, 8} {
		before := b.inflightLongterm
		for i := range 10 {
			b.roundStart = i == 9
			b.cwnd = b.inflightLongterm // it follows
			b.probeUpward(int(b.cwnd / 10))
		}
		require.InDelta(t, growth, (b.inflightLongterm-before)/testPacketSize, 0.001)
	}
	b.cwnd = b.inflightLongterm - 1
	before := b.inflightLongterm
	b.probeUpward(1e6)
	require.Equal(t, before, b.inflightLongterm)
}

// Section 5.5.10.2: what was in flight without harm is harmless.
func TestBBRRaisesTheLongTermBoundToWhatWasInFlightWithoutLoss(t *testing.T) {
	b := NewBBR(Config{})
	b.inflightLongterm = 50_000
	b.rs = RateSample{TxInFlight: 60_000, Lost: 1201}
	b.adaptLongTermModel(AckSample{})
	require.Equal(t, 50_000.0, b.inflightLongterm, "2 % is the limit")
	b.rs.Lost = 1200
	b.adaptLongTermModel(AckSample{})
	require.Equal(t, 60_000.0, b.inflightLongterm)
	b.inflightLongterm = math.Inf(1)
	b.adaptLongTermModel(AckSample{})
	require.True(t, math.IsInf(b.inflightLongterm, 1))
}

// Section 5.3.3.7: at the bound, a plateau of the rate is the bound's doing.
func TestBBRLooksForAPlateauOnlyWhereItsOwnBoundIsNotTheLimit(t *testing.T) {
	b := NewBBR(Config{})
	b.startUp()
	b.cwnd, b.inflightLongterm, b.fullBwCount, b.fullBwNow = 50_000, 50_000, 3, true
	b.cwndLimited = true
	b.rs.BytesPerSecond = 777
	require.False(t, b.timeToGoDown())
	require.Zero(t, b.fullBwCount)
	require.Equal(t, 777.0, b.fullBw)
	b.fullBwNow, b.cwndLimited = true, false
	require.True(t, b.timeToGoDown())
}

// Section 5.3.3.6, precautionary bandwidth probing.
func TestBBRProbesWithPrecautionAfterAProbeThatWentTooHigh(t *testing.T) {
	b := NewBBR(Config{})
	b.fullBwReached = true
	b.startUp()
	b.prevProbeTooHigh, b.inflightLongterm, b.inflight = true, 50_000, 49_999
	b.updateProbeBw(AckSample{})
	require.Equal(t, bbrProbeUp, b.state)
	b.inflight = 50_000
	b.updateProbeBw(AckSample{})
	require.Equal(t, bbrProbeDown, b.state, "not a round at the risky level")
	require.True(t, b.prevProbePrecautioned)
	require.False(t, b.prevProbeTooHigh, "nothing is known of this probe yet")

	harmful := *b
	b.roundStart = true
	b.updateProbeBw(AckSample{})
	require.Equal(t, bbrProbeRefill, b.state, "a round without harm: again at once, without precaution")
	require.False(t, b.prevProbePrecautioned)

	harmful.prevProbeTooHigh, harmful.roundStart, harmful.inflight = true, true, 1e9
	harmful.cycleStamp, harmful.now = testStart, testStart
	harmful.cwnd, harmful.minRTT, harmful.bw = 1e9, time.Second, 1e9
	harmful.updateProbeBw(AckSample{})
	require.Equal(t, bbrProbeDown, harmful.state)
}

// Section 5.5.10.2, HandleInflightTooHigh.
func TestBBRLowersTheLongTermBoundOnceAProbeAndAtMostByBeta(t *testing.T) {
	probe := func() *BBR {
		b := NewBBR(Config{MaxDatagram: testPacketSize})
		b.minRTT, b.bw, b.cwnd = 100*ms, 1e6, 100_000 // targetInflight is 100 kB
		b.startUp()
		b.isBwProbeSample = true
		return b
	}
	b := probe()
	b.LostPacket(PacketLoss{Bytes: 1200, TxInFlight: 120_000, Lost: 2400})
	require.Equal(t, bbrProbeUp, b.state, "2 % of 120 kB is no excess")
	b.LostPacket(PacketLoss{Bytes: 1200, TxInFlight: 120_000, Lost: 3600})
	require.Equal(t, bbrProbeDown, b.state)
	require.InDelta(t, inflightAtLoss(PacketLoss{Bytes: 1200, TxInFlight: 120_000, Lost: 3600}), b.inflightLongterm, 1)
	before := b.inflightLongterm
	b.LostPacket(PacketLoss{Bytes: 1200, TxInFlight: 80_000, Lost: 48_000})
	require.Equal(t, before, b.inflightLongterm, "once")
	b = probe()
	b.LostPacket(PacketLoss{Bytes: 1200, TxInFlight: 20_000, Lost: 10_000})
	require.InDelta(t, 70_000, b.inflightLongterm, 0.001)
	b = probe()
	b.LostPacket(PacketLoss{Bytes: 1200, TxInFlight: 120_000, Lost: 12_000, AppLimited: true})
	require.Equal(t, bbrProbeDown, b.state)
	require.True(t, math.IsInf(b.inflightLongterm, 1), "the application limited it")
}

// Section 5.5.10.2, InflightAtLoss.
func TestBBRTakesThePrefixOfAPacketAtWhichLossCrossedTheThreshold(t *testing.T) {
	// 99 kB in flight before the packet, 1 kB of it lost: at 0.98 kB more of loss it is 2 %.
	got := inflightAtLoss(PacketLoss{Bytes: 10_000, TxInFlight: 109_000, Lost: 11_000})
	require.InDelta(t, 99_000+(0.02*99_000-1000)/0.98, got, 1)
	require.InDelta(t, 0.02, (1000+got-99_000)/got, 0.0001)
}
