package congestion

import (
	"fmt"
	"time"

	"github.com/godwit-net/godwit/protocol"
	cc "github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/sim"
)

// NewController makes a controller for one path of one session.
type NewController = func(cc.Config) cc.Controller

// Flow is a session that sends as fast as it may, from its start to the end of the run.
type Flow struct {
	Controller string // a name that congestion.Named knows, or a key of Controllers
	Streams    int    // that it sends on; 0: eight
	Start      time.Duration
	// Stop ends the flow's writing; 0: it goes on to the end.
	Stop time.Duration
	// Rate makes the application write at this many bit/s instead of as fast as it can; 0: no limit.
	Rate int64
}

// Change puts another link in force on the way.
type Change struct {
	At   time.Duration
	Link string
}

// Scenario is flows through one bottleneck.
type Scenario struct {
	Name     string
	Link     string // in the language of sim.ParseLink
	Flows    []Flow
	Changes  []Change
	Duration time.Duration
	// Warmup is left out of all figures but the traces.
	Warmup time.Duration
}

// Result is what came of a scenario.
type Result struct {
	Scenario *Scenario
	Flows    []FlowResult
	Queue    sim.Histogram // the wait for the bottleneck, looked at every millisecond after the warm-up
	Samples  []Sample      // the whole run, every SampleInterval
}

// FlowResult is what one flow got.
type FlowResult struct {
	Goodput     float64 // bit/s that the application read, after the warm-up
	Lost        uint64  // packets declared lost in the whole run
	Spurious    uint64  // of them, those that had arrived
	Sent        uint64  // packets
	Established bool
	Err         error // why the session ended, if it did
}

// SampleInterval is the time from one Sample to the next.
const SampleInterval = 100 * time.Millisecond

// Sample is the state of a run at one time.
type Sample struct {
	At      time.Duration
	Queue   time.Duration // at this instant
	Rates   []float64     // bit/s that each flow's application read since the sample before
	Windows []int         // congestion windows in bytes
}

// Total is the goodput of all flows in bit/s.
func (r *Result) Total() float64 {
	var sum float64
	for i := range r.Flows {
		sum += r.Flows[i].Goodput
	}
	return sum
}

// Share is the part of the total that flow i got; 0 when nobody got anything.
func (r *Result) Share(i int) float64 {
	if total := r.Total(); total > 0 {
		return r.Flows[i].Goodput / total
	}
	return 0
}

// Jain is Jain's index of fairness: 1 when all got the same, 1/n when one got all.
func (r *Result) Jain() float64 {
	var squares float64
	for i := range r.Flows {
		squares += r.Flows[i].Goodput * r.Flows[i].Goodput
	}
	total := r.Total()
	if squares == 0 {
		return 0
	}
	return total * total / float64(len(r.Flows)) / squares
}

// QueueP95 is the wait that 95 % of the time was not exceeded.
func (r *Result) QueueP95() time.Duration { return r.Queue.Quantile(0.95) }

// headers is what a full datagram carries beside application data: first octet, session ID (8), packet
// number (2), stream frame (type, ID, offset of 4), tag (16).
const headers = 1 + 8 + 2 + 1 + 1 + 4 + 16

// Capacity is the goodput in bit/s that a link of rate bit/s has at a full Ethernet MTU.
func Capacity(rate int64) float64 {
	const mtu, datagram = sim.DefaultMTU, sim.DefaultMTU - sim.DefaultOverhead
	return float64(rate) * (datagram - headers) / mtu
}

func controller(name string) (NewController, error) {
	if c := Controllers[name]; c != nil {
		return c, nil
	}
	if c, ok := cc.Named(name); ok {
		return c, nil
	}
	return nil, fmt.Errorf("no controller is named %q: use one of %v, or add yours to Controllers", name, cc.Names())
}

// Controllers are those that flows may name beside the ones of protocol/congestion: a place for yours.
var Controllers = map[string]NewController{}

// bulkConfig gives a session windows that never limit a flow.
func bulkConfig() protocol.Config {
	p := protocol.DefaultParameters()
	p.MaxData, p.MaxStreamDataUni = 16<<20, 16<<20
	return protocol.Config{Params: &p}
}
