package congestion

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Size of a plot in pixels, with the room for its axes.
const (
	plotWidth, plotHeight = 380, 92
	plotLeft, plotTop     = 40, 20
	plotBottom            = 18
	plotPoints            = 120 // most points of a line
	lineColors            = 8   // that the page defines; further lines repeat them
)

// plot is one diagram over the time of a run.
type plot struct {
	Title         string
	Width, Height int
	Left, Right   int
	Top, Bottom   int
	X, Y          []tick
	Areas, Lines  []shape
	Spans         []span  // while the link was another one
	Seconds       float64 // that the width stands for
	Data          string  // the values, for the script that shows them: a JSON array of arrays, time first
}

// Depth is the height of the plotted part.
func (p plot) Depth() int { return p.Bottom - p.Top }

type tick struct {
	Pos   float64
	Label string
}

type shape struct {
	Color  int
	Points string // as SVG takes them
}

type span struct{ From, Width float64 }

// series is one run, thinned out for plots.
type series struct {
	seconds []float64
	rates   [][]float64 // Mbit/s, by flow
	queue   []float64   // ms
	shares  [][]float64 // of each flow of bulk and all before it
}

// thin takes the samples of a run together, so many that plotPoints are left: means of rates, the longest
// of queues.
func thin(r *Result) series {
	group := max((len(r.Samples)+plotPoints-1)/plotPoints, 1)
	flows := len(r.Flows)
	s := series{rates: make([][]float64, flows)}
	for from := 0; from+group <= len(r.Samples); from += group {
		part := r.Samples[from : from+group]
		var queue time.Duration
		sums := make([]float64, flows)
		for _, sample := range part {
			queue = max(queue, sample.Queue)
			for i, rate := range sample.Rates {
				sums[i] += rate / 1e6 / float64(group)
			}
		}
		s.seconds = append(s.seconds, part[group-1].At.Seconds())
		s.queue = append(s.queue, ms(queue))
		for i := range sums {
			s.rates[i] = append(s.rates[i], sums[i])
		}
	}
	if r.Scenario.rivals() > 1 {
		s.shares = stack(s.rates)
	}
	return s
}

// stack turns rates into parts of their sum, each with all before it.
func stack(rates [][]float64) [][]float64 {
	shares := make([][]float64, len(rates))
	for at := range rates[0] {
		total := 0.0
		for i := range rates {
			total += rates[i][at]
		}
		sum := 0.0
		for i := range rates {
			sum += rates[i][at]
			share := 0.0
			if total > 0 {
				share = sum / total
			}
			shares[i] = append(shares[i], share)
		}
	}
	return shares
}

// scales are the largest values of several runs, so that their plots can be compared.
type scales struct{ seconds, rate, queue float64 }

func (c *scales) include(s *series) {
	c.seconds = max(c.seconds, top(s.seconds))
	c.queue = max(c.queue, top(s.queue), 1)
	for _, r := range s.rates {
		c.rate = max(c.rate, top(r), 0.1)
	}
}

func top(values []float64) float64 {
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	return most
}

// plots draws goodput, queue and, where flows compete, shares.
func plots(s *series, c scales, spans []span) []plot {
	goodput := newPlot("goodput, Mbit/s", s.seconds, c.seconds, c.rate, spans)
	for i, rates := range s.rates {
		goodput.line(i, s.seconds, rates)
	}
	goodput.Data = data(s.seconds, s.rates)
	queue := newPlot("queue, ms", s.seconds, c.seconds, c.queue, spans)
	queue.area(0, s.seconds, s.queue, nil)
	queue.Data = data(s.seconds, [][]float64{s.queue})
	list := []plot{goodput.plot, queue.plot}
	if s.shares != nil {
		share := newPlot("share", s.seconds, c.seconds, 1, spans)
		var below []float64
		for i, above := range s.shares {
			share.area(i, s.seconds, above, below)
			below = above
		}
		list = append(list, share.plot)
	}
	return list
}

// drawing is a plot with its scales.
type drawing struct {
	plot
	xMax, yMax float64
}

func newPlot(title string, seconds []float64, xMax, yMax float64, spans []span) *drawing {
	d := &drawing{xMax: xMax, yMax: yMax, plot: plot{
		Title: title, Width: plotLeft + plotWidth + 8, Height: plotTop + plotHeight + plotBottom,
		Left: plotLeft, Right: plotLeft + plotWidth, Top: plotTop, Bottom: plotTop + plotHeight, Seconds: xMax,
	}}
	for _, t := range ticks(xMax) {
		d.X = append(d.X, tick{d.x(t), fmt.Sprintf("%g", t)})
	}
	for _, t := range ticks(yMax) {
		d.Y = append(d.Y, tick{d.y(t), fmt.Sprintf("%g", t)})
	}
	if len(seconds) == 0 {
		return d
	}
	for _, s := range spans {
		from, to := d.x(s.From), d.x(min(s.From+s.Width, xMax))
		d.Spans = append(d.Spans, span{from, to - from})
	}
	return d
}

func (d *drawing) x(seconds float64) float64 {
	return round(plotLeft + seconds/max(d.xMax, 1e-9)*plotWidth)
}
func (d *drawing) y(v float64) float64 { return round(plotTop + plotHeight*(1-v/d.yMax)) }

func round(v float64) float64 { return math.Round(v*10) / 10 }

func (d *drawing) line(color int, x, y []float64) {
	d.Lines = append(d.Lines, shape{color % lineColors, d.points(x, y)})
}

// area fills what is between two lines; without a lower one, above the axis.
func (d *drawing) area(color int, x, above, below []float64) {
	var back strings.Builder
	for i := len(x) - 1; i >= 0; i-- {
		low := 0.0
		if below != nil {
			low = below[i]
		}
		fmt.Fprintf(&back, " %g,%g", d.x(x[i]), d.y(low))
	}
	d.Areas = append(d.Areas, shape{color % lineColors, d.points(x, above) + back.String()})
}

func (d *drawing) points(x, y []float64) string {
	var b strings.Builder
	for i := range x {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%g,%g", d.x(x[i]), d.y(y[i]))
	}
	return b.String()
}

// data is what the script of the page shows at the pointer.
func data(x []float64, lines [][]float64) string {
	var b strings.Builder
	write := func(values []float64) {
		b.WriteByte('[')
		for i, v := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "%.4g", v)
		}
		b.WriteByte(']')
	}
	b.WriteByte('[')
	write(x)
	for _, line := range lines {
		b.WriteByte(',')
		write(line)
	}
	b.WriteByte(']')
	return b.String()
}

// ticks are two to five round numbers from 0 to limit.
func ticks(limit float64) []float64 {
	step := math.Pow(10, math.Floor(math.Log10(limit)))
	switch {
	case limit/step < 2:
		step /= 2
	case limit/step >= 5:
		step *= 2
	}
	var list []float64
	for i := 0; float64(i)*step <= limit*(1+1e-9); i++ {
		list = append(list, float64(i)*step)
	}
	return list
}
