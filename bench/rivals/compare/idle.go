package compare

import (
	"context"
	"fmt"
	"time"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// idleKeepAlive is a usual one: what address translators on the way want.
const idleKeepAlive = 15 * time.Second

func idleWorkload() *Workload {
	return &Workload{
		Name: "idle", Text: "2,000 sessions over loopback that said one byte and then nothing but keepalives every 15 s (kcp-go has none, TCP's are the kernel's); the server is a process of its own and holds each session without a goroutine. The kernel's memory does not count",
		Columns: []Column{
			{"rss_kb", "server RSS kB each", lower}, {"heap_kb", "live heap kB each", lower}, {"cpu_percent", "% of a core for 1,000", lower},
		},
		Links: []string{Loopback}, Duration: time.Minute, Sessions: 2000,
		fits:  func(a *transport.About) bool { return a.Streams && !a.Outside },
		apart: idle,
	}
}

func idle(ctx context.Context, t transport.Transport, s *settings) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, s.duration+patience)
	defer cancel()
	quiet := *s
	quiet.keepAlive = idleKeepAlive
	c, err := startChild(ctx, t.About().Name, &quiet, false)
	if err != nil {
		return nil, err
	}
	defer c.end()
	client, err := t.Client(transport.Options{Host: "127.0.0.1", KeepAlive: idleKeepAlive})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := shake(ctx, client, c.target); err != nil { // what the first session costs is not each one's
		return nil, err
	}
	before, err := c.ask(question{})
	if err != nil {
		return nil, err
	}
	sessions, err := dialAll(ctx, client, c.target, s.sessions)
	defer closeAll(sessions)
	if err != nil {
		return nil, err
	}
	if err := inParallel(ctx, len(sessions), func(ctx context.Context, i int) error { return sayAndHear(ctx, sessions[i]) }); err != nil {
		return nil, err
	}
	if err := sleep(ctx, s.duration/2); err != nil {
		return nil, err
	}
	cpu := cpuOf(c.cmd.Process.Pid)
	if err := sleep(ctx, s.duration/2); err != nil {
		return nil, err
	}
	cpu = cpuOf(c.cmd.Process.Pid) - cpu
	after, err := c.ask(question{})
	if err != nil {
		return nil, err
	}
	if got := after.Sessions - before.Sessions; got < s.sessions {
		return nil, fmt.Errorf("the server has %d of %d sessions", got, s.sessions)
	}
	n := float64(s.sessions)
	return Sample{
		"rss_kb": float64(after.RSS-before.RSS) / n / 1000, "heap_kb": (float64(after.Heap) - float64(before.Heap)) / n / 1000,
		"cpu_percent": 100 * cpu.Seconds() / (s.duration / 2).Seconds() * 1000 / n,
	}, nil
}
