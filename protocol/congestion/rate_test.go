package congestion

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// wirePath feeds a sampler with packets of 1,000 bytes on a path of 50 ms.
type wirePath struct {
	s        RateSampler
	now      monotime.Time
	sent     []monotime.Time
	states   []SendState
	acked    int
	inFlight int
}

const (
	testSize = 1000
	testRTT  = 50 * time.Millisecond
)

func (p *wirePath) send() {
	p.inFlight += testSize
	p.sent = append(p.sent, p.now)
	p.states = append(p.states, p.s.OnSent(p.now, testSize, p.inFlight))
}

// ackNext takes the arrival of the next n packets in one frame.
func (p *wirePath) ackNext(n int) (RateSample, bool) {
	for range n {
		p.s.OnAcked(p.now, p.sent[p.acked], testSize, &p.states[p.acked])
		p.acked++
		p.inFlight -= testSize
	}
	return p.s.Sample(testRTT)
}

// steady sends and acknowledges n packets, one every gap, and returns the last sample.
func (p *wirePath) steady(n int, gap time.Duration) (last RateSample) {
	start := p.now
	for i := 0; p.acked < n; i++ {
		p.now = start.Add(time.Duration(i) * gap)
		for p.acked < len(p.sent) && p.now.Sub(p.sent[p.acked]) >= testRTT {
			last, _ = p.ackNext(1)
		}
		if len(p.sent) < n {
			p.send()
		}
	}
	return last
}

func newWirePath() *wirePath { return &wirePath{now: testStart} }

func TestASteadyFlowIsMeasuredAtItsRate(t *testing.T) {
	p := newWirePath()
	got := p.steady(1000, time.Millisecond)
	require.InEpsilon(t, 1_000_000, float64(got.BytesPerSecond), 0.03, "1,000 bytes a millisecond")
	require.False(t, got.AppLimited)
	require.InDelta(t, 50_000, got.TxInFlight, 1000)
}

func TestACompressedBurstOfAcknowledgementsDoesNotRaiseTheRate(t *testing.T) {
	p := newWirePath()
	for range 100 { // one packet a millisecond, none acknowledged
		p.send()
		p.now = p.now.Add(time.Millisecond)
	}
	p.now = p.now.Add(testRTT)
	var fastest uint64
	for range 100 { // then all at once, in frames of one
		r, _ := p.ackNext(1)
		fastest = max(fastest, r.BytesPerSecond)
	}
	require.LessOrEqual(t, fastest, uint64(1_000_000), "no faster than they were sent")
}

func TestIdleTimeIsNotDeliveryTime(t *testing.T) {
	p := newWirePath()
	p.steady(100, time.Millisecond)
	p.now = p.now.Add(10 * time.Second)
	for range 20 {
		p.send()
	}
	p.now = p.now.Add(testRTT)
	r, _ := p.ackNext(20)
	require.InEpsilon(t, 20*testSize/testRTT.Seconds(), float64(r.BytesPerSecond), 0.01)
}

func TestSamplesAreMarkedUntilWhatTheApplicationLimitedIsDelivered(t *testing.T) {
	p := newWirePath()
	p.send()
	p.s.SetAppLimited(p.inFlight)
	require.True(t, p.s.AppLimited())
	p.now = p.now.Add(10 * time.Millisecond)
	p.send() // after the pause
	p.now = p.now.Add(testRTT)
	r, _ := p.ackNext(1)
	require.False(t, r.AppLimited, "sent before the pause")
	r, _ = p.ackNext(1)
	require.True(t, r.AppLimited, "sent after it")
	require.False(t, p.s.AppLimited(), "all of it is delivered")
	p.send()
	p.now = p.now.Add(testRTT)
	r, _ = p.ackNext(1)
	require.False(t, r.AppLimited)
}

func TestAnIntervalBelowTheSmallestRTTGivesNoRate(t *testing.T) {
	p := newWirePath()
	p.send()
	p.now = p.now.Add(testRTT / 2)
	r, _ := p.ackNext(1)
	require.Zero(t, r.BytesPerSecond)
	require.Equal(t, uint64(testSize), r.Delivered)
}

func TestARoundEndsWhenSomethingSentAfterItsStartArrives(t *testing.T) {
	p := newWirePath()
	for range 4 {
		p.send()
	}
	p.now = p.now.Add(testRTT)
	_, round := p.ackNext(1)
	require.True(t, round, "the first acknowledgement starts the first round")
	p.send()
	_, round = p.ackNext(3)
	require.False(t, round, "all of them left before that")
	p.now = p.now.Add(testRTT)
	_, round = p.ackNext(1)
	require.True(t, round)
}

func TestLossesShowInTheSampleUntilTheyProveSpurious(t *testing.T) {
	p := newWirePath()
	for range 4 {
		p.send()
	}
	p.now = p.now.Add(testRTT)
	p.s.OnLost(testSize)
	p.s.OnLost(testSize)
	p.s.OnSpurious(testSize)
	r, _ := p.ackNext(1)
	require.Equal(t, uint64(testSize), r.Lost)
}

func TestAFrameWithoutNewPacketsGivesNoSample(t *testing.T) {
	p := newWirePath()
	r, round := p.s.Sample(testRTT)
	require.Zero(t, r)
	require.False(t, round)
}

func TestTheNewestPacketOfAFrameGivesTheSampleWhateverTheOrder(t *testing.T) {
	p := newWirePath()
	for range 3 {
		p.send()
		p.now = p.now.Add(time.Millisecond)
	}
	p.now = p.now.Add(testRTT)
	for _, i := range []int{2, 0, 1} {
		p.s.OnAcked(p.now, p.sent[i], testSize, &p.states[i])
	}
	r, _ := p.s.Sample(testRTT)
	require.Equal(t, 3*testSize, r.TxInFlight)
}
