package congestion

import (
	"fmt"
	"strings"
)

// nameWidth is the width of the first column, in characters.
const nameWidth = 38

// wide are the metrics that have columns of their own: the median, and the worst seed in brackets.
var wide = []string{Goodput, Share, Jain, Queue, Lost, Needless}

// Table is the text of several rows.
func Table(rows []Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-*s %5s", nameWidth, "scenario", "seeds")
	for _, name := range wide {
		fmt.Fprintf(&b, " %16s", name)
	}
	b.WriteString("  more\n")
	for i := range rows {
		b.WriteString(rows[i].String())
		b.WriteByte('\n')
	}
	return b.String()
}

// String is a line of the table.
func (r *Row) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-*s %5d", nameWidth, r.Scenario.Name, r.Seeds)
	for _, name := range wide {
		fmt.Fprintf(&b, " %16s", r.figure(name))
	}
	for _, m := range Metrics[len(wide):] {
		if r.Values[m.Name].OK {
			fmt.Fprintf(&b, "  %s %s", m.Name, r.figure(m.Name))
		}
	}
	for _, t := range r.Scenario.Targets {
		if _, off := t.Judge(r); off > 0 {
			fmt.Fprintf(&b, "  MISSED by %.0f %%: %v", 100*off, t)
		}
	}
	return b.String()
}

// figure is a metric's median and, of several seeds, the worst.
func (r *Row) figure(name string) string {
	v, digits := r.Values[name], metric(name).Digits
	switch {
	case !v.OK:
		return "-"
	case r.Seeds == 1:
		return fmt.Sprintf("%.*f", digits, v.Median)
	}
	return fmt.Sprintf("%.*f (%.*f)", digits, v.Median, digits, v.Worst)
}
