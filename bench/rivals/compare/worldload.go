package compare

import (
	"context"
	"io"
	"time"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// worldSize is a world that a game loads, in bytes.
const worldSize = 3_000_000

func worldloadWorkload() *Workload {
	return &Workload{
		Name: "worldload", Text: "message in one session; in the second half one transfer of 3 MB after the other beside it, on a stream of the session, or on a connection of its own where a session has one",
		Columns: []Column{
			{"alone_p99_ms", "alone p99 ms", noRatio}, {"beside_p50_ms", "beside p50 ms", noRatio}, {"beside_p99_ms", "beside p99 ms", lower},
			{"moved_ms", "p99 moved ms", noRatio}, {"world_s", "3 MB in s", lower}, {"missing_percent", "missing %", noRatio},
		},
		Links: []string{"loss5", "dsl"}, Duration: 6 * time.Second,
		fits: func(a *transport.About) bool { return carriesMessages(a) && a.Streams && !a.Outside },
		run:  worldload,
	}
}

func worldload(ctx context.Context, r *run) (Sample, error) {
	near, far, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	sessions := sessionsOf{near: []transport.Session{near}, far: []transport.Session{far}}
	defer sessions.close()
	out, in, end, err := r.beside(ctx, near, far)
	if err != nil {
		return nil, err
	}
	defer end()
	go receiveWorlds(in)

	t := r.newTraffic(&message)
	half := t.begin + r.duration/2
	alone, beside, worlds := newHistogram(), newHistogram(), newHistogram()
	t.take = func(due, _ time.Duration) *histogram {
		if due < half {
			return alone
		}
		return beside
	}
	over := half + r.duration/2
	go func() {
		if sleep(ctx, half-now()) == nil {
			sendWorlds(out, over, worlds)
		}
	}()
	if err := t.run(ctx, r, &sessions); err != nil {
		return nil, err
	}
	return Sample{
		"alone_p99_ms": alone.at(99), "beside_p50_ms": beside.at(50), "beside_p99_ms": beside.at(99),
		"moved_ms": beside.at(99) - alone.at(99), "world_s": worlds.at(50) / 1000, "missing_percent": t.missing(),
	}, nil
}

// beside opens a stream beside the messages of a session.
func (r *run) beside(ctx context.Context, near, far transport.Session) (out, in io.ReadWriter, end func(), err error) {
	if !r.about.Multiplexed {
		a, b, err := r.connect(ctx)
		if err != nil {
			return nil, nil, nil, err
		}
		return a, b, func() {
			_ = a.Close()
			_ = b.Close()
		}, nil
	}
	opened, err := near.(transport.Multiplexer).OpenStream(ctx)
	if err == nil {
		_, err = opened.Write([]byte{0}) // it shows with its first byte
	}
	if err != nil {
		return nil, nil, nil, err
	}
	accepted, err := far.(transport.Multiplexer).AcceptStream(ctx)
	if err == nil {
		_, err = accepted.Read(make([]byte, 1))
	}
	return opened, accepted, func() {}, err
}

// sendWorlds sends one world after the other, each when the one before has arrived.
func sendWorlds(stream io.ReadWriter, over time.Duration, took *histogram) {
	data, whole := make([]byte, chunk), make([]byte, 1)
	for now() < over {
		begin := now()
		for left := worldSize; left > 0; left -= min(left, chunk) {
			if _, err := stream.Write(data[:min(left, chunk)]); err != nil {
				return // the run is over
			}
		}
		if _, err := stream.Read(whole); err != nil {
			return
		}
		took.add(now() - begin)
	}
}

// receiveWorlds says one byte for each world.
func receiveWorlds(stream io.ReadWriter) {
	for {
		if _, err := io.CopyN(io.Discard, stream, worldSize); err != nil {
			return // the run is over
		}
		if _, err := stream.Write([]byte{0}); err != nil {
			return
		}
	}
}
