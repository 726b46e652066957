package congestion

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func measure(t *testing.T, s Scenario) Row {
	t.Helper()
	row, err := Measure(s, 1)
	require.NoError(t, err)
	return row
}

func one(name, link string) Scenario {
	return Scenario{Name: name, Link: link, Flows: []Flow{{Controller: name, Streams: 8}}, Duration: 12 * time.Second, Warmup: aloneWarmup}
}

func TestEveryModelBeatsCubicUnderLoss(t *testing.T) {
	cubic := measure(t, one("cubic", "dsl,loss=1%"))
	for _, name := range []string{"bbr", "adaptive"} {
		require.Greater(t, measure(t, one(name, "dsl,loss=1%")).Values[Goodput].Median, 3*cubic.Values[Goodput].Median, name)
	}
}

func TestRunsRepeatThemselves(t *testing.T) {
	s := one("adaptive", "dsl,loss=5%,jitter=1ms")
	s.Duration = 3 * time.Second
	a, err := Run(&s, 7)
	require.NoError(t, err)
	b, err := Run(&s, 7)
	require.NoError(t, err)
	require.Equal(t, a.Flows, b.Flows)
	require.Equal(t, a.Samples, b.Samples)
	c, err := Run(&s, 8)
	require.NoError(t, err)
	require.NotEqual(t, a.Flows, c.Flows)
}

func TestFlowsStartStopAndKeepTheirRate(t *testing.T) {
	s := Scenario{
		Name: "rates", Link: "dsl", Duration: 6 * time.Second,
		Flows: []Flow{{Controller: "cubic", Rate: 2_000_000}, {Controller: "cubic", Start: 2 * time.Second, Stop: 4 * time.Second}},
	}
	r, err := Run(&s, 1)
	require.NoError(t, err)
	require.InDelta(t, 2e6*5.9/6, r.Flows[0].Goodput, 1e5)
	require.Zero(t, r.Samples[18].Rates[1], "not yet")
	require.Greater(t, r.Samples[30].Rates[1], 1e7)
	require.Zero(t, r.Samples[58].Rates[1], "no more")
}

func TestScenariosThatMakeNoSenseAreRefused(t *testing.T) {
	for want, s := range map[string]Scenario{
		"no controller is named": {Link: "dsl", Flows: []Flow{{Controller: "reno"}}},
		"no link is named":       {Link: "dls", Flows: []Flow{{Controller: "cubic"}}},
		"unknown key":            {Link: "dsl", Flows: []Flow{{Controller: "cubic"}}, Changes: []Change{{0, "speed=1"}}},
		"at most":                {Link: "dsl", Flows: slicesOf(maxFlows + 1)},
	} {
		_, err := Run(&s, 1)
		require.ErrorContains(t, err, want)
	}
}

func slicesOf(n int) []Flow {
	f := make([]Flow, n)
	for i := range f {
		f[i].Controller = "cubic"
	}
	return f
}

func TestJainAndShares(t *testing.T) {
	s := Scenario{Flows: make([]Flow, 2)}
	r := Result{Scenario: &s, Flows: []FlowResult{{Goodput: 3}, {Goodput: 1}}}
	require.Equal(t, 0.75, r.Share(0))
	require.Equal(t, 0.8, r.Jain())
	r = Result{Scenario: &s, Flows: make([]FlowResult, 2)}
	require.Zero(t, r.Jain())
	require.Zero(t, r.Share(0))
}
