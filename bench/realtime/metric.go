package realtime

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/godwit-net/godwit/protocol/sim"
)

// Metric is a figure of a result.
type Metric struct {
	Name   string // heads its column, with the unit
	Format string // of the figure
	// Mean has the mean of the seeds stand in the table instead of the median: rare events are counted
	// over all of them.
	Mean bool
	Of   func(*Result) float64
}

// Names of metrics, for targets. The README says what each is.
const (
	P50       = "p50 ms"
	P99       = "p99 ms"
	P999      = "p99.9 ms"
	FrameP50  = "frame p50 ms"
	FrameP99  = "frame p99 ms"
	FrameP999 = "frame p99.9 ms"
	Moved     = "moved ms"
	Packets   = "packets/message"
	Bytes     = "bytes/message"
	Reverse   = "reverse/message"
	Missing   = "missing"
	Residual  = "residual"
	Overhead  = "overhead %"
	Carried   = "carried %"
	Lost      = "lost %"
	Needless  = "needless %"
)

// headers is what a packet with one message has beside it in bytes of UDP payload: first octet, session ID (8),
// packet number (1 or 2), MESSAGE (type, channel, number of 1 or 2, on a channel with a deadline a stamp of 2), tag
// (16). Overhead is what was sent beyond that.
//
// Copies of messages that are carried are apart: they have a length beside type, channel and number.
const (
	headers       = 1 + 8 + 1 + 3 + 16
	stampedHeader = headers + 3
	copyHeader    = 3 + 1
	stamp         = 2
)

// Metrics are all figures.
var Metrics = []Metric{
	{Name: P50, Format: "%.1f", Of: messages(0.5)},
	{Name: P99, Format: "%.1f", Of: messages(0.99)},
	{Name: P999, Format: "%.1f", Of: messages(0.999)},
	{Name: FrameP50, Format: "%.1f", Of: frames(0.5)},
	{Name: FrameP99, Format: "%.1f", Of: frames(0.99)},
	{Name: FrameP999, Format: "%.1f", Of: frames(0.999)},
	{Name: Moved, Format: "%.1f", Of: func(r *Result) float64 {
		if r.alone == nil {
			return 0
		}
		return ms(quantile(r.latency, 0.99) - quantile(r.alone.latency, 0.99))
	}},
	{Name: Packets, Format: "%.2f", Of: func(r *Result) float64 { return part(r.Packets, r.Sent) }},
	{Name: Bytes, Format: "%.0f", Of: func(r *Result) float64 {
		return part(r.PacketBytes+sim.DefaultOverhead*r.Packets, r.Sent)
	}},
	{Name: Reverse, Format: "%.2f", Of: func(r *Result) float64 { return part(r.Reverse, r.Sent) }},
	{Name: Missing, Format: "%.1e", Mean: true, Of: func(r *Result) float64 { return part(r.Missing, r.Sent) }},
	{Name: Residual, Format: "%.1e", Mean: true, Of: func(r *Result) float64 { return part(r.Missing+r.Late, r.Sent) }},
	{Name: Overhead, Format: "%.2f", Of: overhead},
	{Name: Carried, Format: "%.2f", Of: func(r *Result) float64 { return 100 * part(r.carried(), r.first()) }},
	{Name: Lost, Format: "%.2f", Of: func(r *Result) float64 { return 100 * part(r.Lost, r.Protected) }},
	{Name: Needless, Format: "%.2f", Of: func(r *Result) float64 { return 100 * part(r.Spurious, r.Protected) }},
}

// first is what the first transmission of all messages takes.
func (r *Result) first() uint64 {
	if r.Scenario.Load.Options.Deadline > 0 {
		return r.SentBytes + stampedHeader*r.Sent
	}
	return r.SentBytes + headers*r.Sent
}

// carried is what copies of messages take.
func (r *Result) carried() uint64 {
	if r.Scenario.Load.Options.Deadline > 0 {
		return r.CarriedBytes + (copyHeader+stamp)*r.Carried
	}
	return r.CarriedBytes + copyHeader*r.Carried
}

func overhead(r *Result) float64 {
	return 100 * (float64(r.PacketBytes) - float64(r.carried()+r.first())) / float64(r.first())
}

func messages(q float64) func(*Result) float64 {
	return func(r *Result) float64 { return ms(quantile(r.latency, q)) }
}

func frames(q float64) func(*Result) float64 {
	return func(r *Result) float64 { return ms(quantile(r.frames, q)) }
}

func metric(name string) *Metric {
	for i := range Metrics {
		if Metrics[i].Name == name {
			return &Metrics[i]
		}
	}
	panic("BUG: no metric is named " + name)
}

// text prints a figure as the table does.
func (m *Metric) text(v float64) string {
	text := fmt.Sprintf(m.Format, v)
	if positive, negative := strings.CutPrefix(text, "-"); negative && strings.Trim(positive, "0.") == "" {
		return positive
	}
	return text
}

// shown is a figure as it is printed: targets judge that, so that there is no miss that the table does not show.
func (m *Metric) shown(v float64) float64 {
	f, err := strconv.ParseFloat(m.text(v), 64)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return f
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// part is a count in parts of another.
func part(n, of uint64) float64 { return float64(n) / float64(max(of, 1)) }
