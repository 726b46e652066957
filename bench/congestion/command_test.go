package congestion

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol"
	cc "github.com/godwit-net/godwit/protocol/congestion"
)

// play runs the command on one quick scenario.
func play(args ...string) (status int, stdout, stderr string) {
	var out, log bytes.Buffer
	args = append([]string{"-controllers", "cubic", "-only", "10 MB at 10 Mbit/s|media clean", "-short"}, args...)
	status = Command(args, &out, &log)
	return status, out.String(), log.String()
}

func TestTheCommandPrintsComparesAndDraws(t *testing.T) {
	golden, out := t.TempDir(), t.TempDir()
	status, table, log := play("-golden", golden, "-update", "-note", "made in a test")
	require.Zero(t, status, log)
	require.Contains(t, table, "10 MB at 10 Mbit/s, jitter 7 ms")
	require.Contains(t, log, "cubic 1/2 ", "progress")

	status, again, _ := play("-golden", golden, "-out", out, "-note", "made again")
	require.Zero(t, status, "the first line says where the table comes from and may differ")
	require.Equal(t, table, again)

	page, err := os.ReadFile(filepath.Join(out, "index.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), "made again")
	require.Contains(t, string(page), "<polyline")
	require.NotRegexp(t, regexp.MustCompile(`https?://|src=|@import|<link`), string(page), "the page needs nothing else")

	file := filepath.Join(golden, "cubic.txt")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), "# made in a test\n"))
	moved := strings.Replace(string(text), " 6.00 ", " 5.00 ", 1)
	require.NoError(t, os.WriteFile(file, []byte(moved), 0o600))
	status, differences, log := play("-golden", golden)
	require.Equal(t, 1, status)
	require.Contains(t, log, "figures moved")
	require.Regexp(t, `\n- media clean +1 +5\.00 `, differences)
	require.Regexp(t, `\n\+ media clean +1 +6\.00 `, differences)
	require.NotContains(t, differences, "\n+ 10 MB")

	more := string(text) + "another row that was not played\n"
	require.NoError(t, os.WriteFile(file, []byte(more), 0o600))
	status, differences, _ = play("-golden", golden)
	require.Zero(t, status, "it does not count: %s", differences)
}

func TestRowsDoNotDependOnHowManyProcessorsThereAre(t *testing.T) {
	scenarios := []Scenario{one("cubic", "dsl,loss=5%"), one("cubic", "dsl,loss=1%")}
	play := func(processors int) string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		rows, err := MeasureAll(scenarios, 3, func(int, int, *Row) {})
		require.NoError(t, err)
		return Table(rows)
	}
	require.Equal(t, play(1), play(4))
}

func TestTheCommandRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for want, args := range map[string][]string{
		"no controller is named": {"-controllers", "reno"},
		`is named "fixed-no`:     {"-controllers", "fixed-none"},
		"needs -golden":          {"-update"},
		"nothing but flags":      {"loss"},
		"missing closing":        {"-only", "("},
		"not defined":            {"-colour"},
	} {
		status, _, log := play(args...)
		require.Equal(t, 2, status, want)
		require.Contains(t, log, want)
	}
	status, _, log := play("-trace", "missing")
	require.Equal(t, 1, status)
	require.Contains(t, log, "missing")
}

func TestAControllerOfOnesOwnAndATraceCanBePlayed(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "dripping.tr")
	require.NoError(t, os.WriteFile(trace, []byte("2\n4\n6\n8\n10\n"), 0o600)) // 6 Mbit/s
	made := 0
	Controllers["own"] = func(c cc.Config) cc.Controller {
		made++
		return cc.NewCubic(c)
	}
	defer delete(Controllers, "own")
	all, err := Evaluate(Options{Controllers: []string{"own"}, Only: regexp.MustCompile("^trace"), Short: true, Traces: []string{trace}})
	require.NoError(t, err)
	require.NotZero(t, made)
	require.Len(t, all[0].Rows, 1)
	row := all[0].Rows[0]
	require.Equal(t, "trace dripping", row.Scenario.Name)
	require.InDelta(t, Capacity(6_000_000)/1e6, row.Values[Goodput].Median, 0.4)
}

func TestAFixedRateIsAControllerToo(t *testing.T) {
	s := single("fixed-20mbit", "fixed", "dsl,loss=10%")
	s.Duration = 5 * time.Second
	row, err := Measure(s, 1)
	require.NoError(t, err)
	require.InDelta(t, 18, row.Values[Goodput].Median, 0.8)
	require.Empty(t, Grid("fixed-20mbit")[0].Targets)
}

func TestScenariosOfTheGridHaveNamesOfTheirOwn(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range Grid("adaptive") {
		require.False(t, seen[s.Name], s.Name)
		require.NotEmpty(t, s.Group)
		require.LessOrEqual(t, len(s.Name), nameWidth)
		seen[s.Name] = true
	}
}

func TestShortScenariosKeepTheirChanges(t *testing.T) {
	for _, s := range Grid("adaptive") {
		short := s.Short()
		require.LessOrEqual(t, short.Duration, s.Duration, s.Name)
		require.Less(t, short.Warmup, short.Duration, s.Name)
		require.Less(t, short.lastChange(), short.Duration, s.Name)
		for _, f := range short.Flows {
			require.Less(t, f.Start, short.Duration, s.Name)
		}
	}
}

func TestTargetsAreMetOrMissedByADistance(t *testing.T) {
	row := Row{Seeds: 3, Values: map[string]Value{Goodput: {Median: 40, Worst: 20, OK: true}}}
	for text, c := range map[string]struct {
		target Target
		off    float64
	}{
		"Mbit/s ≥ 40.00":             {atLeast(Goodput, 40.004), 0},
		"Mbit/s ≥ 50.00":             {atLeast(Goodput, 50), 0.2},
		"Mbit/s ≤ 20.00":             {atMost(Goodput, 20), 1},
		"Mbit/s ≥ 40.00, every seed": {atLeast(Goodput, 40).every(), 0.5},
		"Mbit/s 10.00 to 50.00":      {Target{Metric: Goodput, Min: 10, Max: 50}, 0},
		"share ≥ 0.50":               {atLeast(Share, 0.5), 1},
	} {
		_, off := c.target.Judge(&row)
		require.InDelta(t, c.off, off, 1e-3, text)
		require.Equal(t, text, c.target.String())
	}
}

func TestRowsHaveTheMedianAndTheWorstSeed(t *testing.T) {
	s := Scenario{Flows: make([]Flow, 2)}
	var results []*Result
	for i, first := range []float64{1, 3, 9} {
		results = append(results, &Result{Scenario: &s, Seed: uint64(i), Flows: []FlowResult{{Goodput: first}, {Goodput: 3}}})
	}
	row := summarise(s, results)
	require.Equal(t, Value{0.5, 0.25, true}, row.Values[Share], "as far from half as 0.75, and the first")
	require.Equal(t, 3, row.Seeds)
	require.EqualValues(t, 1, row.Typical.Seed)
	require.False(t, row.Values[Done].OK)
}

func TestASourceKnowsWhenPiecesLeftAndArrived(t *testing.T) {
	out := &FlowResult{}
	s := source{pace: paces[Game], out: out, counts: true, written: 128, waiting: nil}
	at := func(d time.Duration) protocol.Time { return protocol.Time(time.Second + d) }
	s.waiting = append(s.waiting, at(0), at(time.Millisecond))
	s.due = append(s.due, piece{64, at(0), true}, piece{128, at(time.Millisecond), true})
	s.sent(at(2*time.Millisecond), 40)
	require.Zero(t, out.Blocked.Count(), "no room in it")
	s.sent(at(3*time.Millisecond), 100)
	require.Equal(t, 3*time.Millisecond, out.Blocked.Quantile(1))
	s.arrived(at(20*time.Millisecond), 100)
	require.EqualValues(t, 1, out.Latency.Count())
	require.Equal(t, 20*time.Millisecond, out.Latency.Quantile(1))
	s.finish(at(time.Second))
	require.Equal(t, 999*time.Millisecond, out.Latency.Quantile(1), "what never came counts")
}
