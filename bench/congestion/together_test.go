package congestion

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFlowsThatBeginTogetherDoNotCollapse plays eight flows that begin while those before them still look for their
// rate. Each can find a queue that is full from its first packet to its last, and mistake it for the way.
func TestFlowsThatBeginTogetherDoNotCollapse(t *testing.T) {
	s := Scenario{Name: "together", Link: "dsl", Duration: 12 * time.Second, Warmup: 6 * time.Second}
	for i := range 8 {
		s.Flows = append(s.Flows, Flow{Controller: "adaptive", Start: time.Duration(i) * 167 * time.Millisecond})
	}
	for _, seed := range []uint64{35, 51} { // with the full queue taken for the way, a third of all packets is lost
		r, err := Run(&s, seed)
		require.NoError(t, err)
		require.Less(t, r.part(func(f *FlowResult) uint64 { return f.Lost }), 0.25, "seed %d", seed)
		require.Greater(t, r.Jain(), 0.6, "seed %d", seed)
	}
}
