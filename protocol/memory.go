package protocol

import (
	"math"
	"time"
)

// What a session holds for its peer and its application is counted as it is held, so that the owner of many
// sessions can bound what all of them hold together: it asks each for Memory, and tells each with SetMemory what it may
// hold. A session that holds that takes no more of what needs memory. Nothing reliable that was acknowledged is ever
// given up for it.
const (
	// SessionMemory is what an owner counts for each session beside Memory, in bytes: its state, its names in
	// tables, its handle. One that rests takes about half of it.
	SessionMemory = 8 << 10
	// awakeMemory is what a session that does not rest takes more: expanded ciphers and scratch memory.
	awakeMemory = 4 << 10
	// streamMemory is what a stream takes beside its bytes, its handle included.
	streamMemory = 1 << 10
	// channelMemory is what one direction of a channel of messages takes beside those and its tables.
	channelMemory = 2 << 10
	// outMessageMemory is what it takes to remember a message of ours, with the room that a ring grows into.
	outMessageMemory = 128
	// heldMessageMemory is what a message takes that is not complete or whose turn has not come, beside its bytes.
	heldMessageMemory = 256
	// sentPacketMemory is what it takes to remember a packet of ours, with a few facts.
	sentPacketMemory = 384
	// gapMemory is a range of bytes that came, with the room that a set of them grows into.
	gapMemory = 32

	// halfOpenMemory is what a handshake takes that waits for its last packet, and expandedMemory what each of the newest
	// takes more for its KEM key.
	halfOpenMemory = 2 << 10
	expandedMemory = 8 << 10

	// fillMemory is what a session may take beyond its part, in bytes, of what its application waits for, until that
	// reads again: a hole that is filled gives memory back.
	fillMemory = 64 << 10
	// minCredit is the credit in bytes that a peer has however little memory there is, so that it need not ask for
	// it when there is some again. It is no promise: a datagram may still not be taken.
	minCredit = 16 << 10
	// memoryRetry is how often a session looks whether there is memory again, if something waits for that.
	memoryRetry = 100 * time.Millisecond
)

// memoryBook counts what the session holds in its streams and messages. The zero value bounds nothing.
type memoryBook struct {
	held    int   // in bytes
	most    int   // of it, as of the last SetMemory
	filled  int32 // taken beyond that since the application has read
	bounded bool  // by most
	spare   bool  // there is memory beyond most
	refused bool  // a frame was not taken
	ample   bool  // the peer may have more held in streams than wide blocks waste
	retry   Time  // when to look again; 0: nothing waits for memory
}

// add counts n bytes more, or less. Pipes in tests have no book.
func (m *memoryBook) add(n int) {
	if m != nil {
		m.held += n
	}
}

// room is how many bytes more may be held.
func (m *memoryBook) room() int {
	if !m.bounded {
		return math.MaxInt
	}
	return max(0, m.most-m.held)
}

// full reports whether the session holds all that it may. What a frame adds may go beyond that by as much.
func (m *memoryBook) full() bool { return m.room() == 0 }

// takes reports whether n bytes of the peer's may be held. The application waits for them if fills is set. If not,
// the packet that they came in is as good as lost.
func (m *memoryBook) takes(n int, fills bool) bool {
	if !m.full() {
		return true
	}
	if fills && m.spare && int(m.filled)+n <= fillMemory { // spec: SESS-27
		m.filled += int32(n)
		return true
	}
	m.refused = true // spec: SESS-26
	return false
}

// tookAll reports whether no frame was refused since it was asked last.
func (m *memoryBook) tookAll() bool {
	was := m.refused
	m.refused = false
	return !was
}

// wait has the session look again later.
func (m *memoryBook) wait(now Time) {
	if m.retry == 0 {
		m.retry = now.Add(memoryRetry)
	}
}

// Memory returns what the session holds beside SessionMemory, in bytes: data that was received and not read, that was
// written and not acknowledged, messages, what repair keeps, and what it takes to remember all that. It is an
// estimate from above where counting would cost more.
func (s *Session) Memory() int {
	t := &s.streams
	n := t.book.held + gapMemory*t.gaps
	if s.messages != nil {
		n += gapMemory * s.messages.gaps
	}
	for _, p := range s.paths.list {
		n += sentPacketMemory * len(p.loss.list.slots)
	}
	if s.repair != nil {
		n += s.repair.memory()
	}
	if s.state != stateDead && !s.Resting() {
		n += awakeMemory
	}
	return n
}

func (r *repairState) memory() (n int) {
	if r.recv != nil {
		n += r.recv.decoder.Memory()
	}
	if r.send != nil {
		n += r.send.encoder.Memory()
	}
	return n
}

// Memory returns what handshakes hold that are not complete, in bytes.
func (e *Endpoint) Memory() int {
	t := &e.half
	return halfOpenMemory*len(t.list) + expandedMemory*min(len(t.list), maxExpanded) + t.earlyBytes
}

// SetMemory tells how many bytes of data and messages the session may hold until the next call, and whether the owner
// has some to spare for what gives memory back. An owner that bounds nothing does not call it.
func (s *Session) SetMemory(most int, spare bool) {
	m := &s.streams.book
	m.most, m.spare, m.bounded = most, spare, true
}

// HeldBack reports whether something waits for memory: a writer, or the peer for credit.
func (s *Session) HeldBack() bool { return s.streams.book.retry != 0 }

// memoryTimeout looks whether there is memory for those who wait for it.
func (s *Session) memoryTimeout(now Time) {
	m := &s.streams.book
	if m.retry == 0 || now.Before(m.retry) {
		return
	}
	m.retry = 0
	s.streams.now = now
	s.streams.retryMemory()
	if s.messages != nil && !m.full() {
		s.messages.retryMemory()
	}
}

// retryMemory wakes writers that have waited for memory, and gives credit that was held back.
func (t *streamsState) retryMemory() {
	t.zero.retryMemory()
	for _, s := range t.table {
		s.retryMemory()
	}
	if t.window.due() {
		t.window.update.queue()
	}
}

func (s *Stream) retryMemory() {
	if !s.send.full || s.streams.err != nil {
		return
	}
	if s.room() > 0 {
		s.wake()
		return
	}
	s.awaitMemory()
}

// awaitMemory has a writer that waits woken when there is memory, if that is what it waits for.
func (s *Stream) awaitMemory() {
	if t := s.streams; uint64(t.book.room()) < t.sendBuffer/writableShare {
		t.book.wait(t.now)
	}
}

// retryMemory tells of room in channels that were full.
func (m *messagesState) retryMemory() {
	for _, c := range m.outOrder {
		c.tellRoom()
	}
}

// heldBack reports whether there is too little memory to give the peer credit that is due. What was said and lost is
// repeated all the same.
func (t *streamsState) heldBack() bool {
	w := &t.window
	if !w.due() || w.again || t.creditEnd() >= min(w.consumed+w.size, w.limit+minCredit/2) {
		return false
	}
	t.book.wait(t.now)
	return true
}

// creditEnd is the largest limit that there is memory for.
//
// spec: SESS-28
func (t *streamsState) creditEnd() uint64 {
	return min(maxOffset, t.received+min(uint64(max(minCredit, t.book.room())), maxOffset/2))
}

// turnAway lets a packet be as good as lost for which there is no memory. The peer hears now and then that we are
// there, or it would take the silence for the end of the session.
//
// spec: SESS-26
func (s *Session) turnAway() {
	s.stats.Dropped.Memory++
	s.streams.book.wait(s.streams.now)
	if i := &s.idle; i.agreed != 0 && !i.asked {
		i.pingDue = true
	}
}
