package protocol

import (
	"github.com/godwit-net/godwit/protocol/wire"
)

// sendStream is the sending half of a stream.
type sendStream struct {
	pipe  pipe     // bytes accepted from the application; start: all before it is acknowledged
	next  uint64   // first byte that was never sent
	max   uint64   // the peer's limit; only grows
	acked rangeset // acknowledged beyond pipe.start
	held  uint64   // bytes in acked: they wait behind a hole
	lost  rangeset // sent, lost and not sent again

	blockedAt uint64 // the limit that the peer was told stops us
	code      uint64 // of reset
	fin       sentState
	reset     sentState
	blocked   sentState
	stopped   bool // the peer asked for the reset
	full      bool // a Write did not fit; the application waits for EventStreamWritable
	counted   bool // in streamsState.unsettled
}

const (
	// minSendBuffer is what a stream may buffer for sending on any path: one long write.
	minSendBuffer = 256 << 10
	// DefaultMaxSendBuffer bounds what one stream may buffer on long and fast paths, in bytes.
	DefaultMaxSendBuffer = 32 << 20
	// sendBufferPaths is how many bandwidth-delay products of bytes that have not arrived the buffer
	// holds: one in flight and one to go on with until the application writes again. More would be
	// seconds of data that the application believes gone.
	sendBufferPaths = 2
	// heldBufferPaths is how many it holds when bytes that have arrived wait behind a hole. A hole that
	// is lost again and again, as one in a thousand is at 10 % of loss, takes several round trips to fill.
	heldBufferPaths = 8
	// writableShare is the part of the buffer that must be free before a waiting writer is woken, so
	// that it writes large pieces.
	writableShare = 4
	// minFragment is the least data that is split off to fill a packet. Its frame costs about
	// eight bytes.
	minFragment = 32
)

// Write takes bytes of p for sending, as many as the send buffer has room for, and returns how many.
// When that is less than all, EventStreamWritable says when there is room again. Errors:
// ErrWriteClosed after CloseWrite or Reset, *StreamError when the peer stopped the stream, the
// session's error when that has ended.
func (s *Stream) Write(p []byte) (int, error) {
	if err := s.writeError(); err != nil {
		return 0, err
	}
	w := &s.send
	n := int(min(s.room(), maxOffset-w.pipe.end, uint64(len(p))))
	if n < len(p) {
		w.full = true
		s.awaitMemory()
	}
	w.pipe.write(w.pipe.end, p[:n])
	s.checkBlocked()
	s.settle()
	return n, nil
}

// room returns how many bytes the send buffer takes.
//
// spec: SESS-29
func (s *Stream) room() uint64 {
	t, w := s.streams, &s.send
	all := w.pipe.len()
	missing := all - w.held
	return min(t.sendBuffer-min(t.sendBuffer, missing), t.heldBuffer-min(t.heldBuffer, all), uint64(t.book.room()))
}

func (s *Stream) writeError() error {
	switch w := &s.send; {
	case !s.canSend():
		return ErrWriteClosed
	case w.stopped:
		return &StreamError{Code: w.code, Remote: true}
	case w.reset.isSet() || w.fin.isSet():
		return ErrWriteClosed
	}
	return s.streams.err
}

// Writable reports whether a Write would take bytes or fail, rather than take nothing.
func (s *Stream) Writable() bool {
	return s.writeError() != nil || s.room() > 0
}

// CloseWrite says that no more will be written. What was written is still delivered, and the peer
// then reads EOF. Further calls do nothing.
func (s *Stream) CloseWrite() {
	if s.writeError() != nil {
		return
	}
	s.send.fin.queue()
	s.settle()
}

// Reset ends the sending direction at once: what has not arrived may never do, and the peer's reads
// fail with a *StreamError that has the code (at most 2^62-1). It does nothing when all data and the
// end are acknowledged, or after an earlier reset.
func (s *Stream) Reset(code uint64) { s.ResetAt(code, 0) }

// ResetAt is Reset, except that the first prefix bytes of the stream are still delivered. A prefix
// beyond what was written means all that was.
//
// spec: STR-14
// spec: STR-20
func (s *Stream) ResetAt(code, prefix uint64) {
	w := &s.send
	if !s.canSend() || w.reset.isSet() || w.over() || s.streams.err != nil {
		return
	}
	w.code = min(code, maxOffset)
	w.truncate(min(max(prefix, w.pipe.start), w.pipe.end))
	w.reset.queue()
	s.queueControl()
	s.wake()
	s.settle()
}

// truncate forgets the data from end on.
func (w *sendStream) truncate(end uint64) {
	w.pipe.truncate(end)
	w.acked.sub(end, maxOffset)
	w.held = w.acked.size()
	w.lost.sub(end, maxOffset)
	if w.next >= end {
		w.blocked = sentUnset
	}
}

// stop answers the peer's STOP_SENDING. A reset that still has a prefix to deliver gives that up: the
// peer takes no more, and may leave no credit for it.
//
// spec: STR-18
func (s *Stream) stop(code uint64) {
	w := &s.send
	if w.over() || s.streams.err != nil {
		return
	}
	if w.reset.isSet() {
		w.truncate(w.pipe.start)
		s.queueControl()
		s.settle()
		return
	}
	w.stopped = true
	w.full = true // whoever waits learns of it
	s.Reset(code)
}

// finalSize is the size of a reset stream: all that was sent, and what of the prefix was not yet.
func (w *sendStream) finalSize() uint64 { return max(w.next, w.pipe.end) }

// wants returns the queue that the stream belongs in.
func (w *sendStream) wants() sendQueue {
	switch {
	case len(w.lost) > 0 || w.fin == sentQueued && !w.reset.isSet() && w.next >= w.pipe.end:
		return queueLost
	case w.next < min(w.pipe.end, w.max):
		return queueFresh
	}
	return queueNone
}

// unsettled reports whether something of the stream still has to be acknowledged.
func (w *sendStream) unsettled() bool {
	return w.pipe.start < w.pipe.end || w.reset == sentQueued || w.reset == sentFlying ||
		!w.reset.isSet() && (w.fin == sentQueued || w.fin == sentFlying)
}

// over reports whether the peer has everything of this direction, its end included.
func (w *sendStream) over() bool {
	if w.pipe.start < w.pipe.end {
		return false
	}
	return w.reset == sentAcked || !w.reset.isSet() && w.fin == sentAcked
}

// checkBlocked queues STREAM_DATA_BLOCKED when the peer's limit stops the stream, once per limit.
//
// spec: STR-28
func (s *Stream) checkBlocked() {
	w := &s.send
	if w.next < w.max || w.next >= w.pipe.end || w.blocked.isSet() && w.blockedAt == w.max {
		return
	}
	w.blockedAt = w.max
	w.blocked.queue()
	s.queueControl()
}

// raiseLimit takes a limit from the peer.
func (s *Stream) raiseLimit(limit uint64) {
	w := &s.send
	if limit <= w.max {
		return
	}
	w.max = limit
	w.blocked = sentUnset
	s.checkBlocked()
	s.reschedule()
}

// appendFrame appends the stream's next frame, at most space bytes long, and returns how much data
// it carries. A frame that does not fit leaves b as it was.
func (s *Stream) appendFrame(b []byte, space int, facts *[]fact) ([]byte, int) {
	off, n := s.send.nextRange(s.streams.sessionCredit(), s.budget())
	header := wire.SizeStreamHeader(s.id, off, 0, false)
	if space-header < min(n, minFragment) || space < header {
		return b, 0
	}
	n = min(n, space-header)
	w := &s.send
	fin := w.fin.isSet() && !w.reset.isSet() && off+uint64(n) == w.pipe.end
	// A frame that reaches the end of the packet needs no length. One that would reach it but for
	// the bytes of its length is pushed there with padding.
	withLen := wire.SizeStreamHeader(s.id, off, n, true)+n <= space && n < space-header
	if !withLen {
		for range space - header - n {
			b = append(b, byte(wire.FramePadding))
		}
	}
	b = wire.AppendStreamHeader(b, s.id, off, n, fin, withLen)
	b = w.pipe.appendTo(b, off, n)
	s.noteSent(off, uint64(n), fin)
	*facts = append(*facts, streamFact(s, off, n, fin))
	return b, n
}

// nextRange returns what to send next: the oldest lost range, else new data within the stream's and
// the session's limits. A length of 0 stands for an end without data.
//
// spec: STR-22
func (w *sendStream) nextRange(credit uint64, budget int) (off uint64, n int) {
	if len(w.lost) > 0 {
		r := w.lost[0]
		return r.Start, int(min(r.Size(), uint64(budget)))
	}
	off = w.next
	if end := min(w.pipe.end, w.max); off < end {
		return off, int(min(end-off, credit, uint64(budget)))
	}
	return w.pipe.end, 0
}

func (s *Stream) noteSent(off, n uint64, fin bool) {
	w := &s.send
	if end := off + n; end > w.next {
		s.streams.sent += end - w.next
		w.next = end
		s.checkBlocked()
	} else if n > 0 {
		w.lost.sub(off, end)
	}
	if fin {
		w.fin.sent()
	}
	if w.reset == sentQueued {
		s.queueControl() // the prefix may just have been sent
	}
	s.reschedule()
}

func streamFact(s *Stream, off uint64, n int, fin bool) fact {
	b := uint64(n) << 1
	if fin {
		b |= 1
	}
	return fact{kind: factStream, stream: s, a: off, b: b}
}

// dataAcked takes the news that a STREAM frame arrived.
func (s *Stream) dataAcked(off, n uint64, fin bool) {
	w := &s.send
	if fin {
		w.fin.acked()
	}
	end := min(off+n, w.pipe.end)
	if off < end && end > w.pipe.start {
		s.bytesAcked(max(off, w.pipe.start), end)
	}
	s.settle()
}

func (s *Stream) bytesAcked(start, end uint64) {
	w := &s.send
	if len(w.lost) > 0 {
		w.lost.sub(start, end) // it was late, not lost
	}
	if start > w.pipe.start {
		w.held += end - start - w.acked.overlap(start, end)
		w.acked.add(start, end)
		s.wakeWriter()
		return
	}
	if len(w.acked) > 0 && w.acked[0].Start <= end {
		w.acked.add(start, end)
		end = w.acked[0].End
		w.acked.sub(0, end)
		w.held = w.acked.size()
	}
	s.streams.progress += end - w.pipe.start
	w.pipe.discard(end)
	if w.pipe.len() == 0 {
		w.acked.release(keptRanges)
		w.lost.release(keptRanges)
	}
	s.wakeWriter()
}

// wakeWriter wakes a waiting writer once there is room for a large piece.
func (s *Stream) wakeWriter() {
	if s.send.full && (s.send.pipe.len() == 0 || s.room() >= s.streams.sendBuffer/writableShare) && s.room() > 0 {
		s.wake()
	}
}

// wake tells the application that a write would no longer take nothing, if it waits for that.
func (s *Stream) wake() {
	if s.send.full {
		s.send.full = false
		s.streams.emit(EventStreamWritable, s)
	}
}

// dataLost takes the news that a STREAM frame was lost: what of it has not arrived otherwise is sent
// again.
//
// spec: STR-8
func (s *Stream) dataLost(off, n uint64, fin bool) {
	w := &s.send
	if fin {
		w.fin.lost()
	}
	start, end := max(off, w.pipe.start), min(off+n, w.pipe.end)
	if start < end {
		w.lost.add(start, end)
		for i := w.acked.search(start); i < len(w.acked) && w.acked[i].Start < end; i++ {
			w.lost.sub(w.acked[i].Start, w.acked[i].End)
		}
	}
	s.reschedule()
}
