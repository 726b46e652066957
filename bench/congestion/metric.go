package congestion

import (
	"math"
	"time"
)

// Metric is a figure of a result.
type Metric struct {
	Name   string // heads its column, with the unit
	Digits int    // after the point
	// Of returns the figure; false where the scenario has none.
	Of func(*Result) (float64, bool)
	// Bad rises with how bad a figure is: it finds the worst seed.
	Bad func(v float64, s *Scenario) float64
}

func high(v float64, _ *Scenario) float64 { return v }
func low(v float64, _ *Scenario) float64  { return -v }

// unfair is the distance from an equal share.
func unfair(v float64, s *Scenario) float64 { return math.Abs(v - 1/float64(max(s.rivals(), 1))) }

// Names of metrics, for targets.
const (
	Goodput  = "Mbit/s"
	Share    = "share"
	Jain     = "Jain"
	Queue    = "queue p95 ms"
	Lost     = "lost %"
	Needless = "needless %"
	Back     = "back"
	First    = "first ms"
	Marked   = "marked %"
	Done     = "done s"
	P50      = "p50 ms"
	P99      = "p99 ms"
	Blocked  = "blocked ms"
)

// Metrics are all figures, in the order of the table's columns.
var Metrics = []Metric{
	{Goodput, 2, func(r *Result) (float64, bool) { return r.Total() / 1e6, true }, low},
	{Share, 2, func(r *Result) (float64, bool) { return r.Share(0), r.Scenario.rivals() > 1 }, unfair},
	{Jain, 3, func(r *Result) (float64, bool) { return r.Jain(), r.Scenario.rivals() > 1 }, low},
	{Queue, 1, func(r *Result) (float64, bool) { return ms(r.QueueP95()), true }, high},
	{Lost, 2, func(r *Result) (float64, bool) {
		return 100 * r.part(func(f *FlowResult) uint64 { return f.Lost }), true
	}, high},
	{Needless, 2, func(r *Result) (float64, bool) {
		return 100 * r.part(func(f *FlowResult) uint64 { return f.Spurious }), true
	}, high},
	{Marked, 2, func(r *Result) (float64, bool) { return 100 * r.Marked, r.marks }, high},
	{Back, 2, func(r *Result) (float64, bool) { return r.Back, r.Back > 0 || len(r.Scenario.Changes) > 0 }, low},
	{First, 1, func(r *Result) (float64, bool) {
		if r.First == 0 { // nothing came any more
			return ms(r.Scenario.Duration), len(r.Scenario.Changes) > 0
		}
		return ms(r.First), len(r.Scenario.Changes) > 0
	}, high},
	{Done, 2, done, high},
	{P50, 1, quantile(0.5), high},
	{P99, 1, quantile(0.99), high},
	{Blocked, 1, func(r *Result) (float64, bool) {
		h := r.paced(blockedOf)
		return ms(h.Quantile(1)), h.Count() > 0
	}, high},
}

func metric(name string) *Metric {
	for i := range Metrics {
		if Metrics[i].Name == name {
			return &Metrics[i]
		}
	}
	panic("BUG: no metric is named " + name)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// done is when the last flow that has an end had come to it; what did not counts with the whole run.
func done(r *Result) (float64, bool) {
	var last time.Duration
	for i, f := range r.Scenario.Flows {
		if f.Bytes == 0 {
			continue
		}
		if last = max(last, r.Flows[i].Done); r.Flows[i].Done == 0 {
			last = r.Scenario.Duration
		}
	}
	return last.Seconds(), last > 0
}

func quantile(q float64) func(*Result) (float64, bool) {
	return func(r *Result) (float64, bool) {
		h := r.paced(latencyOf)
		return ms(h.Quantile(q)), h.Count() > 0
	}
}
