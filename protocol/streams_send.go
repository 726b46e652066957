package protocol

import "github.com/godwit-net/godwit/protocol/wire"

// queueControl puts a stream on the list of those with frames about them to send. A stream that no
// longer has any is taken off when its turn comes.
//
// spec: STR-30
func (t *streamsState) queueControl(s *Stream) {
	if s.controlQueued || t.err != nil {
		return
	}
	s.controlQueued = true
	if t.controlTail == nil {
		t.controlHead = s
	} else {
		t.controlTail.controlNext = s
	}
	t.controlTail = s
}

func (t *streamsState) popControl() {
	s := t.controlHead
	t.controlHead = s.controlNext
	if t.controlHead == nil {
		t.controlTail = nil
	}
	s.controlNext, s.controlQueued = nil, false
}

// hasControl reports whether frames about streams may be waiting.
func (t *streamsState) hasControl() bool {
	if t.err != nil {
		return false
	}
	t.checkBlocked()
	if t.controlHead != nil || t.window.update == sentQueued || t.dataBlocked.queued() {
		return true
	}
	if t.counted == nil {
		return false
	}
	for kind := range kinds {
		if t.counted.ours[kind].blocked.queued() || t.counted.theirs[kind].limit.queued() {
			return true
		}
	}
	return false
}

// hasData reports whether stream data may be sent now, as far as flow control goes.
func (t *streamsState) hasData() bool { return t.sched.pick(t.sessionCredit(), false) != nil }

// asksForAck reports whether a stream of the latency class is next: its data does not say by itself that it
// wants to be acknowledged at once.
func (t *streamsState) asksForAck() bool {
	l := t.sched.pick(t.sessionCredit(), true)
	if l == nil {
		return false
	}
	_, ok := l.owner.(*Stream)
	return ok
}

// hasLatencyData is hasData for the latency class.
func (t *streamsState) hasLatencyData() bool {
	return t.sched.pick(t.sessionCredit(), true) != nil
}

// checkBlocked queues DATA_BLOCKED when the session's limit stops a stream, once per limit.
//
// spec: STR-28
func (t *streamsState) checkBlocked() {
	if t.sched.blocked(t.sessionCredit()) {
		t.dataBlocked.set(t.max)
	}
}

// frameWriter appends frames to a packet as long as they fit, with their facts.
type frameWriter struct {
	b     []byte
	limit int // of len(b)
	facts *[]fact
}

// add keeps what the caller appended as b if it fits.
func (w *frameWriter) add(b []byte, f fact) bool {
	if len(b) > w.limit {
		return false
	}
	w.b = b
	*w.facts = append(*w.facts, f)
	return true
}

// appendControl appends the frames about limits, ends and refusals that are waiting, as many as fit
// into max more bytes.
func (t *streamsState) appendControl(b []byte, max int, facts *[]fact) []byte {
	if !t.hasControl() {
		return b
	}
	w := frameWriter{b: b, limit: len(b) + max, facts: facts}
	if !t.appendSessionLimits(&w) {
		return w.b
	}
	for t.controlHead != nil {
		if !t.controlHead.appendControl(&w) {
			return w.b
		}
		t.popControl()
	}
	return w.b
}

// appendSessionLimits appends what concerns all streams, and says whether all of it fitted.
func (t *streamsState) appendSessionLimits(w *frameWriter) bool {
	if t.window.update == sentQueued && !t.appendMaxData(w) {
		return false
	}
	if v := &t.dataBlocked; v.queued() {
		if !w.add(wire.DataBlocked{Limit: v.value}.Append(w.b), fact{kind: factDataBlocked, a: v.value}) {
			return false
		}
		v.sent()
	}
	return t.counted == nil || t.counted.appendLimits(w)
}

// appendLimits appends what concerns the number of streams, and says whether all of it fitted.
func (c *streamCounts) appendLimits(w *frameWriter) bool {
	for kind := range kinds {
		uni := kind == 1
		if v := &c.theirs[kind].limit; v.queued() {
			if !w.add(wire.MaxStreams{Max: v.value, Uni: uni}.Append(w.b), fact{kind: factMaxStreams, a: uint64(kind), b: v.value}) {
				return false
			}
			v.sent()
		}
		if v := &c.ours[kind].blocked; v.queued() {
			if !w.add(wire.StreamsBlocked{Limit: v.value, Uni: uni}.Append(w.b), fact{kind: factStreamsBlocked, a: uint64(kind), b: v.value}) {
				return false
			}
			v.sent()
		}
	}
	return true
}

// appendMaxData appends the limit on all streams, as far as there is memory for what it lets come, and says whether
// it fitted.
func (t *streamsState) appendMaxData(w *frameWriter) bool {
	if t.heldBack() {
		t.window.update.acked() // until there is memory
		return true
	}
	if w.limit-len(w.b) < maxControlFrame {
		return false
	}
	end := t.creditEnd()
	v := t.window.raise(t.now, t.rtt, min(uint64(t.cfg.maxSessionWindow), end-t.received), end)
	w.add(wire.MaxData{Max: v}.Append(w.b), fact{kind: factMaxData, a: v})
	return true
}

// maxControlFrame is the size of the largest frame with a limit: type, stream ID, value.
const maxControlFrame = 1 + 8 + 8

// appendControl appends the frames about one stream, and says whether all of them fitted.
func (s *Stream) appendControl(w *frameWriter) bool {
	t, out, in := s.streams, &s.send, &s.recv
	// A reset with a prefix waits until the prefix was sent: its final size must be known.
	if out.reset == sentQueued && out.next >= out.pipe.end {
		f := wire.ResetStream{ID: s.id, Code: out.code, FinalSize: out.finalSize(), Delivered: out.pipe.end}
		if !w.add(f.Append(w.b), fact{kind: factReset, stream: s}) {
			return false
		}
		out.reset.sent()
	}
	if in.stop == sentQueued {
		if !w.add(wire.StopSending{ID: s.id, Code: in.stopCode}.Append(w.b), fact{kind: factStop, stream: s}) {
			return false
		}
		in.stop.sent()
	}
	if in.window.update == sentQueued && !in.sized && !in.canceled {
		if w.limit-len(w.b) < maxControlFrame {
			return false
		}
		v := in.window.raise(t.now, t.rtt, uint64(min(t.cfg.maxStreamWindow, t.book.room())), maxOffset)
		t.window.widen(min(sessionPerStream*in.window.size, uint64(t.cfg.maxSessionWindow)))
		w.add(wire.MaxStreamData{ID: s.id, Max: v}.Append(w.b), fact{kind: factMaxStreamData, stream: s, a: v})
	}
	if out.blocked == sentQueued {
		if !w.add(wire.StreamDataBlocked{ID: s.id, Limit: out.blockedAt}.Append(w.b), fact{kind: factStreamDataBlocked, stream: s, a: out.blockedAt}) {
			return false
		}
		out.blocked.sent()
	}
	return true
}

// sessionPerStream is how many times larger than its largest stream's the session's window is, so
// that one busy stream leaves room for others.
const sessionPerStream = 2

// tailFrame is where a MESSAGE frame with a length lies in a packet under construction. When nothing comes
// behind it, the length is taken out again.
type tailFrame struct{ start, length, size, end int }

// move follows bytes that are put in or taken out in front of the frame.
func (f *tailFrame) move(n int) {
	if f.end != 0 {
		f.start, f.length, f.end = f.start+n, f.length+n, f.end+n
	}
}

// trimTail takes the length out of the MESSAGE frame that a finished packet ends with.
func (t *streamsState) trimTail(b []byte) []byte {
	f := t.tail
	if f.end == 0 || f.end != len(b) {
		return b
	}
	b[f.start] = wire.WithoutLength(b[f.start])
	return append(b[:f.length], b[f.length+f.size:]...)
}

// nextWhole returns how many bytes of frames the next message takes that goes in one piece, 0 when
// something else is next.
func (t *streamsState) nextWhole() int {
	if c := t.nextChannel(); c != nil {
		return c.nextWhole()
	}
	return 0
}

// nextChannel returns the channel that sends next, nil when a stream does or nobody.
func (t *streamsState) nextChannel() *sendChannel {
	if l := t.sched.pick(t.sessionCredit(), false); l != nil {
		c, _ := l.owner.(*sendChannel)
		return c
	}
	return nil
}

// beginPacket begins a packet with room for so many bytes of frames.
func (t *streamsState) beginPacket(room int) {
	t.packets++
	t.wholeRoom, t.tail, t.urgent, t.patient = room, tailFrame{}, false, false
}

// appendData appends STREAM and MESSAGE frames, as many as fit into max more bytes. A frame that fills the rest
// exactly has no length and must stay the last of its packet.
func (t *streamsState) appendData(b []byte, max int, facts *[]fact, latencyOnly bool) []byte {
	limit := len(b) + max
	for first := true; t.err == nil; first = false {
		s := t.sched.pick(t.sessionCredit(), latencyOnly)
		if s == nil {
			break
		}
		before, queue, n := len(b), s.queue, 0
		b, n = s.owner.appendFrame(b, limit-len(b), facts)
		if len(b) == before {
			break
		}
		c, ok := s.owner.(*sendChannel)
		t.patient = ok && !reliable(c.mode) && (first || t.patient)
		t.sched.spent(s, queue, n)
	}
	return b
}

// acked takes the news that a packet with a fact about streams arrived.
func (t *streamsState) acked(f fact) {
	if t.err != nil {
		return
	}
	s := f.stream
	switch f.kind {
	case factStream:
		s.dataAcked(f.a, f.b>>1, f.b&1 != 0)
	case factReset:
		s.send.reset.acked()
		s.settle()
	case factStop:
		s.recv.stop.acked()
	case factMaxData:
		t.window.acked(f.a)
	case factMaxStreamData:
		s.recv.window.acked(f.a)
	case factMaxStreams:
		t.counts().theirs[f.a].limit.acked(f.b)
	case factDataBlocked:
		t.dataBlocked.acked(f.a)
	case factStreamDataBlocked:
		if f.a == s.send.blockedAt {
			s.send.blocked.acked()
		}
	case factStreamsBlocked:
		t.counts().ours[f.a].blocked.acked(f.b)
	}
}

// lost takes the news that a packet with a fact about streams was lost. The fact is sent again if it
// still matters.
//
// spec: STR-29
func (t *streamsState) lost(f fact) {
	if t.err != nil {
		return
	}
	s := f.stream
	again := false
	switch f.kind {
	case factStream:
		s.dataLost(f.a, f.b>>1, f.b&1 != 0)
	case factReset:
		again = s.send.reset.lost()
	case factStop:
		again = s.recv.stop.lost()
	case factMaxData:
		t.window.lost(f.a)
	case factMaxStreamData:
		again = !s.recv.sized && s.recv.window.lost(f.a)
	case factMaxStreams:
		t.counts().theirs[f.a].limit.lost(f.b)
	case factDataBlocked:
		t.dataBlocked.lost(f.a)
	case factStreamDataBlocked:
		again = f.a == s.send.blockedAt && s.send.blocked.lost()
	case factStreamsBlocked:
		t.counts().ours[f.a].blocked.lost(f.b)
	}
	if again {
		t.queueControl(s)
	}
}
