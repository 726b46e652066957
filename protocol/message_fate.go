package protocol

import "github.com/godwit-net/godwit/protocol/wire"

// ackedFact takes the news that a packet with a fact about messages arrived, with late set after it had been
// declared lost.
func (m *messagesState) ackedFact(f fact, late bool) {
	c := m.out[uint16(f.a)]
	if m.ended || c == nil {
		return
	}
	switch f.kind {
	case factChannel:
		c.announced.acked()
	case factSkip:
		c.skipAcked(f.b)
	case factMessage:
		c.partAcked(f.a>>16, uint32(f.b>>32), uint32(f.b), late)
	}
}

// lostFact takes the news that a packet with a fact about messages was lost, or with probed only that it may
// be: then nothing is given up.
func (m *messagesState) lostFact(f fact, probed bool) {
	c := m.out[uint16(f.a)]
	if m.ended || c == nil {
		return
	}
	switch f.kind {
	case factSkip:
		if c.skip.lost(f.b); c.skip.queued() {
			m.skips++
		}
	case factMessage:
		c.partLost(f.a>>16, uint32(f.b>>32), uint32(f.b), probed)
	}
}

// partAcked notes that a part of a message arrived.
func (c *sendChannel) partAcked(position uint64, from, to uint32, late bool) {
	if position < c.queue.head {
		return
	}
	m := c.queue.at(position)
	if m.settled {
		return
	}
	c.known = max(c.known, m.number+1)
	c.messages.streams.progress += uint64(to - from)
	start, end := m.start+uint64(from), m.start+uint64(to)
	if late && reliable(c.mode) && !c.lost.contains(start) {
		c.stats.Needless++ // it was sent again
	}
	c.lost.sub(start, end) // it was late, not lost
	if from > 0 || to < m.places() {
		c.acked.add(start, end)
		if r := c.acked.rangeContaining(m.start); r.End < m.start+uint64(m.places()) {
			c.reschedule()
			return
		}
	}
	c.settle(position, Acknowledged)
}

// partLost has a part of a message sent again if its mode and deadline ask for that.
//
// spec: MSG-9
func (c *sendChannel) partLost(position uint64, from, to uint32, probed bool) {
	if position < c.queue.head {
		return
	}
	m := c.queue.at(position)
	if from == 0 && to == m.places() && !probed {
		m.copies -= min(m.copies, 1)
		if m.copies > 0 { // spec: FEC-23 FEC-35
			return
		}
	}
	switch {
	case m.settled:
	case !reliable(c.mode) && !probed:
		c.settle(position, Lost)
	case !reliable(c.mode):
	case m.late && !probed:
		c.settle(position, Expired)
	case m.late:
	default:
		start, end := m.start+uint64(from), m.start+uint64(to)
		c.lost.add(start, end)
		for i := c.acked.search(start); i < len(c.acked) && c.acked[i].Start < end; i++ {
			c.lost.sub(c.acked[i].Start, c.acked[i].End)
		}
		c.reschedule()
	}
}

// settle decides the fate of a message and forgets what is over.
func (c *sendChannel) settle(position uint64, o Outcome) {
	m := c.queue.at(position)
	m.settled, m.expired = true, o == Expired
	c.uncount(m)
	if m.sent == m.places() && reliable(c.mode) {
		c.leaveFlight(m)
	}
	end := m.start + uint64(m.places())
	c.acked.sub(m.start, end)
	c.lost.sub(m.start, end)
	if position == c.sendAt {
		c.sendAt++ // what was not sent of it never is
	}
	c.note(m.tag, o)
	c.forget()
	c.reschedule()
	c.tellRoom()
}

// tellRoom tells of room when a message was refused for want of it.
func (c *sendChannel) tellRoom() {
	if c.full && c.held() <= c.limit()-c.limit()/writableShare && !c.data.book.full() {
		c.full = false
		c.messages.emit(EventMessagesWritable)
	}
}

// forget drops settled messages from the front, and has the receiver told when it must go on without some.
func (c *sendChannel) forget() {
	skip := false
	for c.queue.len() > 0 && c.queue.front().settled {
		m := c.queue.front()
		c.data.discard(m.start + uint64(m.places()))
		if m.sent > 0 && reliable(c.mode) {
			c.used += m.charge()
			skip = skip || m.expired
		}
		c.pop()
	}
	c.sendAt, c.expireAt = max(c.sendAt, c.queue.head), max(c.expireAt, c.queue.head)
	c.lastAt = max(c.lastAt, c.queue.head)
	if skip { // spec: MSG-10
		c.setSkip(c.base())
	}
	c.raiseFloor()
	if c.queue.len() == 0 {
		c.acked.release(keptRanges)
		c.lost.release(keptRanges)
	}
}

func (c *sendChannel) pop() {
	c.queue.pop()
	c.data.book.add(-outMessageMemory)
}

// base is the number of the oldest message whose fate is open.
func (c *sendChannel) base() uint64 {
	if c.queue.len() > 0 && c.queue.front().sent > 0 {
		return c.queue.front().number
	}
	return c.next
}

// raiseFloor follows the base, unless the receiver must first hear of a message that it waits for in vain.
func (c *sendChannel) raiseFloor() {
	if s := c.skip.state; s != sentQueued && s != sentFlying {
		c.floor = c.base()
	}
}

func (c *sendChannel) skipAcked(next uint64) {
	c.skip.acked(next)
	c.known = max(c.known, next)
	c.floor = max(c.floor, next)
	c.raiseFloor()
	c.reschedule()
}

// nextExpiry is when the deadline of the next message passes; 0: none has one.
func (c *sendChannel) nextExpiry() Time {
	if c.deadline == 0 || c.expireAt == c.queue.tail {
		return 0
	}
	return c.queue.at(c.expireAt).given.Add(c.deadline)
}

// expire gives up messages whose deadline has passed. What is under way may still arrive.
//
// spec: MSG-11
func (c *sendChannel) expire(now Time) {
	for c.deadline > 0 && c.expireAt < c.queue.tail {
		position := c.expireAt
		m := c.queue.at(position)
		if now.Before(m.given.Add(c.deadline)) {
			return
		}
		c.expireAt++
		if m.settled {
			continue
		}
		m.late = true
		end := m.start + uint64(m.places())
		i := c.lost.search(m.start)
		waits := i < len(c.lost) && c.lost[i].Start < end
		if m.sent < m.places() || waits {
			c.settle(position, Expired)
		}
	}
}

// appendSkips appends the SKIP frames that wait, and says whether all fitted.
func (m *messagesState) appendSkips(w *frameWriter) bool {
	if m.skips == 0 {
		return true
	}
	for _, c := range m.outOrder {
		if !c.skip.queued() {
			continue
		}
		if c.announced != sentAcked { // spec: MSG-4
			if !w.add(c.announcement().Append(w.b), fact{kind: factChannel, a: uint64(c.number)}) {
				return false
			}
		}
		f := wire.Skip{Channel: uint64(c.number), Next: c.skip.value, Used: c.skipUsed}
		if !w.add(f.Append(w.b), fact{kind: factSkip, a: uint64(c.number), b: c.skip.value}) {
			return false
		}
		c.skip.sent()
	}
	m.skips = 0
	return true
}

// drop forgets everything, since the session has ended.
func (c *sendChannel) drop() {
	c.messages.streams.sched.remove(&c.lane)
	for ; c.queue.len() > 0; c.pop() {
		if m := c.queue.front(); !m.settled {
			c.note(m.tag, Lost)
		}
	}
	c.data.truncate(c.data.start)
	c.acked, c.lost = nil, nil
	c.sendAt, c.expireAt, c.lastAt = c.queue.head, c.queue.head, c.queue.head
	c.full, c.flight = false, 0
}
