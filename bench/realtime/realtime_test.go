package realtime

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
	"github.com/godwit-net/godwit/protocol/sim"
	"github.com/godwit-net/godwit/protocol/wire"
)

func TestTheSameSeedGivesTheSameFiguresOnAnyNumberOfProcessors(t *testing.T) {
	scenarios := []Scenario{find(t, "message loss5").Short(), find(t, "media wifi").Short(), find(t, "snapshot loss10").Short()}
	for i := range scenarios {
		scenarios[i].Samples = 2000
	}
	play := func(processors int) string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		rows, err := MeasureAll(scenarios, 3, func(int, int, *Row) {})
		require.NoError(t, err)
		return Table(rows)
	}
	require.Equal(t, play(1), play(4))
}

func find(t *testing.T, name string) Scenario {
	t.Helper()
	for _, s := range Grid() {
		if s.Name == name {
			return s
		}
	}
	require.Fail(t, "no scenario is named "+name)
	return Scenario{}
}

func TestScenariosHaveNamesOfTheirOwnAndTargetsInTheirColumns(t *testing.T) {
	columns := make(map[string][]string)
	for _, g := range groups {
		columns[g.name] = g.columns
	}
	seen := make(map[string]bool)
	for _, s := range Grid() {
		require.False(t, seen[s.Name], s.Name)
		seen[s.Name] = true
		require.LessOrEqual(t, len(s.Name), nameWidth)
		_, err := sim.ParseLink(s.Link)
		require.NoError(t, err, s.Name)
		for _, target := range s.Targets {
			require.Contains(t, columns[s.Group], target.Metric, s.Name)
		}
	}
}

// made fills a log by hand: a message each millisecond, in frames of two, read after so long; 0: never.
func made(load Load, took ...time.Duration) *Result {
	l := log{load: &load, link: sim.Config{Delay: 10 * time.Millisecond}}
	for i, d := range took {
		now := protocol.Time(time.Second + time.Duration(i)*time.Millisecond)
		if i%2 == 0 {
			l.newFrame()
		}
		b := l.message(now, 100, true)
		if d > 0 {
			l.arrived(now.Add(d), b)
		}
	}
	r := &Result{Scenario: &Scenario{Load: load}}
	l.fill(r)
	return r
}

func TestWhatNeverComesCountsAtItsDeadline(t *testing.T) {
	const ms = time.Millisecond
	load := Load{Options: protocol.MessageOptions{Mode: wire.ReliableOrdered, Deadline: 50 * ms}}
	r := made(load, 10*ms, 30*ms, 0, 12*ms, 61*ms, 62*ms)
	require.EqualValues(t, 6, r.Sent)
	require.EqualValues(t, 600, r.SentBytes)
	require.EqualValues(t, 1, r.Missing)
	require.EqualValues(t, 1, r.Late, "a millisecond is forgiven")
	require.Equal(t, []time.Duration{10 * ms, 12 * ms, 30 * ms, 61 * ms, 61 * ms, 62 * ms}, r.latency)
	require.Equal(t, []time.Duration{30 * ms, 61 * ms, 62 * ms}, r.frames, "of their last messages")
	require.InDelta(t, 2./6, metric(Residual).Of(r), 1e-9)

	load.Options.Mode = wire.Unreliable
	require.Equal(t, []time.Duration{10 * ms}, made(load, 10*ms, 0).latency, "nothing was promised")
}

func TestOverheadIsWhatGoesBeyondTheFirstTransmission(t *testing.T) {
	r := Result{Scenario: &Scenario{}, Sent: 10, SentBytes: 1000, PacketBytes: 1290}
	require.InDelta(t, 0, overhead(&r), 1e-9)
	r.PacketBytes = 1419
	require.InDelta(t, 10, overhead(&r), 1e-9)
	r.Scenario = &Scenario{Load: Load{Options: protocol.MessageOptions{Deadline: time.Second}}}
	r.PacketBytes = 1320
	require.InDelta(t, 0, overhead(&r), 1e-9, "a stamp is no repair")
	r.Carried, r.CarriedBytes = 2, 200
	r.PacketBytes += 212
	require.InDelta(t, 0, overhead(&r), 1e-9, "copies are apart")
	require.InDelta(t, 100*212/1320., metric(Carried).Of(&r), 1e-9)
}

func TestAQuantileIsTheLeastThatSoManyDoNotExceed(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	require.EqualValues(t, 50, quantile(hundred, 0.5))
	require.EqualValues(t, 99, quantile(hundred, 0.99))
	require.EqualValues(t, 100, quantile(hundred, 0.991))
	require.EqualValues(t, 1, quantile(hundred, 0))
	require.Zero(t, quantile(nil, 0.5))
}

func TestRowsHaveTheMedianTheWorstSeedAndTheMiss(t *testing.T) {
	s := Scenario{Name: "own", Targets: []Target{{P99, 12}, {Residual, 1e-3}}}
	var results []*Result
	for i, d := range []time.Duration{11, 14, 13} {
		results = append(results, &Result{
			Scenario: &s, latency: []time.Duration{d * time.Millisecond}, Sent: 1000, Missing: uint64(6 * i), // 0, 6, 12
		})
	}
	row := summarise(s, results)
	require.Equal(t, "13.0 (14.0) ≤12.0 +1.0", row.cell(P99))
	require.Equal(t, "6.0e-03 (1.2e-02) ≤1.0e-03 +5.0e-03", row.cell(Residual), "the mean: it is rare")
	require.Equal(t, "13.0 (14.0)", row.cell(P50))
	require.Zero(t, Target{P99, 12.96}.Judge(&row), "figures count as they are printed")
	require.Equal(t, "0.0", metric(P99).text(-0.04))
}

func TestStartsCountFromTheFirstMessageOn(t *testing.T) {
	s := find(t, "start media clean")
	s.Starts = 3
	r, err := play(&s, 1)
	require.NoError(t, err)
	require.EqualValues(t, 3*1200, r.Sent, "two seconds of each")
	require.Len(t, r.latency, 3600)
	require.Len(t, r.frames, 360)
	one, err := Run(&s, 1)
	require.NoError(t, err)
	require.Greater(t, one.quantile(1), 25*time.Millisecond, "the window has not grown yet")
	require.Greater(t, r.Packets, one.Packets)
}

func (r *Result) quantile(q float64) time.Duration { return quantile(r.latency, q) }

func TestTheCommandPrintsAndCompares(t *testing.T) {
	file := filepath.Join(t.TempDir(), "golden.txt")
	play := func(args ...string) (int, string, string) {
		var out, log bytes.Buffer
		args = append([]string{"-only", "snapshot loss5|message handover", "-short", "-golden", file}, args...)
		status := Command(args, &out, &log)
		return status, out.String(), log.String()
	}
	status, table, log := play("-update", "-note", "made in a test")
	require.Zero(t, status, log)
	require.Contains(t, table, "# message: 64 B")
	require.Contains(t, log, "2/2 ")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "# made in a test\n"+table, string(text))
	status, again, _ := play()
	require.Zero(t, status)
	require.Equal(t, table, again)

	moved := regexp.MustCompile(`(?m)^snapshot loss5 +1`).ReplaceAllString(string(text), "${0}7")
	require.NotEqual(t, string(text), moved)
	require.NoError(t, os.WriteFile(file, []byte(moved), 0o600))
	status, differences, log := play()
	require.Equal(t, 1, status)
	require.Contains(t, log, "figures moved")
	require.Contains(t, differences, "\n- snapshot loss5 ")
	require.Contains(t, differences, "\n+ snapshot loss5 ")
}

func TestTheCommandRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for want, args := range map[string][]string{
		"needs -golden":     {"-update"},
		"nothing but flags": {"loss"},
		"missing closing":   {"-only", "("},
		"not defined":       {"-colour"},
	} {
		var out, log strings.Builder
		require.Equal(t, 2, Command(args, &out, &log), want)
		require.Contains(t, log.String(), want)
	}
	var out, log strings.Builder
	require.Equal(t, 1, Command([]string{"-only", "^none$", "-golden", "missing"}, &out, &log))
	require.Contains(t, log.String(), "missing")
}
