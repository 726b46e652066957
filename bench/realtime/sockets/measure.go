package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/godwit-net/godwit/bench"
	"github.com/godwit-net/godwit/bench/realtime"
)

// runDuration is how long a run takes: nine of them, and the simulator, stay under eight minutes.
const runDuration = 45 * time.Second

// workload is what is measured over each link.
type workload struct {
	simulated string // the beginning of the names of its scenarios
	name      string
	sessions  int // at once: 100,000 messages, or 20,000 frames
	twice     bool
	p99, p999 string
	title     string
}

var workloads = []workload{
	{"message ", bench.Message, 38, false, realtime.P99, realtime.P999, "Messages: 64 B, 60 Hz, reliable ordered"},
	{"message2 ", bench.Message, 38, true, realtime.P99, realtime.P999, "Messages with one more packet each (MessageOptions.Twice)"},
	{"media ", bench.Media, 8, false, realtime.FrameP99, realtime.FrameP999, "Media: 6 Mbit/s, 60 frames/s, deadline 150 ms; whole frames"},
}

var links = []string{"loss5", "loss10", "wifi"}

func measure(ctx context.Context, w io.Writer, duration time.Duration) error {
	writeIntro(w, duration)
	for i := range workloads {
		load := &workloads[i]
		writeHead(w, load)
		for _, link := range links {
			simulated, err := simulate(load.simulated + link)
			if err != nil {
				return err
			}
			real, err := play(ctx, load, link, simulated.Scenario.Cap, duration)
			if err != nil {
				return err
			}
			writeRow(w, load, link, simulated, real)
		}
	}
	return nil
}

// simulate plays a scenario of the grid under one seed.
func simulate(name string) (*realtime.Row, error) {
	for _, s := range realtime.Grid() {
		if s.Name != name {
			continue
		}
		rows, err := realtime.MeasureAll([]realtime.Scenario{s}, 1, func(int, int, *realtime.Row) {})
		if err != nil {
			return nil, err
		}
		return &rows[0], nil
	}
	return nil, fmt.Errorf("no scenario is named %q", name)
}

// play runs a workload over a link in real time.
func play(ctx context.Context, load *workload, link string, overhead int, duration time.Duration) (*bench.MessageResult, error) {
	report, err := bench.Tour(ctx, bench.TourConfig{
		Links: []string{link}, Workloads: []string{load.name}, Duration: duration,
		Options: bench.Options{Sessions: load.sessions, Twice: load.twice, Overhead: overhead},
	}, "")
	if err != nil {
		return nil, err
	}
	if r := report.Results[0]; r.Error != "" {
		return nil, errors.New(r.Error)
	}
	return report.Results[0].Message, nil
}

// bound is the target of a metric; +Inf: none.
func bound(row *realtime.Row, metric string) float64 {
	for _, t := range row.Scenario.Targets {
		if t.Metric == metric {
			return t.Max
		}
	}
	return math.Inf(1)
}
