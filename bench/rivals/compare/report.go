package compare

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/godwit-net/godwit/bench/machine"
	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// Report is everything, as it is written to JSON.
type Report struct {
	Schema  string    `json:"schema"`
	Command string    `json:"command"`
	Date    time.Time `json:"date"`
	Machine string    `json:"machine"`
	Commit  string    `json:"commit"`
	Load    string    `json:"load"` // average of the minute before the first run
	Rivals  []Rival   `json:"rivals"`
	Results []*Result `json:"results"`
}

// Rival is one transport in a report.
type Rival struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Settings string `json:"settings"`
	Missing  string `json:"missing,omitempty"`
}

// NewReport begins a report of a command with what is known before the first run.
func NewReport(transports []transport.Transport, command string) *Report {
	r := &Report{
		Schema: "godwit-rivals/1", Command: command, Date: time.Now().UTC().Truncate(time.Second), Machine: machine.Text(), Commit: machine.Commit(), Load: machine.Load(),
	}
	for _, t := range transports {
		a := t.About()
		r.Rivals = append(r.Rivals, Rival{Name: a.Name, Version: version(&a, r.Commit), Settings: a.Settings, Missing: a.Missing})
	}
	return r
}

// version is that of the module that this program was built with.
func version(a *transport.About, commit string) string {
	if a.Module == "" {
		return a.Version
	}
	if a.Name == Own {
		return commit
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, d := range info.Deps {
		if d.Path == a.Module {
			return strings.TrimPrefix(d.Version, "v")
		}
	}
	return "unknown"
}

// WriteJSON writes the report.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	return e.Encode(r)
}

const written = "Written by `%s` on %s: %s, commit %s, load %s at the start."

const intro = `# Godwit beside others

` + written + `

Both ends are on one machine, and in one process unless the table says otherwise. Runs of all rivals take turns; figures are
medians, with the lowest and the highest of the first one. "godwit ×" is Godwit's figure over the rival's. CPU
is that of both ends together, the rival's own programs included; over an emulated link it is not told, since the link works in the
same process. Links are named as in ` + "`godwit link`" + `; they lie between two network namespaces, so that TCP passes them too.
"wire" counts IP packets with their headers.

| rival | version | set up |
|---|---|---|
`

// WriteIntro says what was compared, where and how.
func (r *Report) WriteIntro(w io.Writer) error {
	if _, err := fmt.Fprintf(w, intro, r.Command, r.Date.Format(time.DateOnly), r.Machine, r.Commit, r.Load); err != nil {
		return err
	}
	for _, one := range r.Rivals {
		settings := one.Settings
		if one.Missing != "" {
			settings = one.Missing
		}
		if _, err := fmt.Fprintf(w, "| %s | %s | %s |\n", one.Name, one.Version, settings); err != nil {
			return err
		}
	}
	return nil
}

// WriteMore says it of tables that follow those of another run.
func (r *Report) WriteMore(w io.Writer) error {
	_, err := fmt.Fprintf(w, "\n# Another run\n\n"+written+"\n", r.Command, r.Date.Format(time.DateOnly), r.Machine, r.Commit, r.Load)
	return err
}

// WriteBlock writes the table of one workload over one link.
func WriteBlock(w io.Writer, b *Block) error {
	runs := 0
	for _, r := range b.Results {
		runs = max(runs, len(r.Runs)+len(r.Failed))
	}
	_, err := fmt.Fprintf(w, "\n## %s over %s\n\n%s. %s of %v.\n\n", b.Workload.Name, b.Link, capital(b.Workload.Text), times(runs), b.Duration)
	if err != nil {
		return err
	}
	return writeTable(w, b.lines())
}

func times(runs int) string {
	if runs == 1 {
		return "One run"
	}
	return fmt.Sprintf("%d runs", runs)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// lines are the cells of a table, the head first. Columns without a figure are left out.
func (b *Block) lines() [][]string {
	columns := slices.DeleteFunc(slices.Clone(b.Workload.Columns), func(c Column) bool {
		return !slices.ContainsFunc(b.Results, func(r *Result) bool { _, ok := r.Median[c.Key]; return ok })
	})
	own := b.own()
	head := []string{"rival"}
	for i, c := range columns {
		head = append(head, c.Head)
		if i == 0 {
			head = append(head, "lowest", "highest")
		}
		if c.Why != noRatio && own != nil {
			head = append(head, "godwit ×")
		}
	}
	lines := [][]string{head}
	for _, r := range b.Results {
		lines = append(lines, r.line(columns, own))
	}
	return lines
}

// own is Godwit's result, if it has one.
func (b *Block) own() *Result {
	for _, r := range b.Results {
		if r.Rival == Own && len(r.Runs) > 0 {
			return r
		}
	}
	return nil
}

func (r *Result) line(columns []Column, own *Result) []string {
	line := []string{r.Rival}
	switch {
	case r.Missing != "":
		return append(line, "not installed")
	case len(r.Runs) == 0 && len(r.Failed) > 0:
		return append(line, "failed: "+firstLine(r.Failed[0]))
	}
	if n := len(r.Failed); n > 0 {
		line[0] += fmt.Sprintf(" (%d of %d runs failed)", n, n+len(r.Runs))
	}
	for i, c := range columns {
		line = append(line, number(r.Median, c.Key))
		if i == 0 {
			lowest, highest := r.extremes(c.Key)
			line = append(line, lowest, highest)
		}
		if c.Why != noRatio && own != nil {
			line = append(line, ratio(own.Median, r.Median, c.Key))
		}
	}
	return line
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.ReplaceAll(line, "|", "/")
}

func (r *Result) extremes(key string) (lowest, highest string) {
	low, high := Sample{}, Sample{}
	for _, s := range r.Runs {
		if v, ok := s[key]; ok {
			low[key], high[key] = min(v, or(low[key], v)), max(v, high[key])
		}
	}
	return number(low, key), number(high, key)
}

// ratio is a figure of Godwit's over that of another; none where one is missing or 0.
func ratio(own, other Sample, key string) string {
	if own[key] == 0 || other[key] == 0 {
		return "–"
	}
	return number(Sample{key: own[key] / other[key]}, key)
}

// number keeps three digits.
func number(s Sample, key string) string {
	v, ok := s[key]
	switch size := math.Abs(v); {
	case !ok:
		return "–"
	case size >= 100 || v == 0:
		return fmt.Sprintf("%.0f", v)
	case size >= 10:
		return fmt.Sprintf("%.1f", v)
	case size >= 0.1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.2g", v)
}

// writeTable writes Markdown that is aligned for those who read it as it is.
func writeTable(w io.Writer, lines [][]string) error {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i := range lines[0] {
			if i < len(line) && (len(line) > 2 || i == 0) { // a reason may be long
				widths[i] = max(widths[i], utf8.RuneCountInString(line[i]))
			}
		}
	}
	for n, line := range lines {
		cells := make([]string, len(widths))
		for i := range widths {
			text := ""
			if i < len(line) {
				text = line[i]
			}
			pad := strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(text), 0))
			if cells[i] = pad + text; i == 0 {
				cells[i] = text + pad
			}
		}
		if _, err := fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "|---|%s\n", strings.Repeat("---:|", len(widths)-1)); err != nil {
			return err
		}
	}
	return nil
}
