package realtime

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
)

// Value is a figure over several seeds.
type Value struct {
	Typical float64 // the median, or the mean of a metric that says so
	Worst   float64 // the largest: of all figures less is better
}

// Row is what several seeds of one scenario gave.
type Row struct {
	Scenario Scenario
	Seeds    int
	Values   map[string]Value // by name of the metric
}

// MeasureAll runs scenarios under seeds 1 to n, on all processors. The rows do not depend on how many
// there are. When all seeds of a scenario are done, done hears it: how many scenarios of how many.
func MeasureAll(scenarios []Scenario, n int, done func(done, of int, row *Row)) ([]Row, error) {
	m := measurement{scenarios: scenarios, rows: make([]Row, len(scenarios)), done: done}
	for i := range scenarios {
		seeds := max(n, 1)
		if most := scenarios[i].Seeds; most > 0 {
			seeds = min(seeds, most)
		}
		m.results = append(m.results, make([]*Result, seeds))
		m.left = append(m.left, seeds)
	}
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(m.work)
	}
	workers.Wait()
	return m.rows, m.err
}

// measurement is shared by the workers of MeasureAll.
type measurement struct {
	scenarios []Scenario
	rows      []Row
	done      func(done, of int, row *Row)

	mu       sync.Mutex
	next     struct{ scenario, seed int }
	results  [][]*Result // by scenario and seed; let go of when the row is made
	left     []int       // runs to come, by scenario
	finished int
	err      error
}

// work plays runs until there is none left.
func (m *measurement) work() {
	for {
		scenario, seed, ok := m.take()
		if !ok {
			return
		}
		result, err := play(&m.scenarios[scenario], uint64(seed+1))
		m.put(scenario, seed, result, err)
	}
}

// seedStep is how far the seeds of the sessions of a scenario with Starts are from each other.
const seedStep = 1 << 20

// play runs a scenario as often as it has starts, and one with a transfer also without it.
func play(s *Scenario, seed uint64) (*Result, error) {
	result, err := Run(s, seed)
	for i := 1; i < s.Starts && err == nil; i++ {
		var more *Result
		if more, err = Run(s, seed+uint64(i)*seedStep); err == nil {
			result.merge(more)
		}
	}
	if err != nil || s.Transfer == 0 {
		return result, err
	}
	quiet := *s
	quiet.Transfer = 0
	result.alone, err = Run(&quiet, seed)
	return result, err
}

func (m *measurement) take() (scenario, seed int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil || m.next.scenario == len(m.scenarios) {
		return 0, 0, false
	}
	scenario, seed = m.next.scenario, m.next.seed
	if m.next.seed++; m.next.seed == len(m.results[scenario]) {
		m.next.scenario, m.next.seed = scenario+1, 0
	}
	return scenario, seed, true
}

func (m *measurement) put(scenario, seed int, result *Result, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err = cmp.Or(m.err, err); m.err != nil {
		return
	}
	m.results[scenario][seed] = result
	if m.left[scenario]--; m.left[scenario] > 0 {
		return
	}
	m.rows[scenario] = summarise(m.scenarios[scenario], m.results[scenario])
	m.results[scenario] = nil
	m.finished++
	m.done(m.finished, len(m.scenarios), &m.rows[scenario])
}

// summarise makes a row of the results of all seeds.
func summarise(s Scenario, results []*Result) Row {
	row := Row{Scenario: s, Seeds: len(results), Values: make(map[string]Value)}
	for i := range Metrics {
		m := &Metrics[i]
		figures, sum := make([]float64, len(results)), 0.0
		for j, r := range results {
			figures[j] = m.Of(r)
			sum += figures[j]
		}
		slices.Sort(figures)
		v := Value{Typical: figures[len(figures)/2], Worst: figures[len(figures)-1]}
		if m.Mean {
			v.Typical = sum / float64(len(figures))
		}
		row.Values[m.Name] = v
	}
	return row
}
