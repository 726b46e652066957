package realtime

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// nameWidth is the width of the first column in characters, cellWidth that of a figure.
const (
	nameWidth = 30
	cellWidth = 22
)

// Table is the text of several rows, in the order of the groups.
func Table(rows []Row) string {
	var b strings.Builder
	for _, g := range groups {
		first := true
		var missed []string
		for i := range rows {
			if rows[i].Scenario.Group != g.name {
				continue
			}
			if first {
				g.head(&b)
				first = false
			}
			rows[i].line(&b, g.columns)
			missed = append(missed, rows[i].missed()...)
		}
		for _, line := range missed {
			b.WriteString("# " + line + "\n")
		}
	}
	return b.String()
}

// head names a group and its columns. The lines begin with #: they are no figures.
func (g *group) head(b *strings.Builder) {
	fmt.Fprintf(b, "#\n# %s: %s\n", g.name, g.about)
	line := fmt.Sprintf("%-*s seeds", nameWidth, "# ")
	for _, name := range g.columns {
		line += pad(name)
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

// line is a row with the columns of its group.
func (r *Row) line(b *strings.Builder, columns []string) {
	line := fmt.Sprintf("%-*s %5d", nameWidth, r.Scenario.Name, r.Seeds)
	for _, name := range columns {
		line += pad(r.cell(name))
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

func pad(cell string) string {
	return "  " + cell + strings.Repeat(" ", max(cellWidth-utf8.RuneCountInString(cell), 0))
}

// missed says which targets the row misses, and why.
func (r *Row) missed() (list []string) {
	for _, t := range r.Scenario.Targets {
		if t.Judge(r) == 0 {
			continue
		}
		reason, known := why(r.Scenario.Name, t.Metric)
		if !known {
			reason = "not a known shortfall: a regression, or chance where samples are few"
		}
		list = append(list, fmt.Sprintf("missed: %s, %s: %s", r.Scenario.Name, t.Metric, reason))
	}
	return list
}

// cell is a figure, the worst seed in brackets, the bound, and by how much it is missed: "48.1 (48.3) ≤45.0 +3.1".
func (r *Row) cell(name string) string {
	v, m := r.Values[name], metric(name)
	text := m.text(v.Typical)
	if r.Seeds > 1 {
		text += " (" + m.text(v.Worst) + ")"
	}
	for _, t := range r.Scenario.Targets {
		if t.Metric != name {
			continue
		}
		text += " ≤" + m.text(t.Max)
		if off := t.Judge(r); off > 0 {
			text += " +" + m.text(off)
		}
	}
	return text
}
