package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// TestMain lets the tests' binary be the server process of workloads that have one.
func TestMain(m *testing.M) {
	if IsServer() {
		Main(transport.All())
		return
	}
	os.Exit(m.Run())
}

func TestEachRivalCarriesEachOfItsWorkloads(t *testing.T) {
	for _, rival := range transport.All() {
		about := rival.About()
		if about.Missing != "" {
			require.Contains(t, about.Missing, "apt-get install", about.Name)
			continue
		}
		t.Run(strings.ReplaceAll(about.Name, "/", "-"), func(t *testing.T) {
			t.Parallel()
			ran := 0
			for _, w := range Workloads() {
				if w.Name == "game-max" {
					continue // many games
				}
				if w.fits(&about) {
					ran++
					requireCarries(t, w, rival, Loopback)
				}
			}
			require.Positive(t, ran)
		})
	}
}

// requireCarries has a rival carry a workload. Several tries: on a busy machine one may end before a retransmission
// of SCTP, which waits a second, has come.
func requireCarries(t *testing.T, w *Workload, rival transport.Transport, link string) Sample {
	t.Helper()
	var sample Sample
	for range 5 {
		var err error
		sample, _, err = w.Try(t.Context(), rival, link)
		require.NoError(t, err, w.Name)
		if carried(w, sample) {
			return sample
		}
	}
	require.Fail(t, "not carried", "%s gave %v", w.Name, sample)
	return nil
}

// carried reports whether something arrived.
func carried(w *Workload, s Sample) bool {
	for _, key := range []string{"missing_percent", "up_lost_percent", "down_lost_percent"} {
		if s[key] >= 100 {
			return false
		}
	}
	v, ok := s[w.Columns[0].Key]
	return ok && (v > 0 || w.Name == "idle") // too few sessions to show in the process
}

func TestOnlyWhatARivalCanDoIsAskedOfIt(t *testing.T) {
	can := func(rival transport.Transport) (names []string) {
		about := rival.About()
		for _, w := range Workloads() {
			if w.fits(&about) {
				names = append(names, w.Name)
			}
		}
		return names
	}
	require.Len(t, can(transport.Godwit()), len(Workloads()))
	require.Equal(t, []string{"media"}, can(transport.SRT()))
	require.Equal(t, []string{"message", "snapshot", "media", "game", "game-max"}, can(transport.UDP()))
}

func TestMediansTakeEachFigureByItself(t *testing.T) {
	m := medians([]Sample{{"a": 1, "b": 7}, {"a": 9}, {"a": 2, "b": 5}})
	require.Equal(t, Sample{"a": 2, "b": 6}, m)
	require.Empty(t, medians(nil))
	require.Equal(t, Sample{"a": 1}, Sample{"a": 1, "b": math.NaN(), "c": math.Inf(1)}.clean())
}

func TestTheHighestSizeIsFound(t *testing.T) {
	for _, limit := range []int{0, 1, 2, 3, 4, 9} {
		tries := 0
		_, size, err := highest([]int{1, 2, 3, 4}, func(n int) (Sample, error) {
			tries++
			s := Sample{"up_p99_ms": 1, "down_p99_ms": 1}
			if n > limit {
				s["up_lost_percent"] = 1
			}
			return s, nil
		})
		require.NoError(t, err)
		require.Equal(t, min(limit, 4), size)
		require.LessOrEqual(t, tries, 3)
	}
	_, _, err := highest([]int{1}, func(int) (Sample, error) { return nil, io.ErrUnexpectedEOF })
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestASizeIsKeptUpWithInTwoTriesOfThree(t *testing.T) {
	for tries, want := range map[string]struct {
		kept  float64
		tried int
	}{"gg": {2, 2}, "gbg": {3, 3}, "bgg": {3, 3}, "bb": {0, 2}, "bgb": {0, 3}, "gbb": {0, 3}} {
		n := 0
		got, err := mostly(func() (Sample, error) {
			n++
			s := Sample{"up_p99_ms": 1, "down_p99_ms": 1, "try": float64(n)}
			if tries[n-1] == 'b' {
				s["up_p99_ms"] = gameQueueing + 1
			}
			return s, nil
		})
		require.NoError(t, err)
		require.Equal(t, want.tried, n, tries)
		require.Equal(t, want.kept, got["try"], tries)
		require.Equal(t, want.kept > 0, keepsUp(got), tries)
	}
	_, err := mostly(func() (Sample, error) { return nil, io.ErrUnexpectedEOF })
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestAServerThatDoesNotKeepUpIsSeen(t *testing.T) {
	good := func() Sample { return Sample{"up_p99_ms": 4.9, "down_p99_ms": 4.9, "up_lost_percent": 0.1} }
	require.True(t, keepsUp(good()))
	for key, v := range map[string]float64{"up_p99_ms": 5.1, "down_p99_ms": 0, "down_lost_percent": 0.2} {
		s := good()
		s[key] = v
		require.False(t, keepsUp(s), key)
	}
	require.False(t, keepsUp(Sample{}))
}

func TestTableHasRatiosAndReasons(t *testing.T) {
	w := &Workload{Name: "w", Text: "what it is", Columns: []Column{{"rate", "Mbit/s", higher}, {"cpu", "CPU", lower}, {"none", "never", noRatio}}}
	b := &Block{Workload: w, Link: Loopback, Duration: time.Second, Results: []*Result{
		{Rival: "a", Runs: []Sample{{"rate": 10, "cpu": 4}, {"rate": 30, "cpu": 4}}, Median: Sample{"rate": 20, "cpu": 4}},
		{Rival: "b", Missing: "apt-get install b"},
		{Rival: "c", Failed: []string{"it broke | here\nand there"}},
		{Rival: Own, Runs: []Sample{{"rate": 40, "cpu": 1}}, Median: Sample{"rate": 40, "cpu": 1}, Failed: []string{"once"}},
	}}
	var out bytes.Buffer
	require.NoError(t, WriteBlock(&out, b))
	rows := strings.Split(strings.TrimSpace(out.String()), "\n")
	cells := func(row string) string { return strings.Join(strings.Fields(row), " ") }
	require.Equal(t, "What it is. 2 runs of 1s.", rows[2])
	require.Equal(t, "| rival | Mbit/s | lowest | highest | godwit × | CPU | godwit × |", cells(rows[4]))
	require.Equal(t, "| a | 20.0 | 10.0 | 30.0 | 2.00 | 4.00 | 0.25 |", cells(rows[6]))
	require.Contains(t, rows[7], "not installed")
	require.Contains(t, rows[8], "failed: it broke / here")
	require.Equal(t, "| godwit (1 of 2 runs failed) | 40.0 | 40.0 | 40.0 | 1.00 | 1.00 | 1.00 |", cells(rows[9]))
}

func TestCommandWritesTablesAndFigures(t *testing.T) {
	folder := t.TempDir()
	tables, figures := filepath.Join(folder, "tables.md"), filepath.Join(folder, "figures.json")
	var out, more bytes.Buffer
	require.NoError(t, runCommand(t.Context(), transport.All(), []string{
		"-workloads", "request", "-rivals", "t?p,godwit", "-links", Loopback, "-runs", "2", "-duration", "50ms", "-out", tables, "-json", figures,
	}, &out, io.Discard))
	written, err := os.ReadFile(tables)
	require.NoError(t, err)
	require.Equal(t, out.String(), string(written))
	require.Contains(t, out.String(), "Written by `bin/rivals -workloads request -rivals 't?p,godwit' -links loopback -runs 2 -duration 50ms` on ")
	require.Contains(t, out.String(), "## request over loopback")
	again := []string{"-workloads", "handshake", "-rivals", "tcp", "-links", Loopback, "-runs", "1", "-duration", "50ms", "-append", "-out", tables}
	require.NoError(t, runCommand(t.Context(), transport.All(), again, &more, io.Discard))
	written, err = os.ReadFile(tables)
	require.NoError(t, err)
	require.Equal(t, out.String()+more.String(), string(written), "behind the first")
	require.Contains(t, more.String(), "handshake")
	again[len(again)-1] = filepath.Join(folder, "none")
	require.Error(t, runCommand(t.Context(), transport.All(), again, io.Discard, io.Discard), "behind what?")
	var r Report
	b, err := os.ReadFile(figures)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &r))
	require.Len(t, r.Results, 2)
	for _, result := range r.Results {
		require.Len(t, result.Runs, 2)
		require.Positive(t, result.Median["per_s"])
	}
}

func TestNamesThatMeanNothingAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"-workloads", "bulk,none"}, {"-rivals", "none"}, {"-rivals", "[", "-workloads", "bulk"}, {"-runs", "0"}, {"-duration", "-1s"}, {"bulk"},
	} {
		require.Error(t, runCommand(t.Context(), transport.All(), args, io.Discard, io.Discard), args)
	}
	var out bytes.Buffer
	require.NoError(t, runCommand(t.Context(), transport.All(), []string{"-list"}, &out, io.Discard))
	for _, name := range []string{"worldload", "kcptun", "x/net/quic"} {
		require.Contains(t, out.String(), name)
	}
}

func TestARunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := &Options{Transports: []transport.Transport{transport.TCP()}, Workloads: Workloads(), Runs: 1, Progress: io.Discard}
	require.ErrorIs(t, Run(ctx, o, func(*Block) error { return nil }), context.Canceled)
}
