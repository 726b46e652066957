package main

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/bench"
	"github.com/godwit-net/godwit/bench/realtime"
)

func TestEveryLineHasAScenarioWithTargets(t *testing.T) {
	grid := make(map[string]realtime.Row)
	for _, s := range realtime.Grid() {
		grid[s.Name] = realtime.Row{Scenario: s}
	}
	for _, load := range workloads {
		for _, link := range links {
			row, ok := grid[load.simulated+link]
			require.True(t, ok, "%s %s", load.name, link)
			require.False(t, math.IsInf(bound(&row, load.p99), 1))
			require.False(t, math.IsInf(bound(&row, load.p999), 1))
		}
	}
	_, err := simulate("message over pigeons")
	require.ErrorContains(t, err, "pigeons")
}

func TestALineTellsWhatWasMissed(t *testing.T) {
	load := &workloads[0]
	row := &realtime.Row{
		Scenario: realtime.Scenario{Targets: []realtime.Target{{Metric: realtime.P99, Max: 45}, {Metric: realtime.P999, Max: 62}}},
		Values:   map[string]realtime.Value{realtime.P99: {Typical: 44}, realtime.P999: {Typical: 61}},
	}
	r := &bench.MessageResult{Sent: 1000, Missing: 1, OneWay: bench.Latency{Count: 999, P50MS: 25.2, P99MS: 44.9, P999MS: 70}}
	r.Wire = bench.WireResult{Packets: 1.04, Bytes: 210}
	var b bytes.Buffer
	writeRow(&b, load, "loss5", row, r)
	require.Contains(t, b.String(), "| loss5 | 25.2 | 44.9 ≤45 | 44.0 | 70.0 ≤62 +8.0 | 61.0 | 1.0e-03 | 1.04 | 210 | 0.0 | 999 | ")
}

func TestARunOverSocketsGivesAResult(t *testing.T) {
	r, err := play(t.Context(), &workload{name: bench.Media, sessions: 1}, "loss5", 36, 300*time.Millisecond)
	require.NoError(t, err)
	require.EqualValues(t, 180, r.Sent)
	_, err = play(t.Context(), &workload{name: "films"}, "loss5", 0, time.Second)
	require.ErrorContains(t, err, "films")
}
