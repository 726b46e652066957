// Command rivals sends one stream over loopback through TCP, TCP with TLS 1.3, quic-go and Godwit, and
// prints medians and ratios. Runs are interleaved, so that a busy neighbour hits all of them alike.
//
// It has a go.mod of its own, so that nothing here becomes a dependency of Godwit.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// rival is one transport. open makes a pair of connected ends; what is written into send comes out of
// receive.
type rival struct {
	name string
	open func(ctx context.Context) (*pair, error)
}

var rivals = []rival{
	{"TCP", openTCP},
	{"TCP + TLS 1.3", openTLS},
	{"quic-go", openQUIC},
	{"godwit", openGodwit},
}

func main() {
	runs := flag.Int("runs", 7, "runs of each transport")
	duration := flag.Duration("duration", 2*time.Second, "of each run")
	flag.Parse()
	if err := compare(context.Background(), *runs, *duration); err != nil {
		fmt.Fprintln(os.Stderr, "rivals:", err)
		os.Exit(1)
	}
}

// result is one run.
type result struct {
	rate float64 // bit/s
	cpu  float64 // seconds for 10^9 bytes, both ends
}

func compare(ctx context.Context, runs int, d time.Duration) error {
	results := make([][]result, len(rivals))
	for range runs {
		for i, r := range rivals {
			one, err := measure(ctx, r, d)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			results[i] = append(results[i], one)
		}
	}
	return print(results)
}

// print writes one line for each transport, the last one, Godwit, being the measure of the others.
func print(results [][]result) error {
	rate := func(r result) float64 { return r.rate }
	cpu := func(r result) float64 { return r.cpu }
	own := results[len(results)-1]
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "one stream on loopback\tGbit/s\tlowest\thighest\tCPU s/GB\tgodwit is\tCPU of godwit is\t")
	for i, r := range rivals {
		list := results[i]
		lowest, highest := slices.Min(each(list, rate)), slices.Max(each(list, rate))
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f x\t%.2f x\t\n", r.name, median(list, rate)/1e9, lowest/1e9, highest/1e9,
			median(list, cpu), median(own, rate)/median(list, rate), median(own, cpu)/median(list, cpu))
	}
	return w.Flush()
}

func each(list []result, f func(result) float64) []float64 {
	values := make([]float64, len(list))
	for i, r := range list {
		values[i] = f(r)
	}
	return values
}

func median(list []result, f func(result) float64) float64 {
	values := each(list, f)
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// cpuTime is the processor time of this process, which holds both ends.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err) // it cannot fail for the process itself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
