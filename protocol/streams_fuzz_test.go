package protocol

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// frameSequence encodes frames as a fuzz input.
func frameSequence(frames ...wire.Frame) (b []byte) {
	for _, f := range frames {
		b = f.Append(b)
	}
	return b
}

// FuzzStreamFrames gives the streams of one end arbitrary frames of a peer, while its application
// answers and its packets are acknowledged or lost. Whatever comes, the books stay in order, memory
// stays bounded, and the only outcome but going on is a transport error. The first octet says the
// role; octets of applicationMask between the frames drive the application.
func FuzzStreamFrames(f *testing.F) {
	for _, role := range []byte{0, 1} {
		for _, frames := range [][]byte{
			frameSequence(dataFrame(0, 0, "hello"), finFrame(0, 5, " world")),
			frameSequence(dataFrame(4, 6, "late"), dataFrame(4, 0, "early!"), dataFrame(1, 3, "gap")),
			frameSequence(finFrame(4, 3, "end"), wire.ResetStream{ID: 4, Code: 1, FinalSize: 6, Delivered: 2}),
			frameSequence(wire.ResetStream{ID: 2, FinalSize: 900}, wire.ResetStream{ID: 3, FinalSize: 901}),
			frameSequence(wire.StopSending{ID: 0, Code: 3}, wire.StopSending{ID: 4}, wire.StopSending{ID: 1}),
			frameSequence(wire.MaxData{Max: 1 << 40}, wire.MaxStreamData{ID: 0, Max: 1 << 61}, wire.MaxStreams{Max: 9}),
			frameSequence(wire.DataBlocked{Limit: 1}, wire.StreamDataBlocked{ID: 8, Limit: 2}, wire.StreamsBlocked{Limit: 3, Uni: true}),
			frameSequence(dataFrame(400, 0, "beyond the limit")),
			frameSequence(dataFrame(4, 999, "beyond the window")),
		} {
			f.Add(append([]byte{role}, frames...))
			var driven []byte
			for i, b := 0, frames; len(b) > 0; i++ {
				_, n := wire.ParseFrame(b)
				driven = append(append(driven, b[:n]...), byte(applicationMask|i*5&^applicationMask))
				b = b[n:]
			}
			f.Add(append([]byte{role}, driven...))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 0 {
			return
		}
		e := newStreamsEnd(t, in[0]&1 == 0, testLimits(), testLimits())
		if err := fuzzStreams(e, in[1:]); err != nil {
			var te *TransportError
			require.True(t, errors.As(err, &te), "an error of another kind: %v", err)
			e.fail(err)
		}
		held, opened := 0, 0
		for _, s := range append(openStreams(e), e.stream0()) {
			held += s.recv.pipe.memory()
			if !s.Local() {
				opened++ // by the peer; ours are as many as the application opened
			}
			require.LessOrEqual(t, s.recv.ready, s.recv.highest)
			_, _ = readStream(s)
		}
		require.LessOrEqual(t, held, 2*testSessionWindow+2*(testMaxStreams+1)*minBlock, "memory is for bytes that came")
		require.LessOrEqual(t, e.received, e.window.limit)
		require.LessOrEqual(t, e.sent, e.max)
		require.LessOrEqual(t, e.window.consumed, e.received)
		require.LessOrEqual(t, opened, 2*testMaxStreams+1, "of both kinds, and stream 0")
	})
}

// applicationMask marks octets that are no frame of the peer's but a step of the application: none
// of the frames about streams begins with such an octet.
const applicationMask = 0xe0

// fuzzStreams takes a mix of frames and steps.
func fuzzStreams(e *streamsEnd, in []byte) error {
	var flight sentFrames
	for len(in) > 0 {
		if in[0]&applicationMask == applicationMask {
			flight = fuzzApplication(e, in[0]&^applicationMask, flight)
			in = in[1:]
			continue
		}
		f, n := wire.ParseFrame(in)
		if n <= 0 {
			return nil
		}
		if err := e.handle(f); err != nil {
			return err
		}
		in = in[n:]
	}
	return nil
}

// fuzzApplication takes one step of the application or the path, and returns the packet in flight.
func fuzzApplication(e *streamsEnd, step byte, flight sentFrames) sentFrames {
	streams := append([]*Stream{e.stream0()}, openStreams(e)...)
	s := streams[int(step>>3)%len(streams)]
	switch step & 7 {
	case 0:
		_, _ = s.Write(pattern(0, 600))
	case 1:
		_, _ = s.Read(make([]byte, 300))
	case 2:
		s.CloseWrite()
	case 3:
		s.ResetAt(1, uint64(step)*100)
	case 4:
		s.CancelRead(2)
	case 5:
		e.lose(flight)
		return e.packet(testPacket)
	case 6:
		e.ack(flight)
		return e.packet(testPacket)
	case 7:
		_, _ = e.open(step&8 != 0)
	}
	return flight
}

// openStreams returns the streams beside stream 0, by ID, so that an input always means the same.
func openStreams(e *streamsEnd) (all []*Stream) {
	for _, id := range slices.Sorted(maps.Keys(e.table)) {
		all = append(all, e.table[id])
	}
	return all
}
