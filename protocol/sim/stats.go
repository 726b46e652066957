package sim

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
)

// Stats counts what a link did since it was made.
type Stats struct {
	Sent           uint64 // datagrams that entered
	SentBytes      uint64 // their UDP payload
	Delivered      uint64 // copies that came out or will, duplicates and replays included
	DeliveredBytes uint64
	Drops          [causes]uint64 // by Cause; Drops[Carried] stays 0

	Duplicated uint64
	Replayed   uint64
	Reordered  uint64
	Corrupted  uint64
	Marked     uint64 // datagrams that the queue marked CE

	Wait Histogram // time in the queue of those that got in, their own transmission included
}

// Stats returns a copy of the counters.
func (l *Link) Stats() Stats { return l.stats }

// Dropped returns the number of datagrams dropped for any cause.
func (s *Stats) Dropped() uint64 {
	var n uint64
	for _, d := range s.Drops {
		n += d
	}
	return n
}

// String is one line: what entered, what came out, what was dropped why, and the queue.
func (s *Stats) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d in, %d out", s.Sent, s.Delivered)
	if n := s.Dropped(); n > 0 {
		fmt.Fprintf(&b, ", %d dropped (%.2f %%:", n, 100*float64(n)/float64(s.Sent))
		for cause, n := range s.Drops {
			if n > 0 {
				fmt.Fprintf(&b, " %d %s,", n, Cause(cause))
			}
		}
		text := strings.TrimSuffix(b.String(), ",") + ")"
		b.Reset()
		b.WriteString(text)
	}
	for _, extra := range []struct {
		n    uint64
		name string
	}{{s.Duplicated, "duplicated"}, {s.Replayed, "replayed"}, {s.Reordered, "reordered"}, {s.Corrupted, "corrupted"}, {s.Marked, "marked"}} {
		if extra.n > 0 {
			fmt.Fprintf(&b, ", %d %s", extra.n, extra.name)
		}
	}
	if s.Wait.Quantile(1) > 0 {
		fmt.Fprintf(&b, ", queue p50 %v p99 %v max %v", s.Wait.Quantile(0.5), s.Wait.Quantile(0.99), s.Wait.Quantile(1))
	}
	return b.String()
}

const (
	histogramBits = 4                             // sub-buckets of an octave: 16, so values are within 6 %
	histogramSize = (64 - histogramBits + 1) * 16 // octaves above the first, and the linear start
)

// Histogram counts durations in buckets whose width is a sixteenth of their octave. The zero value is
// ready, its size is fixed, and adding never allocates.
type Histogram struct {
	counts [histogramSize]uint64
	total  uint64
	max    time.Duration
}

// Add counts one duration; a negative one counts as 0.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

// Merge adds everything that other counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// Count returns how many durations were added.
func (h *Histogram) Count() uint64 { return h.total }

// Quantile returns the duration that a share q (0 to 1) of all do not exceed, rounded up to the end of
// its bucket, at most the largest seen; 0 when nothing was added.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.total))
	var seen uint64
	for i, n := range h.counts {
		seen += n
		if n > 0 && seen >= rank {
			return min(time.Duration(bucketEnd(i)), h.max)
		}
	}
	return h.max
}

// bucketOf maps 0 to 15 to buckets of their own and then 16 buckets to each octave.
func bucketOf(v uint64) int {
	if v < 1<<histogramBits {
		return int(v)
	}
	octave := bits.Len64(v) - histogramBits - 1
	return octave<<histogramBits + int(v>>octave)
}

// bucketEnd returns the largest value of a bucket.
func bucketEnd(i int) uint64 {
	if i < 2<<histogramBits {
		return uint64(i)
	}
	octave := i>>histogramBits - 1
	mantissa := uint64(i) - uint64(octave)<<histogramBits
	return (mantissa+1)<<octave - 1
}
