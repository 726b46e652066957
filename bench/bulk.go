package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/godwit-net/godwit/conn"
)

// Directions of a bulk run.
const (
	Up   = "up"   // from the client to the server
	Down = "down" // from the server to the client
	Both = "both" // up and down at once, on the same streams
)

// serveBulk is the server's half of a bulk run: it takes the streams and sends, receives, or both.
func serveBulk(ctx context.Context, session *conn.Session, r request) (outcome, error) {
	duration := time.Duration(r.DurationNS)
	streams, err := acceptStreams(ctx, session, r.Streams)
	if err != nil {
		return outcome{}, err
	}
	m := newMeter(duration)
	moveBulk(streams, m, duration, r.Direction != Up, r.Direction != Down)
	return outcome{Tally: m.tally()}, nil
}

// acceptStreams takes n streams, each of which opens with one byte.
func acceptStreams(ctx context.Context, session *conn.Session, n int) ([]*conn.Stream, error) {
	streams := make([]*conn.Stream, n)
	for i := range streams {
		t, err := session.AcceptStream(ctx)
		if err != nil {
			return nil, err
		}
		if deadline, ok := ctx.Deadline(); ok {
			_ = t.SetDeadline(deadline)
		}
		var reset *conn.StreamError // the client's time is over already: there is nothing to count
		if _, err := t.Read(make([]byte, 1)); err != nil && !errors.As(err, &reset) {
			return nil, err
		}
		streams[i] = t
	}
	return streams, nil
}

// openStreams opens n streams, each with one byte, so that the server sees them.
func openStreams(ctx context.Context, session *conn.Session, n int) ([]*conn.Stream, error) {
	streams := make([]*conn.Stream, n)
	for i := range streams {
		t, err := session.OpenStream(ctx)
		if err != nil {
			return nil, err
		}
		if deadline, ok := ctx.Deadline(); ok {
			_ = t.SetDeadline(deadline)
		}
		if _, err := t.Write([]byte{0}); err != nil {
			return nil, err
		}
		streams[i] = t
	}
	return streams, nil
}

// moveBulk sends and receives on all streams until the sender's time is over. The sender then
// resets the streams: what is on its way does not count any more.
func moveBulk(streams []*conn.Stream, m *meter, d time.Duration, send, receive bool) {
	var moving sync.WaitGroup
	for _, t := range streams {
		if send {
			moving.Go(func() { sendBulk(t, d) })
		} else {
			_ = t.CloseWrite()
		}
		if receive {
			moving.Go(func() { receiveBulk(t, m) })
		}
	}
	moving.Wait()
	for _, t := range streams {
		_ = t.Close()
	}
}

func sendBulk(t *conn.Stream, d time.Duration) {
	end := time.Now().Add(d)
	_ = t.SetWriteDeadline(end)
	data := make([]byte, chunk)
	for time.Now().Before(end) {
		if _, err := t.Write(data); err != nil {
			break
		}
	}
	t.Reset(codeDone)
}

// receiveBulk counts until the stream ends. How it ends does not matter: a reset is the ordinary end,
// and a session that was lost shows at the control stream.
func receiveBulk(t *conn.Stream, m *meter) {
	buf := make([]byte, chunk)
	for {
		n, err := t.Read(buf)
		m.add(n)
		if err != nil {
			return
		}
	}
}

// runBulk is the client's half of a bulk run.
func (c *Client) runBulk(ctx context.Context, o Options) (*BulkResult, error) {
	session, end, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	control, err := ask(ctx, session, request{
		Workload: Bulk, DurationNS: int64(o.Duration), Streams: o.Streams, Direction: o.Direction,
	})
	if err != nil {
		return nil, err
	}
	streams, err := openStreams(ctx, session, o.Streams)
	if err != nil {
		return nil, err
	}
	cpu := ProcessorTime()
	m := newMeter(o.Duration)
	moveBulk(streams, m, o.Duration, o.Direction != Down, o.Direction != Up)
	got := m.tally()
	var far outcome
	if err := readLine(control, &far); err != nil {
		return nil, fmt.Errorf("the server gave no result: %w", err)
	}
	got.merge(far.Tally)
	cpu = ProcessorTime() - cpu
	result := &BulkResult{
		Direction: o.Direction, Streams: o.Streams, Bytes: got.Bytes, RateBPS: got.rate(), Series: got.series(),
	}
	if got.Bytes > 0 && !c.emulated {
		result.CPUSecondsPerGB = cpu.Seconds() / (float64(got.Bytes) / 1e9)
	}
	return result, nil
}

// ask opens a control stream, sends a request on it, and reads the answer.
func ask(ctx context.Context, session *conn.Session, r request) (*bufio.Reader, error) {
	_, lines, err := askOn(ctx, session, r)
	return lines, err
}

func askOn(ctx context.Context, session *conn.Session, r request) (*conn.Stream, *bufio.Reader, error) {
	control, err := session.OpenStream(ctx)
	if err != nil {
		return nil, nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = control.SetDeadline(deadline)
	}
	if err := writeLine(control, r); err != nil {
		return nil, nil, err
	}
	lines := bufio.NewReader(control)
	var a answer
	if err := readLine(lines, &a); err != nil {
		return nil, nil, err
	}
	if a.Error != "" {
		return nil, nil, fmt.Errorf("the server refused: %s", printable(a.Error))
	}
	return control, lines, nil
}
