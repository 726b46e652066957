package compare

import (
	"context"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// chunk is how much one call writes and reads.
const chunk = 128 << 10

// pinned is the payload of the datagrams in bulk-1452: what an Ethernet of 1500 carries over IPv6.
const pinned = 1452

func bulkWorkloads() []*Workload {
	columns := []Column{
		{"mbit_s", "Mbit/s", higher}, {"cpu_s_gb", "CPU s/GB", lower}, {"wire_percent", "wire %", noRatio},
	}
	make := func(name, text string, links []string, datagram, streams int, both bool) *Workload {
		return &Workload{
			Name: name, Text: text, Columns: columns, Links: links, Duration: 2 * time.Second, Datagram: datagram,
			fits: func(a *transport.About) bool { return a.Streams },
			run:  func(ctx context.Context, r *run) (Sample, error) { return bulk(ctx, r, streams, both) },
		}
	}
	loopback := []string{Loopback}
	return []*Workload{
		make("bulk", "one stream as fast as possible, datagrams as large as each finds that the path carries",
			[]string{Loopback, "dsl", "dsl,loss=1%"}, 0, 1, false),
		make("bulk-1452", "the same with at most 1452 bytes of UDP payload, or what is as long in TCP", loopback, pinned, 1, false),
		make("bulk-bidir", "both ways at once on one stream; the sum", loopback, 0, 1, true),
		make("bulk-8", "eight streams, or connections of those that have one stream", loopback, 0, 8, false),
	}
}

// warmUp is how long bulk is sent before it counts: congestion control, buffers and the search for the MTU settle.
func (r *run) warmUp() time.Duration {
	if r.path == nil {
		return 300 * time.Millisecond
	}
	return 2 * time.Second
}

// bulk counts what arrives in the duration of the run.
func bulk(ctx context.Context, r *run, streams int, both bool) (Sample, error) {
	near, far, end, err := r.streams(ctx, streams)
	if err != nil {
		return nil, err
	}
	var moving sync.WaitGroup
	var total atomic.Int64
	for i := range near {
		moving.Go(func() { fill(near[i]) })
		moving.Go(func() { drain(far[i], &total) })
		if both {
			moving.Go(func() { fill(far[i]) })
			moving.Go(func() { drain(near[i], &total) })
		}
	}
	sample, err := r.count(ctx, &total)
	end()
	moving.Wait()
	return sample, err
}

// count looks at a counter of bytes, and at what they cost, at the begin and at the end of the run.
func (r *run) count(ctx context.Context, total *atomic.Int64) (Sample, error) {
	if err := sleep(ctx, r.warmUp()); err != nil {
		return nil, err
	}
	begin, bytes, cpu, wire := time.Now(), total.Load(), r.cost(), r.wire()
	if err := sleep(ctx, r.duration); err != nil {
		return nil, err
	}
	took, got := time.Since(begin).Seconds(), float64(total.Load()-bytes)
	s := Sample{
		"mbit_s":       got * 8 / took / 1e6,
		"cpu_s_gb":     (r.cost() - cpu).Seconds() / (got / 1e9),
		"wire_percent": 100 * ((r.wire().up-wire.up)/got - 1),
	}
	if !r.costly() {
		s["cpu_s_gb"] = math.NaN()
	}
	return s, nil
}

func fill(w io.Writer) {
	data := make([]byte, chunk)
	for {
		if _, err := w.Write(data); err != nil {
			return // the run is over
		}
	}
}

func drain(from io.Reader, total *atomic.Int64) {
	buf := make([]byte, chunk)
	for {
		n, err := from.Read(buf)
		total.Add(int64(n))
		if err != nil {
			return // the run is over
		}
	}
}

// streams opens n streams: those of one session, or of n sessions where a session has one. The ends of a stream have
// the same index in near and in far. end closes all.
func (r *run) streams(ctx context.Context, n int) (near, far []io.ReadWriter, end func(), err error) {
	if n > 1 && r.about.Multiplexed {
		return r.multiplex(ctx, n)
	}
	var s sessionsOf
	for range n {
		a, b, err := r.connect(ctx)
		if err != nil {
			s.close()
			return nil, nil, nil, err
		}
		s.near, s.far = append(s.near, a), append(s.far, b)
		near, far = append(near, a), append(far, b)
	}
	return near, far, s.close, nil
}

// multiplex opens n streams in one session. Each shows with its first byte.
func (r *run) multiplex(ctx context.Context, n int) (near, far []io.ReadWriter, end func(), err error) {
	a, b, err := r.connect(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	end = func() {
		_ = a.Close()
		_ = b.Close()
	}
	for range n {
		out, err := a.(transport.Multiplexer).OpenStream(ctx)
		if err == nil {
			_, err = out.Write([]byte{0})
		}
		var in transport.Stream
		if err == nil {
			in, err = b.(transport.Multiplexer).AcceptStream(ctx)
		}
		if err == nil {
			_, err = in.Read(make([]byte, 1))
		}
		if err != nil {
			end()
			return nil, nil, nil, err
		}
		near, far = append(near, out), append(far, in)
	}
	return near, far, end, nil
}
