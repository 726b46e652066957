package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/godwit-net/godwit/conn"
)

// latencyPriority puts the stream of messages into the latency class (priorities from 128).
const latencyPriority = 200

// A message holds its number, and the time on the client's clock when it was written, both in 8
// octets, big-endian, and is zero up to its size.

// serveMessages is the server's half of a message run: it compares clocks, then takes the time of
// every message.
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
	streams, err := acceptStreams(ctx, session, 1)
	if err != nil {
		return outcome{}, err
	}
	defer streams[0].Close()
	return s.receiveMessages(streams[0], r.Size, time.Duration(b.OffsetNS))
}

// receiveMessages counts messages and their latency until the client ends the stream.
func (s *Server) receiveMessages(t *conn.Stream, size int, offset time.Duration) (o outcome, err error) {
	h := newHistogram()
	buf := make([]byte, size)
	for {
		if _, err := io.ReadFull(t, buf); err != nil {
			if err == io.EOF {
				o.Buckets = h.buckets()
				return o, nil
			}
			return o, err
		}
		now := time.Since(s.start)
		if number := binary.BigEndian.Uint64(buf); number != uint64(o.Received) {
			return o, fmt.Errorf("message %d came as number %d", number, o.Received)
		}
		o.Received++
		h.add(now - time.Duration(binary.BigEndian.Uint64(buf[8:])) + offset)
	}
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

// messages is what one session of a message run gave.
type messages struct {
	sent, received int64
	clock          clock
	histogram      *histogram
}

// runMessages is the client's half of a message run, over several sessions at once.
func (c *Client) runMessages(ctx context.Context, o Options) (*MessageResult, error) {
	var mu sync.Mutex
	total := messages{histogram: newHistogram()}
	err := inParallel(ctx, o.Sessions, func(ctx context.Context) error {
		one, err := c.messageSession(ctx, o)
		mu.Lock()
		defer mu.Unlock()
		total.add(one)
		return err
	})
	if err != nil {
		return nil, err
	}
	result := &MessageResult{
		Size: o.Size, Hz: o.Hz, Sent: total.sent, Received: total.received, OneWay: total.histogram.latency(),
		Clock: "estimated", ClockErrorMS: millis(total.clock.bound),
	}
	if c.shared != nil {
		result.Clock = "shared"
	}
	return result, nil
}

func (m *messages) add(other messages) {
	m.sent += other.sent
	m.received += other.received
	m.clock.bound = max(m.clock.bound, other.clock.bound)
	if other.histogram != nil {
		m.histogram.merge(other.histogram)
	}
}

// messageSession is one session of a message run.
func (c *Client) messageSession(ctx context.Context, o Options) (m messages, err error) {
	session, end, err := c.dial(ctx)
	if err != nil {
		return m, err
	}
	defer end()
	control, lines, err := askOn(ctx, session, request{Workload: Message, DurationNS: int64(o.Duration), Size: o.Size, Hz: o.Hz})
	if err != nil {
		return m, err
	}
	if m.clock, err = c.compareClocks(control, lines); err != nil {
		return m, err
	}
	if err := writeLine(control, begin{OffsetNS: int64(m.clock.offset)}); err != nil {
		return m, err
	}
	streams, err := openStreams(ctx, session, 1)
	if err != nil {
		return m, err
	}
	streams[0].SetPriority(latencyPriority)
	if m.sent, err = c.sendMessages(ctx, streams[0], o); err != nil {
		return m, err
	}
	if err := streams[0].CloseWrite(); err != nil {
		return m, err
	}
	var far outcome
	if err := readLine(lines, &far); err != nil {
		return m, fmt.Errorf("the server gave no result: %w", err)
	}
	m.received, m.histogram = far.Received, newHistogram()
	m.histogram.addBuckets(far.Buckets)
	return m, nil
}

// sendMessages writes one message each tick. When a Write was held back so that the next tick is past,
// the message counts from its tick: waiting at the sender is latency too.
func (c *Client) sendMessages(ctx context.Context, w io.Writer, o Options) (sent int64, err error) {
	step := time.Duration(float64(time.Second) / o.Hz)
	begin := time.Now()
	buf := make([]byte, o.Size)
	for tick := begin; tick.Sub(begin) < o.Duration; tick = tick.Add(step) {
		stamp := tick
		if wait := time.Until(tick); wait > 0 {
			if err := sleep(ctx, wait); err != nil {
				return sent, err
			}
			stamp = time.Now()
		}
		binary.BigEndian.PutUint64(buf, uint64(sent))
		binary.BigEndian.PutUint64(buf[8:], uint64(stamp.Sub(c.start)))
		if _, err := w.Write(buf); err != nil {
			return sent, err
		}
		sent++
	}
	return sent, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
