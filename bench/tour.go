package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/sim"
)

// TourConfig says what a tour shows. The zero value of every field has a default.
type TourConfig struct {
	Links     []string      // in the link language, or Direct; nil: DefaultLinks
	Workloads []string      // nil: DefaultWorkloads
	Duration  time.Duration // of each run; 0: so that the tour takes less than 30 s
	Options   Options       // the rest of what runs take; Workload and Duration are ignored

	// Progress is called before runs begin, with a line for people and the share of the tour that is
	// done, 0 to 1. Nil: nothing is called.
	Progress func(what string, done float64)
}

// DefaultLinks are the links of a tour, from no link at all to a bad one.
func DefaultLinks() []string { return []string{Direct, "clean", "loss1", "loss5", "wifi", "dsl"} }

// DefaultWorkloads are those of a tour.
func DefaultWorkloads() []string { return []string{Handshake, Message, Media, Bulk} }

// Durations of a tour with the default links and workloads: 2 x 1.5 + 2 x 5 + 6 x 1.5 = 22 s. So a go run that
// compiles first has its results in half a minute too.
const (
	tourHandshake = 1500 * time.Millisecond
	tourMessage   = 4 * time.Second
	tourBulk      = 1500 * time.Millisecond
	// tourSessions is how many sessions send messages at once, for a tail out of more than 10^3 values.
	tourSessions = 8
)

// Tour runs both ends of every workload over every link in this process. Runs that leave the machine
// idle go over several links at once, the others one by one. An error
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
		t.config.Workloads = DefaultWorkloads()
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
		t.total += takes(&o) * time.Duration(len(t.groups(w)))
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

// groups says which links, by index, one workload runs over at once. Bulk and worldload fill the machine over any
// link, handshakes and requests do without a link, and idle sessions are weighed; messages leave it idle.
func (t *tour) groups(workload string) (groups [][]int) {
	var together []int
	for i, link := range t.links {
		full := workload == Bulk || workload == Worldload || workload == Idle
		if full || (workload == Handshake || workload == Request) && link == nil {
			groups = append(groups, []int{i})
		} else {
			together = append(together, i)
		}
	}
	if together != nil {
		groups = append(groups, together)
	}
	return groups
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
	case Bulk, Request:
		o.Duration = tourBulk
	default:
		o.Duration = tourMessage
	}
	if t.config.Duration > 0 {
		o.Duration = t.config.Duration
	}
	return o
}

// takes is how long a run takes, connecting and closing left aside.
func takes(o *Options) time.Duration {
	if slices.Contains(messageWorkloads, o.Workload) {
		return o.Duration + warmup(o.Duration)
	}
	return o.Duration
}

func (t *tour) runAll(ctx context.Context) {
	for _, w := range t.config.Workloads {
		results := make([]*Result, len(t.links))
		for _, group := range t.groups(w) {
			t.runGroup(ctx, group, t.options(w), results)
		}
		t.report.Results = append(t.report.Results, results...)
	}
}

// runGroup runs one workload over several links at once.
func (t *tour) runGroup(ctx context.Context, group []int, o Options, results []*Result) {
	what := fmt.Sprintf("%s over %s", o.Workload, t.config.Links[group[0]])
	if len(group) > 1 {
		what = fmt.Sprintf("%s over %d links", o.Workload, len(group))
	}
	t.progress(what, takes(&o))
	var running sync.WaitGroup
	for _, i := range group {
		running.Go(func() { results[i] = t.client.Run(ctx, t.links[i], o) })
	}
	running.Wait()
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
	// All handshakes come from one address, which a server would slow down to 20 a second by default.
	server, err := NewServer(ServerConfig{Listen: "127.0.0.1:0", Conn: conn.Config{PresharedKey: psk, Retry: conn.RetryNever}})
	if err != nil {
		return nil, nil, err
	}
	client := NewClient(server.Addr().String(), conn.Config{PresharedKey: psk})
	client.shared = server
	return server, client, nil
}
