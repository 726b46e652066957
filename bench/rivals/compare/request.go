package compare

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// Sizes of a question and of its answer, in bytes.
const (
	questionSize = 100
	answerSize   = 4000
)

func requestWorkloads() []*Workload {
	columns := []Column{
		{"p50_ms", "p50 ms", lower}, {"p99_ms", "p99 ms", noRatio}, {"per_s", "a second", higher}, {"cpu_us", "CPU µs each", lower},
	}
	make := func(name, text string, links []string, parallel int, kept bool) *Workload {
		return &Workload{
			Name: name, Text: text, Columns: columns, Links: links, Duration: time.Second,
			fits: func(a *transport.About) bool { return a.Streams },
			run:  func(ctx context.Context, r *run) (Sample, error) { return requests(ctx, r, parallel, kept) },
		}
	}
	loopback := []string{Loopback}
	const each = "100 bytes up and 4,000 down, "
	return []*Workload{
		make("request", each+"one at a time: a stream for each, or a connection that stays where streams are not for that",
			[]string{Loopback, "loss5"}, 1, false),
		make("request-100", each+"100 at once: as before, or 100 connections that stay", loopback, 100, false),
		make("request-kept", each+"one at a time on one stream that stays", loopback, 1, true),
		make("request-kept-100", each+"100 at once on 100 streams that stay", loopback, 100, true),
	}
}

// requests asks in parallel until the run is over.
func requests(ctx context.Context, r *run, parallel int, kept bool) (Sample, error) {
	var asks []func() error
	var end func()
	var err error
	if r.about.PerRequest && !kept {
		asks, end, err = r.newStreams(ctx, parallel)
	} else {
		asks, end, err = r.keptStreams(ctx, parallel)
	}
	if err != nil {
		return nil, err
	}
	defer end()
	begin := time.Now().Add(r.warmUp())
	over := begin.Add(r.duration)
	took := newHistogram()
	var cpu atomic.Int64
	time.AfterFunc(time.Until(begin), func() { cpu.Store(int64(r.cost())) })
	defer context.AfterFunc(ctx, end)() // what waits returns
	err = inParallel(ctx, parallel, func(_ context.Context, i int) error {
		for asked := time.Now(); asked.Before(over); {
			if err := asks[i](); err != nil {
				return err
			}
			answered := time.Now()
			if asked.After(begin) {
				took.add(answered.Sub(asked))
			}
			asked = answered
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	n := float64(took.count())
	s := Sample{"per_s": n / r.duration.Seconds(), "cpu_us": math.NaN()}
	if r.costly() && n > 0 {
		s["cpu_us"] = float64((r.cost() - time.Duration(cpu.Load())).Microseconds()) / n
	}
	took.percentiles(s, "")
	return s, nil
}

// newStreams asks each question on a stream of its own, in one session.
func (r *run) newStreams(ctx context.Context, parallel int) (asks []func() error, end func(), err error) {
	near, far, err := r.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	go func() {
		for {
			stream, err := far.(transport.Multiplexer).AcceptStream(ctx)
			if err != nil {
				return // the run is over
			}
			go answerOnce(stream)
		}
	}()
	ask := func() error { return askOnce(ctx, near.(transport.Multiplexer)) }
	for range parallel {
		asks = append(asks, ask)
	}
	return asks, func() {
		_ = near.Close()
		_ = far.Close()
	}, nil
}

func answerOnce(stream transport.Stream) {
	defer stream.Close()
	if n, err := io.Copy(io.Discard, stream); err == nil && n == questionSize {
		_ = writeLast(stream, make([]byte, answerSize)) // who asked sees what is missing
	}
}

// writeLast writes b and ends the stream, in one call where there is one. quic-go needs none: it sends from a goroutine
// of its own, which finds both.
func writeLast(stream transport.Stream, b []byte) error {
	if w, ok := stream.(transport.LastWriter); ok {
		_, err := w.WriteLast(b)
		return err
	}
	if _, err := stream.Write(b); err != nil {
		return err
	}
	return stream.CloseWrite()
}

func askOnce(ctx context.Context, session transport.Multiplexer) error {
	stream, err := session.OpenStream(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := writeLast(stream, make([]byte, questionSize)); err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, stream)
	if err == nil && n != answerSize {
		err = fmt.Errorf("an answer of %d bytes came", n)
	}
	return err
}

// keptStreams asks one question after the other on each of several streams.
func (r *run) keptStreams(ctx context.Context, parallel int) (asks []func() error, end func(), err error) {
	near, far, end, err := r.streams(ctx, parallel)
	if err != nil {
		return nil, nil, err
	}
	for i := range near {
		go answerAlways(far[i])
		question, answer := make([]byte, questionSize), make([]byte, answerSize)
		asks = append(asks, func() error {
			if _, err := near[i].Write(question); err != nil {
				return err
			}
			_, err := io.ReadFull(near[i], answer)
			return err
		})
	}
	return asks, end, nil
}

func answerAlways(stream io.ReadWriter) {
	question, answer := make([]byte, questionSize), make([]byte, answerSize)
	for {
		if _, err := io.ReadFull(stream, question); err != nil {
			return // the run is over
		}
		if _, err := stream.Write(answer); err != nil {
			return
		}
	}
}
