package protocol

import (
	"time"

	"github.com/godwit-net/godwit/protocol/wire"
)

// sendChannel is the sending half of a channel: its messages in the order in which they were given, from the
// oldest that is not settled on.
//
// Each message lies in the channel's pipe behind one byte that stands for the message itself, so that empty
// messages have a place too. All ranges are of these places, and bookkeeping is that of a stream.
type sendChannel struct {
	lane
	messages *messagesState
	number   uint16
	mode     wire.Mode
	goal     Goal
	deadline time.Duration
	playout  time.Duration
	plan     repairPlan
	cap      int // of the overhead of repair, in percent; 0: the session's
	books    repairBooks

	queue    queue[outMessage]
	data     pipe
	acked    rangeset // places that have arrived, of messages that have not arrived in full
	lost     rangeset // places to send again
	sendAt   uint64   // position of the first message that was not sent in full
	expireAt uint64   // position of the first message whose deadline has not been looked at
	lastAt   uint64   // position of the first message whose last chance has not been looked at

	next  uint64 // number of the next message that is sent for the first time
	known uint64 // the receiver knows of all numbers below, as far as is certain
	floor uint64 // the receiver has no more memory of numbers below, as far as is certain
	used  uint64 // what the settled messages have used of the session's limit

	announced   sentState // CHANNEL
	announcedIn uint64    // the packet that it is in, as streamsState counts them
	skip        sentVal   // SKIP
	skipUsed    uint64    // what the messages below it have used
	stats       SentMessages
	firstBytes  uint64 // of messages, sent for the first time
	fates       recentFates
	queueTime   Histogram // of messages that were sent in full
	peer        *peerView // what the receiver said last; nil: nothing yet
	full        bool      // a message was refused; the application waits for EventMessagesWritable

	flight    uint64 // bytes of messages that were sent in full and are not settled, with headers
	light     bool   // they fit a packet: the channel has a low rate
	carriedAt Time   // when copies went along last
}

// outMessage is a message on its way out.
type outMessage struct {
	start   uint64 // its place in the pipe
	number  uint64 // once sent > 0
	given   Time   // when the application gave it
	tag     uint64
	sentAt  Time   // when it left in one piece, first or since it was lost
	size    uint32 // bytes
	sent    uint32 // places that were sent for the first time
	sentIn  uint32 // the low bits of the packet that it is in last, as streamsState counts them
	copies  uint16 // frames with all of it whose packets are under way
	carried uint8  // copies that went along with other packets since sentAt
	twice   bool   // an extra copy is wanted
	late    bool   // its deadline has passed: nothing of it leaves any more
	settled bool   // its fate is decided
	expired bool   // and this is why
	counted bool   // in messagesState.unsettled

	repeated bool // it is in the packet under construction again
	doubling bool // and that is a copy, not since it was lost
}

// places is how many places of the pipe the message takes.
func (m *outMessage) places() uint32 { return m.size + 1 }

func (m *outMessage) charge() uint64 { return uint64(m.size) + messageCharge }

// send takes a message for sending. p is copied.
func (m *messagesState) send(now Time, p []byte, o *MessageOptions) error {
	if o.Mode > wire.ReliableOrdered || o.Goal > Economy || o.Deadline < 0 || o.Deadline > maxDeadline || o.Playout < 0 || o.Playout > maxDeadline {
		return ErrMessageOptions
	}
	if uint64(len(p)) > m.remote.MaxMessageSize { // spec: MSG-3
		return ErrMessageSize
	}
	c, err := m.channelFor(o)
	if err != nil {
		return err
	}
	if !c.hasRoom(len(p)) {
		c.full = true
		return ErrMessageQueueFull
	}
	if book := c.data.book; book.full() { // spec: SESS-29
		c.full = true
		book.wait(now)
		return ErrMessageQueueFull
	}
	c.setPriority(o.Priority)
	c.goal, c.cap = o.Goal, o.OverheadCap
	c.push(now, p, o)
	c.stats.Sent++
	c.stats.SentBytes += uint64(len(p))
	return nil
}

// channelFor returns the channel of a message, which the first one opens.
func (m *messagesState) channelFor(o *MessageOptions) (*sendChannel, error) {
	deadline, playout := wholeMillis(o.Deadline), wholeMillis(o.Playout)
	if c := m.out[o.Channel]; c != nil {
		if c.mode != o.Mode || c.deadline != deadline || c.playout != playout {
			return nil, ErrChannelMode
		}
		return c, nil
	}
	if uint64(len(m.out)) >= m.remote.MaxChannels { // spec: MSG-1
		return nil, ErrChannelLimit
	}
	if m.out == nil {
		m.out = make(map[uint16]*sendChannel)
	}
	c := &sendChannel{messages: m, number: o.Channel, mode: o.Mode, deadline: deadline, playout: playout}
	c.lane = lane{owner: c, weight: defaultWeight}
	c.data.book = &m.streams.book
	c.data.book.add(channelMemory)
	m.out[o.Channel] = c
	m.outOrder = append(m.outOrder, c)
	return c, nil
}

// wholeMillis rounds up to what the wire can say.
func wholeMillis(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}

// stamped reports whether messages carry the time at which they were given.
func (c *sendChannel) stamped() bool { return c.deadline > 0 || c.playout > 0 }

func (c *sendChannel) setPriority(p uint8) {
	if p == 0 {
		p = defaultMessagePriority
	}
	if p != c.priority {
		c.messages.streams.sched.remove(&c.lane)
		c.priority = p
	}
}

// held returns what the messages that wait count, in bytes.
func (c *sendChannel) held() uint64 { return c.data.len() + messageCharge*uint64(c.queue.len()) }

func (c *sendChannel) limit() uint64 { return max(minQueueBytes, c.messages.streams.sendBuffer) }

// hasRoom reports whether a message of size bytes may join those that wait.
//
// spec: MSG-16
func (c *sendChannel) hasRoom(size int) bool {
	return c.queue.len() == 0 || c.queue.len() < maxQueued && c.held()+uint64(size)+messageCharge <= c.limit()
}

var noByte [1]byte

func (c *sendChannel) push(now Time, p []byte, o *MessageOptions) {
	msg := outMessage{
		start: c.data.end, size: uint32(len(p)), tag: o.Tag,
		given: now, counted: true, twice: o.Twice,
	}
	c.data.write(c.data.end, noByte[:])
	c.data.write(c.data.end, p)
	c.queue.push(msg)
	c.data.book.add(outMessageMemory)
	c.messages.unsettled++
	c.reschedule()
}

// stampOf is a time as it travels: its low 16 bits in ms.
func stampOf(t Time) uint16 { return uint16(int64(t) / int64(time.Millisecond)) }

// reschedule puts the channel in the queue that its state asks for.
func (c *sendChannel) reschedule() {
	q := c.wants()
	if q == queueFresh {
		c.need = uint32(c.queue.at(c.sendAt).charge())
	}
	c.messages.streams.sched.put(&c.lane, q)
}

// wants returns the queue that the channel belongs in. A message that has begun has its credit.
func (c *sendChannel) wants() sendQueue {
	switch {
	case len(c.lost) > 0:
		return queueLost
	case c.sendAt == c.queue.tail:
		return queueNone
	case !reliable(c.mode) && (c.queue.at(c.sendAt).sent > 0 || c.next < c.known+wideHalf):
		return queueLoose
	case c.queue.at(c.sendAt).sent > 0:
		return queueLost
	case reliable(c.mode) && c.next-c.floor < maxSpan: // spec: MSG-8
		return queueFresh
	}
	return queueNone
}

// nextPart returns what to send next: the oldest lost part, else what was not sent yet of the first message
// that was not sent in full. from and to are places within the message.
func (c *sendChannel) nextPart() (position uint64, from, to uint32) {
	if len(c.lost) > 0 {
		r := c.lost[0]
		position = c.find(r.Start)
		m := c.queue.at(position)
		return position, uint32(r.Start - m.start), uint32(min(r.End-m.start, uint64(m.places())))
	}
	m := c.queue.at(c.sendAt)
	return c.sendAt, m.sent, m.places()
}

// find returns the position of the message that a place belongs to.
func (c *sendChannel) find(place uint64) uint64 {
	lo, hi := c.queue.head, c.queue.tail-1
	for lo < hi {
		mid := lo + (hi-lo+1)/2
		if c.queue.at(mid).start <= place {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}

// messagePart is what a frame is to have of a message: places of the one at a position. A copy goes as a whole or
// not at all.
type messagePart struct {
	position uint64
	from, to uint32
	copied   bool
}

// appendFrame appends the next message, or a part of it, in at most space bytes. A message that fits a packet
// of its own is not divided: it waits for the next packet.
//
// spec: MSG-5
func (c *sendChannel) appendFrame(b []byte, space int, facts *[]fact) ([]byte, int) {
	position, from, to := c.nextPart()
	return c.appendPart(b, space, facts, messagePart{position: position, from: from, to: to})
}

func (c *sendChannel) appendPart(b []byte, space int, facts *[]fact, part messagePart) ([]byte, int) {
	t := c.messages.streams
	position, from, to := part.position, part.from, part.to
	m := c.queue.at(position)
	number := m.number
	if m.sent == 0 {
		number = c.next
	}
	wide, _ := numberWidth(number, c.known, c.next)
	f := wire.Message{
		Channel: uint64(c.number), Wide: wide, Number: uint16(number), ToEnd: true,
		HasStamp: c.stamped(), Stamp: stampOf(m.given), Offset: uint64(max(from, 1) - 1), Total: uint64(m.size),
	}
	before, prefix := len(b), 0
	announce := c.announced != sentAcked && c.announcedIn != t.packets
	if announce {
		b = c.announcement().Append(b)
		prefix = len(b) - before
	}
	n := int(to) - 1 - int(f.Offset)
	whole := from == 0 && to == m.places()
	header := f.HeaderSize()
	if whole && prefix+header+n > space {
		if part.copied || maxChannelFrame+header+n <= t.wholeRoom {
			return b[:before], 0
		}
		whole = false
	}
	if !whole {
		f.Fragment = true
		header = f.HeaderSize()
		room := space - prefix - header
		if room < min(n, minFragment) || room < 1 {
			return b[:before], 0
		}
		n = min(n, room)
	}
	f.ToEnd = prefix+header+wire.SizeVarint(uint64(n))+n > space
	if f.ToEnd && part.copied {
		return b[:before], 0 // others follow
	}
	if f.ToEnd { // its length does not fit: it ends with the packet
		for range space - prefix - header - n {
			b = append(b, byte(wire.FramePadding))
		}
	}
	start := len(b)
	b = f.AppendHeader(b, n)
	if n > 0 {
		b = c.data.appendTo(b, m.start+1+f.Offset, n)
	}
	if !f.ToEnd {
		t.tail = tailFrame{start: start, length: len(b) - n - wire.SizeVarint(uint64(n)), end: len(b), size: wire.SizeVarint(uint64(n))}
	}
	if announce {
		c.announced.sent()
		c.announcedIn = t.packets
		*facts = append(*facts, fact{kind: factChannel, a: uint64(c.number)})
	}
	if from = uint32(f.Offset); from > 0 {
		from++
	}
	to = uint32(f.Offset) + uint32(n) + 1
	if to == m.places() && reliable(c.mode) && c.priority >= latencyPriority {
		t.urgent = true // the receiver acknowledges it at once; spec: MSG-18
	}
	*facts = append(*facts, c.fact(position, from, to))
	if part.copied {
		c.noteCopied(m)
		return b, len(b) - before
	}
	if c.repairs() {
		t.repairing.note(len(b)-before, to <= m.sent)
		c.books.sending.note(len(b)-before, to <= m.sent)
	}
	c.noteSent(position, from, to)
	return b, len(b) - before
}

// nextWhole returns how many bytes of frames the next message takes if it goes in one piece, else 0.
func (c *sendChannel) nextWhole() int {
	position, from, to := c.nextPart()
	m := c.queue.at(position)
	f := wire.Message{Channel: uint64(c.number), Wide: true, HasStamp: c.stamped()}
	n := maxChannelFrame + f.HeaderSize() + int(m.size)
	if from > 0 || to < m.places() || n > c.messages.streams.wholeRoom {
		return 0
	}
	return n
}

// maxChannelFrame is the size of the largest CHANNEL frame: type, channel, mode, priority, two times.
const maxChannelFrame = 1 + 4 + 1 + 1 + 4 + 4

func (c *sendChannel) announcement() wire.Channel {
	return wire.Channel{
		Channel: uint64(c.number), Mode: c.mode, Priority: c.priority,
		DeadlineMillis: uint64(c.deadline / time.Millisecond),
		PlayoutMillis:  uint64(c.playout / time.Millisecond),
	}
}

// fact names a part of a message: its channel and position, and the places within it.
func (c *sendChannel) fact(position uint64, from, to uint32) fact {
	return fact{kind: factMessage, a: position<<16 | uint64(c.number), b: uint64(from)<<32 | uint64(to)}
}

func (c *sendChannel) noteSent(position uint64, from, to uint32) {
	m := c.queue.at(position)
	bytes := uint64(to - max(from, 1))
	now := c.messages.streams.now
	if from == 0 && to == m.places() {
		m.copies, m.carried, m.sentAt = m.copies+1, 0, now
		m.sentIn = uint32(c.messages.streams.packets)
	}
	if to <= m.sent { // again
		m.repeated = true
		c.stats.Retransmitted++
		c.stats.RepeatedBytes += bytes
		c.messages.carry.owe()
		c.lost.sub(m.start+uint64(from), m.start+uint64(to))
		c.reschedule()
		return
	}
	if m.sent == 0 {
		m.number = c.next
		c.next++
		if reliable(c.mode) {
			c.messages.streams.sent += m.charge() // spec: MSG-12
		} else if c.next-c.known >= resyncAhead && c.skip.value+resyncAhead < c.next {
			c.setSkip(c.next)
		}
	}
	c.lost.sub(m.start+uint64(from), m.start+uint64(to))
	m.sent = to
	c.firstBytes += bytes
	if to == m.places() {
		c.queueTime.add(c.messages.streams.now.Sub(m.given))
		c.sendAt = position + 1
		if !reliable(c.mode) {
			c.uncount(m)
		} else {
			c.enterFlight(m)
		}
		if from == 0 {
			c.messages.carry.sentOnce(now, c, position)
		}
	}
	c.reschedule()
}

func (c *sendChannel) setSkip(next uint64) {
	c.skip.set(next)
	c.skipUsed = c.used
	c.messages.skips++
}

func (c *sendChannel) uncount(m *outMessage) {
	if m.counted {
		m.counted = false
		c.messages.unsettled--
	}
}
