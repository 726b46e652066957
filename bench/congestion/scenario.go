package congestion

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	cc "github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/sim"
)

// NewController makes a controller for one path of one session.
type NewController = func(cc.Config) cc.Controller

// Controllers are those that flows may name beside the ones of protocol/congestion: a place for yours.
var Controllers = map[string]NewController{}

// fixedPrefix begins names like fixed-40mbit: congestion.NewFixed with that rate of UDP payload.
const fixedPrefix = "fixed-"

func controller(name string) (NewController, error) {
	if c := Controllers[name]; c != nil {
		return c, nil
	}
	if c, ok := cc.Named(name); ok {
		return c, nil
	}
	if rate, ok := strings.CutPrefix(name, fixedPrefix); ok {
		if link, err := sim.ParseLink("rate=" + rate); err == nil && link.Rate > 0 {
			return func(c cc.Config) cc.Controller { return cc.NewFixed(c, uint64(link.Rate/8)) }, nil
		}
	}
	return nil, fmt.Errorf("no controller is named %q: use one of %v, fixed-40mbit for a fixed rate, or add yours to Controllers",
		name, cc.Names())
}

// Flow is a session and what its application sends, from its start to the end of the run.
type Flow struct {
	Controller string // a name that congestion.Named knows, or a key of Controllers
	Load       Load   // what the application sends; the zero value is bulk
	Game       bool   // the application sends what [Game] sends in the same session too
	Start      time.Duration
	// Stop ends the writing of bulk; 0: it goes on to the end.
	Stop time.Duration
	// Streams is how many streams bulk goes out on; 0: one.
	Streams int
	// Rate makes bulk come at this many bit/s, 60 times a second, instead of as fast as it can leave;
	// 0: no limit.
	Rate int64
	// Bytes is how much bulk there is in all; 0: no end.
	Bytes uint64
	// Line is what this flow's way is longer than the link, one way: its round trip is longer by twice that.
	Line time.Duration
}

// Change puts another link in force on the way.
type Change struct {
	At   time.Duration
	Link string
}

// Scenario is flows through one bottleneck.
type Scenario struct {
	Name     string
	Group    string     // heads it in reports
	Link     string     // in the language of sim.ParseLink
	Trace    *sim.Trace // delivery opportunities for the link instead of its own rate or trace; nil: none
	Flows    []Flow
	Changes  []Change
	Duration time.Duration
	// Warmup is left out of all figures but the traces and those that follow from Changes.
	Warmup time.Duration
	// Shift moves all Changes by a time that the seed draws from 0 to it, the same for all, so that they do
	// not come at one point of a controller's cycle in every run.
	Shift time.Duration
	// Seeds is how many seeds are enough, since a run is costly; 0: as many as are asked for.
	Seeds int
	// Targets are what the figures should be.
	Targets []Target
}

// link returns the link that a text describes, with the scenario's own trace.
func (s *Scenario) link(text string) (sim.Config, error) {
	c, err := sim.ParseLink(text)
	if s.Trace != nil {
		c.Rate, c.Trace, c.CustomTrace = 0, "", s.Trace
	}
	return c, err
}

// rivals is how many flows of bulk there are, which share the bottleneck.
func (s *Scenario) rivals() int {
	n := 0
	for i := range s.Flows {
		if s.Flows[i].Load == Bulk {
			n++
		}
	}
	return n
}

// paced reports whether anything comes by the clock.
func (s *Scenario) paced() bool {
	return slices.ContainsFunc(s.Flows, func(f Flow) bool { return f.Load != Bulk || f.Game })
}

// Short returns the scenario with a fifth of its time, at least five seconds, for tables that are made
// often. Targets are about whole runs, so it has none. One with changes, or with an end of its own, stays
// as it is.
func (s Scenario) Short() Scenario {
	const least, part = 5 * time.Second, 5
	if len(s.Changes) > 0 || slices.ContainsFunc(s.Flows, func(f Flow) bool { return f.Bytes > 0 }) {
		return s
	}
	whole := s.Duration
	s.Targets = nil
	s.Duration = min(max(whole/part, least), whole)
	scale := func(d time.Duration) time.Duration {
		return time.Duration(float64(d) * float64(s.Duration) / float64(whole)).Round(time.Millisecond)
	}
	s.Warmup = scale(s.Warmup)
	flows := make([]Flow, len(s.Flows))
	for i, f := range s.Flows {
		f.Start, f.Stop = scale(f.Start), scale(f.Stop)
		flows[i] = f
	}
	s.Flows = flows
	return s
}

// lastChange is when the last Change comes, without the shift; 0: there is none.
func (s *Scenario) lastChange() time.Duration {
	var last time.Duration
	for _, c := range s.Changes {
		last = max(last, c.At)
	}
	return last
}

func (f *Flow) streams() int { return cmp.Or(f.Streams, 1) }
