package compare

import (
	"context"
	"time"

	"github.com/godwit-net/godwit/bench/rivals/transport"
	"github.com/godwit-net/godwit/protocol/sim"
)

var media = load{class: transport.Timed, size: 1250, frame: 10, hz: 60}

// mediaSlack is by how much a frame may come after its deadline: programs that play out at a constant delay add to it.
const mediaSlack = 50 * time.Millisecond

func mediaWorkload() *Workload {
	return &Workload{
		Name: "media", Text: "6 Mbit/s in each of 4 sessions (of one with srt): frames of 10 packets of 1,250 bytes at 60 Hz. A frame is in time when all of it is there 200 ms beyond the delay of the link",
		Columns: []Column{
			{"p50_ms", "frame p50 ms", noRatio}, {"p99_ms", "p99 ms", lower}, {"p99_9_ms", "p99.9 ms", lower},
			{"late_percent", "frames late or lost %", noRatio}, {"missing_percent", "packets missing %", noRatio},
			{"wire_up", "B up each", lower}, {"wire_down", "B back each", noRatio},
		},
		Links: []string{"loss5", "wifi"}, Duration: 3 * time.Second, Sessions: 4,
		fits: func(a *transport.About) bool { return a.Messages },
		run:  runMedia,
	}
}

func runMedia(ctx context.Context, r *run) (Sample, error) {
	way := time.Duration(0)
	if r.link != Loopback {
		link, err := sim.ParseLink(r.link)
		if err != nil {
			return nil, err
		}
		way = link.Delay
	}
	t, s, err := r.traffic(ctx, &media)
	if err != nil {
		return nil, err
	}
	t.frames.percentiles(s, "")
	sent := float64(t.sent.Load()) / float64(media.frame)
	s["late_percent"] = 100 * (1 - float64(t.frames.within(way+transport.MediaDeadline+mediaSlack))/max(sent, 1))
	return s, nil
}
