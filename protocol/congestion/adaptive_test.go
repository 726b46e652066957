package congestion

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func newAdaptivePath(t *testing.T) (*testPath, *Adaptive) {
	a := NewAdaptive(Config{MaxDatagram: testPacketSize})
	return newTestPath(t, a), a
}

func TestAdaptiveBeginsWithABurstOfMedia(t *testing.T) {
	var cc Controller = NewAdaptive(Config{})
	require.Equal(t, "adaptive", cc.Name())
	require.Equal(t, 32*1200, cc.Window())
	require.Equal(t, 5000, NewAdaptive(Config{InitialWindow: 5000}).Window())
	require.Zero(t, cc.PacingRate(), "nothing is known of the path")
}

func TestAdaptiveFillsThePathWithAShortQueue(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(time.Second)
	require.Greater(t, p.run(5*time.Second), 0.97*p.rate)
	require.Less(t, p.maxQueue, 12*time.Millisecond)
	require.NotEqual(t, adaptiveCompete, a.mode)
	require.InDelta(t, float64(p.base), float64(a.path.base()), float64(2*time.Millisecond))
}

func TestAdaptiveLeavesStartupWithTheRateOfAWholeRound(t *testing.T) {
	p, a := newAdaptivePath(t)
	a.window = 1.2 * p.bdp() // it came in bursts, so the queue shows early
	a.path.rate, a.path.rounds = 0.5*p.rate, 5
	a.path.baseNow, a.path.baseSince = p.base, p.now
	a.path.near, a.path.nearSince = p.base+10*time.Millisecond, p.now
	a.path.roundAt, a.path.roundBytes = p.now, int(p.bdp())-1200
	s := AckSample{Now: p.now, RTT: p.base + 10*time.Millisecond, SmoothedRTT: p.base, MinRTT: p.base}
	a.Acked(s)
	require.Equal(t, adaptiveSettle, a.mode, "there is a queue")
	require.InDelta(t, 0.6*p.bdp(), a.window, 10, "this much came through without one")
	s.Now, s.Bytes, s.RoundStart = p.now.Add(p.base), 1200, true
	a.Acked(s)
	require.InDelta(t, p.bdp(), a.window, 10, "and now the rate is known")
	a.window = 0.6 * p.bdp()
	a.Acked(s)
	require.Less(t, a.window, 0.7*p.bdp(), "once")
}

func TestAdaptiveKeepsItsRateUnderRandomLoss(t *testing.T) {
	for _, loss := range []float64{0.001, 0.01, 0.05, 0.1, 0.2} {
		p, a := newAdaptivePath(t)
		p.loss = loss
		p.run(2 * time.Second)
		require.Greater(t, p.run(10*time.Second), 0.93*(1-loss)*p.rate, "at a loss of %v", loss)
		require.NotEqual(t, adaptiveCompete, a.mode)
	}
}

func TestAdaptiveLearnsTheFloorOfLossByItsOwnCut(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(3 * time.Second)
	require.Less(t, a.loss.floor, 0.01)
	p.loss = 0.1
	p.run(3 * time.Second)
	require.InDelta(t, 0.1, a.loss.floor, 0.06, "less was sent and as much was lost: it is not the rate")
	require.Greater(t, p.run(3*time.Second), 0.83*p.rate)
}

func TestAdaptiveFindsAPolicerThatHasNoQueue(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.police = true
	p.run(5 * time.Second)
	dropped := p.dropped
	goodput := p.run(10 * time.Second)
	require.Greater(t, goodput, 0.8*p.rate)
	sent := goodput*10/testPacketSize + float64(p.dropped-dropped)
	require.Less(t, float64(p.dropped-dropped), 0.1*sent, "it does not push against the policer")
	require.Less(t, a.loss.floor, 0.05, "the policer's loss is not taken for the path's")
}

func TestAdaptiveRunsAQueueShorterThanItsTarget(t *testing.T) {
	p, _ := newAdaptivePath(t)
	p.buffer = int(p.rate * 0.002) // 2 ms: no round trip shows it
	p.run(2 * time.Second)
	require.Greater(t, p.run(10*time.Second), 0.8*p.rate)
}

func TestAdaptiveKeepsItsWindowWhileTheApplicationIsIdle(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(3 * time.Second)
	before := a.Window()
	p.app = 50_000
	p.run(20 * time.Second)
	require.InDelta(t, before, a.Window(), 0.3*float64(before))
	p.app = 0
	require.Greater(t, p.run(200*time.Millisecond), 0.7*p.rate, "it is back at once")
}

func TestAdaptiveDoesNotGrowOnWhatTheApplicationLimits(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.app = 200_000
	p.run(20 * time.Second)
	require.Less(t, float64(a.Window()), p.bdp())
}

func TestAdaptiveFollowsTheRate(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(3 * time.Second)
	p.rate /= 5
	p.run(time.Second)
	require.Greater(t, p.run(5*time.Second), 0.9*p.rate, "down")
	require.Less(t, p.maxQueue, 40*time.Millisecond)
	p.rate *= 5
	p.run(2 * time.Second)
	require.Greater(t, p.run(5*time.Second), 0.9*p.rate, "and up again")
	require.NotEqual(t, adaptiveCompete, a.mode)
}

// stand makes a competitor of the path: a queue that no cut of this flow drains.
func (p *testPath) stand(d time.Duration) { p.busy = max(p.busy, p.now.Add(d)) }

func TestAdaptiveCompetesWhenCutsDoNotDrainTheQueue(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(3 * time.Second)
	before := a.Window()
	for i := range 300 {
		p.stand(20*time.Millisecond + time.Duration(i%40)*time.Millisecond/4) // a sawtooth
		p.run(5 * time.Millisecond)
	}
	require.True(t, a.mode == adaptiveCompete || a.testing)
	require.Greater(t, float64(a.Window()), 0.8*float64(before), "what the cuts had given away is back")
	p.run(15 * time.Second)
	require.NotEqual(t, adaptiveCompete, a.mode, "the other is gone, and a test shows it")
	p.run(time.Second)
	require.Less(t, p.maxQueue, 12*time.Millisecond)
}

// competing returns a controller in competition, at a queue of 30 ms of which 30 were the most.
func competing(t *testing.T) (*testPath, *Adaptive) {
	p, a := newAdaptivePath(t)
	p.run(2 * time.Second)
	a.enterCompete(p.now)
	a.path.near, a.path.nearOld = a.path.base()+30*time.Millisecond, 0
	a.path.peak = 30 * time.Millisecond
	return p, a
}

func TestCompetitionAnswersLossAtAFullQueueOnly(t *testing.T) {
	p, a := competing(t)
	p.now = p.now.Add(time.Second)
	before := a.Window()
	a.path.peak = 60 * time.Millisecond
	a.Lost(LossSample{Now: p.now, Bytes: 1200, Packets: 1, Episode: true})
	require.Equal(t, before, a.Window(), "the queue was half of what it can be: chance")
	a.path.peak = 32 * time.Millisecond
	a.Lost(LossSample{Now: p.now, Bytes: 1200, Packets: 1})
	require.InDelta(t, 0.7*float64(before), a.Window(), 2, "the queue was full")
	a.Lost(LossSample{Now: p.now.Add(time.Millisecond), Bytes: 1200, Packets: 1, Episode: true})
	require.InDelta(t, 0.7*float64(before), a.Window(), 2, "and once is enough")
	a.Undo(p.now.Add(2 * time.Millisecond))
	require.InDelta(t, before, a.Window(), 2)
}

func TestATestWaitsForOthersWhoseQueueStillDrains(t *testing.T) {
	p, a := competing(t)
	before := a.Window()
	p.now = p.now.Add(time.Second)
	a.test(p.now)
	ack := func(after, queue time.Duration) {
		p.now = p.now.Add(after)
		a.Acked(AckSample{Now: p.now, Bytes: 1200, Packets: 1, RTT: p.base + queue, SmoothedRTT: p.base + queue, MinRTT: p.base})
	}
	ack(80*time.Millisecond, 30*time.Millisecond)
	ack(p.base+time.Millisecond, 20*time.Millisecond)
	require.True(t, a.testing, "it became shorter in a round trip: somebody else has cut as well")
	ack(p.base+time.Millisecond, 10*time.Millisecond)
	require.True(t, a.testing)
	ack(p.base+time.Millisecond, 10*time.Millisecond)
	require.Equal(t, adaptiveCompete, a.mode, "what is left stands")
	require.GreaterOrEqual(t, a.Window(), before-1, "and the window is back")
}

func TestACompetitorTestsWhenOthersHaveEmptiedTheQueue(t *testing.T) {
	p, a := competing(t)
	a.path.near, a.path.nearOld = a.path.base(), 0
	a.compete.tested = p.now.Add(-3 * a.path.smoothed)
	require.False(t, a.testDue(p.now), "it has just tested")
	a.compete.tested = p.now.Add(-5 * a.path.smoothed)
	require.True(t, a.testDue(p.now))
	a.saw = false
	require.False(t, a.testDue(p.now), "its base may be the queue that it met")
}

func TestATestThatUncoversAShorterWayProvesNothing(t *testing.T) {
	p, a := competing(t)
	for fell, want := range map[time.Duration]adaptiveMode{3 * time.Millisecond: adaptiveCruise, 20 * time.Millisecond: adaptiveCompete} {
		p.now = p.now.Add(time.Second)
		a.path.rebase(p.now, p.base+fell)
		a.path.peak, a.mode = 40*time.Millisecond, adaptiveCompete
		a.test(p.now)
		for range 3 {
			p.now = p.now.Add(p.base + fell + time.Millisecond)
			a.Acked(AckSample{Now: p.now, Bytes: 1200, Packets: 1, RTT: p.base, SmoothedRTT: p.base, MinRTT: p.base})
		}
		require.Equal(t, want, a.mode, "after a base that was wrong by %v", fell)
	}
}

func TestAdaptiveAnswersMarks(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(3 * time.Second)
	for a.mode != adaptiveCruise {
		p.run(10 * time.Millisecond)
	}
	before := a.Window()
	a.Lost(LossSample{Now: p.now, ECN: 1, Episode: true})
	require.InDelta(t, 0.85*float64(before), a.Window(), 2)

	p, a = competing(t)
	before = a.Window()
	a.path.peak = time.Second
	a.Lost(LossSample{Now: p.now, ECN: 1, Episode: true})
	require.InDelta(t, 0.7*float64(before), a.Window(), 2)
}

func TestAdaptiveComesBackFromADeadPath(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(3 * time.Second)
	before := a.Window()
	p.silent = true
	p.run(50 * time.Millisecond)
	a.Lost(LossSample{Now: p.now, Bytes: 1200, Packets: 1, Episode: true, Persistent: true})
	require.Equal(t, 2*testPacketSize, a.Window(), "persistent congestion: the minimum")
	p.run(100 * time.Millisecond)
	p.silent = false
	for a.dead {
		p.run(time.Millisecond)
	}
	require.GreaterOrEqual(t, float64(a.Window()), 0.4*float64(before), "a sign of life, and the round trip is that of before")
	p.run(2 * p.base)
	require.NotEqual(t, adaptiveStartup, a.mode, "it does not search for what it knows")
	require.Greater(t, p.run(200*time.Millisecond), 0.9*p.rate)
	require.Less(t, p.maxQueue, 12*time.Millisecond)
}

func TestAdaptiveIsCarefulWithAPathThatCameBackLonger(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(3 * time.Second)
	before := a.Window()
	a.Lost(LossSample{Now: p.now, Bytes: 1200, Packets: 1, Episode: true, Persistent: true})
	p.base += 50 * time.Millisecond
	a.Acked(AckSample{Now: p.now, Bytes: 1200, Packets: 1, RTT: p.base, SmoothedRTT: p.base, MinRTT: p.base})
	require.Less(t, float64(a.Window()), 0.3*float64(before), "it may be another path")
	require.Zero(t, a.known, "so the rate is searched for")
	p.run(2 * time.Second)
	require.Greater(t, p.run(time.Second), 0.9*p.rate)
}

func TestAdaptiveForgetsTheLossOfAHole(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(3 * time.Second)
	a.Lost(LossSample{Now: p.now, Bytes: 120_000, Packets: 100, Episode: true, Persistent: true})
	p.run(time.Second)
	require.Less(t, a.loss.floor, 0.01)
}

func TestAdaptiveTakesAQueueThatNoCutMovesForTheWay(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(3 * time.Second)
	p.base += 30 * time.Millisecond // the route has changed
	p.run(time.Second)
	require.InDelta(t, float64(p.base), float64(a.path.base()), float64(2*time.Millisecond))
	require.NotEqual(t, adaptiveCompete, a.mode, "there is nobody to compete with")
	require.Greater(t, p.run(2*time.Second), 0.95*p.rate)
	require.Less(t, p.maxQueue, 12*time.Millisecond)
	p.base -= 30 * time.Millisecond
	p.run(3 * time.Second)
	require.InDelta(t, float64(p.base), float64(a.path.base()), float64(5*time.Millisecond), "and back, as each cut uncovers more of it")
	require.Greater(t, p.run(2*time.Second), 0.95*p.rate)
}

func TestAdaptiveBelievesNoLongerWayWhileTheApplicationLimits(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(2 * time.Second)
	a.streak, a.limited = 1, true
	a.firstCut, a.firstLeft = 2*a.window, a.path.base()+30*time.Millisecond
	a.afterCut = a.firstLeft
	require.False(t, a.unmoved(), "a cut of what was not used moves nothing")
	a.limited = false
	require.True(t, a.unmoved())
	a.firstCut = 1.01 * a.window
	require.False(t, a.unmoved(), "and neither does one this small")
}

func TestAQueueThatNoCutMovesIsNoWayWhileItOverflows(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(2 * time.Second)
	base, before := a.path.base(), a.window
	a.cut(p.now, before)
	for cuts := 1; cuts < overflowStreak; cuts++ {
		window := a.window
		a.afterCut = base + 30*time.Millisecond
		a.loss.round()
		a.loss.acked(AckSample{Packets: 80})
		a.loss.lost(20)
		a.notDrained(p.now)
		require.Equal(t, adaptiveSettle, a.mode, "after %d cuts", cuts)
		if cuts > 1 {
			require.LessOrEqual(t, a.window, overflowCut*window)
		}
	}
	require.Equal(t, base, a.path.base())
	require.Less(t, a.window, before/5)
	a.afterCut = base + 30*time.Millisecond
	a.loss.round()
	a.loss.lost(100)
	a.notDrained(p.now)
	require.Equal(t, base+30*time.Millisecond, a.path.base(), "whatever this flow sends, it stays")
	require.Equal(t, before, a.window)
}

func TestALongerWayThatLosesMoreIsFound(t *testing.T) {
	p, _ := newAdaptivePath(t)
	p.run(3 * time.Second)
	p.base += 30 * time.Millisecond
	p.loss = 0.05
	p.run(3 * time.Second)
	require.Greater(t, p.run(2*time.Second), 0.9*(1-p.loss)*p.rate)
}

func TestAdaptiveTakesASpuriousCutBack(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(3 * time.Second)
	for a.mode != adaptiveCruise {
		p.run(10 * time.Millisecond)
	}
	before := a.Window()
	a.cut(p.now, a.window/2)
	a.cutLoss = true
	a.Undo(p.now)
	require.Equal(t, before, a.Window())
	require.Equal(t, adaptiveCruise, a.mode)
}

func TestAdaptiveNeverGoesBelowFourDatagrams(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.rate, p.buffer = 20_000, 100_000
	p.run(30 * time.Second)
	require.GreaterOrEqual(t, a.Window(), 4*testPacketSize)
	require.Greater(t, p.run(10*time.Second), 0.9*p.rate)
	a.SetMaxDatagram(9000)
	require.GreaterOrEqual(t, a.Window(), 4*9000)
	a.SetMaxDatagram(0)
	require.Equal(t, 9000, a.mss)
}

func TestAdaptiveAllocatesNothing(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(time.Second)
	s := AckSample{Now: p.now, Bytes: 4800, Packets: 4, RTT: p.base, SmoothedRTT: p.base, MinRTT: p.base}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		s.Now = s.Now.Add(time.Millisecond)
		s.RoundStart = !s.RoundStart
		a.Sent(SendSample{Now: s.Now})
		a.Acked(s)
		a.Lost(LossSample{Now: s.Now, Bytes: 1200, Packets: 1})
	}))
}

func BenchmarkAdaptive(b *testing.B) {
	benchmarkController(b, NewAdaptive(Config{}))
}

func BenchmarkBBR(b *testing.B) {
	benchmarkController(b, NewBBR(Config{}))
}

// benchmarkController measures one packet: it is sent, and every fourth time four are acknowledged.
func benchmarkController(b *testing.B, cc Controller) {
	s := AckSample{Bytes: 4800, Packets: 4, RTT: 40e6, SmoothedRTT: 40e6, MinRTT: 40e6, PriorInFlight: 200_000, InFlight: 195_200}
	s.Rate = RateSample{BytesPerSecond: 5e6, Delivered: 200_000, Interval: 40e6, TxInFlight: 200_000}
	s.Now = 1e9
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Now += 240_000
		cc.Sent(SendSample{Now: s.Now, Bytes: 1200, InFlight: 200_000})
		if i%4 == 0 {
			s.RoundStart = i%160 == 0
			cc.Acked(s)
		}
	}
}

func TestANewcomerToAFilledQueueGrowsUntilTheQueueIsFull(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.run(90 * time.Millisecond)
	require.False(t, a.saw, "no cut has ever drained the queue")
	a.enterCompete(p.now)
	require.True(t, a.compete.cubic.slowStart())
	before := a.Window()
	p.run(80 * time.Millisecond)
	require.Greater(t, float64(a.Window()), 1.4*float64(before), "half as fast as slow start")
	a.path.peak, a.path.peakOld = a.path.queue(), 0
	a.Lost(LossSample{Now: p.now, Bytes: 1200, Packets: 1})
	require.False(t, a.compete.cubic.slowStart())
}
