//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/bench/machine"
	"github.com/godwit-net/godwit/bench/netpath"
	"github.com/godwit-net/godwit/protocol/sim"
)

// flow is a sender that sends as fast as it may from its start to the end of the run.
type flow struct {
	sender
	start time.Duration
}

// scenario is flows through one bottleneck, in real time.
type scenario struct {
	name     string
	link     string // in the link language
	flows    []flow
	duration time.Duration
	warmup   time.Duration // left out of goodput and queue
}

// result is what came of a scenario.
type result struct {
	flows []flowResult
	queue sim.Histogram  // wait for the bottleneck, looked at every queueInterval after the warm-up
	stats emulatorResult // how well the emulator kept time
	load  string         // load averages of the machine at the end
}

type flowResult struct {
	goodput float64 // bit/s that the far end read, after the warm-up
	lost    float64 // part of all packets: sent again by TCP, declared lost by Godwit
}

// emulatorResult is what the emulator itself did to packets.
type emulatorResult struct {
	late     time.Duration // that 99 % of the packets left behind their time at most
	vanished uint64        // packets that neither the model nor the far end knows of
}

const queueInterval = time.Millisecond

func (r *result) total() (sum float64) {
	for _, f := range r.flows {
		sum += f.goodput
	}
	return sum
}

// share is the part of the total that flow i got.
func (r *result) share(i int) float64 { return r.flows[i].goodput / max(r.total(), 1) }

// run plays the scenario between namespaces of its own.
func (s *scenario) run(ctx context.Context) (*result, error) {
	p, err := netpath.New(s.link)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(ctx, s.duration)
	defer cancel()
	counters := make([]counter, len(s.flows))
	var running sync.WaitGroup
	for i, f := range s.flows {
		running.Go(func() {
			if counters[i].err = counters[i].run(ctx, p, f); counters[i].err != nil {
				cancel()
			}
		})
	}
	r := &result{flows: make([]flowResult, len(s.flows))}
	wait(ctx, s.warmup)
	warm := time.Now()
	before := make([]int64, len(counters))
	for i := range counters {
		before[i] = counters[i].received.Load()
	}
	watchQueue(ctx, p, &r.queue)
	for i := range counters {
		r.flows[i].goodput = 8 * float64(counters[i].received.Load()-before[i]) / time.Since(warm).Seconds()
	}
	running.Wait()
	for i := range counters {
		if counters[i].err != nil {
			return nil, fmt.Errorf("%s: %v: %w", s.name, s.flows[i], counters[i].err)
		}
		r.flows[i].lost = float64(counters[i].lost) / float64(max(counters[i].sent, 1))
	}
	stats := p.Bridge.Stats()
	r.stats = emulatorResult{stats.Late.Quantile(0.99), stats.Overflow + stats.SendFails}
	r.load = machine.Load()
	return r, nil
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// watchQueue looks at the queue until ctx ends.
func watchQueue(ctx context.Context, p *netpath.Path, queue *sim.Histogram) {
	ticker := time.NewTicker(queueInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			queue.Add(p.Bridge.Backlog())
		}
	}
}

// counter is a flow under way.
type counter struct {
	received   atomic.Int64 // bytes, by the far end
	lost, sent uint64       // packets
	err        error
}

// Write counts.
func (c *counter) Write(b []byte) (int, error) {
	c.received.Add(int64(len(b)))
	return len(b), nil
}

// run sends and receives until ctx ends. An error says that the transfer ended before.
func (c *counter) run(ctx context.Context, p *netpath.Path, f flow) error {
	wait(ctx, f.start)
	t, err := connect(ctx, p, f.sender)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() {
		c.lost, c.sent = t.lost()
		t.close()
	})
	sent := make(chan error, 1)
	go func() { sent <- sendBulk(t.in) }()
	_, received := io.Copy(c, t.out)
	if stop() {
		t.close()
		return fmt.Errorf("it ended early: sending: %w, receiving: %w", <-sent, received)
	}
	<-sent
	return nil
}

// sendBulk writes until that fails.
func sendBulk(w io.Writer) error {
	data := make([]byte, 64<<10)
	for {
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
}
