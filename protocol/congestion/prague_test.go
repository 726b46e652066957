package congestion

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// pragueRun drives a controller by round trips: every round trip the window is acknowledged in ten
// frames, and a part of the packets of each came as CE.
type pragueRun struct {
	cc    Controller
	now   monotime.Time
	rtt   time.Duration // without queue
	queue time.Duration
	rate  uint64 // what the path delivers, bytes a second; 0: not known
}

func newPragueRun(cc Controller) *pragueRun {
	return &pragueRun{cc: cc, now: monotime.Time(time.Hour), rtt: 40 * time.Millisecond}
}

func (r *pragueRun) rounds(n int, marked float64) {
	for range n {
		const frames = 10
		packets := max(r.cc.Window()/defaultMaxDatagram/frames, 1)
		var due float64
		for i := range frames {
			r.now = r.now.Add((r.rtt + r.queue) / frames)
			due += marked * float64(packets)
			r.frame(packets, int(due), i == 0)
			due -= float64(int(due))
		}
	}
}

func (r *pragueRun) frame(packets, marks int, roundStart bool) {
	if marks > 0 {
		r.cc.Lost(LossSample{Now: r.now, ECN: marks})
	}
	r.cc.Acked(AckSample{
		Now: r.now, Bytes: packets * defaultMaxDatagram, Packets: packets, ECT: packets,
		RTT: r.rtt + r.queue, SmoothedRTT: r.rtt + r.queue, MinRTT: r.rtt, RoundStart: roundStart,
		PriorInFlight: r.cc.Window(), InFlight: r.cc.Window() - packets*defaultMaxDatagram,
		Rate: RateSample{BytesPerSecond: r.rate},
	})
}

// steady is a Prague controller that has left slow start and knows its part of marks.
func steady(marked float64) (*Prague, *pragueRun) {
	p := NewPrague(Config{InitialWindow: 200 * defaultMaxDatagram})
	r := newPragueRun(p)
	r.rounds(1, marked)
	r.rounds(40, marked)
	p.cubic.window = 200 * defaultMaxDatagram
	p.cubic.ease(1)
	r.now = r.now.Add(p.round())
	return p, r
}

func TestPragueAsksForMarksOfL4S(t *testing.T) {
	require.Equal(t, MarkL4S, NewPrague(Config{}).Marking())
	for _, name := range Names() {
		construct, _ := Named(name)
		m, ok := construct(Config{}).(Marker)
		require.Equal(t, name == "prague", ok && m.Marking() == MarkL4S, name)
	}
}

func TestPragueTakesOffHalfThePartOfMarks(t *testing.T) {
	for _, part := range []float64{0.05, 0.2, 0.5, 1} {
		p, r := steady(part)
		require.InDelta(t, part, p.alpha, 0.02)
		before := p.Window()
		r.frame(1, 1, false)
		require.InEpsilon(t, float64(before)*(1-p.alpha/2), p.Window(), 0.001)
		once := p.Window()
		for range 5 {
			r.now = r.now.Add(p.round() / 6)
			r.frame(1, 1, false)
		}
		require.Equal(t, once, p.Window(), "once in a round trip")
		r.now = r.now.Add(p.round())
		r.frame(1, 1, false)
		require.Less(t, p.Window(), once)
	}
}

func TestTheFirstMarkGoesDownToWhatThePathDelivers(t *testing.T) {
	for delivers, want := range map[float64]float64{0: 0.5, 0.2: 0.5, 0.8: 0.8, 1.5: 1} {
		p := NewPrague(Config{InitialWindow: 240_000})
		r := newPragueRun(p)
		r.rate = uint64(delivers * 240_000 / r.rtt.Seconds())
		r.frame(1, 1, true)
		require.InEpsilon(t, 240_000*want, p.Window(), 0.01, "delivers %v", delivers)
		require.False(t, p.cubic.slowStart())
	}
}

func TestWhatLeftBeforeTheFirstAnswerIsNotMeasured(t *testing.T) {
	p := NewPrague(Config{InitialWindow: 240_000})
	r := newPragueRun(p)
	r.rate = 6_000_000
	r.frame(1, 1, true)
	window := p.Window()
	r.rounds(1, 1) // the packets of slow start that were on their way
	require.GreaterOrEqual(t, p.Window(), window)
	r.rounds(1, 0.1)
	require.InDelta(t, 0.1, p.alpha, 0.05, "the first measurement is taken as it is")
}

func TestPragueWithoutMarksIsCUBIC(t *testing.T) {
	p, c := newPragueRun(NewPrague(Config{})), newPragueRun(NewCubic(Config{}))
	for i := range 60 {
		if i%20 == 19 {
			for _, r := range []*pragueRun{p, c} {
				r.cc.Lost(LossSample{Now: r.now, Packets: 1, Bytes: 1200, Episode: true, PriorInFlight: r.cc.Window()})
			}
		}
		if i == 39 {
			p.cc.Undo(p.now)
			c.cc.Undo(c.now)
		}
		p.rounds(1, 0)
		c.rounds(1, 0)
		require.Equal(t, c.cc.Window(), p.cc.Window(), "round %d", i)
	}
	persistent := LossSample{Packets: 9, Persistent: true, Episode: true}
	p.cc.Lost(persistent)
	require.Equal(t, 2*defaultMaxDatagram, p.cc.Window())
}

func TestLossAndMarksOfOneRoundTripAreAnsweredOnce(t *testing.T) {
	p, r := steady(0.5)
	before := p.Window()
	p.Lost(LossSample{Now: r.now, Packets: 1, Bytes: 1200, Episode: true, ECN: 3, PriorInFlight: before})
	require.InEpsilon(t, 0.7*float64(before), p.Window(), 0.001)
	r.frame(10, 5, false)
	require.InEpsilon(t, 0.7*float64(before), p.Window(), 0.01)
}

func TestShortRoundTripsGrowNoFasterThanOnesOf25Milliseconds(t *testing.T) {
	// growth is by how much the rate grows in a second without marks, in bytes a second.
	growth := func(rtt time.Duration) float64 {
		p, r := steady(0.1)
		r.rtt = rtt
		r.rounds(1, 0)
		rate := func() float64 { return float64(p.Window()) / rtt.Seconds() }
		start, end := rate(), r.now.Add(time.Second)
		for r.now < end {
			r.rounds(1, 0)
		}
		return rate() - start
	}
	reference := growth(25 * time.Millisecond)
	for _, rtt := range []time.Duration{2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond} {
		require.Less(t, growth(rtt), 1.3*reference, "%v", rtt)
	}
	require.Less(t, growth(100*time.Millisecond), reference)
}

func TestAStandingQueueThatMarksIsTakenForAClassicOne(t *testing.T) {
	p, r := steady(0.1)
	r.rounds(500, 0.1)
	require.Equal(t, MarkL4S, p.Marking(), "no queue")
	r.queue = 2 * time.Millisecond
	r.rounds(500, 0.1)
	require.Equal(t, MarkL4S, p.Marking(), "two milliseconds")
	r.queue = 20 * time.Millisecond
	r.rounds(500, 0)
	require.Equal(t, MarkL4S, p.Marking(), "a queue that marks nothing")
	for range 100 {
		r.rounds(pragueClassicRounds-2, 0.1)
		r.queue = 0
		r.rounds(2, 0.1)
		r.queue = 20 * time.Millisecond
	}
	require.Equal(t, MarkL4S, p.Marking(), "it does not stand")

	r.rounds(pragueClassicRounds+3, 0.1)
	require.Equal(t, MarkClassic, p.Marking())
	before := p.Window()
	p.Lost(LossSample{Now: r.now, ECN: 1, Episode: true, PriorInFlight: before})
	require.InEpsilon(t, 0.7*float64(before), p.Window(), 0.001, "a mark is answered as loss is")
	r.queue = 0
	r.rounds(100, 0.1)
	require.Equal(t, MarkClassic, p.Marking(), "for good")
}

func TestMarksThatAreMadeUpLeaveAWindow(t *testing.T) {
	p, r := steady(0.1)
	for range 200 {
		r.rounds(1, 0)
		r.frame(1, 1<<30, false)
		require.GreaterOrEqual(t, p.Window(), 2*defaultMaxDatagram)
		require.LessOrEqual(t, p.alpha, 1.0)
	}
	p.SetMaxDatagram(9000)
	require.Equal(t, 18000, p.Window())
}

func TestPraguePacesItsWindow(t *testing.T) {
	p := NewPrague(Config{})
	require.Zero(t, p.PacingRate(), "no round trip is known")
	r := newPragueRun(p)
	r.rounds(2, 0)
	require.InEpsilon(t, 1.1*float64(p.Window())/0.040, p.PacingRate(), 0.001, "slow start")
	r.rounds(1, 1)
	require.InEpsilon(t, float64(p.Window())/0.040, p.PacingRate(), 0.001, "no bursts for a step to mark")
}
