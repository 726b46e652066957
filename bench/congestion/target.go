package congestion

import (
	"fmt"
	"math"
)

// Target is what a figure should be.
type Target struct {
	Metric string
	Min    float64
	Max    float64 // 0: no upper bound
	Every  bool    // for the worst seed, not only for the median
}

// atLeast and atMost are bounds of medians.
func atLeast(metric string, v float64) Target { return Target{Metric: metric, Min: v} }
func atMost(metric string, v float64) Target  { return Target{Metric: metric, Max: v} }

// every makes a bound hold for every seed.
func (t Target) every() Target {
	t.Every = true
	return t
}

// Judge returns the figure that the target is about, and how far it is off in parts of the bound; 0: met.
func (t Target) Judge(r *Row) (figure, off float64) {
	v := r.Values[t.Metric]
	figure = v.Median
	if t.Every {
		figure = v.Worst
	}
	// Figures count as they are printed: no miss that the table does not show.
	scale := math.Pow10(metric(t.Metric).Digits)
	figure = math.Round(figure*scale) / scale
	switch {
	case !v.OK:
		return 0, 1
	case figure < t.Min:
		return figure, (t.Min - figure) / t.Min
	case t.Max > 0 && figure > t.Max:
		return figure, (figure - t.Max) / t.Max
	}
	return figure, 0
}

// String is the bound: "Mbit/s >= 45.63".
func (t Target) String() string {
	digits, text := metric(t.Metric).Digits, t.Metric
	switch {
	case t.Max == 0:
		text += fmt.Sprintf(" ≥ %.*f", digits, t.Min)
	case t.Min == 0:
		text += fmt.Sprintf(" ≤ %.*f", digits, t.Max)
	default:
		text += fmt.Sprintf(" %.*f to %.*f", digits, t.Min, digits, t.Max)
	}
	if t.Every {
		text += ", every seed"
	}
	return text
}
