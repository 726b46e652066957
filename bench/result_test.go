package bench

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLatencyKeepsThreeDigits(t *testing.T) {
	h := newHistogram()
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Millisecond)
	}
	l := h.latency()
	require.EqualValues(t, 1000, l.Count)
	require.InEpsilon(t, 1, l.MinMS, 0.001)
	require.InEpsilon(t, 500, l.P50MS, 0.002)
	require.InEpsilon(t, 990, l.P99MS, 0.002)
	require.InEpsilon(t, 999, l.P999MS, 0.002)
	require.InEpsilon(t, 1000, l.MaxMS, 0.002)
	require.InEpsilon(t, 500.5, l.MeanMS, 0.002)
	last := l.Distribution[len(l.Distribution)-1]
	require.InDelta(t, 100, last.Percent, 0.001)
	for i := 1; i < len(l.Distribution); i++ {
		require.Greater(t, l.Distribution[i].MS, l.Distribution[i-1].MS)
	}
}

func TestHistogramsTravelAndMerge(t *testing.T) {
	a, b := newHistogram(), newHistogram()
	a.add(-time.Second)  // clocks can be wrong
	a.add(2 * time.Hour) // and so can everything else
	b.add(25 * time.Millisecond)
	b.addBuckets(a.buckets())
	b.addBuckets([]bucket{{Micros: 1, Count: -1}})
	a.merge(b)
	require.EqualValues(t, 5, a.latency().Count)
	require.InDelta(t, 0.001, a.latency().MinMS, 1e-9)
	require.InEpsilon(t, maxLatency.Seconds()*1000, a.latency().MaxMS, 0.002)
	require.Zero(t, newHistogram().latency().Count)
}

func TestMetersTellRatesOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(time.Second)
		time.Sleep(200 * time.Millisecond)
		for range 8 {
			m.add(12_500) // 100 kbit each 100 ms: 1 Mbit/s
			time.Sleep(100 * time.Millisecond)
		}
		m.add(1 << 30) // too late
		time.Sleep(time.Hour)
		got := m.tally()
		require.EqualValues(t, 100_000, got.Bytes)
		require.InEpsilon(t, 1e6, got.rate(), 1e-9, "the rate counts from the first byte")
		series := got.series()
		require.Len(t, series, 10)
		require.Equal(t, Point{AtMS: 100, RateBPS: 0}, series[1])
		require.Equal(t, Point{AtMS: 900, RateBPS: 1e6}, series[9])
	})
}

func TestTalliesOfBothDirectionsAdd(t *testing.T) {
	up := tally{Bytes: 100, TookNS: 1e9, FirstNS: 50, Steps: []int64{60, 40}}
	var sum tally
	sum.merge(up)
	require.Equal(t, up, sum)
	sum.merge(tally{Bytes: 10, TookNS: 2e9, FirstNS: 20, Steps: []int64{1, 2, 7}})
	sum.merge(tally{})
	require.Equal(t, tally{Bytes: 110, TookNS: 2e9, FirstNS: 20, Steps: []int64{61, 42, 7}}, sum)
	require.InEpsilon(t, 440, sum.rate(), 1e-9)
	require.Zero(t, (&tally{}).rate())
}

// sample is a report with one result of each kind.
func sample() *Report {
	h := newHistogram()
	for i := range 500 {
		h.add(time.Duration(25+i%10) * time.Millisecond)
	}
	r := NewReport("local", "", "v1.2.3")
	r.Started = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	bulk := tally{Bytes: 25e6, TookNS: 2e9, Steps: []int64{1e6, 2e6, 3e6}}
	r.Results = []*Result{
		{Workload: Handshake, Link: "clean", Handshake: &HandshakeResult{Count: 500, PerSecond: 40, Dial: h.latency(), FirstByte: h.latency()}},
		{Workload: Message, Link: "clean", Message: &MessageResult{Size: 64, Hz: 60, Sent: 500, Received: 500, OneWay: h.latency(), Clock: "estimated", ClockErrorMS: 25, Wire: WireResult{Packets: 1.05}}},
		{Workload: Bulk, Link: "clean", Bulk: &BulkResult{Direction: Up, Streams: 1, Bytes: 25e6, RateBPS: bulk.rate(), Series: bulk.series()}},
		{Workload: Bulk, Link: "<b>", Error: "no <answer>"},
	}
	return r
}

func TestTheTableIsReadable(t *testing.T) {
	var b strings.Builder
	require.NoError(t, sample().WriteTable(&b))
	text := b.String()
	require.Contains(t, text, "Mbit/s")
	require.Regexp(t, `clean +29\.0 +34\.0 +40\.0 +29\.0 +34\.0 +34\.0 +1\.05 +100 +-`, text)
	require.Contains(t, text, "bulk over <b> failed: no <answer>")
	require.Contains(t, text, "up to 25 ms")
	for line := range strings.SplitSeq(text, "\n") {
		require.LessOrEqual(t, len(line), 100)
	}
}

func TestTheJSONKeepsItsNames(t *testing.T) {
	var b strings.Builder
	require.NoError(t, sample().WriteJSON(&b))
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(b.String()), &got))
	require.Equal(t, "godwit-bench/1", got["schema"])
	for _, key := range []string{"version", "go", "os", "arch", "cpus", "started", "mode"} {
		require.Contains(t, got, key)
	}
	results := got["results"].([]any)
	bulk := results[2].(map[string]any)["bulk"].(map[string]any)
	require.InEpsilon(t, 100e6, bulk["rate_bps"], 1e-9)
	require.Contains(t, bulk["series"].([]any)[0], "at_ms")
	message := results[1].(map[string]any)["message"].(map[string]any)["one_way"].(map[string]any)
	for _, key := range []string{"count", "min_ms", "mean_ms", "p50_ms", "p90_ms", "p99_ms", "p99_9_ms", "max_ms", "distribution"} {
		require.Contains(t, message, key)
	}
	require.Equal(t, "no <answer>", results[3].(map[string]any)["error"])
}

func TestThePageNeedsNothingElse(t *testing.T) {
	var b strings.Builder
	require.NoError(t, sample().WriteHTML(&b))
	page := b.String()
	require.Equal(t, 3, strings.Count(page, "<h2>"), "one chart for each workload")
	require.Equal(t, 3, strings.Count(page, "<polyline"))
	require.Contains(t, page, "&lt;b&gt;")
	require.NotContains(t, page, "no <answer>")
	for _, foreign := range []string{"http:", "https:", "<script", "<link", "@import", "NaN", "Inf"} {
		require.NotContains(t, page, foreign)
	}
}

func TestAnEmptyReportHasNoCharts(t *testing.T) {
	r := NewReport("client", "gw.example:4434", "v1")
	r.Results = []*Result{{Workload: Bulk, Link: Direct, Bulk: &BulkResult{}}, {Workload: Message, Link: Direct, Message: &MessageResult{}}}
	require.Empty(t, charts(r))
	var b strings.Builder
	require.NoError(t, r.WriteHTML(&b))
	require.NoError(t, r.WriteTable(&b))
}

func TestTicksAreRound(t *testing.T) {
	labels := func(list []tick) (out []string) {
		for _, t := range list {
			out = append(out, t.Label)
		}
		return out
	}
	require.Equal(t, []string{"0", "20", "40", "60", "80", "100"}, labels(plainTicks(100)))
	require.Equal(t, []string{"0", "0.5", "1", "1.5", "2", "2.5"}, labels(plainTicks(2.6)))
	require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6", "7"}, labels(plainTicks(7.2)))
	require.Equal(t, []string{"0", "50", "90", "99"}, labels(percentTicks(2.2)))
}
