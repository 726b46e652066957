package compare

import (
	"context"
	"time"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// carriesMessages is what workloads of messages ask for.
func carriesMessages(a *transport.About) bool { return a.Messages && !a.OneWay }

var message = load{class: transport.Ordered, size: 64, frame: 1, hz: 60}

func messageWorkload() *Workload {
	return &Workload{
		Name: "message", Text: "64 bytes at 60 Hz in each of 20 sessions, reliable and ordered where the rival can; one way, from when it is due to its read",
		Columns: []Column{
			{"p50_ms", "p50 ms", lower}, {"p99_ms", "p99 ms", lower}, {"p99_9_ms", "p99.9 ms", lower}, {"missing_percent", "missing %", noRatio},
			{"wire_up", "B up each", lower}, {"wire_down", "B back each", noRatio}, {"cpu_us", "CPU µs each", lower},
		},
		Links: []string{"loss5", "loss10", "wifi"}, Duration: 3 * time.Second, Sessions: 20,
		fits: carriesMessages,
		run: func(ctx context.Context, r *run) (Sample, error) {
			t, s, err := r.traffic(ctx, &message)
			if err == nil {
				t.messages.percentiles(s, "")
			}
			return s, err
		},
	}
}
