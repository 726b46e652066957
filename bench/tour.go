package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/sim"
)

// TourConfig says what a tour shows. The zero value of every field has a default.
type TourConfig struct {
	Links     []string      // in the link language, or Direct; nil: DefaultLinks
	Workloads []string      // nil: all
	Duration  time.Duration // of each run; 0: so that the tour takes less than 30 s
	Options   Options       // the rest of what runs take; Workload and Duration are ignored

	// Progress is called before runs begin, with a line for people and the share of the tour that is
	// done, 0 to 1. Nil: nothing is called.
	Progress func(what string, done float64)
}

// DefaultLinks are the links of a tour, from no link at all to a bad one.
func DefaultLinks() []string { return []string{Direct, "clean", "loss1", "loss5", "wifi", "dsl"} }

// Durations of a tour with the default links and workloads: 3 + 5 + 6 x 2.5 = 23 s.
const (
	tourHandshake = 3 * time.Second
	tourMessage   = 5 * time.Second
	tourBulk      = 2500 * time.Millisecond
	// tourSessions is how many sessions send messages at once, for a tail out of more than 10^3 values.
	tourSessions = 8
)

// Tour runs both ends of every workload over every link in this process. Runs of messages and
// handshakes, which leave the machine idle, go over all links at once, bulk runs one by one. An error
// is a wrong configuration or a server that could not start; a run that failed is in the report.
func Tour(ctx context.Context, config TourConfig, version string) (*Report, error) {
	t := tour{config: config, report: NewReport("local", "", version)}
	if err := t.prepare(); err != nil {
		return nil, err
	}
	server, client, err := localPair()
	if err != nil {
		return nil, err
	}
	t.client = client
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	t.runAll(ctx)
	interrupted := ctx.Err()
	cancel()
	if err := <-served; err != nil {
		return nil, err
	}
	return t.report, interrupted
}

// tour is a tour under way.
type tour struct {
	config TourConfig
	links  []*sim.Config // nil: direct
	client *Client
	report *Report
	done   time.Duration
	total  time.Duration
}

// prepare reads the links and plans the runs.
func (t *tour) prepare() error {
	if t.config.Links == nil {
		t.config.Links = DefaultLinks()
	}
	if t.config.Workloads == nil {
		t.config.Workloads = []string{Handshake, Message, Bulk}
	}
	for _, text := range t.config.Links {
		link, err := parseLink(text)
		if err != nil {
			return err
		}
		t.links = append(t.links, link)
	}
	for _, w := range t.config.Workloads {
		o := t.options(w)
		if err := o.Validate(); err != nil {
			return err
		}
		t.total += o.Duration * time.Duration(t.rounds(w))
	}
	return nil
}

func parseLink(text string) (*sim.Config, error) {
	if text == Direct {
		return nil, nil
	}
	c, err := sim.ParseLink(text)
	if err != nil {
		return nil, fmt.Errorf("--link: %w", err)
	}
	return &c, nil
}

// rounds is how many runs of a workload follow each other.
func (t *tour) rounds(workload string) int {
	if workload == Bulk {
		return len(t.links)
	}
	return 1
}

func (t *tour) options(workload string) Options {
	o := t.config.Options
	o.Workload = workload
	switch workload {
	case Handshake:
		o.Duration = tourHandshake
	case Message:
		o.Duration = tourMessage
		setDefault(&o.Sessions, tourSessions)
	case Bulk:
		o.Duration = tourBulk
	}
	if t.config.Duration > 0 {
		o.Duration = t.config.Duration
	}
	return o
}

func (t *tour) runAll(ctx context.Context) {
	for _, w := range t.config.Workloads {
		if w == Bulk {
			t.runOneByOne(ctx, t.options(w))
		} else {
			t.runTogether(ctx, t.options(w))
		}
	}
}

func (t *tour) runTogether(ctx context.Context, o Options) {
	t.progress(o.Workload+" over all links", o.Duration)
	results := make([]*Result, len(t.links))
	var running sync.WaitGroup
	for i, link := range t.links {
		running.Go(func() { results[i] = t.client.Run(ctx, link, o) })
	}
	running.Wait()
	t.report.Results = append(t.report.Results, results...)
}

func (t *tour) runOneByOne(ctx context.Context, o Options) {
	for _, link := range t.links {
		if ctx.Err() != nil {
			return
		}
		name := Direct
		if link != nil {
			name = link.String()
		}
		t.progress(o.Workload+" over "+name, o.Duration)
		t.report.Results = append(t.report.Results, t.client.Run(ctx, link, o))
	}
}

// progress tells that a run of d begins.
func (t *tour) progress(what string, d time.Duration) {
	if t.config.Progress != nil {
		t.config.Progress(what, float64(t.done)/float64(max(t.total, 1)))
	}
	t.done += d
}

// localPair makes a server and a client for it that share a clock and a fresh pre-shared key.
func localPair() (*Server, *Client, error) {
	psk := crypto.GeneratePresharedKey()
	server, err := NewServer(ServerConfig{Listen: "127.0.0.1:0", Conn: conn.Config{PresharedKey: psk}})
	if err != nil {
		return nil, nil, err
	}
	client := NewClient(server.Addr().String(), conn.Config{PresharedKey: psk})
	client.shared = server
	return server, client, nil
}
