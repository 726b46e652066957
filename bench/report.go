package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

//go:embed report.html
var reportHTML string

var reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"number": number,
	"rows":   func(r *Result) []row { return r.rows() },
}).Parse(reportHTML))

// WriteHTML writes the report as one HTML page that needs no other file and no script.
func (r *Report) WriteHTML(w io.Writer) error {
	return reportTemplate.Execute(w, struct {
		*Report
		Charts []chart
	}{r, charts(r)})
}

// Size of the plot of a chart, and the room around it for axes, in pixels.
const (
	plotWidth, plotHeight = 720, 240
	marginLeft, marginTop = 64, 12
	chartWidth            = marginLeft + plotWidth + 16
	chartHeight           = marginTop + plotHeight + 36
	// colors is how many colours of lines the page defines; further lines repeat them.
	colors = 8
)

// chart is one diagram of the page: lines over two axes, in pixels.
type chart struct {
	Title, XLabel string
	Width, Height int
	Left, Top     int
	Right, Bottom int
	X, Y          []tick
	Lines         []line
}

type tick struct {
	Pos   float64
	Label string
}

type line struct {
	Name   string
	Color  int
	Points string // as SVG takes them
}

// curve is a line before it is scaled.
type curve struct {
	name string
	x, y []float64
}

// charts draws what there is to draw: rates over time, and latencies over percentiles, one chart for each workload.
func charts(r *Report) []chart {
	var rates []curve
	latencies := make(map[string][]curve)
	for _, result := range r.Results {
		if result.Bulk != nil {
			rates = append(rates, rateCurve(result))
		}
		if title, l := result.drawn(); l != nil {
			latencies[title] = append(latencies[title], latencyCurve(result.Link, *l))
		}
	}
	var list []chart
	if c, ok := draw("bulk: Mbit/s over time", "seconds", rates, plainTicks); ok {
		list = append(list, c)
	}
	for _, title := range slices.Sorted(maps.Keys(latencies)) {
		if c, ok := draw(title, "percentile", latencies[title], percentTicks); ok {
			list = append(list, c)
		}
	}
	return list
}

// drawn is the latency of a result that is drawn, and the title of its chart; nil: none.
func (r *Result) drawn() (title string, l *Latency) {
	switch {
	case r.Message != nil && r.Message.Frames != nil:
		return r.Workload + ": time of a frame in ms by percentile", r.Message.Frames
	case r.Worldload != nil:
		return r.Workload + ": one-way latency beside transfers in ms by percentile", &r.Message.OneWay
	case r.Message != nil:
		return r.Workload + ": one-way latency in ms by percentile", &r.Message.OneWay
	case r.Handshake != nil:
		return r.Workload + ": time to first byte in ms by percentile", &r.Handshake.FirstByte
	case r.Request != nil:
		return r.Workload + ": time to the end of the answer in ms by percentile", &r.Request.RoundTrip
	}
	return "", nil
}

func rateCurve(r *Result) curve {
	c := curve{name: r.Link}
	for _, p := range r.Bulk.Series {
		c.x = append(c.x, p.AtMS/1000)
		c.y = append(c.y, p.RateBPS/1e6)
	}
	return c
}

// latencyCurve spreads percentiles out by their distance from 100: 90, 99 and 99.9 are 1, 2 and 3.
func latencyCurve(name string, l Latency) curve {
	c := curve{name: name}
	rest := 100 / float64(max(l.Count, 1)) // the last value is the one that nothing exceeds
	for _, q := range l.Distribution {
		c.x = append(c.x, -math.Log10(max(100-q.Percent, rest)/100))
		c.y = append(c.y, q.MS)
	}
	return c
}

// draw scales curves into a chart. It has nothing to draw when no curve has two points.
func draw(title, xLabel string, curves []curve, xTicks func(limit float64) []tick) (chart, bool) {
	c := chart{
		Title: title, XLabel: xLabel, Width: chartWidth, Height: chartHeight, Left: marginLeft, Top: marginTop,
		Right: marginLeft + plotWidth, Bottom: marginTop + plotHeight,
	}
	var xMax, yMax float64
	for _, v := range curves {
		if len(v.x) < 2 {
			continue
		}
		for i := range v.x {
			xMax, yMax = max(xMax, v.x[i]), max(yMax, v.y[i])
		}
	}
	if xMax == 0 || yMax == 0 {
		return c, false
	}
	for _, t := range xTicks(xMax) {
		c.X = append(c.X, tick{marginLeft + t.Pos/xMax*plotWidth, t.Label})
	}
	for _, t := range plainTicks(yMax) {
		c.Y = append(c.Y, tick{float64(c.Bottom) - t.Pos/yMax*plotHeight, t.Label})
	}
	for i, v := range curves {
		if len(v.x) < 2 {
			continue
		}
		var points strings.Builder
		for j := range v.x {
			fmt.Fprintf(&points, "%.1f,%.1f ", marginLeft+v.x[j]/xMax*plotWidth, float64(c.Bottom)-v.y[j]/yMax*plotHeight)
		}
		c.Lines = append(c.Lines, line{v.name, i % colors, strings.TrimSpace(points.String())})
	}
	return c, true
}

// plainTicks are four to ten round numbers from 0 to limit.
func plainTicks(limit float64) []tick {
	step := math.Pow(10, math.Floor(math.Log10(limit)))
	switch {
	case limit/step < 2:
		step /= 5
	case limit/step < 5:
		step /= 2
	}
	var list []tick
	for i := 0; float64(i)*step <= limit*(1+1e-9); i++ {
		list = append(list, tick{float64(i) * step, fmt.Sprintf("%.4g", float64(i)*step)})
	}
	return list
}

// percentTicks are the percentiles that have names.
func percentTicks(limit float64) []tick {
	list := []tick{{0, "0"}, {-math.Log10(0.5), "50"}}
	for i, label := range []string{"90", "99", "99.9", "99.99", "99.999"} {
		if float64(i+1) <= limit {
			list = append(list, tick{float64(i + 1), label})
		}
	}
	return list
}
