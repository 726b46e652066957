package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/monotime"
)

func TestTraceCarries1500BytesAnOpportunityAndRepeats(t *testing.T) {
	trace, err := ParseTrace(strings.NewReader("2\n2\n5\n"))
	require.NoError(t, err)
	require.Equal(t, 5*time.Millisecond, trace.Duration())
	require.InDelta(t, 3*12000/0.005, trace.Rate(), 1e-6)
	l, err := NewLink(Config{CustomTrace: trace, MTU: 9000, Queue: 1e6}, 0)
	require.NoError(t, err)
	for _, want := range []int{2, 2, 5, 7, 7, 10, 12} {
		out, _ := l.Send(0, 1472, 0)
		require.Equal(t, monotime.Time(want)*monotime.Time(time.Millisecond), out[0].At)
	}
}

func TestTraceSplitsAndSharesOpportunities(t *testing.T) {
	trace, err := ParseTrace(strings.NewReader("1\n3\n10\n"))
	require.NoError(t, err)
	l, err := NewLink(Config{CustomTrace: trace, MTU: 9000, Queue: 1e6}, 0)
	require.NoError(t, err)
	for _, c := range []struct{ size, at int }{
		{472, 1}, {472, 1}, // two small packets in one
		{1472, 3},  // the third does not fit behind them: its end is carried by the next
		{2972, 11}, // two and a bit
	} {
		out, _ := l.Send(0, c.size, 0)
		require.Equal(t, monotime.Time(c.at)*monotime.Time(time.Millisecond), out[0].At, "%d bytes", c.size)
	}
}

func TestOpportunitiesThatNobodyUsesAreGone(t *testing.T) {
	trace, err := ParseTrace(strings.NewReader("1\n2\n50\n"))
	require.NoError(t, err)
	l, err := NewLink(Config{CustomTrace: trace}, 0)
	require.NoError(t, err)
	out, _ := l.Send(monotime.Time(10*time.Millisecond), 1472, 0)
	require.Equal(t, monotime.Time(50*time.Millisecond), out[0].At)
}

func TestParseTraceNamesTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "needs at least one",
		"0\n":                        "needs at least one",
		"1\nx\n":                     "line 2",
		"5\n4\n":                     "line 2: 4 ms after 5 ms: sort the times",
		"1\n-3\n":                    "line 2",
		"99999999999\n":              "line 1",
		strings.Repeat("1\n", 65536): "more than 65535",
	} {
		_, err := ParseTrace(strings.NewReader(text))
		require.ErrorContains(t, err, want)
	}
}

func TestStarlinkTraceIsWhole(t *testing.T) {
	trace, err := starlinkTrace()
	require.NoError(t, err)
	require.Equal(t, 120052*time.Millisecond, trace.Duration())
	require.InDelta(t, 48.7e6, trace.Rate(), 0.1e6)
	require.Equal(t, 11999, len(trace.delays), "delays")
	require.InDelta(t, 10.67, trace.meanDelay().Seconds()*1000, 0.05)
}

func TestStarlinkCarriesItsRateInOrder(t *testing.T) {
	l := newTestLink(t, "starlink,loss=0%")
	var last monotime.Time
	sendEvery(l, 120_000*6, time.Second/6000, 1472, func(_ monotime.Time, out []Delivery, _ Cause) {
		if len(out) > 0 {
			require.GreaterOrEqual(t, out[0].At, last)
			last = out[0].At
		}
	})
	require.InDelta(t, 48.7e6, float64(l.stats.DeliveredBytes)/1472*12000/120, 1e6)
}

func TestLTETraceHasOutagesUpToOneAndAHalfSeconds(t *testing.T) {
	longest, outages := 0, 0
	for seed := range uint64(20) {
		trace := lteTrace(seed)
		require.InDelta(t, lteMiddle, trace.Rate(), 0.6*lteMiddle)
		gap := 0
		for _, n := range trace.slots {
			if n > 0 {
				if gap > 100 {
					outages++
				}
				longest = max(longest, gap)
				gap = 0
				continue
			}
			gap++
		}
	}
	require.Greater(t, longest, 1200)
	require.Less(t, longest, 1700, "an outage and an unlucky stretch of a slow cell")
	require.Greater(t, outages, 20*4)
	require.True(t, slices.Equal(lteTrace(1).slots, lteTrace(1).slots))
	require.False(t, slices.Equal(lteTrace(1).slots, lteTrace(2).slots))
}

func FuzzParseTrace(f *testing.F) {
	f.Add([]byte("1\n2\n2\n9\n"))
	f.Add([]byte("\n\n3"))
	f.Fuzz(func(t *testing.T, text []byte) {
		trace, err := ParseTrace(strings.NewReader(string(text)))
		if err != nil {
			return
		}
		require.Positive(t, trace.total)
		l, err := NewLink(Config{CustomTrace: trace}, 0)
		require.NoError(t, err)
		out, _ := l.Send(1, 1472, 0)
		require.Positive(t, out[0].At)
	})
}
