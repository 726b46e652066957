package congestion

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	cc "github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/sim"
)

// fixed puts a controller of a rate (bit/s of UDP payload) among the Controllers and returns its name.
func fixed(t *testing.T, rate uint64) string {
	const name = "fixed rate"
	Controllers[name] = func(c cc.Config) cc.Controller { return cc.NewFixed(c, rate/8) }
	t.Cleanup(func() { delete(Controllers, name) })
	return name
}

// carried is the goodput of a rate of UDP payload in full datagrams.
func carried(rate float64) float64 {
	const datagram = sim.DefaultMTU - sim.DefaultOverhead
	return rate * (datagram - headers) / datagram
}

func TestAFixedRateHoldsWhateverIsLost(t *testing.T) {
	const rate = 20_000_000
	for loss, arrives := range map[string]float64{"0%": 1, "20%": 0.8} {
		s := one(fixed(t, rate), "dsl,loss="+loss)
		r, err := Run(&s, 1)
		require.NoError(t, err)
		require.InEpsilon(t, carried(rate)*arrives, r.Total(), 0.02, "loss %s", loss)
		require.Less(t, r.QueueP95(), 2*time.Millisecond)
	}
}

func TestAFixedRateThatThePathDoesNotHaveEndsAtItsWindow(t *testing.T) {
	s := one(fixed(t, 100_000_000), "dsl,queue=900MB")
	r, err := Run(&s, 1)
	require.NoError(t, err)
	require.Greater(t, r.Total(), 0.95*Capacity(dslRate))
	require.Less(t, r.QueueP95(), 300*time.Millisecond, "twice the rate makes a queue of a window, not of seconds")
}

func TestAFixedRateDoesNotFloodADeadPath(t *testing.T) {
	const rate, seeds = 20_000_000, 8
	sent := 0.0
	for seed := range uint64(seeds) {
		s := one(fixed(t, rate), "dsl")
		s.Duration = 4 * time.Second
		alive, err := Run(&s, seed)
		require.NoError(t, err)
		s.Changes, s.Duration = []Change{{s.Duration, "dsl,loss=100%"}}, 14*time.Second
		dead, err := Run(&s, seed)
		require.NoError(t, err)
		sent += float64(dead.Flows[0].Sent-alive.Flows[0].Sent) / seeds
	}
	const window = 2*40*time.Millisecond + 50*time.Millisecond
	most := rate * window.Seconds() / 8 / (sim.DefaultMTU - sim.DefaultOverhead)
	const probes = 3000/40 + 25 // once a round trip for three seconds, then more and more seldom
	require.Less(t, sent, most+probes, "in ten seconds, in the mean: a window, and probes")
}

func TestAFixedRateComesBackWithThePath(t *testing.T) {
	const rate = 20_000_000
	s := one(fixed(t, rate), "dsl")
	s.Changes = []Change{{4 * time.Second, "dsl,loss=100%"}, {8 * time.Second, "dsl"}}
	r, err := Run(&s, 1)
	require.NoError(t, err)
	var back float64
	for _, sample := range r.Samples {
		if sample.At > 11*time.Second {
			back += sample.Rates[0] * SampleInterval.Seconds()
		}
	}
	require.Greater(t, back, 0.95*carried(rate), "in the last second")
}
