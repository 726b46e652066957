package congestion

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
)

// Value is a figure over several seeds.
type Value struct {
	Median, Worst float64
	OK            bool // the scenario has this figure
}

// Row is what several seeds of one scenario gave.
type Row struct {
	Scenario Scenario
	Seeds    int
	Values   map[string]Value // by name of the metric
	Typical  *Result          // of the seed in the middle: by share, where flows compete, else by goodput
}

// Measure runs a scenario under seeds 1 to n.
func Measure(s Scenario, n int) (Row, error) {
	rows, err := MeasureAll([]Scenario{s}, n, func(int, int, *Row) {})
	if err != nil {
		return Row{}, err
	}
	return rows[0], nil
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
		result, err := Run(&m.scenarios[scenario], uint64(seed+1))
		m.put(scenario, seed, result, err)
	}
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
		row.Values[Metrics[i].Name] = value(&s, &Metrics[i], results)
	}
	chief := metric(Goodput)
	if s.rivals() > 1 {
		chief = metric(Share)
	}
	row.Typical = sorted(chief, results)[len(results)/2]
	return row
}

func value(s *Scenario, m *Metric, results []*Result) Value {
	in := sorted(m, results)
	v := Value{}
	v.Median, v.OK = m.Of(in[len(in)/2])
	worst := slices.MaxFunc(in, func(a, b *Result) int {
		va, _ := m.Of(a)
		vb, _ := m.Of(b)
		return cmp.Compare(m.Bad(va, s), m.Bad(vb, s))
	})
	v.Worst, _ = m.Of(worst)
	return v
}

// sorted returns results by a figure, equal ones by their seed.
func sorted(m *Metric, results []*Result) []*Result {
	return slices.SortedStableFunc(slices.Values(results), func(a, b *Result) int {
		va, _ := m.Of(a)
		vb, _ := m.Of(b)
		return cmp.Compare(va, vb)
	})
}
