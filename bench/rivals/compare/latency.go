package compare

import (
	"math"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/godwit-net/godwit/bench/alarm"
)

// longestTime is the largest time that is told apart.
const longestTime = 10 * time.Minute

// histogram counts times, exact to three digits. It is safe for concurrent use.
type histogram struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

func newHistogram() *histogram {
	const digits = 3
	return &histogram{h: hdrhistogram.New(1, longestTime.Microseconds(), digits)}
}

// add counts one time; below a microsecond it counts as one.
func (h *histogram) add(d time.Duration) {
	us := min(max(d.Microseconds(), 1), longestTime.Microseconds())
	h.mu.Lock()
	_ = h.h.RecordValue(us) // it is in the range
	h.mu.Unlock()
}

// at returns the value that percent of the times do not exceed, in ms; NaN when there are none.
func (h *histogram) at(percent float64) float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.h.TotalCount() == 0 {
		return math.NaN()
	}
	return float64(h.h.ValueAtPercentile(percent)) / 1000
}

func (h *histogram) count() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.h.TotalCount()
}

// percentiles puts p50, p99 and p99.9 into a sample, each with a prefix of the key.
func (h *histogram) percentiles(s Sample, prefix string) {
	s[prefix+"p50_ms"], s[prefix+"p99_ms"], s[prefix+"p99_9_ms"] = h.at(50), h.at(99), h.at(99.9)
}

// now is a clock that all processes of this machine share.
func now() time.Duration { return alarm.Now() }

// within counts the times that are at most d.
func (h *histogram) within(d time.Duration) (n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.h.Distribution() {
		if b.To <= d.Microseconds() {
			n += b.Count
		}
	}
	return n
}
