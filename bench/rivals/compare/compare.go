// Package compare measures transports beside each other: the same workloads, runs interleaved so that a busy
// neighbour hits all of them alike, medians, and ratios to Godwit from the same runs.
//
// It does not know protocols; package transport does. Command rivals calls it.
package compare

import (
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// Options are what is measured.
type Options struct {
	Transports []transport.Transport
	Workloads  []*Workload
	Links      []string      // instead of those of the workloads; nil: those
	Runs       int           // of each rival in each workload
	Duration   time.Duration // of each run; 0: the workload's
	Sessions   int           // at once; 0: the workload's
	Progress   io.Writer
	Logf       func(string, ...any) // gets what outside programs print; nil: nobody
}

// Own is the name of the transport that all others are compared with.
const Own = "godwit"

// rest is between two runs: what the one before left closes.
const rest = 150 * time.Millisecond

// Result is one rival in one workload over one link.
type Result struct {
	Workload string   `json:"workload"`
	Link     string   `json:"link"`
	Rival    string   `json:"rival"`
	Median   Sample   `json:"median"`
	Runs     []Sample `json:"runs"`
	Failed   []string `json:"failed,omitempty"` // why runs gave nothing
	Missing  string   `json:"missing,omitempty"`
}

// Block is all rivals in one workload over one link.
type Block struct {
	Workload *Workload
	Link     string
	Duration time.Duration
	Sessions int
	Results  []*Result
}

// Run measures everything and hands over each block when it is done.
func Run(ctx context.Context, o *Options, done func(*Block) error) error {
	for _, w := range o.Workloads {
		for _, link := range w.links(o.Links) {
			b, err := o.block(ctx, w, link)
			if err != nil {
				return err
			}
			if len(b.Results) == 0 {
				continue
			}
			if err := done(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// links are those that were asked for, as far as the workload runs over them.
func (w *Workload) links(asked []string) []string {
	switch {
	case asked == nil:
		return w.Links
	case w.apart == nil:
		return asked
	case slices.Contains(asked, Loopback):
		return []string{Loopback}
	}
	return nil
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// block measures one workload over one link, in rounds of one run of each rival.
func (o *Options) block(ctx context.Context, w *Workload, link string) (*Block, error) {
	b := &Block{Workload: w, Link: link, Duration: or(o.Duration, w.Duration), Sessions: or(o.Sessions, w.Sessions)}
	var rivals []transport.Transport
	for _, t := range o.Transports {
		if about := t.About(); w.fits(&about) {
			rivals = append(rivals, t)
			b.Results = append(b.Results, &Result{Workload: w.Name, Link: link, Rival: about.Name, Missing: about.Missing})
		}
	}
	for i := range o.Runs {
		fmt.Fprintf(o.Progress, "%s over %s: run %d of %d\n", w.Name, link, i+1, o.Runs)
		for j, t := range rivals {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			result := b.Results[j]
			if result.Missing != "" {
				continue
			}
			s := &settings{link: link, duration: b.Duration, sessions: b.Sessions, datagram: w.Datagram, logf: o.Logf}
			sample, err := w.measure(ctx, t, s)
			if err != nil {
				fmt.Fprintf(o.Progress, "%s: %v\n", result.Rival, err)
				result.Failed = append(result.Failed, err.Error())
			} else {
				result.Runs = append(result.Runs, sample.clean())
			}
			runtime.GC() // the garbage of one is not the next one's
			_ = sleep(ctx, rest)
		}
	}
	for _, result := range b.Results {
		result.Median = medians(result.Runs)
	}
	return b, ctx.Err()
}

// clean leaves out what does not exist: JSON has no NaN.
func (s Sample) clean() Sample {
	for key, v := range s {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			delete(s, key)
		}
	}
	return s
}

// medians are those of each figure over the runs.
func medians(runs []Sample) Sample {
	all := make(map[string][]float64)
	for _, s := range runs {
		for key, v := range s {
			all[key] = append(all[key], v)
		}
	}
	m := make(Sample, len(all))
	for key, list := range all {
		slices.Sort(list)
		m[key] = (list[(len(list)-1)/2] + list[len(list)/2]) / 2
	}
	return m
}
