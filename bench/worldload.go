package bench

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/godwit-net/godwit/conn"
)

// worldBytes is how much a transfer of worldload carries: a world that a game loads.
const worldBytes = 3_000_000

// takeTransfers reads streams to their end until ctx ends, and then ends them too.
func takeTransfers(ctx context.Context, session *conn.Session) {
	for {
		t, err := session.AcceptStream(ctx)
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(io.Discard, t) // a reset is the ordinary end of the last one
			_ = t.Close()
		}()
	}
}

// writeBesideTransfers sends messages for d; in the second half of it, one transfer after the other runs beside
// them. It returns how long transfers took.
func (e *exchange) writeBesideTransfers(ctx context.Context, d time.Duration) (*histogram, error) {
	e.writer = &sender{session: e.session, load: e.send, start: e.start}
	took := newHistogram()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	half := warmup(d) + d/2
	end := time.Now().Add(warmup(d) + d)
	done := make(chan error, 1)
	go func() {
		defer e.writer.beside.Store(false)
		if err := sleep(ctx, half); err != nil {
			done <- nil
			return
		}
		e.writer.beside.Store(true)
		for {
			begin := time.Now()
			whole, err := e.transfer(ctx, end)
			if err != nil || !whole {
				done <- err
				return
			}
			took.add(time.Since(begin))
		}
	}()
	err := e.writer.run(ctx, d)
	if err != nil {
		cancel()
	}
	if failed := <-done; err == nil {
		err = failed
	}
	return took, err
}

// transfer sends one transfer. It reports false when the end came first.
func (e *exchange) transfer(ctx context.Context, end time.Time) (whole bool, err error) {
	t, err := e.session.OpenStream(ctx)
	if err != nil {
		return false, err
	}
	defer t.Close()
	_ = t.SetDeadline(end)
	data := make([]byte, chunk)
	for left := worldBytes; left > 0; {
		n, err := t.Write(data[:min(left, len(data))])
		left -= n
		if err != nil {
			t.Reset(codeDone)
			return false, timedOut(err)
		}
	}
	if err := t.CloseWrite(); err != nil {
		return false, timedOut(err)
	}
	if _, err := io.Copy(io.Discard, t); err != nil {
		return false, timedOut(err)
	}
	return true, nil
}

// timedOut makes no error of the end of the run.
func timedOut(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}
