package protocol

// A Stream is an ordered sequence of bytes in one or both directions, within a session.
//
// None of its methods waits. Write takes what fits and Read gives what is there; EventStreamWritable
// and EventStreamReadable say when to try again. Like the session that it belongs to, a stream is
// used by one caller at a time. After calls that change something, reads included (they make room
// for the peer), the owner drains the session's datagrams.
type Stream struct {
	id      uint64
	streams *streamsState
	context any

	send sendStream // unused by streams that only the peer writes
	recv recvStream // unused by streams that only this end writes

	lane // its place in the scheduler

	controlNext   *Stream // the next one with frames about it to send
	controlQueued bool
	forgotten     bool // both directions have ended; the session knows it no more
}

// The two low bits of a stream ID.
//
// spec: STR-1
const (
	idServer = 1 // opened by the server
	idUni    = 2 // only the opener writes
)

// ID returns the stream's number in the session, the same at both ends. Stream 0 is there from the
// start.
func (s *Stream) ID() uint64 { return s.id }

// Unidirectional reports whether only the end that opened the stream can write.
func (s *Stream) Unidirectional() bool { return s.id&idUni != 0 }

// Local reports whether this end opened the stream. Stream 0 counts as opened by the client.
func (s *Stream) Local() bool { return s.streams.isLocal(s.id) }

func (s *Stream) canSend() bool { return !s.Unidirectional() || s.Local() }
func (s *Stream) canRecv() bool { return !s.Unidirectional() || !s.Local() }

// SetContext keeps a value of the owner with the stream.
func (s *Stream) SetContext(v any) { s.context = v }

// Context returns the value that SetContext kept, nil at first.
func (s *Stream) Context() any { return s.context }

// SetPriority says how soon the stream's data leaves, compared with other streams: higher first,
// default 64. From 128 on the stream belongs to the latency class, which may exceed the congestion
// window by a little and is acknowledged without delay: it is for small amounts of data.
func (s *Stream) SetPriority(p uint8) {
	if s.priority == p {
		return
	}
	s.streams.sched.remove(&s.lane)
	s.priority = p
	s.reschedule()
}

// SetWeight sets the stream's share among streams of the same priority: one with twice the weight
// sends twice as much while both have data. 0 means the default, 16.
func (s *Stream) SetWeight(w uint16) {
	if w == 0 {
		w = defaultWeight
	}
	s.weight = w
}

// reschedule puts the stream in the queue that its state asks for.
func (s *Stream) reschedule() { s.streams.sched.put(&s.lane, s.send.wants()) }

// queueControl asks for a frame about the stream to be sent.
func (s *Stream) queueControl() { s.streams.queueControl(s) }

// settle brings the session's books up to date after the stream changed: who may send, what is
// still to be acknowledged, and whether the stream can be forgotten.
func (s *Stream) settle() {
	if s.streams.err != nil {
		return
	}
	s.reschedule()
	if open := s.send.unsettled(); open != s.send.counted {
		s.send.counted = open
		if open {
			s.streams.unsettled++
		} else {
			s.streams.unsettled--
		}
	}
	if !s.forgotten && (!s.canSend() || s.send.over()) && (!s.canRecv() || s.recv.over()) {
		s.streams.forget(s)
	}
}
