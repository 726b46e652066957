package sim

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/monotime"
)

const second = monotime.Time(time.Second)

// newTestLink returns a link for a text of the link language that begins at time 0.
func newTestLink(t *testing.T, text string) *Link {
	t.Helper()
	c, err := ParseLink(text)
	require.NoError(t, err)
	l, err := NewLink(c, 0)
	require.NoError(t, err)
	return l
}

// sendEvery sends n datagrams of size bytes, one every gap, and hands each result to see.
func sendEvery(l *Link, n int, gap time.Duration, size int, see func(now monotime.Time, out []Delivery, cause Cause)) {
	for i := range n {
		now := monotime.Time(i) * monotime.Time(gap)
		out, cause := l.Send(now, size, 0)
		if see != nil {
			see(now, out, cause)
		}
	}
}

func TestLinkOfNothingDeliversAtOnce(t *testing.T) {
	l := newTestLink(t, "")
	out, cause := l.Send(5, 1000, 0)
	require.Equal(t, Carried, cause)
	require.Equal(t, []Delivery{{At: 5}}, out)
}

func TestLinkDelays(t *testing.T) {
	l := newTestLink(t, "clean")
	out, _ := l.Send(second, 1000, 0)
	require.Equal(t, second.Add(25*time.Millisecond), out[0].At)
}

func TestLinkRepeatsItselfUnderTheSameSeed(t *testing.T) {
	const text = "wifi,loss=3%,jitter=5ms,dup=2%,replay=1%,reorder=2%,corrupt=1%,rate=10mbit,seed="
	run := func(seed string) (log []Delivery) {
		sendEvery(newTestLink(t, text+seed), 5000, time.Millisecond, 1200, func(_ monotime.Time, out []Delivery, _ Cause) {
			log = append(log, out...)
		})
		return log
	}
	require.Equal(t, run("1"), run("1"))
	require.NotEqual(t, run("1"), run("2"))
}

func TestLossOfNamedLinksIsAsNamed(t *testing.T) {
	for name, want := range map[string]float64{"clean": 0, "loss1": 0.01, "loss5": 0.05, "loss10": 0.10, "loss20": 0.20, "wifi": 0.05, "handover": 0.03} {
		t.Run(name, func(t *testing.T) {
			l := newTestLink(t, name)
			const n = 1_000_000
			sendEvery(l, n, time.Millisecond, 100, nil)
			got := float64(l.stats.Dropped()) / n
			require.InDelta(t, want, got, 0.05*want)
		})
	}
}

// losses returns the lengths of runs of consecutive drops, in datagrams, and how many runs there were.
func losses(l *Link, n int, gap time.Duration) (mean float64, runs int) {
	run, total := 0, 0
	sendEvery(l, n, gap, 100, func(_ monotime.Time, out []Delivery, _ Cause) {
		if len(out) == 0 {
			run++
			return
		}
		if run > 0 {
			runs++
			total += run
		}
		run = 0
	})
	return float64(total) / float64(runs), runs
}

func TestHandoverOutagesLastSixtyMillisecondsEveryTwoSeconds(t *testing.T) {
	const seconds = 2000
	mean, runs := losses(newTestLink(t, "handover"), seconds*2000, 500*time.Microsecond)
	require.InDelta(t, 120, mean, 10, "mean outage in units of 500 µs")
	require.InDelta(t, seconds/2, runs, 0.06*seconds/2, "one every 2 s")
}

func TestWifiBadStatesLastTwentyMilliseconds(t *testing.T) {
	mean, runs := losses(newTestLink(t, "wifi,badloss=100%"), 4_000_000, 100*time.Microsecond)
	require.InDelta(t, 200, mean, 10, "mean bad state in units of 100 µs")
	require.InDelta(t, 400/0.3, runs, 0.08*400/0.3, "one every 300 ms")
}

func TestWifiLosesThreeQuartersInTheBadState(t *testing.T) {
	l := newTestLink(t, "wifi,good=1ns,bad=10m")
	sendEvery(l, 100_000, time.Millisecond, 100, nil)
	require.InDelta(t, 0.75, float64(l.stats.Drops[BadState])/100_000, 0.01)
}

func TestOutagesHitBothDirectionsAndCoinsDoNot(t *testing.T) {
	c, err := ParseLink("handover,loss=50%")
	require.NoError(t, err)
	up, down, err := NewPair(c, 0)
	require.NoError(t, err)
	alike, lost := 0, 0
	for i := range 100_000 {
		now := monotime.Time(i) * monotime.Time(time.Millisecond)
		_, a := up.Send(now, 100, 0)
		_, b := down.Send(now, 100, 0)
		require.Equal(t, a == Outage, b == Outage, "at %v", now)
		if a == Lost {
			lost++
			if b == Lost {
				alike++
			}
		}
	}
	require.InDelta(t, 0.5, float64(alike)/float64(lost), 0.02)
}

func TestRateSpacesDatagrams(t *testing.T) {
	l := newTestLink(t, "rate=12mbit,queue=1MB")
	for i := range 10 {
		out, _ := l.Send(0, 1472, 0)
		require.Equal(t, monotime.Time(i+1)*monotime.Time(time.Millisecond), out[0].At, "1500 bytes take 1 ms")
	}
}

func TestQueueDropsItsTail(t *testing.T) {
	l := newTestLink(t, "rate=12mbit,queue=4500B")
	for range 3 {
		_, cause := l.Send(0, 1472, 0)
		require.Equal(t, Carried, cause)
	}
	_, cause := l.Send(0, 1472, 0)
	require.Equal(t, QueueFull, cause)
	_, cause = l.Send(monotime.Time(time.Millisecond), 1472, 0)
	require.Equal(t, Carried, cause, "one has left")
	require.Equal(t, 3*time.Millisecond, l.stats.Wait.Quantile(1))
}

func TestQueueInProductsFollowsRateAndDelay(t *testing.T) {
	for text, want := range map[string]int{
		"dsl":                    250_000,
		"dsl,queue=0.25bdp":      62_500,
		"dsl,queue=4bdp":         1_000_000,
		"dsl,queue=64kB":         64_000,
		"long":                   9_375_000,
		"rate=1mbit":             MinDefaultQueue,
		"delay=20ms,rate=50mbit": 250_000,
	} {
		require.Equal(t, want, newTestLink(t, text).queue.limit, text)
	}
}

func TestQueueHoldsNoMoreThanItsLimitAndForgetsTheRest(t *testing.T) {
	l := newTestLink(t, "dsl,queue=0.25bdp")
	sendEvery(l, 200_000, 100*time.Microsecond, 1472, func(monotime.Time, []Delivery, Cause) {
		require.LessOrEqual(t, l.queue.bytes, 62_500)
	})
	require.Less(t, cap(l.queue.waiting), 1000)
	require.InDelta(t, 50e6, float64(l.stats.DeliveredBytes)/1472*1500*8/20, 2e5, "the rate of 20 s")
	require.InDelta(t, 10, l.stats.Wait.Quantile(0.99).Seconds()*1000, 0.7, "62.5 kB at 50 Mbit/s")
}

func TestLossTakesCapacity(t *testing.T) {
	l := newTestLink(t, "dsl,loss=10%")
	sendEvery(l, 200_000, 100*time.Microsecond, 1472, nil)
	require.InDelta(t, 0.9*50e6, float64(l.stats.DeliveredBytes)/1472*1500*8/20, 4e5)
}

func TestPolicerPassesItsBurstAndThenItsRate(t *testing.T) {
	l := newTestLink(t, "policer")
	burst := 0
	for {
		if _, cause := l.Send(0, 972, 0); cause == Policed {
			break
		}
		burst++
	}
	require.Equal(t, 64, burst, "64 kB in packets of 1000 bytes")
	sendEvery(l, 100_000, 100*time.Microsecond, 972, nil)
	require.InDelta(t, 20e6, float64(l.stats.DeliveredBytes)/972*8000/10, 1e5)
}

func TestBlackHoleFollowsTheClock(t *testing.T) {
	l := newTestLink(t, "blackhole")
	for _, c := range []struct {
		at   float64
		want Cause
	}{{0, Carried}, {4.9, Carried}, {5.1, BlackHole}, {6.9, BlackHole}, {7.1, Carried}, {12.1, BlackHole}} {
		_, cause := l.Send(monotime.Time(c.at*float64(second)), 100, 0)
		require.Equal(t, c.want, cause, "at %v s", c.at)
	}
}

func TestJitterIsExponentialAndReorders(t *testing.T) {
	l := newTestLink(t, "jitter10")
	const n = 200_000
	var sum, above float64
	var last monotime.Time
	overtaken := 0
	sendEvery(l, n, time.Millisecond, 100, func(now monotime.Time, out []Delivery, _ Cause) {
		extra := out[0].At.Sub(now) - 25*time.Millisecond
		require.GreaterOrEqual(t, extra, time.Duration(0))
		sum += extra.Seconds()
		if extra > 30*time.Millisecond {
			above++
		}
		if out[0].At.Before(last) {
			overtaken++
		}
		last = max(last, out[0].At)
	})
	require.InDelta(t, 0.010, sum/n, 0.0002)
	require.InDelta(t, math.Exp(-3), above/n, 0.003, "three means are exceeded with e^-3")
	require.Greater(t, overtaken, n/2)
}

func TestTooLargeDatagramsVanish(t *testing.T) {
	for text, largest := range map[string]int{"clean": 1472, "mtu=1400": 1372, "overhead=48": 1452, "mtu=65535": 65507} {
		l := newTestLink(t, text)
		require.Equal(t, largest, l.config.MaxDatagram(), text)
		_, cause := l.Send(0, largest, 0)
		require.Equal(t, Carried, cause, text)
		_, cause = l.Send(0, largest+1, 0)
		require.Equal(t, TooBig, cause, text)
	}
}

func TestScriptDropsByPlace(t *testing.T) {
	l := newTestLink(t, "drop=0110")
	var got []bool
	for range 6 {
		_, cause := l.Send(0, 1, 0)
		got = append(got, cause == Scripted)
	}
	require.Equal(t, []bool{false, true, true, false, false, false}, got)
}

func TestFaultsComeAsOftenAsSaid(t *testing.T) {
	l := newTestLink(t, "delay=20ms,dup=2%,replay=0.5%,reorder=3%,corrupt=1%")
	const n = 400_000
	latest := time.Duration(0)
	sendEvery(l, n, time.Millisecond, 100, func(now monotime.Time, out []Delivery, _ Cause) {
		require.False(t, out[0].Copy)
		for _, d := range out[1:] {
			require.True(t, d.Copy)
		}
		latest = max(latest, out[len(out)-1].At.Sub(now))
	})
	s := l.Stats()
	require.InDelta(t, 0.02, float64(s.Duplicated)/n, 0.001)
	require.InDelta(t, 0.005, float64(s.Replayed)/n, 0.0005)
	require.InDelta(t, 0.03, float64(s.Reordered)/n, 0.0015)
	require.InDelta(t, 0.01, float64(s.Corrupted)/float64(s.Delivered), 0.001)
	require.Equal(t, n+s.Duplicated+s.Replayed, s.Delivered)
	require.InDelta(t, 1.02, latest.Seconds(), 0.01, "replays come up to a second later")
}

func TestDamageFlipsOneBitAndOnlyOfCorruptedCopies(t *testing.T) {
	data := make([]byte, 100)
	Delivery{}.Damage(data)
	require.Equal(t, make([]byte, 100), data)
	d := Delivery{Flip: 1<<31 + 12345}
	d.Damage(data)
	require.NotEqual(t, make([]byte, 100), data)
	d.Damage(data)
	require.Equal(t, make([]byte, 100), data, "twice the same bit is none")
	d.Damage(nil)
}

func TestLinkCanBeCutAndChangedWhileInUse(t *testing.T) {
	l := newTestLink(t, "rate=12mbit,queue=100kB")
	l.Send(0, 1472, 0)
	l.Send(0, 1472, 0)
	l.SetDown(true)
	_, cause := l.Send(0, 1472, 0)
	require.Equal(t, Down, cause)
	l.SetDown(false)

	c := l.Config()
	require.NoError(t, c.Set("mtu", "1400"))
	require.NoError(t, l.Configure(0, c))
	_, cause = l.Send(0, 1472, 0)
	require.Equal(t, TooBig, cause)
	out, _ := l.Send(0, 1372, 0)
	require.Greater(t, out[0].At, monotime.Time(2*time.Millisecond), "behind what was in the queue before")
	require.EqualValues(t, 5, l.Stats().Sent)

	c.Loss = 2
	require.ErrorContains(t, l.Configure(0, c), "loss")
}

func TestTimeThatFallsCountsAsTheLatest(t *testing.T) {
	l := newTestLink(t, "delay=1ms")
	l.Send(second, 10, 0)
	out, _ := l.Send(0, 10, 0)
	require.Equal(t, second.Add(time.Millisecond), out[0].At)
}

func TestSendDoesNotAllocate(t *testing.T) {
	l := newTestLink(t, "dsl,loss=1%,jitter=2ms,dup=1%")
	now := monotime.Time(0)
	send := func() {
		l.Send(now, 1200, 0)
		now = now.Add(200 * time.Microsecond)
	}
	for range 1000 {
		send()
	}
	require.Zero(t, testing.AllocsPerRun(1000, send))
}

func TestStatsReadAsOneLine(t *testing.T) {
	l := newTestLink(t, "drop=1,dup=100%")
	l.Send(0, 10, 0)
	l.Send(0, 10, 0)
	s := l.Stats()
	require.Equal(t, "2 in, 2 out, 1 dropped (50.00 %: 1 scripted), 1 duplicated", s.String())
	require.Equal(t, "cause 200", Cause(200).String())
}

func TestHistogramQuantilesAreWithinASixteenth(t *testing.T) {
	var h Histogram
	require.Zero(t, h.Quantile(0.5))
	for i := range 100_000 {
		h.Add(time.Duration(i) * time.Microsecond)
	}
	for _, q := range []float64{0.01, 0.5, 0.99, 0.999, 1} {
		want := q * 100_000
		require.InDelta(t, want, float64(h.Quantile(q)/time.Microsecond), want/16+1, fmt.Sprint(q))
	}
	h.Add(-1)
	h.Add(math.MaxInt64)
	require.Equal(t, time.Duration(math.MaxInt64), h.Quantile(1))
}

func TestHistogramBucketsTileTheNumbers(t *testing.T) {
	for i := 1; i < histogramSize; i++ {
		require.Equal(t, i, bucketOf(bucketEnd(i)))
		require.Equal(t, i, bucketOf(bucketEnd(i-1)+1))
	}
}

func BenchmarkLinkSend(b *testing.B) {
	c, _ := Profile("dsl")
	c.Loss = 0.01
	l, err := NewLink(c, 0)
	require.NoError(b, err)
	b.ReportAllocs()
	now := monotime.Time(0)
	for b.Loop() {
		l.Send(now, 1200, 0)
		now += 200_000
	}
}
