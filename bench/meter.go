package bench

import (
	"sync/atomic"
	"time"
)

// meter counts bytes over time. It is safe for concurrent use.
type meter struct {
	start time.Time
	limit time.Duration // what comes later does not count
	first atomic.Int64  // when the first byte came, in ns after start, plus 1; 0: none came
	total atomic.Int64
	steps []atomic.Int64
}

// newMeter counts from now for at most d.
func newMeter(d time.Duration) *meter {
	return &meter{start: time.Now(), limit: d, steps: make([]atomic.Int64, min(int(d/seriesStep)+1, maxSteps))}
}

// add counts n bytes that came now. What comes after the end does not count.
func (m *meter) add(n int) {
	since := time.Since(m.start)
	if n == 0 || since >= m.limit {
		return
	}
	m.first.CompareAndSwap(0, int64(since)+1)
	m.steps[int(since/seriesStep)].Add(int64(n))
	m.total.Add(int64(n))
}

// tally is what a meter counted, as it travels to the other end.
type tally struct {
	Bytes   int64   `json:"bytes"`
	TookNS  int64   `json:"took_ns"`  // from the first byte to the end
	Steps   []int64 `json:"steps"`    // bytes in each step, from the start of the run
	FirstNS int64   `json:"first_ns"` // from the start of the run to the first byte
}

// tally is what was counted up to now.
func (m *meter) tally() tally {
	end := min(time.Since(m.start), m.limit)
	t := tally{Bytes: m.total.Load(), Steps: make([]int64, 0, len(m.steps))}
	for i := range m.steps {
		if time.Duration(i)*seriesStep < end {
			t.Steps = append(t.Steps, m.steps[i].Load())
		}
	}
	if first := m.first.Load(); first > 0 {
		t.FirstNS = first - 1
		t.TookNS = max(int64(end)-t.FirstNS, 1)
	}
	return t
}

// merge adds what another meter counted in the same run.
func (t *tally) merge(other tally) {
	if t.Bytes == 0 {
		t.FirstNS, t.TookNS = other.FirstNS, other.TookNS
	} else if other.Bytes > 0 {
		t.FirstNS, t.TookNS = min(t.FirstNS, other.FirstNS), max(t.TookNS, other.TookNS)
	}
	t.Bytes += other.Bytes
	for i, n := range other.Steps {
		if i < len(t.Steps) {
			t.Steps[i] += n
		} else if i < maxSteps {
			t.Steps = append(t.Steps, n)
		}
	}
}

// rate is in bits per second.
func (t *tally) rate() float64 {
	if t.TookNS <= 0 {
		return 0
	}
	return float64(t.Bytes) * 8 / time.Duration(t.TookNS).Seconds()
}

func (t *tally) series() []Point {
	points := make([]Point, len(t.Steps))
	for i, n := range t.Steps {
		points[i] = Point{
			AtMS:    millis(time.Duration(i) * seriesStep),
			RateBPS: float64(n) * 8 / seriesStep.Seconds(),
		}
	}
	return points
}
