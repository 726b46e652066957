package compare

import (
	"context"
	"time"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// Sample is what one run gave, by the keys of the workload's columns; a value that does not exist is NaN or absent.
type Sample map[string]float64

// Column is one figure of a workload.
type Column struct {
	Key  string
	Head string
	Why  better // whether the ratio to Godwit's figure is told, and what is good
}

// better says which way a figure is good.
type better int8

const (
	noRatio better = iota
	higher
	lower
)

// Workload is one thing that is measured.
type Workload struct {
	Name     string
	Text     string // what it is, for the report
	Columns  []Column
	Links    []string      // that a full run measures
	Duration time.Duration // of a run, unless it is given
	Sessions int           // at once, unless they are given; 0: one
	Datagram int           // largest UDP payload; 0: as found

	fits func(*transport.About) bool
	run  func(ctx context.Context, r *run) (Sample, error)
	// apart runs where the two ends are not both in this process; then run is nil.
	apart func(ctx context.Context, t transport.Transport, s *settings) (Sample, error)
}

// Workloads are all of them, in the order of the report.
func Workloads() []*Workload {
	var all []*Workload
	for _, list := range [][]*Workload{
		bulkWorkloads(), requestWorkloads(), {messageWorkload(), snapshotWorkload(), mediaWorkload(), worldloadWorkload()},
		gameWorkloads(), {handshakeWorkload(), idleWorkload()},
	} {
		all = append(all, list...)
	}
	return all
}

// measure runs the workload once.
func (w *Workload) measure(ctx context.Context, t transport.Transport, s *settings) (Sample, error) {
	if w.apart != nil {
		return w.apart(ctx, t, s)
	}
	ctx, cancel := context.WithTimeout(ctx, s.duration+patience)
	defer cancel()
	r, err := open(t, s)
	if err != nil {
		return nil, err
	}
	defer r.close()
	return w.run(ctx, r)
}

// patience is how long a run may take beyond its duration: to connect on a bad link, to warm up, to settle.
const patience = 60 * time.Second

// What Try runs: enough to see that everything passes, too little for figures.
const (
	tryDuration = 150 * time.Millisecond
	trySessions = 3
)

// Try runs the workload once over a link, as small as it can be, to see that the rival carries it. It reports false
// when the workload is none for the rival.
func (w *Workload) Try(ctx context.Context, t transport.Transport, link string) (sample Sample, fits bool, err error) {
	if about := t.About(); !w.fits(&about) {
		return nil, false, nil
	}
	sample, err = w.measure(ctx, t, &settings{link: link, duration: tryDuration, sessions: trySessions, datagram: w.Datagram})
	return sample.clean(), true, err
}
