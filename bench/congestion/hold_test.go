package congestion

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// holdSeeds are the seeds of the targets in every run of the tests. make congestion plays more.
const holdSeeds = 3

// TestAdaptiveMeetsItsTargets plays every scenario of the grid that has targets.
func TestAdaptiveMeetsItsTargets(t *testing.T) {
	var scenarios []Scenario
	for _, s := range Grid("adaptive") {
		if len(s.Targets) > 0 {
			scenarios = append(scenarios, s)
		}
	}
	rows, err := MeasureAll(scenarios, holdSeeds, func(int, int, *Row) {})
	require.NoError(t, err)
	for i := range rows {
		row := &rows[i]
		for _, target := range row.Scenario.Targets {
			t.Run(row.Scenario.Name+", "+target.String(), func(t *testing.T) {
				figure, off := target.Judge(row)
				require.Zero(t, off, "it is %v", figure)
			})
		}
	}
}
