package compare

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// handshakers is how many sessions are opened at a time.
const handshakers = 8

func handshakeWorkload() *Workload {
	return &Workload{
		Name: "handshake", Text: "new sessions, 8 at a time, without resumption: until a byte that the server says back to the client's first byte",
		Columns: []Column{
			{"per_s", "a second", higher}, {"cpu_ms", "CPU ms each", lower}, {"p50_ms", "first byte p50 ms", lower}, {"p99_ms", "p99 ms", noRatio},
		},
		Links: []string{Loopback, "clean"}, Duration: 2 * time.Second,
		fits: func(a *transport.About) bool { return a.Streams && !a.Outside },
		run:  runHandshakes,
	}
}

func runHandshakes(ctx context.Context, r *run) (Sample, error) {
	echoing, stop := context.WithCancel(ctx)
	defer stop()
	go echoFirst(echoing, r.server, nil)
	took := newHistogram()
	var opened atomic.Int64
	begin, cpu := time.Now(), r.cost()
	err := inParallel(ctx, handshakers, func(ctx context.Context, _ int) error {
		for time.Since(begin) < r.duration {
			start := time.Now()
			if err := shake(ctx, r.client, r.server.Target()); err != nil {
				return fmt.Errorf("after %d sessions: %w", opened.Load(), err)
			}
			took.add(time.Since(start))
			opened.Add(1)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	n := float64(opened.Load())
	s := Sample{"per_s": n / time.Since(begin).Seconds(), "cpu_ms": math.NaN()}
	if r.costly() {
		s["cpu_ms"] = float64((r.cost() - cpu).Microseconds()) / 1000 / n
	}
	took.percentiles(s, "")
	return s, nil
}

// shake opens a session, says a byte, hears it back, and closes the session.
func shake(ctx context.Context, client transport.Client, target string) error {
	session, err := client.Dial(ctx, target)
	if err != nil {
		return err
	}
	defer session.Close()
	return sayAndHear(ctx, session)
}

func sayAndHear(ctx context.Context, session transport.Session) error {
	defer context.AfterFunc(ctx, func() { session.Close() })()
	if _, err := session.Write([]byte{1}); err != nil {
		return err
	}
	_, err := session.Read(make([]byte, 1))
	return err
}

// echoFirst says the first byte of each session back. keep gets the session then; if it is nil, the session is closed
// when the client has closed it.
func echoFirst(ctx context.Context, server transport.Server, keep func(transport.Session)) {
	for {
		session, err := server.Accept(ctx)
		if err != nil {
			return // the run is over
		}
		go func() {
			b := make([]byte, 1)
			if _, err := session.Read(b); err == nil {
				_, err = session.Write(b)
				if err == nil && keep != nil {
					keep(session)
					return
				}
			}
			_, _ = session.Read(b)
			_ = session.Close()
		}()
	}
}
