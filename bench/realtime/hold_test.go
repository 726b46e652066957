package realtime

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// judged are the samples that the tests judge targets by, where a tenth is too few for a tail: of a thousand messages
// beside transfers, the ten of the p99 are those of the first transfer, which does not know the path yet.
var judged = map[string]int{
	"message": tailSamples, "message2": tailSamples, "media": 2 * tailSamples, "budget": 2 * tailSamples,
	"worldload": tailSamples / 10,
}

// TestTargetsHold plays every scenario that has targets, but the million of a stream, under one seed.
func TestTargetsHold(t *testing.T) {
	var scenarios []Scenario
	for _, s := range Grid() {
		if len(s.Targets) == 0 || s.Group == "stream" {
			continue
		}
		if n, ok := judged[s.Group]; ok {
			s.Samples = n
		} else {
			s = s.Short()
		}
		scenarios = append(scenarios, s)
	}
	hold(t, scenarios)
}

// TestAMillionDatagramsArriveInTime has a budget of 150 ms at a round trip of 100 ms and 5 % loss both ways.
func TestAMillionDatagramsArriveInTime(t *testing.T) {
	var scenarios []Scenario
	for _, s := range Grid() {
		if s.Group == "stream" {
			require.Equal(t, 1_000_000, s.Samples)
			scenarios = append(scenarios, s)
		}
	}
	hold(t, scenarios)
}

// hold fails when a target is missed that is not a known shortfall.
func hold(t *testing.T, scenarios []Scenario) {
	t.Helper()
	rows, err := MeasureAll(scenarios, 1, func(int, int, *Row) {})
	require.NoError(t, err)
	for i := range rows {
		row := &rows[i]
		for _, target := range row.Scenario.Targets {
			if _, known := why(row.Scenario.Name, target.Metric); known {
				continue
			}
			t.Run(row.Scenario.Name+", "+target.Metric, func(t *testing.T) {
				require.Zero(t, target.Judge(row), "%s", row.cell(target.Metric))
			})
		}
	}
}

func TestShortfallsAreOfTargets(t *testing.T) {
	for _, s := range shortfalls {
		require.NotEmpty(t, s.why)
		scenario := find(t, s.scenario)
		require.Contains(t, metrics(&scenario), s.metric, s.scenario)
	}
}

func metrics(s *Scenario) (list []string) {
	for _, target := range s.Targets {
		list = append(list, target.Metric)
	}
	return list
}
