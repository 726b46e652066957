package sim

import "time"

// The named links, the same in the simulator, in tests, in the impairment proxy and in reports. The
// loss is in both directions, each with coins of its own.
const (
	interactive = 25 * time.Millisecond // one way, of the links that games and media are measured on
	mbit        = 1_000_000
)

var profiles = []Config{
	{Name: "clean", Delay: interactive},
	{Name: "loss1", Delay: interactive, Loss: 0.01},
	{Name: "loss5", Delay: interactive, Loss: 0.05},
	{Name: "loss10", Delay: interactive, Loss: 0.10},
	{Name: "loss20", Delay: interactive, Loss: 0.20},
	// One fifteenth of the time in the bad state, times 75 %: 5 % on average.
	{Name: "wifi", Delay: interactive, Good: 280 * time.Millisecond, Bad: 20 * time.Millisecond, BadLoss: 0.75},
	{Name: "handover", Delay: interactive, Outage: 60 * time.Millisecond, Every: 2 * time.Second},
	{Name: "jitter2", Delay: interactive, Jitter: 2 * time.Millisecond},
	{Name: "jitter10", Delay: interactive, Jitter: 10 * time.Millisecond},
	{Name: "dsl", Delay: 20 * time.Millisecond, Rate: 50 * mbit, QueueBDP: 1},
	{Name: "long", Delay: 75 * time.Millisecond, Rate: 500 * mbit, QueueBDP: 1},
	{Name: "policer", Delay: 20 * time.Millisecond, Police: 20 * mbit, Burst: 64_000},
	{Name: "blackhole", Delay: interactive, Rate: 20 * mbit, On: 5 * time.Second, Off: 2 * time.Second},
	// The delay comes with the trace. 300 kB is about 50 ms at its mean rate.
	{Name: "starlink", Trace: traceStarlink, Queue: 300_000, Loss: 0.003},
	// Deep, as base stations have it: about 200 ms at the mean rate.
	{Name: "lte", Delay: 30 * time.Millisecond, Trace: traceLTE, Queue: 300_000, Loss: 0.003},
}

// Profiles returns the names of all named links.
func Profiles() []string {
	names := make([]string, len(profiles))
	for i := range profiles {
		names[i] = profiles[i].Name
	}
	return names
}

// Profile returns a named link.
func Profile(name string) (Config, bool) {
	for _, p := range profiles {
		if p.Name == name {
			return p, true
		}
	}
	return Config{}, false
}
