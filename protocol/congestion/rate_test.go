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
	frame    AckedFrame
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
		p.s.OnAcked(&p.frame, p.now, p.sent[p.acked], testSize, &p.states[p.acked])
		p.acked++
		p.inFlight -= testSize
	}
	return p.s.Sample(&p.frame, testRTT)
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
	r, round := p.s.Sample(&p.frame, testRTT)
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
		p.s.OnAcked(&p.frame, p.now, p.sent[i], testSize, &p.states[i])
	}
	r, _ := p.s.Sample(&p.frame, testRTT)
	require.Equal(t, 3*testSize, r.TxInFlight)
}

// Sections of the following tests are those of draft-ietf-ccwg-bbr-06.

// Section 4.1.1.2.4: the slower of the rate of sending and the rate of acknowledgement, over one flight.
func TestTheRateIsTheSlowerOfSendingAndArrival(t *testing.T) {
	for _, c := range []struct{ send, arrive, want time.Duration }{
		{2 * ms, ms, 2 * ms},
		{ms, 2 * ms, 2 * ms},
		{3 * ms, 3 * ms, 3 * ms},
	} {
		p := newWirePath()
		p.send() // what comes back from it opens the flight
		p.now = p.now.Add(testRTT)
		p.ackNext(1)
		for range 100 {
			p.send()
			p.now = p.now.Add(c.send)
		}
		p.now = p.now.Add(testRTT)
		var last RateSample
		for range 100 {
			last, _ = p.ackNext(1)
			p.now = p.now.Add(c.arrive)
		}
		// The flight began with the first of the hundred: the path was empty before it.
		want := max(99*c.send, 100*c.send+testRTT+99*c.arrive)
		require.Equal(t, want, last.Interval)
		require.InEpsilon(t, 100*testSize/want.Seconds(), float64(last.BytesPerSecond), 0.001)
	}
}

// Section 4.1.1.2.2: acknowledgements that were held up come as fast as they like; what leaves between them
// still left at the rate of the path.
func TestCompressedAcknowledgementsAreCappedByTheRateOfSending(t *testing.T) {
	p := newWirePath()
	start := p.now
	for i := range 200 {
		p.now = start.Add(time.Duration(i) * ms)
		p.send()
		held := i >= 100 && i < 130 // nothing comes back for 30 ms
		for !held && p.acked < len(p.sent) && p.now.Sub(p.sent[p.acked]) >= testRTT {
			r, _ := p.ackNext(1)
			require.LessOrEqual(t, r.BytesPerSecond, uint64(1_050_000), "at %d ms", i)
			if i == 130 && p.acked == 52 { // one leaves after the first of what was held up
				p.send()
			}
		}
	}
	require.Greater(t, p.acked, 130)
}

// Section 4.1.1.2.1: an interval reaches from one acknowledgement to another, not from a sending.
func TestAnIntervalBeginsWithTheAcknowledgementBeforeTheSending(t *testing.T) {
	p := newWirePath()
	p.send()
	p.send()
	p.now = p.now.Add(testRTT)
	p.ackNext(1) // at this knee
	p.now = p.now.Add(20 * ms)
	p.send() // waited for
	p.now = p.now.Add(testRTT)
	r, _ := p.ackNext(2)
	require.Equal(t, 20*ms+testRTT, r.Interval)
	require.Equal(t, uint64(2*testSize), r.Delivered)
	require.Equal(t, uint64(testSize), r.PriorDelivered)
}

// Section 4.1.1.2.2: batches of acknowledgements leave the average as it is.
func TestAggregatedAcknowledgementsDoNotChangeTheRate(t *testing.T) {
	p := newWirePath()
	start := p.now
	for i := range 1000 {
		p.now = start.Add(time.Duration(i) * ms)
		p.send()
		if i%25 != 24 {
			continue
		}
		n := 0
		for p.acked+n < len(p.sent) && p.now.Sub(p.sent[p.acked+n]) >= testRTT {
			n++
		}
		if n == 0 {
			continue
		}
		r, _ := p.ackNext(n)
		if i > 200 {
			require.InEpsilon(t, 1_000_000, float64(r.BytesPerSecond), 0.05)
		}
	}
}

// Section 4.1.3.2: a lost acknowledgement makes one sample of two.
func TestALostAcknowledgementOnlyMakesTheSampleLater(t *testing.T) {
	every, second := newWirePath(), newWirePath()
	for _, p := range []*wirePath{every, second} {
		for range 10 {
			p.send()
			p.now = p.now.Add(ms)
		}
		p.now = p.now.Add(testRTT)
	}
	every.ackNext(5)
	for _, p := range []*wirePath{every, second} {
		p.now = p.now.Add(5 * ms)
	}
	a, _ := every.ackNext(5)
	b, _ := second.ackNext(10)
	require.Equal(t, a, b)
}

// Section 4.1.2.4: a mark is put off while more is sent without a pause, and set again by the next one.
func TestAMarkLastsUntilAllThatWasInFlightArrives(t *testing.T) {
	p := newWirePath()
	for range 4 {
		p.send()
	}
	p.s.SetAppLimited(p.inFlight)
	p.send()
	p.now = p.now.Add(testRTT)
	p.ackNext(4)
	require.True(t, p.s.AppLimited(), "as much was delivered as was in flight, not more")
	p.s.SetAppLimited(p.inFlight)
	p.ackNext(1)
	require.True(t, p.s.AppLimited(), "the second pause")
	p.send()
	p.now = p.now.Add(testRTT)
	r, _ := p.ackNext(1)
	require.True(t, r.AppLimited)
	require.False(t, p.s.AppLimited())
}

func TestAPathWithoutAPauseIsNeverMarked(t *testing.T) {
	p := newWirePath()
	for range 100 {
		p.send()
		p.now = p.now.Add(testRTT)
		r, _ := p.ackNext(1)
		require.False(t, r.AppLimited)
	}
}

// Sections 4.1.3.4 and 4.1.3.5: order and loss do not matter, since every packet has a number of its own:
// what is sent again is a packet of its own, with a state of its own.
func TestReorderingDoesNotChangeWhatWasDelivered(t *testing.T) {
	p := newWirePath()
	for range 4 {
		p.send()
		p.now = p.now.Add(ms)
	}
	p.now = p.now.Add(testRTT)
	for i, frame := range []int{3, 0, 2, 1} {
		p.s.OnAcked(&p.frame, p.now, p.sent[frame], testSize, &p.states[frame])
		r, _ := p.s.Sample(&p.frame, 0)
		require.Equal(t, uint64(testSize*(i+1)), r.Delivered)
	}
}

func TestALatePacketCountsAsDeliveredAndNoLongerAsLost(t *testing.T) {
	p := newWirePath()
	p.send()
	p.send()
	p.now = p.now.Add(testRTT)
	p.s.OnLost(testSize)
	p.s.OnAcked(&p.frame, p.now, p.sent[1], testSize, &p.states[1])
	r, _ := p.s.Sample(&p.frame, testRTT)
	require.Equal(t, uint64(testSize), r.Lost)
	p.s.OnSpurious(testSize)
	p.s.OnAcked(&p.frame, p.now, p.sent[0], testSize, &p.states[0])
	r, _ = p.s.Sample(&p.frame, testRTT)
	require.Zero(t, r.Lost)
	require.Equal(t, uint64(2*testSize), p.s.Delivered())
	require.Equal(t, p.s.Delivered(), r.PriorDelivered+r.Delivered)
	p.s.OnSpurious(testSize)
	require.Zero(t, p.s.lost, "never below nothing")
}

// Section 2.3: what was lost, and in flight, counts from the sending of the packet.
func TestLostPacketsTellTheStateOfThePathWhenTheyLeft(t *testing.T) {
	var s RateSampler
	a := s.OnSent(1e9, 1000, 1000)
	b := s.OnSent(1e9, 1000, 2000)
	s.SetAppLimited(2000)
	c := s.OnSent(1e9, 1000, 3000)
	require.Equal(t, PacketLoss{Bytes: 1000, TxInFlight: 1000, Lost: 1000}, s.OnLostPacket(1000, &a))
	require.Equal(t, PacketLoss{Bytes: 1000, TxInFlight: 2000, Lost: 2000}, s.OnLostPacket(1000, &b))
	require.Equal(t, PacketLoss{Bytes: 1000, TxInFlight: 3000, Lost: 3000, AppLimited: true}, s.OnLostPacket(1000, &c))
	d := s.OnSent(2e9, 1000, 1000)
	require.Equal(t, PacketLoss{Bytes: 1000, TxInFlight: 1000, Lost: 1000, AppLimited: true}, s.OnLostPacket(1000, &d))
}

func TestSamplingAllocatesNothing(t *testing.T) {
	p := newWirePath()
	p.steady(100, ms)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		p.now = p.now.Add(testRTT)
		state := p.s.OnSent(p.now, testSize, testSize)
		p.s.OnAcked(&p.frame, p.now, p.now, testSize, &state)
		p.s.Sample(&p.frame, testRTT)
	}))
}
