package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// burst sends packets of size bytes at now until the pacer says no, and returns how many went and
// when the next may.
func burst(p *pacer, now Time, size int) (n int, wait Time) {
	for {
		ok, at := p.canSend(now, size)
		if !ok {
			return n, at
		}
		p.sent(now, size)
		n++
	}
}

// spec: REL-23
func TestABurstIsAMillisecondOfTheRateOrTwoPackets(t *testing.T) {
	for _, test := range []struct {
		name string
		rate uint64 // bytes a second
		want int
	}{
		{"1 Mbit/s", 125_000, 2},
		{"50 Mbit/s", 6_250_000, 5},
		{"1 Gbit/s", 125_000_000, 104},
	} {
		var p pacer
		p.setRate(test.rate, testSize)
		n, _ := burst(&p, testStart, testSize)
		require.Equal(t, test.want, n, test.name)
		n, _ = burst(&p, testStart.Add(time.Hour), testSize)
		require.Equal(t, test.want, n, "%s: silence saves up no more", test.name)
	}
}

// spec: REL-23
func TestTheRateIsKeptByWhoeverComesWhenToldTo(t *testing.T) {
	for _, rate := range []uint64{20_000, 125_000, 6_250_000, 1_250_000_000} {
		var p pacer
		p.setRate(rate, testSize)
		now, sent := testStart, 0
		for now.Sub(testStart) < time.Second {
			n, wait := burst(&p, now, testSize)
			require.LessOrEqual(t, float64(n*testSize), p.quantum, "never more than a quantum at once")
			require.Greater(t, wait, now)
			sent += n * testSize
			now = wait
		}
		first := int(p.quantum)
		require.InEpsilon(t, float64(rate)*now.Sub(testStart).Seconds(), float64(sent-first), 0.12, "%d B/s", rate)
	}
}

func TestALateTimerDoesNotLowerTheRate(t *testing.T) {
	var p pacer
	const rate = 6_250_000
	p.setRate(rate, testSize)
	now, sent := testStart, 0
	for now.Sub(testStart) < time.Second {
		n, wait := burst(&p, now, testSize)
		require.LessOrEqual(t, float64(n*testSize), 2*p.quantum, "at most one quantum is made up for")
		sent += n * testSize
		now = wait.Add(time.Millisecond)
	}
	require.InEpsilon(t, rate, sent, 0.1, "woken a millisecond late, every time")
}

func TestAWaitIsForAQuantumAndNotForEveryPacket(t *testing.T) {
	var p pacer
	p.setRate(125_000_000, testSize)
	now, wakes := testStart, 0
	for now.Sub(testStart) < time.Second {
		_, now = burst(&p, now, testSize)
		wakes++
	}
	require.InDelta(t, 1000, wakes, 20)
}

// spec: REL-23
func TestPacketsThatDoNotWaitArePaidBack(t *testing.T) {
	var p pacer
	p.setRate(1_200_000, testSize) // a packet a millisecond
	for range 4 {
		ok, _ := p.canPass(testStart)
		require.True(t, ok, "two of credit and two of debt")
		p.sent(testStart, testSize)
	}
	ok, wait := p.canSend(testStart, testSize)
	require.False(t, ok)
	require.InDelta(t, 3*time.Millisecond, wait.Sub(testStart), float64(time.Microsecond), "two of debt and one more")
	p.sent(testStart, testSize)
	ok, wait = p.canPass(testStart)
	require.False(t, ok, "urgent data is paced too once its debt is above a quantum")
	require.InDelta(t, time.Millisecond, wait.Sub(testStart), float64(time.Microsecond))
	for range 100 {
		p.sent(testStart, testSize)
	}
	_, wait = p.canSend(testStart, testSize)
	require.InDelta(t, 4*time.Millisecond, wait.Sub(testStart), float64(time.Microsecond), "debt has an end")
}

// spec: REL-23
func TestUrgentDataAloneKeepsToTheRate(t *testing.T) {
	var p pacer
	const rate = 1_200_000
	p.setRate(rate, testSize)
	now, sent := testStart, 0
	for now.Sub(testStart) < time.Second {
		ok, wait := p.canPass(now)
		if !ok {
			now = wait
			continue
		}
		p.sent(now, testSize)
		sent += testSize
	}
	require.InDelta(t, rate, sent, 6*testSize, "however urgent")
}

// spec: REL-23
func TestAcknowledgementsAreDebitedUpToHalfOfTheRate(t *testing.T) {
	data := func(every time.Duration) int {
		var p pacer
		p.setRate(1_200_000, testSize)
		sent, next := 0, testStart
		for now := testStart; now.Sub(testStart) < time.Second; now = now.Add(100 * time.Microsecond) {
			for every > 0 && !next.After(now) {
				p.ackSent(next, 60)
				next = next.Add(every)
			}
			n, _ := burst(&p, now, testSize)
			sent += n * testSize
		}
		return sent
	}
	alone := data(0)
	require.InDelta(t, 1_200_000, alone, 4*testSize)
	require.InDelta(t, alone-60*1000, data(time.Millisecond), 4*testSize, "sixty bytes a millisecond are paid back")
	require.InDelta(t, alone/2, data(10*time.Microsecond), 4*testSize, "a flood of them takes no more than half")
}

// spec: REL-23
func TestAtMostTenPacketsLeaveAtOnceUpTo100Mbit(t *testing.T) {
	for rate := uint64(125_000); rate <= 25_000_000; rate += 125_000 {
		for _, size := range []int{baseDatagram, 1472} {
			var p pacer
			p.setRate(rate, size)
			n, wait := burst(&p, testStart, size)
			m, _ := burst(&p, wait.Add(lateTimer/2), size)
			require.GreaterOrEqual(t, n, paceQuantumPackets)
			if rate <= burstRate {
				require.LessOrEqual(t, m, maxQuantumPackets, "%d Mbit/s", rate/125_000)
			} else {
				require.LessOrEqual(t, m*size, int(2*max(rate/1000, uint64(2*size))), "%d Mbit/s", rate/125_000)
			}
		}
	}
}

func TestWithoutARateNothingWaits(t *testing.T) {
	var p pacer
	p.sent(testStart, testSize)
	ok, _ := p.canSend(testStart, 1<<20)
	require.True(t, ok)
}

func TestAnAbsurdlySlowRateWaitsAnHourAtMost(t *testing.T) {
	var p pacer
	p.setRate(1, 65487)
	_, wait := burst(&p, testStart, 65487)
	require.Equal(t, time.Hour, wait.Sub(testStart))
}

func TestAClockThatStandsStillGivesNoCredit(t *testing.T) {
	var p pacer
	p.setRate(125_000, testSize)
	burst(&p, testStart, testSize)
	ok, _ := p.canSend(testStart-1, testSize)
	require.False(t, ok)
}
