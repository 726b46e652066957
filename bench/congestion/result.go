package congestion

import (
	"time"

	"github.com/godwit-net/godwit/protocol/sim"
)

// Result is what came of a scenario under one seed.
type Result struct {
	Scenario *Scenario
	Seed     uint64
	Shift    time.Duration // by which Changes came later
	Flows    []FlowResult
	Queue    sim.Histogram // the wait for the bottleneck, looked at every millisecond after the warm-up
	Samples  []Sample      // the whole run, every SampleInterval

	// Marked is the part of all datagrams that the way there marked CE, in the whole run.
	Marked float64
	marks  bool // the link marks or mangles

	// Back is the goodput of all flows, in parts of the capacity, in the second that begins 20 round trips
	// after the last Change.
	Back float64
	// First is the time from the last Change to the first byte that an application reads after it.
	First time.Duration
}

// FlowResult is what one flow got.
type FlowResult struct {
	Goodput     float64 // bit/s that the application read, after the warm-up
	Lost        uint64  // packets declared lost in the whole run
	Spurious    uint64  // of them, those that had arrived
	Sent        uint64  // packets
	Established bool
	Done        time.Duration // from the start of the flow until all of Flow.Bytes was read; 0: it was not
	Err         error         // why the session ended, if it did

	// Latency of Game and Media, for what was written after the warm-up: from the write of a piece until
	// all of it was read, in order.
	Latency sim.Histogram
	// Blocked is, of Game, the time from the write until the first datagram left that had room for the
	// piece: for so long the window or the pacer blocked it.
	Blocked sim.Histogram
}

// SampleInterval is the time from one Sample to the next.
const SampleInterval = 100 * time.Millisecond

// Sample is the state of a run at one time.
type Sample struct {
	At      time.Duration
	Queue   time.Duration // the longest since the sample before
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

// bulk is the goodput of the flows that share the bottleneck.
func (r *Result) bulk() (total, squares float64) {
	for i := range r.Flows {
		if r.Scenario.Flows[i].Load == Bulk {
			g := r.Flows[i].Goodput
			total, squares = total+g, squares+g*g
		}
	}
	return total, squares
}

// Share is the part of all bulk that flow i got; 0 when nobody got anything.
func (r *Result) Share(i int) float64 {
	if total, _ := r.bulk(); total > 0 {
		return r.Flows[i].Goodput / total
	}
	return 0
}

// Jain is Jain's index of fairness among the flows of bulk: 1 when all got the same, 1/n when one got all.
func (r *Result) Jain() float64 {
	total, squares := r.bulk()
	if squares == 0 {
		return 0
	}
	return total * total / float64(r.Scenario.rivals()) / squares
}

// QueueP95 is the wait that 95 % of the time was not exceeded.
func (r *Result) QueueP95() time.Duration { return r.Queue.Quantile(0.95) }

// part is a count in parts of all packets.
func (r *Result) part(of func(*FlowResult) uint64) float64 {
	var sum, sent uint64
	for i := range r.Flows {
		sum += of(&r.Flows[i])
		sent += r.Flows[i].Sent
	}
	return float64(sum) / float64(max(sent, 1))
}

// paced merges one of the histograms of the flows that have it.
func (r *Result) paced(of func(*FlowResult) *sim.Histogram) (all sim.Histogram) {
	for i := range r.Flows {
		all.Merge(of(&r.Flows[i]))
	}
	return all
}

// headers is what a full datagram carries beside application data: first octet, session ID (8), packet
// number (2), stream frame (type, ID, offset of 4), tag (16).
const headers = 1 + 8 + 2 + 1 + 1 + 4 + 16

// Capacity is the goodput in bit/s that a link of rate bit/s has at a full Ethernet MTU.
func Capacity(rate int64) float64 {
	const mtu, datagram = sim.DefaultMTU, sim.DefaultMTU - sim.DefaultOverhead
	return float64(rate) * (datagram - headers) / mtu
}
