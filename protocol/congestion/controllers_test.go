package congestion

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What every controller of this package owes, whatever its algorithm. Fixed has no window to lose.

func forEveryController(t *testing.T, test func(*testing.T, *testPath)) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			make, ok := Named(name)
			require.True(t, ok)
			test(t, newTestPath(t, make(Config{MaxDatagram: testPacketSize})))
		})
	}
}

// spec: REL-24
func TestALimitedApplicationDoesNotGrowAnyWindow(t *testing.T) {
	forEveryController(t, func(t *testing.T, p *testPath) {
		p.app = 0.1 * p.rate
		p.run(2 * time.Second)
		before := p.cc.Window()
		require.LessOrEqual(t, float64(before), 4*p.app*p.base.Seconds(), "a few times what it uses")
		p.run(20 * time.Second)
		require.LessOrEqual(t, p.cc.Window(), before+testPacketSize)
	})
}

func TestNoControllerLosesItsRateToAnIdleApplication(t *testing.T) {
	forEveryController(t, func(t *testing.T, p *testPath) {
		p.run(3 * time.Second)
		rate := p.run(time.Second)
		before := p.cc.Window()
		p.app = 1
		p.run(20 * time.Second)
		require.GreaterOrEqual(t, float64(p.cc.Window()), 0.85*float64(before))
		p.app = 0
		require.Greater(t, p.run(400*time.Millisecond), 0.8*rate, "in its first ten round trips")
	})
}

func TestEveryControllerUndoesAnEpisodeThatWasNone(t *testing.T) {
	forEveryController(t, func(t *testing.T, p *testPath) {
		p.run(3 * time.Second)
		window, rate := p.cc.Window(), p.cc.PacingRate()
		for range 3 {
			if o, ok := p.cc.(LossObserver); ok {
				o.LostPacket(PacketLoss{Bytes: testPacketSize, TxInFlight: window, Lost: uint64(window) / 10})
			}
			p.cc.Lost(LossSample{
				Now: p.now, Bytes: testPacketSize, Packets: 1, Episode: true, PriorInFlight: window, InFlight: window - testPacketSize,
			})
			p.cc.Undo(p.now)
		}
		require.GreaterOrEqual(t, p.cc.Window(), window)
		require.GreaterOrEqual(t, p.cc.PacingRate(), rate*99/100)
		require.Greater(t, p.run(time.Second), 0.9*p.rate)
	})
}

// BenchmarkController measures what a controller costs for each packet, an acknowledgement for every
// second one: as often as any peer acknowledges, eight times as often as ours does.
func BenchmarkController(b *testing.B) {
	controllers := map[string]Controller{"fixed": NewFixed(Config{}, 1<<20)} // to compare with
	for _, name := range Names() {
		make, _ := Named(name)
		controllers[name] = make(Config{})
	}
	for _, name := range append([]string{"fixed"}, Names()...) {
		b.Run(name, func(b *testing.B) {
			cc := controllers[name]
			now, delivered := testStart, uint64(0)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now = now.Add(10 * time.Microsecond)
				cc.Sent(SendSample{Now: now, Bytes: 1200, InFlight: 48_000})
				if cc.Window() < 1200 || cc.PacingRate() == 1 {
					b.Fatal("nothing may leave")
				}
				if i%2 == 0 {
					continue
				}
				delivered += 2400
				cc.Acked(AckSample{
					Now: now, Bytes: 2400, Packets: 2, RTT: ms, SmoothedRTT: ms, MinRTT: ms,
					PriorInFlight: 48_000, InFlight: 45_600, RoundStart: i%40 == 1,
					Rate: RateSample{
						BytesPerSecond: 120_000_000, Delivered: 48_000, PriorDelivered: delivered, Interval: ms, TxInFlight: 48_000,
					},
				})
			}
		})
	}
}
