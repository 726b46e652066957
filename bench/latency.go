package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency sums up a histogram of times, in milliseconds, exact to three digits.
type Latency struct {
	Count        int64      `json:"count"`
	MinMS        float64    `json:"min_ms"`
	MeanMS       float64    `json:"mean_ms"`
	P50MS        float64    `json:"p50_ms"`
	P90MS        float64    `json:"p90_ms"`
	P99MS        float64    `json:"p99_ms"`
	P999MS       float64    `json:"p99_9_ms"`
	MaxMS        float64    `json:"max_ms"`
	Distribution []Quantile `json:"distribution"` // up to the maximum, for charts
}

// Quantile says that this percentage of values was at most MS.
type Quantile struct {
	Percent float64 `json:"percent"` // 0 to 100
	MS      float64 `json:"ms"`
}

// histogram counts times in microseconds. It is not safe for concurrent use.
type histogram struct {
	h *hdrhistogram.Histogram
}

func newHistogram() *histogram {
	const digits = 3
	return &histogram{hdrhistogram.New(1, maxLatency.Microseconds(), digits)}
}

// add counts one time; what is below a microsecond or above maxLatency counts as that.
func (h *histogram) add(d time.Duration) { h.addMicros(d.Microseconds(), 1) }

func (h *histogram) addMicros(us, count int64) {
	// The value is inside the range, so that recording cannot fail.
	_ = h.h.RecordValues(min(max(us, 1), maxLatency.Microseconds()), count)
}

// merge adds what other counted.
func (h *histogram) merge(other *histogram) { h.h.Merge(other.h) }

// bucket is one distinct value of a histogram, as it travels to the other end.
type bucket struct {
	Micros int64 `json:"us"`
	Count  int64 `json:"n"`
}

// buckets lists what was counted.
func (h *histogram) buckets() []bucket {
	var list []bucket
	for _, b := range h.h.Distribution() {
		if b.Count > 0 {
			list = append(list, bucket{Micros: b.To, Count: b.Count})
		}
	}
	return list
}

// addBuckets counts what the other end counted. Negative counts, which only a broken peer sends, are
// skipped.
func (h *histogram) addBuckets(list []bucket) {
	for _, b := range list {
		if b.Count > 0 {
			h.addMicros(b.Micros, b.Count)
		}
	}
}

// latency sums the histogram up.
func (h *histogram) latency() Latency {
	if h.h.TotalCount() == 0 {
		return Latency{Distribution: []Quantile{}}
	}
	l := Latency{
		Count: h.h.TotalCount(), MinMS: micros(h.h.Min()), MeanMS: h.h.Mean() / 1000, MaxMS: micros(h.h.Max()),
		P50MS: h.at(50), P90MS: h.at(90), P99MS: h.at(99), P999MS: h.at(99.9),
	}
	for _, q := range h.h.CumulativeDistribution() {
		if n := len(l.Distribution); n > 0 && l.Distribution[n-1].MS == micros(q.ValueAt) {
			l.Distribution[n-1].Percent = q.Quantile
			continue
		}
		l.Distribution = append(l.Distribution, Quantile{Percent: q.Quantile, MS: micros(q.ValueAt)})
	}
	return l
}

func (h *histogram) at(percent float64) float64 { return micros(h.h.ValueAtPercentile(percent)) }

func micros(us int64) float64 { return float64(us) / 1000 }

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
