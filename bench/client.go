package bench

import (
	"context"
	"fmt"
	"sync"
	"time"
	"unicode"

	"github.com/godwit-net/godwit/bench/emulator"
	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/sim"
)

// Names of workloads.
const (
	Bulk      = "bulk"      // streams, as fast as possible
	Message   = "message"   // small messages, reliable ordered
	Snapshot  = "snapshot"  // larger messages of which only the newest counts
	Media     = "media"     // frames of ten messages at once, with a deadline
	Worldload = "worldload" // message, and in the second half 3 MB after the other on a stream beside it
	Game      = "game"      // many sessions, message up and snapshot down
	Request   = "request"   // a small question and a larger answer, each on a stream of its own
	Handshake = "handshake" // new sessions
	Idle      = "idle"      // many sessions with nothing to do but stay alive
)

// Workloads lists the names of all workloads.
func Workloads() []string {
	return []string{Handshake, Message, Snapshot, Media, Worldload, Game, Request, Bulk, Idle}
}

// messageWorkloads are those whose sessions send messages.
var messageWorkloads = []string{Message, Snapshot, Media, Worldload, Game}

// Direct is the name of a link that is not emulated.
const Direct = "direct"

// Options describe one run. The zero value of every field has a default.
type Options struct {
	Workload  string        // one of Workloads
	Duration  time.Duration // 0: 10 s
	Streams   int           // bulk, request: streams at once in a session; 0: 1
	Direction string        // bulk: Up, Down or Both; "": Up
	Size      int           // messages: bytes; 0: that of the workload
	Hz        float64       // messages or frames a second in each session; 0: that of the workload
	Deadline  time.Duration // media: beyond the one-way delay; 0: 150 ms
	Twice     bool          // message, worldload, game: one more packet 3 ms after each message (conn.MessageOptions.Twice)
	Overhead  int           // media: cap of what repair adds, in percent (conn.Config.OverheadCap)
	Sessions  int           // all but bulk: sessions at once; 0: 100 for game and idle, else 1
}

// withDefaults fills zero fields and checks the rest.
func (o Options) withDefaults() (Options, error) {
	setDefault(&o.Duration, 10*time.Second)
	setDefault(&o.Streams, 1)
	setDefault(&o.Direction, Up)
	setDefault(&o.Deadline, 150*time.Millisecond)
	if o.Workload == Game || o.Workload == Idle {
		setDefault(&o.Sessions, 100)
	}
	setDefault(&o.Sessions, 1)
	r := request{Workload: o.Workload, DurationNS: int64(o.Duration), Streams: o.Streams, Direction: o.Direction}
	r.Up, r.Down = o.loads()
	if err := r.check(); err != nil {
		return o, err
	}
	switch {
	case o.Sessions < 1 || o.Sessions > maxClients:
		return o, fmt.Errorf("%d sessions are not between 1 and %d", o.Sessions, maxClients)
	case o.Overhead > protocol.MaxOverheadCap:
		return o, fmt.Errorf("a cap of %d %% is more than %d", o.Overhead, protocol.MaxOverheadCap)
	case o.Workload == Request && (o.Streams < 1 || o.Streams > maxParallel):
		return o, fmt.Errorf("%d streams are not between 1 and %d", o.Streams, maxParallel)
	}
	return o, nil
}

// Validate tells in one line what is wrong with the options.
func (o Options) Validate() error {
	_, err := o.withDefaults()
	return err
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Client runs workloads against a server.
type Client struct {
	server   string
	conn     conn.Config
	start    time.Time // of the client's clock
	shared   *Server   // not nil: the server is in this process, and its clock can be read
	emulated bool      // datagrams pass an emulator in this process
}

// NewClient prepares runs against the server at HOST:PORT, with the keys in config.
func NewClient(server string, config conn.Config) *Client {
	config.AppProtocols = []string{AppProtocol}
	setDefault(&config.HandshakeTimeout, handshakeTimeout)
	return &Client{server: server, conn: config, start: time.Now()}
}

// Run runs one workload and returns its result. With a link, its datagrams pass an emulator in this
// process; nil means none. A run that failed is a Result with Error set.
func (c *Client) Run(ctx context.Context, link *sim.Config, o Options) *Result {
	result := &Result{Workload: o.Workload, Link: Direct, DurationMS: millis(o.Duration), Sessions: max(o.Sessions, 1)}
	if link != nil {
		result.Link = link.String()
	}
	if err := c.run(ctx, link, o, result); err != nil {
		result.Error = err.Error()
	}
	return result
}

func (c *Client) run(ctx context.Context, link *sim.Config, o Options, result *Result) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	result.DurationMS = millis(o.Duration)
	own := *c
	own.conn.OverheadCap = o.Overhead
	c = &own
	if link != nil {
		e, err := emulator.New(emulator.Config{To: c.server, Link: *link})
		if err != nil {
			return err
		}
		defer e.Close()
		through := *c
		through.server, through.emulated = e.Addr().String(), true
		c = &through
	}
	ctx, cancel := context.WithTimeout(ctx, o.Duration+patience)
	defer cancel()
	result.Sessions = o.Sessions
	switch o.Workload {
	case Bulk:
		result.Sessions = 1
		result.Bulk, err = c.runBulk(ctx, o)
	case Handshake:
		result.Handshake, err = c.runHandshakes(ctx, o)
	case Request:
		result.Request, err = c.runRequests(ctx, o)
	case Idle:
		result.Idle, err = c.runIdle(ctx, o)
	default:
		result.Message, result.Worldload, err = c.runMessages(ctx, o)
	}
	return err
}

// dial opens a session that ends with ctx at the latest. end closes it.
func (c *Client) dial(ctx context.Context) (s *conn.Session, end func(), err error) {
	s, err = conn.Dial(ctx, c.server, &c.conn)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.CloseWithError(codeDone, "interrupted") })
	return s, func() {
		stop()
		_ = s.Close() // it may have ended already
	}, nil
}

// dialers is how many sessions a run opens at once: a machine that opens hundreds answers some too late.
const dialers = 16

// dialInTurn is dial, at most dialers at a time.
func (c *Client) dialInTurn(ctx context.Context, turns chan struct{}) (s *conn.Session, end func(), err error) {
	select {
	case turns <- struct{}{}:
		defer func() { <-turns }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	return c.dial(ctx)
}

// inParallel runs n copies of f and returns the first error, which ends the others.
func inParallel(ctx context.Context, n int, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	var once sync.Once
	var first error
	for range n {
		running.Go(func() {
			if err := f(ctx); err != nil {
				once.Do(func() { first = err })
				cancel(err)
			}
		})
	}
	running.Wait()
	return first
}

// printable makes text of the peer fit for a terminal.
func printable(s string) string {
	const limit = 200
	out := make([]rune, 0, limit)
	for _, r := range s {
		if len(out) == limit {
			break
		}
		if !unicode.IsPrint(r) {
			r = '?'
		}
		out = append(out, r)
	}
	return string(out)
}
