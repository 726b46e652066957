package protocol

import (
	"io"

	"github.com/godwit-net/godwit/protocol/wire"
)

// recvStream is the receiving half of a stream.
type recvStream struct {
	pipe   pipe     // start: next byte that the application reads
	got    rangeset // what arrived beyond ready, with gaps
	ready  uint64   // everything before it has arrived
	window recvWindow
	loan   *loan // of a Read that waits; nil: none does

	highest uint64 // one past the highest byte that the peer is known to have used
	final   uint64 // size of the stream, once sized
	code    uint64 // of the peer's reset
	stop    sentState
	sized   bool // FIN or reset told the final size
	reset   bool // the peer reset the stream: ready never passes end
	// canceled: the application wants no more. Everything that comes counts as consumed.
	canceled bool
	told     bool // EventStreamReadable was given, and the application did not yet read all
	// seen: the application has read from the stream. Before that even an empty stream is not
	// forgotten, else a peer could open and end any number of them that nobody accepts.
	seen bool

	end      uint64 // of a reset stream: what is still delivered
	stopCode uint64
}

const (
	// maxGaps is how many gaps any stream may have: each costs memory and time.
	maxGaps = 1000
	// gapSpacing is how many bytes of its window a stream must have for each gap beyond that. An honest
	// sender makes a gap by a lost packet before one that arrived, of 1,200 bytes each at least.
	gapSpacing = 1024
	// gapCharge is what a gap counts against the session's window, in bytes. An honest sender's
	// gaps are packets apart.
	gapCharge = 128
)

// Read moves bytes that have arrived, in order, into p and returns how many. Without any it returns
// 0 and nil while more may come, io.EOF at the end of the stream, ErrReadCanceled after CancelRead,
// a *StreamError when the peer reset the stream, or the session's error when that has ended.
func (s *Stream) Read(p []byte) (int, error) {
	r := &s.recv
	if !s.canRecv() || r.canceled {
		return 0, ErrReadCanceled
	}
	r.seen = true
	n := min(uint64(len(p)), r.ready-r.pipe.start) // spec: STR-11
	if n == 0 && r.ready > r.pipe.start {
		return 0, nil // no room in p
	}
	if n == 0 {
		r.told = false
		s.settle()
		return 0, s.readEnd()
	}
	r.pipe.read(p[:n])
	r.told = r.ready > r.pipe.start
	s.consumed(n)
	return int(n), nil
}

// readEnd is what a Read returns when all that arrived has been read.
func (s *Stream) readEnd() error {
	switch r := &s.recv; {
	case r.reset && r.pipe.start == r.end:
		return &StreamError{Code: r.code, Remote: true} // spec: STR-15
	case r.sized && !r.reset && r.pipe.start == r.final:
		return io.EOF // spec: STR-12
	}
	return s.streams.err
}

// Readable reports whether a Read would give bytes or an error.
func (s *Stream) Readable() bool {
	r := &s.recv
	return !s.canRecv() || r.canceled || r.ready > r.pipe.start || s.readEnd() != nil
}

// consumed gives the credit of bytes that the application has read back to the peer.
//
// spec: STR-25
func (s *Stream) consumed(n uint64) {
	if s.recv.window.consume(n) && !s.recv.sized {
		s.queueControl()
	}
	s.streams.consumed(n)
	if s.recv.over() {
		s.settle()
	}
}

// CancelRead says that the application wants no more of the stream. What has arrived is dropped,
// the peer is asked to stop, and reads fail. It does nothing when the stream has been read to its end.
//
// spec: STR-19
func (s *Stream) CancelRead(code uint64) {
	r := &s.recv
	if !s.canRecv() || r.canceled || r.over() {
		return
	}
	r.canceled = true
	s.dropFrom(r.pipe.start)
	if !r.sized && s.streams.err == nil {
		r.stopCode = min(code, maxOffset)
		r.stop.queue()
		s.queueControl()
	}
	s.settle()
}

// dropFrom discards what arrived from an offset on, and gives the credit back for all that the peer
// is known to have used from there on and that was not given back before.
func (s *Stream) dropFrom(off uint64) {
	r := &s.recv
	s.streams.gaps -= len(r.got)
	r.got.sub(off, maxOffset)
	s.streams.gaps += len(r.got)
	r.releaseGaps()
	r.ready = min(r.ready, off)
	if off < r.pipe.end {
		r.pipe.truncate(off)
	}
	back := r.highest - off
	if r.reset {
		back = r.end - off // the rest was given back when the reset came
	}
	s.streams.consumed(back)
}

// over reports whether nothing more can come of this direction that matters.
func (r *recvStream) over() bool {
	switch {
	case !r.sized:
		return false
	case r.canceled:
		return true
	case !r.seen:
		return false
	case r.reset:
		return r.pipe.start == r.end
	}
	return r.pipe.start == r.final
}

// handleData takes a STREAM frame.
func (s *Stream) handleData(off uint64, data []byte, fin bool) error {
	r := &s.recv
	if off > maxOffset-uint64(len(data)) {
		return transportErrorf(wire.FrameEncoding, wire.FrameStream, "stream %d: data beyond the largest offset", s.id)
	}
	end := off + uint64(len(data))
	if r.sized && end > r.final || fin && (r.sized && end != r.final || end < r.highest) {
		return finalSizeError(s.id, wire.FrameStream) // spec: STR-13
	}
	if end > r.ready && len(data) > 0 && !r.canceled && !s.streams.book.takes(len(data), off <= r.ready && r.ready == r.pipe.start) {
		return nil
	}
	if err := s.extend(end, wire.FrameStream); err != nil {
		return err
	}
	if fin && !r.sized {
		r.sized, r.final = true, end
		r.stop = sentUnset
	}
	if r.canceled {
		s.settle()
		return nil
	}
	if r.reset {
		data, end = clip(off, data, r.end)
	}
	if len(data) > 0 && end > r.ready {
		if err := s.store(off, end, data); err != nil {
			return err
		}
		if len(r.got) > 0 && r.ready == r.pipe.start {
			r.window.used(r.highest)
		}
	}
	s.tell()
	if r.sized && r.over() {
		s.settle()
	}
	return nil
}

// clip cuts data at off so that it does not pass end.
func clip(off uint64, data []byte, end uint64) ([]byte, uint64) {
	if off >= end {
		return nil, off
	}
	data = data[:min(uint64(len(data)), end-off)]
	return data, off + uint64(len(data))
}

// extend accounts for the peer's use of the stream up to end, against both limits.
//
// spec: STR-23
// spec: STR-24
func (s *Stream) extend(end uint64, frame wire.FrameType) error {
	r, t := &s.recv, s.streams
	if end <= r.highest {
		return nil
	}
	if end > r.window.limit {
		return transportErrorf(wire.FlowControl, frame, "stream %d: beyond its limit of %d", s.id, r.window.limit)
	}
	n := end - r.highest
	if n > t.window.limit-t.received {
		return transportErrorf(wire.FlowControl, frame, "beyond the session's limit of %d", t.window.limit)
	}
	t.received += n
	r.highest = end
	r.window.started(t.now)
	t.window.started(t.now)
	if r.canceled {
		t.consumed(n)
	}
	return nil
}

// store keeps new data. What arrived before stays as it is, so that a byte never changes.
//
// spec: STR-9
func (s *Stream) store(off, end uint64, data []byte) error {
	r := &s.recv
	if off < r.ready {
		data = data[r.ready-off:]
		off = r.ready
	}
	if len(r.got) == 0 && off == r.ready {
		if data = s.fill(data); len(data) > 0 {
			r.pipe.write(r.ready, data)
			r.ready = end
		}
		return nil
	}
	start := off
	for i := r.got.search(off); off < end; i++ {
		gapEnd := end
		if i < len(r.got) {
			gapEnd = min(end, r.got[i].Start)
		}
		if off < gapEnd {
			n := gapEnd - off
			r.pipe.write(off, data[:n])
			off, data = gapEnd, data[n:]
		}
		if off < end {
			n := min(end, r.got[i].End) - off
			off, data = off+n, data[n:]
		}
	}
	return s.remember(start, end)
}

// remember notes that everything from start to end is stored, and bounds the gaps.
//
// spec: STR-10
func (s *Stream) remember(start, end uint64) error {
	r, t := &s.recv, s.streams
	t.gaps -= len(r.got)
	r.got.add(start, end)
	if r.got[0].Start <= r.ready {
		r.ready = r.got[0].End
		r.got.sub(0, r.ready)
		r.releaseGaps()
	}
	t.gaps += len(r.got)
	if len(r.got) > maxGaps && uint64(len(r.got))*gapSpacing > r.window.size || t.gaps > maxGaps && uint64(t.gaps)*gapCharge > t.window.size {
		return transportErrorf(wire.ProtocolViolation, wire.FrameStream, "stream %d: too many gaps", s.id)
	}
	return nil
}

// keptRanges is the room that an empty set of ranges keeps, so that an idle stream stays small.
const keptRanges = 4

func (r *recvStream) releaseGaps() {
	if len(r.got) == 0 {
		r.got.release(keptRanges)
	}
}

// tell gives EventStreamReadable when there is news for the application.
func (s *Stream) tell() {
	if r := &s.recv; !r.told && !r.canceled && (r.ready > r.pipe.start || r.lent() || s.readEnd() != nil) {
		r.told = true
		s.streams.emit(EventStreamReadable, s)
	}
}

// handleReset takes a RESET_STREAM frame: the stream is final bytes long, of which only the first
// prefix bytes are still delivered.
func (s *Stream) handleReset(code, final, prefix uint64) error {
	r := &s.recv
	if prefix > final {
		return transportErrorf(wire.FrameEncoding, wire.FrameResetStream, "stream %d: prefix beyond its end", s.id)
	}
	if final < r.highest || r.sized && final != r.final {
		return finalSizeError(s.id, wire.FrameResetStream) // spec: STR-13
	}
	if err := s.extend(final, wire.FrameResetStream); err != nil {
		return err
	}
	if r.sized && !r.reset && r.ready == r.final || r.over() {
		return nil // all of it is here: the reset came too late to matter; spec: STR-16
	}
	r.stop = sentUnset
	s.cut(code, final, prefix)
	s.tell()
	s.settle()
	return nil
}

// cut makes the stream end in a reset after prefix bytes, or after those that the application read.
func (s *Stream) cut(code, final, prefix uint64) {
	r := &s.recv
	r.sized, r.final = true, final
	if r.canceled {
		return // all credit is given back already
	}
	end := max(prefix, r.pipe.start)
	if r.reset && end >= r.end {
		return // a repeated reset can only take away; spec: STR-17
	}
	s.dropFrom(end)
	if !r.reset {
		r.code = code
	}
	r.reset, r.end = true, end
}

func finalSizeError(id uint64, frame wire.FrameType) error {
	return transportErrorf(wire.FinalSize, frame, "stream %d: its size changed", id)
}
