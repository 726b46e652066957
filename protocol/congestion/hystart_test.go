package congestion

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bottleneck is a path with a rate and a queue: the round trip grows as the queue does.
type bottleneck struct {
	base  time.Duration
	rate  float64 // bytes a second
	queue float64 // bytes
}

// rtt is the round trip when n bytes are in flight, and whether that overflows the queue.
func (b bottleneck) rtt(n int) (rtt time.Duration, overflow bool) {
	bdp := b.rate * b.base.Seconds()
	if float64(n) <= bdp {
		return b.base, false
	}
	return time.Duration(float64(n) / b.rate * float64(time.Second)), float64(n) > bdp+b.queue
}

// slowStart runs f over b until slow start ends, and reports whether the queue overflowed before. An
// acknowledgement comes for every perAck packets, and the window is always full.
func slowStart(f *flow, cc *Cubic, b bottleneck, perAck int) (overflowed bool) {
	for cc.slowStart() {
		n := cc.Window() / testMSS
		for i := 0; i < n && cc.slowStart(); i += perAck {
			f.rtt, overflowed = b.rtt(cc.Window())
			f.now = f.now.Add(f.rtt / time.Duration(n/perAck+1))
			f.ack(min(perAck, n-i), i == 0, cc.Window())
			if overflowed {
				return true
			}
		}
	}
	return false
}

func TestSlowStartEndsBeforeTheQueueOverflows(t *testing.T) {
	for _, b := range []struct {
		name string
		bottleneck
	}{
		{"50 Mbit/s, 40 ms, 1 BDP", bottleneck{40 * time.Millisecond, 6.25e6, 250_000}},
		{"500 Mbit/s, 150 ms, 1 BDP", bottleneck{150 * time.Millisecond, 62.5e6, 9_375_000}},
		{"50 Mbit/s, 40 ms, 4 BDP", bottleneck{40 * time.Millisecond, 6.25e6, 1_000_000}},
	} {
		for _, perAck := range []int{2, 16} {
			f, cc := newFlow(t, b.base)
			require.False(t, slowStart(f, cc, b.bottleneck, perAck), "%s, %d packets an acknowledgement", b.name, perAck)
			bdp := b.rate * b.base.Seconds()
			require.Greater(t, float64(cc.Window()), 0.7*bdp, "%s: not so early that the path stays empty", b.name)
		}
	}
}

// rounds feeds one round for each minimum RTT.
func (h *hystart) rounds(rtts ...time.Duration) {
	for _, rtt := range rtts {
		h.startRound()
		for range hystartSamples {
			h.sample(rtt, 2)
		}
	}
}

const ms = time.Millisecond

func TestARisingRTTRaisesADoubtAndFiveRoundsOfItEndSlowStart(t *testing.T) {
	h := &hystart{}
	h.rounds(40*ms, 40*ms)
	require.False(t, h.css)
	h.rounds(46 * ms)
	require.True(t, h.css, "an eighth of 40 ms is 5 ms")
	h.rounds(46*ms, 46*ms, 46*ms, 46*ms)
	require.False(t, h.over())
	h.rounds(46 * ms)
	require.True(t, h.over())
}

func TestADoubtPassesWhenTheRTTFallsAgain(t *testing.T) {
	h := &hystart{}
	h.rounds(40*ms, 46*ms)
	require.True(t, h.css)
	h.rounds(41 * ms)
	require.False(t, h.css, "it was jitter")
}

func TestAnRTTThatRisesFurtherInDoubtEndsSlowStartAtOnce(t *testing.T) {
	h := &hystart{}
	h.rounds(40*ms, 46*ms)
	require.False(t, h.over())
	h.rounds(52 * ms)
	require.True(t, h.over())
}

func TestAnRTTThatRisesByHalfEndsSlowStartAtOnce(t *testing.T) {
	h := &hystart{}
	h.rounds(40*ms, 60*ms)
	require.True(t, h.over())
	h = &hystart{}
	h.rounds(10*ms, 16*ms)
	require.False(t, h.over(), "a rise below 16 ms may be jitter on any path")
}

func TestNoiseBelowTheThresholdsRaisesNoDoubt(t *testing.T) {
	h := &hystart{}
	h.rounds(8*ms, 11*ms)
	require.False(t, h.css, "4 ms is the least")
	h = &hystart{}
	h.rounds(300*ms, 315*ms)
	require.False(t, h.css, "16 ms is the most")
	h.rounds(332 * ms)
	require.True(t, h.css)
}

func TestARoundNeedsEightPacketsWorthOfSamples(t *testing.T) {
	h := &hystart{}
	h.rounds(40 * time.Millisecond)
	h.startRound()
	h.sample(60*time.Millisecond, 16)
	require.False(t, h.css, "one sample is one sample, however many packets it stands for")
	h.sample(60*time.Millisecond, 16)
	require.True(t, h.css)
}

func TestGrowthIsAQuarterWhileInDoubt(t *testing.T) {
	f, cc := newFlow(t, 40*time.Millisecond)
	cc.hystart.css = true
	before := cc.Window()
	f.ack(4, false, before)
	require.Equal(t, before+testMSS, cc.Window())
}
