package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/godwit-net/godwit/conn"
)

// serveMessages is the server's half of a run of messages: it compares clocks, takes the time of every message,
// and sends its own.
func (s *Server) serveMessages(ctx context.Context, session *conn.Session, control *conn.Stream, lines *bufio.Reader, r request) (outcome, error) {
	for range clockRounds {
		var ping [8]byte
		if _, err := io.ReadFull(lines, ping[:]); err != nil {
			return outcome{}, err
		}
		now := binary.BigEndian.AppendUint64(nil, uint64(time.Since(s.start)))
		if _, err := control.Write(now); err != nil {
			return outcome{}, err
		}
	}
	var b begin
	if err := readLine(lines, &b); err != nil {
		return outcome{}, err
	}
	e := exchange{session: session, start: s.start, receive: r.Up, send: r.Down, offset: time.Duration(b.OffsetNS)}
	if r.Transfer {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go takeTransfers(ctx, session)
	}
	return e.run(ctx, func(ctx context.Context) error { return e.write(ctx, time.Duration(r.DurationNS)) }, func() (int64, error) {
		var far ended
		err := readLine(lines, &far)
		return far.Sent, err
	})
}

// exchange is one end of a run of messages.
type exchange struct {
	session       *conn.Session
	start         time.Time     // of this end's clock
	offset        time.Duration // add to (own time - time in a message) for its latency
	send, receive *load         // nil: nothing
	writer        *sender
}

// write sends messages for d.
func (e *exchange) write(ctx context.Context, d time.Duration) error {
	if e.send == nil {
		return nil
	}
	e.writer = &sender{session: e.session, load: e.send, start: e.start}
	return e.writer.run(ctx, d)
}

// run writes and receives at once. When all is written, farSent tells how much the other end has sent.
func (e *exchange) run(ctx context.Context, write func(context.Context) error, farSent func() (int64, error)) (o outcome, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var r *receiver
	received := make(chan error, 1)
	if e.receive == nil {
		received <- nil
	} else {
		r = newReceiver(e.session, e.receive, e.start, e.offset)
		go func() {
			err := r.run(ctx)
			if err != nil {
				cancel() // nothing that comes later counts
			}
			received <- err
		}()
	}
	err = write(ctx)
	far := int64(0)
	if err == nil {
		far, err = farSent()
	}
	if r != nil && err == nil {
		r.settle(ctx, far)
	}
	if e.writer != nil {
		o.Traffic = trafficSince(e.session.Stats(), e.writer.before)
	}
	cancel()
	if failed := <-received; failed != nil {
		err = failed
	}
	if r != nil {
		o.Heard = r.heard(far)
	}
	if e.writer != nil {
		o.Sent, o.SentBytes = e.writer.sent, e.writer.bytes
	}
	return o, err
}

// clock is how the server's clock stands to the client's.
type clock struct {
	offset time.Duration // add to (server's time - client's time) of a message for its latency
	bound  time.Duration // of the error
}

// compareClocks takes half of the quickest round trip for the way.
func (c *Client) compareClocks(control *conn.Stream, lines *bufio.Reader) (clock, error) {
	best := clock{bound: maxLatency}
	for range clockRounds {
		sent := time.Since(c.start)
		if _, err := control.Write(make([]byte, 8)); err != nil {
			return clock{}, err
		}
		var b [8]byte
		if _, err := io.ReadFull(lines, b[:]); err != nil {
			return clock{}, err
		}
		half := (time.Since(c.start) - sent) / 2
		if half < best.bound {
			best = clock{offset: sent + half - time.Duration(binary.BigEndian.Uint64(b[:])), bound: half}
		}
	}
	if c.shared != nil {
		best = clock{offset: c.shared.start.Sub(c.start)}
	}
	return best, nil
}

// runMessages is the client's half of a run of messages, over several sessions at once.
func (c *Client) runMessages(ctx context.Context, o Options) (*MessageResult, *WorldloadResult, error) {
	var mu sync.Mutex
	total := newMessages(&o)
	turns := make(chan struct{}, dialers)
	err := inParallel(ctx, o.Sessions, func(ctx context.Context) error {
		one, err := c.messageSession(ctx, &o, turns)
		mu.Lock()
		defer mu.Unlock()
		total.add(&one)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	message, world := total.results(c.shared != nil)
	return message, world, nil
}

// messageSession is one session of a run of messages.
func (c *Client) messageSession(ctx context.Context, o *Options, turns chan struct{}) (m messages, err error) {
	session, end, err := c.dialInTurn(ctx, turns)
	if err != nil {
		return m, err
	}
	defer end()
	up, down := o.loads()
	control, lines, err := askOn(ctx, session, request{
		Workload: o.Workload, DurationNS: int64(o.Duration), Up: up, Down: down, Transfer: o.Workload == Worldload,
	})
	if err != nil {
		return m, err
	}
	if m.clock, err = c.compareClocks(control, lines); err != nil {
		return m, err
	}
	if err := writeLine(control, begin{OffsetNS: int64(m.clock.offset)}); err != nil {
		return m, err
	}
	e := exchange{session: session, start: c.start, send: up, receive: down, offset: -m.clock.offset}
	write := func(ctx context.Context) error { return e.write(ctx, o.Duration) }
	if o.Workload == Worldload {
		write = func(ctx context.Context) (err error) {
			m.transfers, err = e.writeBesideTransfers(ctx, o.Duration)
			return err
		}
	}
	m.near, err = e.run(ctx, write, func() (int64, error) {
		if err := writeLine(control, ended{Sent: e.writer.sent}); err != nil {
			return 0, err
		}
		if err := readLine(lines, &m.far); err != nil {
			return 0, fmt.Errorf("the server gave no result: %w", err)
		}
		return m.far.Sent, nil
	})
	if errors.Is(err, conn.ErrMessageQueueFull) {
		err = fmt.Errorf("the link carries less than the messages: %w", err)
	}
	return m, err
}
