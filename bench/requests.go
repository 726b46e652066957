package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/godwit-net/godwit/conn"
)

// Sizes of a question and of its answer, in bytes.
const (
	questionSize = 100
	answerSize   = 4000
)

// answerRequests answers on every stream that the client opens, until ctx or the session ends.
func answerRequests(ctx context.Context, session *conn.Session) {
	for {
		t, err := session.AcceptStream(ctx)
		if err != nil {
			return
		}
		go func() {
			defer t.Close()
			if n, err := io.Copy(io.Discard, io.LimitReader(t, questionSize+1)); err == nil && n == questionSize {
				_, _ = t.WriteLast(make([]byte, answerSize)) // the client sees what is missing
			}
		}()
	}
}

// runRequests asks in several sessions at once, in each several questions at once.
func (c *Client) runRequests(ctx context.Context, o Options) (*RequestResult, error) {
	var mu sync.Mutex
	total := newHistogram()
	begin := time.Now()
	err := inParallel(ctx, o.Sessions, func(ctx context.Context) error {
		session, end, err := c.dial(ctx)
		if err != nil {
			return err
		}
		defer end()
		control, _, err := askOn(ctx, session, request{Workload: Request, DurationNS: int64(o.Duration)})
		if err != nil {
			return err
		}
		defer control.Close()
		return inParallel(ctx, o.Streams, func(ctx context.Context) error {
			h := newHistogram()
			err := requestLoop(ctx, session, begin.Add(o.Duration), h)
			mu.Lock()
			defer mu.Unlock()
			total.merge(h)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	l := total.latency()
	return &RequestResult{
		Parallel: o.Streams, Count: l.Count, PerSecond: float64(l.Count) / time.Since(begin).Seconds(), RoundTrip: l,
	}, nil
}

// requestLoop asks one question after the other until end. One that is under way then does not count.
func requestLoop(ctx context.Context, session *conn.Session, end time.Time, h *histogram) error {
	for time.Now().Before(end) {
		begin := time.Now()
		err := askQuestion(ctx, session, end)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		h.add(time.Since(begin))
	}
	return nil
}

func askQuestion(ctx context.Context, session *conn.Session, end time.Time) error {
	t, err := session.OpenStream(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	_ = t.SetDeadline(end)
	if _, err := t.WriteLast(make([]byte, questionSize)); err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, t)
	if err == nil && n != answerSize {
		err = fmt.Errorf("an answer of %d bytes came, not %d", n, answerSize)
	}
	return err
}
