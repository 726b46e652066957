package congestion

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Durations of the scenarios of the grid, in virtual time.
const (
	aloneDuration = 20 * time.Second
	aloneWarmup   = 2 * time.Second
	// Two flows that answer loss need several of their sawteeth until they share.
	rivalDuration = 90 * time.Second
	rivalWarmup   = 30 * time.Second
	rivalLater    = 5 * time.Second // from the start of the first flow to that of the second
	selfDuration  = 40 * time.Second
	selfWarmup    = 12 * time.Second
	selfLater     = time.Second
)

// dslRate is the rate of the link named dsl, which most scenarios use.
const dslRate = 50_000_000

// Grid returns the scenarios that a controller is judged by.
func Grid(controller string) []Scenario {
	var grid []Scenario
	grid = append(grid, alone(controller)...)
	grid = append(grid, rivals(controller)...)
	grid = append(grid, itself(controller)...)
	return append(grid, hardships(controller)...)
}

// alone is one flow with buffers of several sizes and loss at random.
func alone(controller string) []Scenario {
	var grid []Scenario
	for _, queue := range []string{"0.25bdp", "1bdp", "4bdp"} {
		for _, loss := range []string{"0%", "0.1%", "1%", "5%", "10%"} {
			grid = append(grid, Scenario{
				Name: "alone queue=" + queue + " loss=" + loss, Link: "dsl,queue=" + queue + ",loss=" + loss,
				Flows: []Flow{{Controller: controller}}, Duration: aloneDuration, Warmup: aloneWarmup,
			})
		}
	}
	return grid
}

// rivals is one flow against one CUBIC flow, each once the first.
func rivals(controller string) []Scenario {
	var grid []Scenario
	for _, queue := range []string{"0.25bdp", "1bdp", "4bdp"} {
		first := Scenario{
			Name: "before cubic queue=" + queue, Link: "dsl,queue=" + queue,
			Flows:    []Flow{{Controller: controller}, {Controller: "cubic", Start: rivalLater}},
			Duration: rivalDuration, Warmup: rivalWarmup,
		}
		second := first
		second.Name = "after cubic queue=" + queue
		second.Flows = []Flow{{Controller: controller, Start: rivalLater}, {Controller: "cubic"}}
		grid = append(grid, first, second)
	}
	return grid
}

// itself is several flows of one controller, that begin one after the other.
func itself(controller string) []Scenario {
	var grid []Scenario
	for _, n := range []int{2, 4, 8} {
		s := Scenario{Name: fmt.Sprintf("itself flows=%d", n), Link: "dsl", Duration: selfDuration, Warmup: selfWarmup}
		for i := range n {
			s.Flows = append(s.Flows, Flow{Controller: controller, Start: time.Duration(i) * selfLater})
		}
		grid = append(grid, s)
	}
	return grid
}

// hardships are links that change, die, police or reorder.
func hardships(controller string) []Scenario {
	links := []struct{ name, link string }{
		{"policer", "policer"},
		{"blackhole", "blackhole"},
		{"jitter2", "dsl,jitter=2ms"},
		{"jitter10", "dsl,jitter=10ms"},
		{"bad wifi", "rate=10mbit,delay=40ms,jitter=7ms,queue=1bdp"},
		{"bursts", "dsl,good=280ms,bad=20ms,badloss=75%"},
		{"starlink", "starlink"},
		{"lte", "lte"},
	}
	var grid []Scenario
	for _, l := range links {
		grid = append(grid, Scenario{
			Name: l.name, Link: l.link, Flows: []Flow{{Controller: controller}}, Duration: aloneDuration, Warmup: aloneWarmup,
		})
	}
	return append(grid, Scenario{
		Name: "drop and back", Link: "dsl", Flows: []Flow{{Controller: controller}}, Duration: 30 * time.Second, Warmup: aloneWarmup,
		Changes: []Change{{10 * time.Second, "dsl,rate=10mbit,queue=250kB"}, {20 * time.Second, "dsl"}},
	})
}

// Row is what several seeds of one scenario gave: medians.
type Row struct {
	Scenario Scenario
	Goodput  float64 // Mbit/s of all flows
	Share    float64 // of the first flow
	Least    float64 // the worst seed's share or, for one flow, its part of the median goodput
	Jain     float64
	Queue    time.Duration // 95 % of the time
	Lost     float64       // part of all packets, declared lost
	Spurious float64       // part of all packets, of those that were not
}

// Measure runs a scenario under seeds 1 to n.
func Measure(s Scenario, n int) (Row, error) {
	results := make([]*Result, n)
	for i := range results {
		var err error
		if results[i], err = Run(&s, uint64(i+1)); err != nil {
			return Row{}, err
		}
	}
	row := Row{
		Scenario: s,
		Goodput:  median(results, func(r *Result) float64 { return r.Total() / 1e6 }),
		Share:    median(results, func(r *Result) float64 { return r.Share(0) }),
		Jain:     median(results, (*Result).Jain),
		Queue:    time.Duration(median(results, func(r *Result) float64 { return float64(r.QueueP95()) })),
		Lost:     median(results, func(r *Result) float64 { return r.part(func(f *FlowResult) uint64 { return f.Lost }) }),
		Spurious: median(results, func(r *Result) float64 { return r.part(func(f *FlowResult) uint64 { return f.Spurious }) }),
	}
	if len(s.Flows) > 1 {
		row.Least = least(results, func(r *Result) float64 { return r.Share(0) })
	} else if row.Goodput > 0 {
		row.Least = least(results, func(r *Result) float64 { return r.Total() / 1e6 }) / row.Goodput
	}
	return row, nil
}

func (r *Result) part(of func(*FlowResult) uint64) float64 {
	var sum, sent uint64
	for i := range r.Flows {
		sum += of(&r.Flows[i])
		sent += r.Flows[i].Sent
	}
	return float64(sum) / float64(max(sent, 1))
}

func values(results []*Result, of func(*Result) float64) []float64 {
	v := make([]float64, len(results))
	for i, r := range results {
		v[i] = of(r)
	}
	slices.SortFunc(v, cmp.Compare[float64])
	return v
}

func median(results []*Result, of func(*Result) float64) float64 {
	v := values(results, of)
	return v[len(v)/2]
}

func least(results []*Result, of func(*Result) float64) float64 { return values(results, of)[0] }

// String is a line of the table.
func (r *Row) String() string {
	share, jain := "-", "-"
	if len(r.Scenario.Flows) > 1 {
		share, jain = fmt.Sprintf("%.2f", r.Share), fmt.Sprintf("%.3f", r.Jain)
	}
	return fmt.Sprintf("%-30s %8.2f %6s %6.2f %6s %8.1f %7.2f %8.2f", r.Scenario.Name, r.Goodput, share, r.Least, jain,
		float64(r.Queue)/float64(time.Millisecond), 100*r.Lost, 100*r.Spurious)
}

// Table is the text of several rows.
func Table(rows []Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-30s %8s %6s %6s %6s %8s %7s %8s\n", "scenario", "Mbit/s", "share", "least", "Jain", "p95 ms", "lost %", "needless")
	for i := range rows {
		b.WriteString(rows[i].String())
		b.WriteByte('\n')
	}
	return b.String()
}
