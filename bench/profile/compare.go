package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/godwit-net/godwit/bench"
	"github.com/godwit-net/godwit/bench/bare"
)

// cost is what one run of a stream came to.
type cost struct {
	rate float64 // bit/s
	cpu  float64 // seconds for 10^9 bytes, both ends
}

// contestant is a way to move a stream.
type contestant struct {
	name string
	run  func(context.Context, time.Duration) (cost, error)
}

// largestRun is the largest datagram that can be segmented, which the bare loop takes for the largest of a path.
const largestRun = 65487

// contestants stand in the order of what they do more than the one before.
var contestants = []contestant{
	{"bare loop, 1452 bytes, not encrypted", bareLoop(1452, false)},
	{"bare loop, 1452 bytes, AES-256-GCM", bareLoop(1452, true)},
	{"session, 1452 bytes", session(standard[0])},
	{"bare loop, 65487 bytes, not encrypted", bareLoop(largestRun, false)},
	{"bare loop, 65487 bytes, AES-256-GCM", bareLoop(largestRun, true)},
	{"session, size discovered", session(standard[1])},
}

// compare prints medians of interleaved runs.
func compare(ctx context.Context, w io.Writer, d time.Duration, runs int) error {
	costs := make([][]cost, len(contestants))
	for range runs {
		for i, c := range contestants {
			one, err := c.run(ctx, d)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			costs[i] = append(costs[i], one)
		}
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "one stream over loopback, medians of %d\tGbit/s\tCPU s/GB\tlowest\t\n", runs)
	for i, c := range contestants {
		rates, cpus := make([]float64, runs), make([]float64, runs)
		for n, one := range costs[i] {
			rates[n], cpus[n] = one.rate, one.cpu
		}
		slices.Sort(rates)
		slices.Sort(cpus)
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%.2f\t\n", c.name, rates[runs/2]/1e9, cpus[runs/2], cpus[0])
	}
	fmt.Fprintln(table)
	return table.Flush()
}

func session(w workload) func(context.Context, time.Duration) (cost, error) {
	return func(ctx context.Context, d time.Duration) (cost, error) {
		result, err := perform(ctx, w, d)
		if err != nil {
			return cost{}, err
		}
		return cost{rate: result.Bulk.RateBPS, cpu: result.Bulk.CPUSecondsPerGB}, nil
	}
}

func bareLoop(size int, encrypted bool) func(context.Context, time.Duration) (cost, error) {
	return func(_ context.Context, d time.Duration) (cost, error) {
		l, err := bare.New(size, encrypted)
		if err != nil {
			return cost{}, err
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			data := make([]byte, 128<<10)
			for {
				if _, err := l.Write(data); err != nil {
					return // the loop is closed
				}
			}
		}()
		one, err := drain(l, d)
		_ = l.Close() // nothing more is measured
		<-done
		return one, err
	}
}

// drain reads for a while and counts.
func drain(r io.Reader, d time.Duration) (cost, error) {
	buf := make([]byte, 128<<10)
	begin, used, total := time.Now(), bench.ProcessorTime(), 0
	for time.Since(begin) < d {
		n, err := r.Read(buf)
		if err != nil {
			return cost{}, err
		}
		total += n
	}
	took, cpu := time.Since(begin), bench.ProcessorTime()-used
	return cost{rate: 8 * float64(total) / took.Seconds(), cpu: cpu.Seconds() / (float64(total) / 1e9)}, nil
}
