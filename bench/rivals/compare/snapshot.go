package compare

import (
	"context"
	"time"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

var snapshot = load{class: transport.Newest, size: 300, maxSize: 1200, frame: 1, hz: 30}

func snapshotWorkload() *Workload {
	return &Workload{
		Name: "snapshot", Text: "300 to 1,200 bytes at 30 Hz in each of 20 sessions, the newest wins; one way; what is older than one that came counts as missing",
		Columns: []Column{
			{"p50_ms", "p50 ms", lower}, {"p99_ms", "p99 ms", lower}, {"p99_9_ms", "p99.9 ms", noRatio}, {"missing_percent", "missing %", noRatio},
			{"wire_up", "B up each", lower}, {"wire_down", "B back each", noRatio}, {"cpu_us", "CPU µs each", lower},
		},
		Links: []string{Loopback, "loss5"}, Duration: 3 * time.Second, Sessions: 20,
		fits: carriesMessages,
		run: func(ctx context.Context, r *run) (Sample, error) {
			t, s, err := r.traffic(ctx, &snapshot)
			if err == nil {
				t.messages.percentiles(s, "")
			}
			return s, err
		},
	}
}
