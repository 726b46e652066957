package congestion

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
)

//go:embed report.html
var reportHTML string

var reportTemplate = template.Must(template.New("report").Parse(reportHTML))

// WriteHTML writes one page with the figures of all controllers and plots of the run in the middle of
// each row. It needs no other file and no network. The note says where it comes from.
func WriteHTML(w io.Writer, note string, all []Judged) error {
	return reportTemplate.Execute(w, newPage(note, all))
}

// page is what the template gets.
type page struct {
	Note        string
	Seeds       int
	Controllers []scored
	Groups      []pageGroup
}

// scored is how many targets a controller meets.
type scored struct {
	Name      string
	Met, Asks int
}

type pageGroup struct {
	Name, About string
	Columns     []string // the metrics that the group has
	Scenarios   []*pageScenario
}

type pageScenario struct {
	ID      string
	Name    string
	Link    string
	Targets []string
	Cells   []pageCell // by controller
}

// pageCell is one row of one controller.
type pageCell struct {
	Controller string
	Figures    []pageFigure // by column
	Plots      []plot
	Flows      []pageFlow
	Seed       uint64
	OK         bool // this controller has the scenario
}

type pageFlow struct {
	Color int
	Name  string
}

// pageFigure is a metric with its worst seed, and what was asked of it.
type pageFigure struct {
	Text, Worst string
	Bar         float64 // part of the best goodput among the controllers, in %; 0: no bar
	Asked       bool
	Met         bool
	Miss        string // the bound and the distance
}

func newPage(note string, all []Judged) page {
	p := page{Note: note}
	groups := make(map[string]int)
	scenarios := make(map[string]*pageScenario)
	for i, j := range all {
		score := scored{Name: j.Controller}
		for r := range j.Rows {
			row := &j.Rows[r]
			p.Seeds = max(p.Seeds, row.Seeds)
			for _, t := range row.Scenario.Targets {
				score.Asks++
				if _, off := t.Judge(row); off == 0 {
					score.Met++
				}
			}
			s := scenarios[row.Scenario.Name]
			if s == nil {
				s = newPageScenario(row, len(all), len(scenarios))
				scenarios[row.Scenario.Name] = s
				p.add(groups, row, s)
			}
			s.Cells[i] = pageCell{Controller: j.Controller, OK: true, Seed: row.Typical.Seed, Flows: flowsOf(row)}
		}
		p.Controllers = append(p.Controllers, score)
	}
	for g := range p.Groups {
		p.Groups[g].fill(all)
	}
	return p
}

func newPageScenario(row *Row, controllers, number int) *pageScenario {
	s := &pageScenario{ID: fmt.Sprintf("s%d", number), Name: row.Scenario.Name, Link: row.Scenario.Link, Cells: make([]pageCell, controllers)}
	for _, t := range row.Scenario.Targets {
		s.Targets = append(s.Targets, t.String())
	}
	return s
}

// add puts a scenario into its group.
func (p *page) add(known map[string]int, row *Row, s *pageScenario) {
	name := row.Scenario.Group
	at, ok := known[name]
	if !ok {
		at = len(p.Groups)
		known[name] = at
		g := pageGroup{Name: name}
		for _, part := range groups {
			if part.name == name {
				g.About = part.about
			}
		}
		p.Groups = append(p.Groups, g)
	}
	p.Groups[at].Scenarios = append(p.Groups[at].Scenarios, s)
}

// rowOf finds a controller's row of a scenario.
func rowOf(j *Judged, name string) *Row {
	for r := range j.Rows {
		if j.Rows[r].Scenario.Name == name {
			return &j.Rows[r]
		}
	}
	return nil
}

// fill makes figures and plots of the group's scenarios.
func (g *pageGroup) fill(all []Judged) {
	for _, m := range Metrics {
		has := slices.ContainsFunc(g.Scenarios, func(s *pageScenario) bool {
			return slices.ContainsFunc(all, func(j Judged) bool {
				row := rowOf(&j, s.Name)
				return row != nil && row.Values[m.Name].OK
			})
		})
		if has {
			g.Columns = append(g.Columns, m.Name)
		}
	}
	for _, s := range g.Scenarios {
		s.fill(all, g.Columns)
	}
}

func (s *pageScenario) fill(all []Judged, columns []string) {
	var scale scales
	best := 0.0
	runs := make([]series, len(all))
	for i := range all {
		if row := rowOf(&all[i], s.Name); row != nil {
			best = max(best, row.Values[Goodput].Median)
			runs[i] = thin(row.Typical)
			scale.include(&runs[i])
		}
	}
	for i := range all {
		row := rowOf(&all[i], s.Name)
		if row == nil {
			continue
		}
		for _, name := range columns {
			s.Cells[i].Figures = append(s.Cells[i].Figures, figure(row, name, best))
		}
		s.Cells[i].Plots = plots(&runs[i], scale, spansOf(row.Typical))
	}
}

// spansOf is the time, in seconds, between the first and the last change.
func spansOf(r *Result) []span {
	s := r.Scenario
	if len(s.Changes) == 0 {
		return nil
	}
	from := s.Changes[0].At + r.Shift
	return []span{{from.Seconds(), (s.lastChange() + r.Shift - from).Seconds()}}
}

func figure(row *Row, name string, best float64) pageFigure {
	v, digits := row.Values[name], metric(name).Digits
	if !v.OK {
		return pageFigure{}
	}
	f := pageFigure{Text: fmt.Sprintf("%.*f", digits, v.Median)}
	if row.Seeds > 1 {
		f.Worst = fmt.Sprintf("%.*f", digits, v.Worst)
	}
	if name == Goodput && best > 0 {
		f.Bar = round(100 * v.Median / best)
	}
	for _, t := range row.Scenario.Targets {
		if t.Metric != name {
			continue
		}
		_, off := t.Judge(row)
		f.Asked, f.Met = true, off == 0
		f.Miss = t.String()
		if off > 0 {
			f.Miss = fmt.Sprintf("%v: missed by %.0f %%", t, 100*off)
		}
	}
	return f
}

// flowsOf names the lines of the plots.
func flowsOf(row *Row) []pageFlow {
	var list []pageFlow
	for i, f := range row.Scenario.Flows {
		name := f.Controller
		switch {
		case f.Load == Game:
			name += ", game"
		case f.Load == Media:
			name += ", media"
		case f.Game:
			name += ", bulk and game"
		}
		list = append(list, pageFlow{i % lineColors, name})
	}
	return list
}
