package protocol

import (
	"bytes"

	"github.com/godwit-net/godwit/protocol/wire"
)

// landing is where the data of a packet lies at last if the packet is like the one before: full of the same stream's
// data, which is next in order. It is opened right there, which saves a copy: the header of the frame takes the place
// of the bytes before for that time. Where the packet turns out to be another, it goes back to where it came.
type landing struct {
	stream *Stream
	memory []byte // for the header of the frame, then its data; nil: the packet is opened where it lies
	header int    // length of the header in bytes
	before [maxInPlace]byte
}

// expect finds the landing of a packet with so many bytes of frames.
func (l *landing) expect(t *streamsState, size int) {
	s := t.last
	if s == nil || !t.steady || t.err != nil {
		return
	}
	l.stream, l.header = s, wire.SizeStreamHeader(s.id, s.recv.ready, 0, false)
	if l.memory = s.recv.place(l.header, size-l.header); l.memory != nil {
		copy(l.before[:], l.memory[:l.header])
	}
}

// place returns the memory in which the next n bytes of the stream are kept, with the room bytes before it; nil: it does
// not lie together, or is not known yet.
func (r *recvStream) place(room, n int) []byte {
	if n <= 0 || len(r.got) > 0 || r.canceled || r.reset {
		return nil
	}
	if r.loan == nil || r.pipe.start < r.ready {
		return r.pipe.around(r.ready, room, n)
	}
	buf := r.loan.buf
	if len(buf) < room || cap(buf)-len(buf) < n {
		return nil
	}
	return buf[len(buf)-room : len(buf)+n]
}

// take puts back what was before the data. It returns that if the packet is what was expected; else it moves the frames
// to buf, and returns them there.
func (l *landing) take(buf, frames []byte) (rest, data []byte) {
	if l.memory == nil {
		return frames, nil
	}
	var header [maxInPlace]byte
	want := wire.AppendStreamHeader(header[:0], l.stream.id, l.stream.recv.ready, 0, false, false)
	if bytes.Equal(frames[:l.header], want) {
		data = frames[l.header:]
	} else {
		frames = append(buf[:0], frames...)
	}
	l.clear()
	return frames, data
}

// clear puts back what was before the data of a packet that is not taken.
func (l *landing) clear() { copy(l.memory, l.before[:l.header]) }

// put copies src to dst as far as that goes, unless it landed there, and returns how many bytes those are.
func put(dst, src []byte) int {
	if len(dst) > 0 && len(src) > 0 && &dst[0] == &src[0] {
		return min(len(dst), len(src))
	}
	return copy(dst, src)
}
