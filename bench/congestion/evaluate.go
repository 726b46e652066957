package congestion

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/godwit-net/godwit/protocol/sim"
)

// Options say what Evaluate does. The zero value of every field works.
type Options struct {
	Controllers []string       // nil: adaptive, bbr and cubic
	Seeds       int            // of each scenario, from 1 up; 0: 1
	Only        *regexp.Regexp // scenarios to play, by their names; nil: all
	Short       bool           // a fifth of the time (Scenario.Short)
	Traces      []string       // files in the mahimahi format, each a scenario more
	TraceLink   string         // delay, queue and loss of their links; empty: DefaultTraceLink
	Log         io.Writer      // hears of each row; nil: nobody
}

// DefaultTraceLink is what a trace is played with: a round trip of 50 ms, and a queue of four
// bandwidth-delay products, as mobile networks have them.
const DefaultTraceLink = "trace=lte,delay=25ms,queue=4bdp"

// Scenarios returns what the options ask of a controller.
func (o *Options) Scenarios(controller string) ([]Scenario, error) {
	all := Grid(controller)
	for _, name := range o.Traces {
		s, err := o.trace(controller, name)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	var list []Scenario
	for _, s := range all {
		if o.Only != nil && !o.Only.MatchString(s.Name) {
			continue
		}
		if o.Short {
			s = s.Short()
		}
		list = append(list, s)
	}
	return list, nil
}

// trace makes a scenario of a file.
func (o *Options) trace(controller, name string) (Scenario, error) {
	f, err := os.Open(name)
	if err != nil {
		return Scenario{}, err
	}
	defer f.Close()
	t, err := sim.ParseTrace(f)
	if err != nil {
		return Scenario{}, fmt.Errorf("%s: %w", name, err)
	}
	link := DefaultTraceLink
	if o.TraceLink != "" {
		link = o.TraceLink + ",trace=lte" // any: the file takes its place
	}
	s := single(controller, "trace "+strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), link)
	s.Trace, s.Duration = t, max(aloneDuration, min(t.Duration(), rivalDuration))
	return s, nil
}

// Judged are the rows of one controller.
type Judged struct {
	Controller string
	Rows       []Row
}

// Evaluate plays all scenarios with all controllers.
func Evaluate(o Options) ([]Judged, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Controllers == nil {
		o.Controllers = []string{"adaptive", "bbr", "cubic"}
	}
	var all []Judged
	for _, name := range o.Controllers {
		scenarios, err := o.Scenarios(name)
		if err != nil {
			return nil, err
		}
		rows, err := MeasureAll(scenarios, o.Seeds, func(done, of int, row *Row) {
			fmt.Fprintf(o.Log, "%s %d/%d %s\n", name, done, of, row)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, Judged{name, rows})
	}
	return all, nil
}
