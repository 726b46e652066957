package protocol

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// feed gives the fates of n packets, one every gap, of which lose says which are lost.
func feed(r *lossRate, from Time, n int, gap time.Duration, lose func(i int) bool) Time {
	for i := range n {
		from = from.Add(gap)
		if lose(i) {
			r.lost(from)
		} else {
			r.arrived(from)
		}
	}
	return from
}

func TestAnUnknownPathLosesNothingInRunsOfOne(t *testing.T) {
	var r lossRate
	require.Zero(t, r.fast())
	require.Zero(t, r.slow())
	require.EqualValues(t, 1, r.burstMean())
	require.Equal(t, 1, r.burstQuantile(0.99))
}

func TestTheLossRateFollowsIndependentLossOnBothTimeScales(t *testing.T) {
	for _, percent := range []int{1, 5, 10, 20} {
		var r lossRate
		rng := rand.New(rand.NewPCG(uint64(percent), 1))
		lose := func(int) bool { return rng.IntN(100) < percent }
		now := feed(&r, testStart, 20_000, time.Second/60, lose)
		share := float64(percent) / 100
		require.InEpsilon(t, share, r.slow(), 0.2, "a minute or two of ticks")
		require.InEpsilon(t, 1/(1-share), r.burstMean(), 0.1)
		sum := 0.0
		for range 200 {
			now = feed(&r, now, fastPackets, time.Second/60, lose)
			sum += r.fast()
		}
		require.InEpsilon(t, share, sum/200, 0.2)
	}
}

func TestOneLossOnANewPathIsNotTakenForMany(t *testing.T) {
	var r lossRate
	now := feed(&r, testStart, 1, time.Millisecond, func(int) bool { return true })
	require.Less(t, r.slow(), 0.011)
	require.Less(t, r.fast(), 0.016)
	feed(&r, now, 500, time.Millisecond, func(int) bool { return false })
	require.Less(t, r.slow(), 0.003, "the one in five hundred that it is")
	require.Zero(t, r.fast())
}

func TestTheSlowEstimateForgetsAfterTwoMinutes(t *testing.T) {
	var r lossRate
	now := feed(&r, testStart, 6000, 10*time.Millisecond, func(i int) bool { return i%10 == 0 })
	require.InDelta(t, 0.1, r.slow(), 0.01)
	now = feed(&r, now, 6000, 10*time.Millisecond, func(int) bool { return false })
	require.InDelta(t, 0.05, r.slow(), 0.01)
	feed(&r, now, 7000, 10*time.Millisecond, func(int) bool { return false })
	require.Zero(t, r.slow())
}

func TestASlowSenderIsRememberedForAsManyPackets(t *testing.T) {
	var r lossRate
	now := feed(&r, testStart, slowPackets, time.Minute, func(i int) bool { return i < 10 })
	feed(&r, now, 100, time.Minute, func(int) bool { return false })
	require.InDelta(t, 10.0/356, r.slow(), 0.001)
}

func TestLossesThatWereNoneAreTakenBack(t *testing.T) {
	var r lossRate
	now := feed(&r, testStart, 1000, time.Millisecond, func(i int) bool { return i%100 < 3 })
	before, bursts := r, *r.bursts
	for range 20 {
		now = feed(&r, now, 10, time.Millisecond, func(i int) bool { return i == 4 || i == 5 })
		r.takeBack() // while the newest run is over
		r.takeBack()
	}
	require.Zero(t, r.fast())
	require.Equal(t, before.window.lost, r.window.lost)
	require.Equal(t, bursts, *r.bursts)
	require.Equal(t, before.burstMean(), r.burstMean())
	feed(&r, now, 3, time.Millisecond, func(int) bool { return true })
	for range 3 {
		r.takeBack() // while it goes on
	}
	require.Zero(t, r.run)
	require.Zero(t, r.fast())
	for range 100 {
		r.takeBack() // more than were counted
	}
	require.GreaterOrEqual(t, r.slow(), 0.0)
	require.GreaterOrEqual(t, r.burstMean(), 1.0)
}

func TestRunsOfLossesAreCountedByLength(t *testing.T) {
	var r lossRate
	now := testStart
	for range 90 {
		now = feed(&r, now, 2, time.Millisecond, func(i int) bool { return i < 1 })
	}
	for range 10 {
		now = feed(&r, now, 8, time.Millisecond, func(i int) bool { return i < 7 })
	}
	require.InDelta(t, (90+70+coldBursts)/102.0, r.burstMean(), 1e-9)
	require.Equal(t, 1, r.burstQuantile(0.5))
	require.Equal(t, 1, r.burstQuantile(0.9))
	require.Equal(t, 7, r.burstQuantile(0.95))
	require.Equal(t, 7, r.burstQuantile(1))
	feed(&r, now, 1000, time.Millisecond, func(i int) bool { return i < 999 })
	require.Equal(t, maxBurst, r.burstQuantile(1), "longer ones are not told apart")
}

func TestRunsAreForgottenByHalves(t *testing.T) {
	var r lossRate
	now := testStart
	for range 2000 {
		now = feed(&r, now, 21, time.Millisecond, func(i int) bool { return i < 20 })
	}
	require.InDelta(t, 20, r.burstMean(), 0.5)
	for range 2000 {
		now = feed(&r, now, 2, time.Millisecond, func(i int) bool { return i < 1 })
		sum := 0
		for _, n := range r.bursts {
			sum += int(n)
		}
		require.Equal(t, sum, r.runs)
		require.LessOrEqual(t, r.runs, keptBursts)
	}
	require.InDelta(t, 1, r.burstMean(), 0.2)
}

func TestThePathCountsEachPacketOnceInTheOrderOfNumbers(t *testing.T) {
	s := newSender(t)
	s.send(10, time.Millisecond)
	s.sendAckOnly()
	s.sendPacket(testSize, func(p *sentPacket) { p.probe = true })
	s.late(0, 2, 5, 10)
	s.advance(5 * time.Millisecond)
	s.l.handleTimeout(s.now, s)
	r := &s.l.rate
	require.EqualValues(t, 10, r.window.packets, "neither acknowledgements nor tries of sizes")
	require.EqualValues(t, 3, r.window.lost)
	require.EqualValues(t, 0b0011100000, r.recent)
	require.EqualValues(t, 1, r.bursts[2], "a run of three")
	s.ack(0, 10)
	require.Zero(t, r.window.lost, "they had arrived after all")
	require.Zero(t, r.recent)
	require.Zero(t, r.runs)
}

func TestAnotherNetworkHasAnotherLossRate(t *testing.T) {
	for _, portOnly := range []bool{true, false} {
		s := newSender(t)
		s.send(4, time.Millisecond)
		s.late(2, 4)
		require.EqualValues(t, 1, s.l.rate.window.lost)
		s.sendOne()
		s.l.migrated(s.now, portOnly, nil)
		s.advance(testRTT)
		s.ack(2, 5)
		require.Equal(t, portOnly, s.l.rate.window.packets > 0)
	}
}
