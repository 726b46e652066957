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

func TestPacketsThatMayNotWaitArePaidBack(t *testing.T) {
	var p pacer
	p.setRate(1_200_000, testSize) // a packet a millisecond
	for range 4 {
		p.sent(testStart, testSize)
	}
	ok, wait := p.canSend(testStart, testSize)
	require.False(t, ok)
	require.InDelta(t, 3*time.Millisecond, wait.Sub(testStart), float64(time.Microsecond), "two of debt and one more")
	for range 100 {
		p.sent(testStart, testSize)
	}
	_, wait = p.canSend(testStart, testSize)
	require.InDelta(t, 3*time.Millisecond, wait.Sub(testStart), float64(time.Microsecond), "debt has an end")
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
