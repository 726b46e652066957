package protocol

// inbox holds messages that are complete and wait for the application, in the order in which they came to
// be so. Reliable and unreliable ones lie apart, since only the latter may be dropped.
type inbox struct {
	order uint64 // of the next message
	lanes [2]inboxLane
}

// The lanes.
const (
	unreliableLane = 0
	reliableLane   = 1
)

// inboxLane is messages back to back in one pipe.
type inboxLane struct {
	data    pipe
	entries queue[inboxEntry]
}

type inboxEntry struct {
	order   uint64
	channel *recvChannel
	size    uint32
}

func laneOf(isReliable bool) int {
	if isReliable {
		return reliableLane
	}
	return unreliableLane
}

// held returns what the messages of a lane count against its buffer, in bytes.
func (l *inboxLane) held() int { return int(l.data.len()) + messageCharge*l.entries.len() }

// begin makes an entry for a message whose bytes follow with write.
func (b *inbox) begin(c *recvChannel, size int) *inboxLane {
	l := &b.lanes[laneOf(reliable(c.mode))]
	l.entries.push(inboxEntry{order: b.order, size: uint32(size), channel: c})
	l.data.book.add(messageCharge)
	b.order++
	return l
}

func (l *inboxLane) write(data []byte) { l.data.write(l.data.end, data) }

// writeFrom copies n bytes out of another pipe.
func (l *inboxLane) writeFrom(p *pipe, n int) {
	for off := p.start; n > 0; {
		v := p.view(off)
		v = v[:min(n, len(v))]
		l.write(v)
		off, n = off+uint64(len(v)), n-len(v)
	}
}

// next returns the lane with the oldest message, or nil.
func (b *inbox) next() *inboxLane {
	u, r := &b.lanes[unreliableLane], &b.lanes[reliableLane]
	switch {
	case u.entries.len() == 0 && r.entries.len() == 0:
		return nil
	case r.entries.len() == 0 || u.entries.len() > 0 && u.entries.front().order < r.entries.front().order:
		return u
	}
	return r
}

// drop discards the oldest message of a lane.
func (l *inboxLane) drop() {
	l.data.discard(l.data.start + uint64(l.entries.front().size))
	l.entries.pop()
	l.data.book.add(-messageCharge)
}

// nextMessage returns channel and size of the message that receive gives next.
func (m *messagesState) nextMessage() (channel uint16, size int, ok bool) {
	l := m.inbox.next()
	if l == nil {
		m.toldMail = false
		return 0, 0, false
	}
	e := l.entries.front()
	return e.channel.number, int(e.size), true
}

// receive appends the oldest message to b, and gives the peer credit for it.
//
// spec: MSG-14
func (m *messagesState) receive(b []byte) (out []byte, channel uint16, ok bool) {
	l := m.inbox.next()
	if l == nil {
		m.toldMail = false
		return b, 0, false
	}
	e := *l.entries.front()
	b = l.data.appendTo(b, l.data.start, int(e.size))
	l.drop()
	e.channel.stats.Received++
	e.channel.stats.ReceivedBytes += uint64(e.size)
	if l == &m.inbox.lanes[reliableLane] {
		m.streams.consumed(uint64(e.size) + messageCharge)
	}
	return b, e.channel.number, true
}

// tell gives EventMessagesReadable when the first message waits.
func (m *messagesState) tell() {
	if !m.toldMail {
		m.toldMail = true
		m.emit(EventMessagesReadable)
	}
}

// bound drops the oldest unreliable messages until those that are left and size more bytes, for a message of
// channel c, fit into the buffer, and into what memory there is. It returns false when they cannot.
//
// spec: MSG-15
func (m *messagesState) bound(c *recvChannel, size int) bool {
	limit := int(min(m.local.MessageBuffer, maxMessageBuffer))
	if size > limit {
		c.stats.Overflowed++
		return false
	}
	l := &m.inbox.lanes[unreliableLane]
	for l.held()+m.partial+size > limit {
		if l.entries.len() > 0 {
			l.entries.front().channel.stats.Overflowed++
			l.drop()
			continue
		}
		m.dropOldest()
	}
	for book := &m.streams.book; book.full(); { // spec: SESS-26
		if l.entries.len() == 0 {
			c.stats.Overflowed++
			return false
		}
		l.entries.front().channel.stats.Overflowed++
		l.drop()
	}
	return true
}

// maxMessageBuffer is beyond what any end keeps, and far below what overflows an int of 32 bits.
const maxMessageBuffer = 1 << 30
