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

func TestAdaptiveFillsALineThatLosesAtRandom(t *testing.T) {
	capacity := Capacity(dslRate) / 1e6
	for loss, least := range map[string]float64{"0%": 0.95, "1%": 0.95 * 0.99, "5%": 0.9 * 0.95, "10%": 0.85 * 0.9} {
		row := measure(t, one("adaptive", "dsl,loss="+loss))
		require.Greater(t, row.Values[Goodput].Median, least*capacity, "at %s", loss)
		require.Less(t, row.Values[Queue].Median, 15.0)
	}
}

func TestEveryModelBeatsCubicUnderLoss(t *testing.T) {
	cubic := measure(t, one("cubic", "dsl,loss=1%"))
	for _, name := range []string{"bbr", "adaptive"} {
		require.Greater(t, measure(t, one(name, "dsl,loss=1%")).Values[Goodput].Median, 3*cubic.Values[Goodput].Median, name)
	}
}

func TestAdaptiveSharesWithItself(t *testing.T) {
	s := itself("adaptive")[0]
	s.Duration = 20 * time.Second
	row, err := Measure(s, 3) // now and then they take each other for CUBIC
	require.NoError(t, err)
	require.Greater(t, row.Values[Jain].Median, 0.95)
	require.Less(t, row.Values[Queue].Median, 15.0)
}

func TestAdaptiveSharesWithCubic(t *testing.T) {
	for _, s := range rivals("adaptive")[:4] {
		s.Duration, s.Warmup = 45*time.Second, 15*time.Second
		row := measure(t, s)
		require.Greater(t, row.Values[Share].Median, 0.35, s.Name)
		require.Less(t, row.Values[Share].Median, 0.65, s.Name)
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

func TestAdaptiveComesBackAfterHeavyLoss(t *testing.T) {
	for _, loss := range []string{"30%", "50%"} {
		s := one("adaptive", "dsl")
		s.Changes = []Change{{4 * time.Second, "dsl,loss=" + loss}, {7 * time.Second, "dsl"}}
		r, err := Run(&s, 1)
		require.NoError(t, err)
		var back float64
		for _, sample := range r.Samples {
			if sample.At > 7800*time.Millisecond && sample.At <= 8800*time.Millisecond { // 20 round trips later
				back += sample.Rates[0] * SampleInterval.Seconds()
			}
		}
		require.Greater(t, back, 0.9*Capacity(dslRate), "after a loss of %s", loss)
	}
}

func TestAdaptiveFlowsAgainAfterABlackHole(t *testing.T) {
	s := one("adaptive", "blackhole") // 5 s on, 2 s off, round trip 50 ms
	r, err := Run(&s, 1)
	require.NoError(t, err)
	var after float64
	for _, sample := range r.Samples {
		if sample.At > 7*time.Second && sample.At <= 8*time.Second {
			after += sample.Rates[0] * SampleInterval.Seconds()
		}
	}
	require.Greater(t, after, 0.4*Capacity(20_000_000), "in the second after it")
}
