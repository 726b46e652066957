package congestion

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/monotime"
)

const (
	testMSS   = 1200
	testStart = monotime.Time(time.Second)
)

// flow drives a controller like a path on which data always waits: a whole window is acknowledged
// each round trip, a packet at a time.
type flow struct {
	t       *testing.T
	cc      Controller
	now     monotime.Time
	rtt     time.Duration
	limited bool // the application is the limit
}

func newFlow(t *testing.T, rtt time.Duration) (*flow, *Cubic) {
	cc := NewCubic(Config{MaxDatagram: testMSS})
	return &flow{t: t, cc: cc, now: testStart, rtt: rtt}, cc
}

// round lets one window arrive, spread over a round trip.
func (f *flow) round() {
	window := f.cc.Window()
	n := window / testMSS
	for i := range n {
		f.now = f.now.Add(f.rtt / time.Duration(n))
		f.ack(1, i == 0, window)
	}
}

func (f *flow) ack(packets int, roundStart bool, inFlight int) {
	f.cc.Acked(AckSample{
		Now: f.now, Bytes: packets * testMSS, Packets: packets, RTT: f.rtt, SmoothedRTT: f.rtt, MinRTT: f.rtt,
		PriorInFlight: inFlight, InFlight: inFlight - packets*testMSS, RoundStart: roundStart,
		Rate: RateSample{AppLimited: f.limited},
	})
}

// lose reports one lost packet of a new episode.
func (f *flow) lose() {
	f.cc.Lost(LossSample{Now: f.now, Bytes: testMSS, Packets: 1, Episode: true, PriorInFlight: f.cc.Window()})
}

// growTo runs slow start up to a window of n packets.
func (f *flow) growTo(n int) {
	for f.cc.Window() < n*testMSS {
		f.ack(1, false, f.cc.Window())
	}
}

func (f *flow) wantWindow(packets float64, tolerance float64, why string) {
	f.t.Helper()
	require.InEpsilon(f.t, packets, float64(f.cc.Window())/testMSS, tolerance, why)
}

func TestSlowStartDoublesTheWindowInEveryRound(t *testing.T) {
	f, _ := newFlow(t, 50*time.Millisecond)
	f.wantWindow(10, 0.001, "RFC 9002 starts with ten packets")
	for _, want := range []float64{20, 40, 80, 160} {
		f.round()
		f.wantWindow(want, 0.001, "every acknowledged byte adds one")
	}
}

func TestALargeDatagramStillGetsTwoPacketsOfWindow(t *testing.T) {
	cc := NewCubic(Config{MaxDatagram: testMSS})
	cc.SetMaxDatagram(65487)
	require.Equal(t, 2*65487, cc.Window())
	cc.SetMaxDatagram(0)
	require.Equal(t, 2*65487, cc.Window(), "a size of nothing is no size")
}

func TestLossTakesTheWindowToSevenTenths(t *testing.T) {
	f, _ := newFlow(t, 50*time.Millisecond)
	f.growTo(100)
	f.lose()
	f.wantWindow(70, 0.001, "beta is 0.7")
}

func TestFurtherLossesOfAnEpisodeCostNothing(t *testing.T) {
	f, _ := newFlow(t, 50*time.Millisecond)
	f.growTo(100)
	f.lose()
	f.cc.Lost(LossSample{Now: f.now, Bytes: 30 * testMSS, Packets: 30, PriorInFlight: f.cc.Window()})
	f.wantWindow(70, 0.001, "one response an episode")
}

func TestPacketsFromBeforeTheEpisodeDoNotGrowTheWindow(t *testing.T) {
	f, _ := newFlow(t, 50*time.Millisecond)
	f.growTo(100)
	f.lose()
	before := f.cc.Window()
	f.cc.Acked(AckSample{Now: f.now, Bytes: 50 * testMSS, RecoveryBytes: 50 * testMSS, Packets: 50,
		RTT: f.rtt, SmoothedRTT: f.rtt, MinRTT: f.rtt, PriorInFlight: before})
	require.Equal(t, before, f.cc.Window())
}

// The curve of RFC 9438, figure 1: W(t) = C (t-K)^3 + Wmax, K = cbrt(Wmax (1-beta) / C).
func TestTheWindowFollowsTheCurveOfTheRFC(t *testing.T) {
	f, _ := newFlow(t, 100*time.Millisecond)
	const wMax = 1000.0
	f.growTo(wMax)
	f.lose()
	f.wantWindow(700, 0.001, "after the loss")

	k := math.Cbrt(wMax * (1 - cubicBeta) / cubicC)
	require.InDelta(t, 9.086, k, 0.001, "seconds to the plateau")
	f.ack(1, false, f.cc.Window())
	epoch := f.now
	for f.now.Sub(epoch) < 14*time.Second {
		f.round()
		// The window aims at where the curve will be one round trip later.
		at := f.now.Sub(epoch).Seconds() + f.rtt.Seconds()
		f.wantWindow(cubicC*math.Pow(at-k, 3)+wMax, 0.02, "on the curve, before and after the plateau")
	}
}

func TestTheWindowIsFlatNearWhereTheLastLossWas(t *testing.T) {
	f, _ := newFlow(t, 100*time.Millisecond)
	f.growTo(1000)
	f.lose()
	f.ack(1, false, f.cc.Window())
	epoch := f.now
	for f.now.Sub(epoch) < 8500*time.Millisecond {
		f.round()
	}
	before := f.cc.Window()
	for f.now.Sub(epoch) < 9500*time.Millisecond {
		f.round()
	}
	require.Less(t, f.cc.Window()-before, 2*testMSS, "a second around the plateau adds less than two packets")
}

func TestAFlowThatLosesAgainBeforeItsPlateauMakesRoomForOthers(t *testing.T) {
	f, cc := newFlow(t, 50*time.Millisecond)
	f.growTo(1000)
	f.lose()
	require.InEpsilon(t, 1000*testMSS, cc.wMax, 0.001)
	f.round()
	window := float64(cc.Window())
	require.Less(t, window, 1000.0*testMSS)
	f.lose()
	require.InEpsilon(t, window*0.85, cc.wMax, 0.001, "fast convergence: (1+beta)/2 of the window")
}

func TestOnAShortPathTheWindowGrowsAsFastAsRenos(t *testing.T) {
	f, _ := newFlow(t, 5*time.Millisecond)
	f.growTo(20)
	f.lose()
	f.wantWindow(14, 0.001, "after the loss")
	// The curve needs 2.5 s to come back to 20; Reno's estimate adds 0.53 packets a round until it
	// reaches the old window, and one a round from there.
	for range 12 {
		f.round()
	}
	f.wantWindow(20.3, 0.04, "14 + 12 * 0.53")
	for range 20 {
		f.round()
	}
	f.wantWindow(40, 0.06, "one more packet a round")
}

func TestUndoRestoresWhatTheLossTook(t *testing.T) {
	f, cc := newFlow(t, 50*time.Millisecond)
	f.growTo(300)
	before := *cc
	f.lose()
	require.Less(t, cc.Window(), 300*testMSS)
	f.cc.Undo(f.now)
	require.Equal(t, before.window, cc.window)
	require.Equal(t, before.ssthresh, cc.ssthresh)
	require.Equal(t, before.wMax, cc.wMax)
	require.True(t, cc.slowStart(), "the loss was the end of slow start, and it was none")
}

func TestUndoHappensOnceAndNotWithoutALoss(t *testing.T) {
	f, cc := newFlow(t, 50*time.Millisecond)
	f.growTo(300)
	f.cc.Undo(f.now)
	f.wantWindow(300, 0.01, "nothing to undo")
	f.lose()
	f.cc.Undo(f.now)
	cc.window /= 2
	f.cc.Undo(f.now)
	f.wantWindow(150, 0.01, "undone once")
}

func TestUndoKeepsAWindowThatHasGrownPastTheOldOne(t *testing.T) {
	f, cc := newFlow(t, 50*time.Millisecond)
	f.growTo(100)
	f.lose()
	cc.window = 500 * testMSS
	f.cc.Undo(f.now)
	f.wantWindow(500, 0.001, "not smaller than before")
}

func TestAMarkedPacketCountsLikeALossAndIsNeverUndone(t *testing.T) {
	f, _ := newFlow(t, 50*time.Millisecond)
	f.growTo(100)
	f.cc.Lost(LossSample{Now: f.now, ECN: 3, Episode: true, PriorInFlight: f.cc.Window()})
	f.wantWindow(70, 0.001, "congestion without loss")
	f.cc.Undo(f.now)
	f.wantWindow(70, 0.001, "a mark is certain")
}

func TestPersistentCongestionLeavesTwoPackets(t *testing.T) {
	f, cc := newFlow(t, 50*time.Millisecond)
	f.growTo(100)
	f.cc.Lost(LossSample{Now: f.now, Bytes: 90 * testMSS, Packets: 90, Episode: true, Persistent: true})
	f.wantWindow(2, 0.001, "kMinimumWindow")
	require.True(t, cc.slowStart())
	f.round()
	f.wantWindow(4, 0.001, "slow start from there")
}

// spec: REL-24
func TestAWindowThatIsNotUsedDoesNotGrow(t *testing.T) {
	f, cc := newFlow(t, 50*time.Millisecond)
	f.limited = true
	for range 200 {
		f.now = f.now.Add(f.rtt)
		f.ack(1, true, 2*testMSS)
	}
	f.wantWindow(10, 0.001, "slow start with two of ten packets in flight")

	f.limited = false
	f.growTo(100)
	f.lose()
	f.round()
	before := cc.Window()
	f.limited = true
	for range 200 {
		f.now = f.now.Add(f.rtt)
		f.ack(1, true, 2*testMSS)
	}
	require.Equal(t, before, cc.Window(), "avoidance")
}

func TestAnIdleTimeDoesNotCountAsTimeOnTheCurve(t *testing.T) {
	f, cc := newFlow(t, 100*time.Millisecond)
	f.growTo(1000)
	f.lose()
	f.round()
	before := cc.Window()
	f.limited = true
	for range 100 { // ten seconds: enough for the whole way back to the plateau
		f.now = f.now.Add(f.rtt)
		f.ack(1, true, 2*testMSS)
	}
	f.limited = false
	f.round()
	require.Less(t, cc.Window()-before, 60*testMSS, "one round's growth, not ten seconds'")
}

func TestSlowStartGrowsAHalfUsedWindowBeforeTheNextBurstNeedsIt(t *testing.T) {
	f, _ := newFlow(t, 50*time.Millisecond)
	f.limited = true
	f.ack(6, true, 6*testMSS)
	f.wantWindow(16, 0.001, "six of ten were in flight")
	f.ack(6, true, 6*testMSS)
	f.wantWindow(16, 0.001, "six of sixteen were in flight")
}

func TestTheRateLeavesRoomForGrowth(t *testing.T) {
	f, cc := newFlow(t, 50*time.Millisecond)
	require.Zero(t, cc.PacingRate(), "no round trip known yet: the transport knows better")
	f.round()
	perSecond := float64(cc.Window()) / 0.05
	require.InEpsilon(t, 2*perSecond, float64(cc.PacingRate()), 0.01, "the window doubles")
	f.lose()
	perSecond = float64(cc.Window()) / 0.05
	require.InEpsilon(t, 1.25*perSecond, float64(cc.PacingRate()), 0.01)
}

func TestTheDefaultsOfTheConfigurationAreThoseOfTheRFC(t *testing.T) {
	require.Equal(t, 12000, NewCubic(Config{}).Window())
	require.Equal(t, 14720, NewCubic(Config{MaxDatagram: 1472}).Window())
	require.Equal(t, 18000, NewCubic(Config{MaxDatagram: 9000}).Window())
	require.Equal(t, 50000, NewCubic(Config{InitialWindow: 50000}).Window())
	require.Equal(t, 2400, NewCubic(Config{InitialWindow: 1}).Window(), "never below two datagrams")
	require.Equal(t, "cubic", NewCubic(Config{}).Name())
}

func TestAcknowledgementsAllocateNothing(t *testing.T) {
	f, _ := newFlow(t, 50*time.Millisecond)
	f.growTo(100)
	f.lose()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		f.now = f.now.Add(time.Millisecond)
		f.cc.Sent(SendSample{Now: f.now, Bytes: testMSS, InFlight: f.cc.Window()})
		f.ack(2, false, f.cc.Window())
	}))
}

func BenchmarkCubicAcked(b *testing.B) {
	var cc Controller = NewCubic(Config{})
	cc.Lost(LossSample{Now: testStart, Bytes: testMSS, Packets: 1, Episode: true, PriorInFlight: cc.Window()})
	s := AckSample{Now: testStart, Bytes: 2 * testMSS, Packets: 2, RTT: time.Millisecond, SmoothedRTT: time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		s.Now = s.Now.Add(time.Microsecond)
		cc.Acked(s)
	}
}
