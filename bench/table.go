package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the report for people: one row for each link, one group of columns for each
// workload.
func (r *Report) WriteTable(w io.Writer) error {
	t := newTable(r)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, line := range t.lines() {
		if _, err := fmt.Fprintln(tw, strings.Join(line, "\t")+"\t"); err != nil {
			return err
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, note := range t.notes {
		if _, err := fmt.Fprintln(w, note); err != nil {
			return err
		}
	}
	return nil
}

// table sorts results into cells.
type table struct {
	links     []string // in the order of the report
	workloads []string
	cells     map[[2]string]*Result // link, workload; the last result counts
	notes     []string
}

func newTable(r *Report) *table {
	t := &table{cells: make(map[[2]string]*Result)}
	for _, result := range r.Results {
		if !slices.Contains(t.links, result.Link) {
			t.links = append(t.links, result.Link)
		}
		if !slices.Contains(t.workloads, result.Workload) {
			t.workloads = append(t.workloads, result.Workload)
		}
		t.cells[[2]string{result.Link, result.Workload}] = result
		if result.Error != "" {
			t.notes = append(t.notes, fmt.Sprintf("%s over %s failed: %s", result.Workload, result.Link, result.Error))
		}
	}
	for _, result := range r.Results {
		m := result.Message
		if m != nil && result.Workload == Message && m.Missing > 0 {
			t.notes = append(t.notes, fmt.Sprintf("message over %s: %d of %d never came", result.Link, m.Missing, m.Sent))
		}
		if m != nil && m.Clock != "shared" {
			t.notes = append(t.notes, fmt.Sprintf("%s latency over %s: the clocks of both ends differ by up to %.3g ms more than is known",
				result.Workload, result.Link, m.ClockErrorMS))
		}
	}
	return t
}

// headings are the two heading lines of a workload's columns. "missing" is in parts of all messages.
var headings = map[string][2][]string{
	Handshake: {{"handshake", "", ""}, {"p50 ms", "p99 ms", "per s"}},
	Message:   {{"message", "", "", ""}, {"p50 ms", "p99 ms", "p99.9 ms", "packets"}},
	Snapshot:  {{"snapshot", "", "", ""}, {"p50 ms", "p99 ms", "packets", "missing"}},
	Media:     {{"media", "", ""}, {"p50 ms", "p99 ms", "missing"}},
	Worldload: {{"worldload", "", ""}, {"p99 alone", "p99 beside", "moved ms"}},
	Game:      {{"game", "", "", ""}, {"up p99", "packets", "down p99", "missing"}},
	Request:   {{"request", "", ""}, {"p50 ms", "p99 ms", "per s"}},
	Bulk:      {{"bulk", ""}, {"Mbit/s", "CPU s/GB"}},
	Idle:      {{"idle", "", ""}, {"kB", "CPU ms/s", "ended"}},
}

func (t *table) lines() [][]string {
	lines := [][]string{{""}, {"link"}}
	for _, w := range t.workloads {
		for i := range 2 {
			lines[i] = append(lines[i], headings[w][i]...)
		}
	}
	for _, link := range t.links {
		line := []string{link}
		for _, w := range t.workloads {
			line = append(line, cells(w, t.cells[[2]string{link, w}])...)
		}
		lines = append(lines, line)
	}
	return lines
}

// cells are the columns of one result; a missing or failed one has dashes.
func cells(workload string, r *Result) []string {
	empty := make([]string, len(headings[workload][0]))
	for i := range empty {
		empty[i] = "-"
	}
	switch {
	case r == nil:
	case r.Handshake != nil:
		h := r.Handshake
		return []string{ms(h.FirstByte.P50MS), ms(h.FirstByte.P99MS), number(h.PerSecond)}
	case r.Message != nil:
		return r.messageCells()
	case r.Request != nil:
		q := r.Request
		return []string{ms(q.RoundTrip.P50MS), ms(q.RoundTrip.P99MS), number(q.PerSecond)}
	case r.Idle != nil:
		return []string{number(r.Idle.HeapBytes / 1000), number(r.Idle.CPUMS), fmt.Sprint(r.Idle.Ended)}
	case r.Bulk != nil:
		cpu := "-"
		if r.Bulk.CPUSecondsPerGB > 0 {
			cpu = number(r.Bulk.CPUSecondsPerGB)
		}
		return []string{number(r.Bulk.RateBPS / 1e6), cpu}
	}
	return empty
}

// messageCells are the columns of a workload of messages.
func (r *Result) messageCells() []string {
	m := r.Message
	switch {
	case r.Worldload != nil:
		return []string{ms(r.Worldload.Alone.P99MS), ms(m.OneWay.P99MS), ms(r.Worldload.MovedMS)}
	case m.Down != nil:
		return []string{ms(m.OneWay.P99MS), number(m.Wire.Packets), ms(m.Down.OneWay.P99MS), m.Down.missing()}
	case m.Frames != nil:
		return []string{ms(m.Frames.P50MS), ms(m.Frames.P99MS), m.missing()}
	case r.Workload == Snapshot:
		return []string{ms(m.OneWay.P50MS), ms(m.OneWay.P99MS), number(m.Wire.Packets), m.missing()}
	}
	return []string{ms(m.OneWay.P50MS), ms(m.OneWay.P99MS), ms(m.OneWay.P999MS), number(m.Wire.Packets)}
}

func ms(v float64) string { return number(v) }

// number keeps three digits.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10 || v <= -10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
