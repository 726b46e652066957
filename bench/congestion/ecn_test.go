package congestion

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func result(t *testing.T, s Scenario) *Result {
	t.Helper()
	r, err := Run(&s, 1)
	require.NoError(t, err)
	return r
}

// step is a link whose queue marks ECT(1) at a millisecond.
const step = "dsl,l4s=1ms"

func TestPragueFillsALinkThatMarksAtAStepAndKeepsItsQueueShort(t *testing.T) {
	for _, link := range []string{step, step + ",delay=5ms", step + ",delay=50ms", step + ",jitter=2ms"} {
		r := result(t, one("prague", link))
		require.Greater(t, r.Total(), 0.9*Capacity(dslRate), link)
		require.Less(t, r.QueueP95(), 2*time.Millisecond, link)
	}
}

func TestPragueSharesAStepWithItself(t *testing.T) {
	r := result(t, Scenario{
		Name: "itself", Link: step, Duration: 30 * time.Second, Warmup: 15 * time.Second,
		Flows: []Flow{{Controller: "prague", Streams: 8}, {Controller: "prague", Streams: 8, Start: 2 * time.Second}},
	})
	require.Greater(t, r.Jain(), 0.95)
	require.Greater(t, r.Total(), 0.9*Capacity(dslRate))
	require.Less(t, r.QueueP95(), 2*time.Millisecond)
}

// The share of a flow does not depend on its round trip below 25 ms.
func TestPragueSharesAStepWithALongerRoundTrip(t *testing.T) {
	r := result(t, Scenario{
		Name: "round trips", Link: step + ",delay=5ms", Duration: 30 * time.Second, Warmup: 15 * time.Second,
		Flows: []Flow{{Controller: "prague", Streams: 8}, {Controller: "prague", Streams: 8, Line: 7500 * time.Microsecond}},
	})
	require.Less(t, r.Share(0), 0.6, "10 ms beside 25 ms")
	require.Greater(t, r.Share(0), 0.4)
}

func TestPragueSharesQueuesThatMarkLikeLossOrNotAtAll(t *testing.T) {
	for _, link := range []string{"dsl,ecn=5ms", "dsl"} {
		for _, first := range []bool{true, false} {
			s := Scenario{
				Name: "beside cubic", Link: link, Duration: 35 * time.Second, Warmup: 15 * time.Second,
				Flows: []Flow{{Controller: "prague", Streams: 8}, {Controller: "cubic", Streams: 8}},
			}
			if first {
				s.Flows[1].Start = 2 * time.Second
			} else {
				s.Flows[0].Start = 2 * time.Second
			}
			r := result(t, s)
			require.InDelta(t, 0.5, r.Share(0), 0.15, "%s, prague first: %v", link, first)
		}
	}
}

// A path without L4S, or one that mangles marks, costs nobody any goodput.
func TestMarksThatAreMangledCostNothing(t *testing.T) {
	for _, name := range []string{"adaptive", "bbr", "cubic", "prague"} {
		play := func(link string) float64 {
			s := one(name, link)
			s.Duration = 6 * time.Second
			return result(t, s).Total()
		}
		plain := play("dsl")
		for _, mangle := range []string{"bleach", "ce", "ect1"} {
			got := play("dsl,mangle=" + mangle)
			require.Greater(t, got, 0.97*plain, "%s, mangle=%s", name, mangle)
		}
	}
}

// Somebody on the path may set CE as they may drop packets. On all of them, they are found out, and six
// seconds later the flow is back.
func TestMarksThatAreMadeUpLaterAreFoundOut(t *testing.T) {
	for _, name := range []string{"adaptive", "bbr", "cubic", "prague"} {
		s := one(name, "dsl")
		s.Changes = []Change{{4 * time.Second, "dsl,mangle=ce"}}
		s.Warmup, s.Duration = 10*time.Second, 18*time.Second
		r := result(t, s)
		require.Greater(t, r.Total(), 0.7*Capacity(dslRate), name)
	}
}

func TestAQueueThatMarksStaysShort(t *testing.T) {
	for _, name := range []string{"adaptive", "cubic"} {
		r := result(t, one(name, "dsl,ecn=5ms"))
		require.Greater(t, r.Total(), 0.9*Capacity(dslRate), name)
		require.Less(t, r.QueueP95(), 8*time.Millisecond, name)
	}
}
