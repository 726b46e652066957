package protocol

import (
	"slices"
	"time"

	"github.com/godwit-net/godwit/protocol/wire"
)

// recvChannel is the receiving half of a channel.
type recvChannel struct {
	messages *messagesState
	number   uint16
	mode     wire.Mode
	priority uint8
	deadline time.Duration
	playout  time.Duration

	numbers numbers
	base    uint64   // the fate of every message below is decided
	order   uint64   // ordered, sequenced: the number that the application gets next at the earliest
	used    uint64   // what the messages below base have used of the session's limit
	uses    []uint32 // by number modulo the length, a power of two: what came from base on
	held    heldRing
	stats   ReceivedMessages
	times   *receiveTimes // nil until a message has a time
	reports reporting
	fates   recentFates
	played  Time // ordered, with play-out: when the last one that waits or waited is due
}

// What uses says of a number: 0 when nothing came, else what the message uses of the session's limit, and
// whether all of it came or it is not wanted any more.
const settledUse = 1 << 31

// minUses is the smallest table of numbers: two handfuls of messages under way.
const minUses = 16

// heldMessage is a message that is not complete, or whose turn has not come.
type heldMessage struct {
	number  uint64
	total   int
	source  time.Duration // when it was sent by the peer's clock, if stamped
	stamped bool
	due     Time     // when the order goes on without those before it; 0: never
	whole   []byte   // all of it, if it came in one piece, or is small
	parts   pipe     // what came of it, if it did not
	got     rangeset // in parts; empty if whole has it
	done    bool

	// While it waits for its time:
	channel *recvChannel
	play    Time
	order   uint64
}

const (
	// maxMessageGaps bounds the gaps in one message. The largest has fewer parts on any path.
	maxMessageGaps = 1000
	// maxOpenParts is how many unreliable messages of a channel may be incomplete at a time: when parts of
	// more of them have come, the oldest have lost some.
	maxOpenParts = 16
	// keptHeld is how many records of held messages are kept for use again, keptWhole the largest room
	// for a message that is kept with one, in bytes: what a packet carries on common paths.
	keptHeld  = 32
	keptWhole = 2048
)

// handleChannel takes a CHANNEL frame. One that says something else about a channel that is there is ignored:
// the first one counts.
func (m *messagesState) handleChannel(f wire.Channel) error {
	number := uint16(f.Channel)
	if m.in[number] != nil || m.ended {
		return nil
	}
	if uint64(len(m.in)) >= m.local.MaxChannels { // spec: MSG-2
		return transportErrorf(wire.ProtocolViolation, wire.FrameChannel, "channel %d: only %d are allowed", number, m.local.MaxChannels)
	}
	if m.in == nil {
		m.in = make(map[uint16]*recvChannel)
	}
	c := &recvChannel{
		messages: m, number: number, mode: f.Mode, priority: f.Priority,
		deadline: time.Duration(f.DeadlineMillis) * time.Millisecond,
		playout:  time.Duration(f.PlayoutMillis) * time.Millisecond,
		reports:  reporting{at: m.streams.now},
	}
	m.in[number] = c
	m.streams.book.add(channelMemory)
	m.inOrder = append(m.inOrder, c)
	return nil
}

// arrival is what the frame of a message is told about its packet, and tells.
type arrival struct {
	now    Time
	place  packetPlace
	source time.Duration // what the message's stamp means by the peer's clock
	old    bool          // out: the packet is too old to say which message is meant, and must not be acknowledged
	urgent bool          // out: it should be acknowledged at once
	plain  bool          // out: it is to be acknowledged as all else
}

// handleMessage takes a MESSAGE frame. Its data is copied.
func (m *messagesState) handleMessage(f *wire.Message, a *arrival) error {
	c := m.in[uint16(f.Channel)]
	if m.ended {
		return nil
	}
	if c == nil { // spec: MSG-4
		return transportErrorf(wire.ProtocolViolation, wire.FrameMessage, "channel %d was not announced", f.Channel)
	}
	number, ok := c.numbers.restore(f, a.place)
	if !ok {
		a.old = true
		c.stats.Late++
		return nil
	}
	if !f.Fragment {
		f.Offset, f.Total = 0, uint64(len(f.Data))
	}
	if f.Total > m.local.MaxMessageSize { // spec: MSG-3
		return transportErrorf(wire.ProtocolViolation, wire.FrameMessage, "channel %d: a message of %d bytes", f.Channel, f.Total)
	}
	if f.HasStamp {
		a.source = m.stamped(a, f.Stamp)
	}
	if reliable(c.mode) && c.priority >= latencyPriority && f.Offset+uint64(len(f.Data)) == f.Total {
		a.urgent = true // spec: MSG-18
	}
	a.plain = reliable(c.mode) && !a.urgent
	if reliable(c.mode) {
		return c.takeReliable(number, f, a)
	}
	c.takeUnreliable(number, f, a)
	return nil
}

// use returns the entry of a number from base to base+maxSpan-1.
func (c *recvChannel) use(number uint64) *uint32 {
	if need := number - c.base + 1; need > uint64(len(c.uses)) {
		size := max(minUses, uint64(len(c.uses)))
		for size < need {
			size *= 2
		}
		uses := make([]uint32, size)
		for i, n := c.base, c.base+uint64(len(c.uses)); i < n; i++ {
			uses[i&(size-1)] = c.uses[i&uint64(len(c.uses)-1)]
		}
		c.messages.streams.book.add(4 * (len(uses) - len(c.uses)))
		c.uses = uses
	}
	return &c.uses[number&uint64(len(c.uses)-1)]
}

// takeReliable takes a part of a message, or a whole one, in a mode that acknowledges for good.
func (c *recvChannel) takeReliable(number uint64, f *wire.Message, a *arrival) error {
	m := c.messages
	if number < c.base {
		c.stats.Duplicate++
		return nil
	}
	if number-c.base >= maxSpan { // spec: MSG-8
		return transportErrorf(wire.ProtocolViolation, wire.FrameMessage, "channel %d: message %d is too far ahead of %d", c.number, number, c.base)
	}
	if m.streams.book.full() && !c.fits(number, f) {
		return nil
	}
	u := c.use(number)
	charge := uint32(f.Total) + messageCharge
	if *u&settledUse != 0 {
		c.stats.Duplicate++
		return nil
	}
	if *u == 0 { // spec: MSG-13
		if err := m.charge(uint64(charge)); err != nil {
			return err
		}
		*u = charge
		c.numbers.seen(number+1, a.place)
	} else if *u != charge { // spec: MSG-5
		return transportErrorf(wire.ProtocolViolation, wire.FrameMessage, "channel %d: the size of message %d changed", c.number, number)
	}
	if c.mode == wire.ReliableOrdered && number < c.order {
		c.stats.Late++
		c.timed(f.HasStamp, a)
		m.streams.consumed(uint64(charge))
		c.settle(u)
		return nil
	}
	whole := !f.Fragment || uint64(len(f.Data)) == f.Total
	if whole && (c.mode == wire.ReliableUnordered || number == c.order) {
		c.forgetHeld(number)
		c.came(f.HasStamp, a)
		c.deliver(number, f, a)
		c.settle(u)
		if c.mode == wire.ReliableOrdered {
			c.order = number + 1
		}
		c.deliverHeld()
		return nil
	}
	h := c.hold(number, f, a)
	if h.done {
		c.stats.Duplicate++
		return nil
	}
	if err := h.add(m, f); err != nil {
		return err
	}
	if !h.done {
		return nil
	}
	c.held.completed(number)
	c.came(f.HasStamp, a)
	if c.mode == wire.ReliableUnordered {
		c.give(c.takeOut(number))
		c.settle(u)
		return nil
	}
	c.deliverHeld()
	return nil
}

// fits reports whether a part of a message is taken although the session holds all that it may: one that came before,
// or one that the application waits for.
func (c *recvChannel) fits(number uint64, f *wire.Message) bool {
	if number-c.base < uint64(len(c.uses)) && *c.use(number)&settledUse != 0 {
		return true
	}
	fills := c.messages.inbox.next() == nil && (number == c.order || c.held.at(number) != nil)
	return c.messages.streams.book.takes(len(f.Data), fills)
}

// settle marks a number as decided, and moves the base.
func (c *recvChannel) settle(u *uint32) {
	*u |= settledUse
	for {
		u := c.use(c.base)
		if *u&settledUse == 0 {
			return
		}
		c.used += uint64(*u &^ settledUse)
		*u = 0
		c.base++
	}
}

// charge takes n bytes from what the session's limit allows the peer.
func (m *messagesState) charge(n uint64) error {
	t := m.streams
	if n > t.window.limit-t.received {
		return transportErrorf(wire.FlowControl, wire.FrameMessage, "beyond the session's limit of %d", t.window.limit)
	}
	t.received += n
	t.window.started(t.now)
	return nil
}

// deliver hands over a message that came in one piece.
func (c *recvChannel) deliver(number uint64, f *wire.Message, a *arrival) {
	if c.playout > 0 {
		h := c.messages.record(number, f, a)
		c.messages.setWhole(h, append(h.whole[:0], f.Data...))
		c.give(h)
		return
	}
	l := c.messages.inbox.begin(c, len(f.Data))
	l.write(f.Data)
	c.messages.tell()
}

// deliverOne gives the application a message that was held.
func (c *recvChannel) deliverOne(h *heldMessage) {
	l := c.messages.inbox.begin(c, h.total)
	if len(h.got) == 0 || h.small() {
		l.write(h.whole)
	} else {
		l.writeFrom(&h.parts, h.total)
	}
	c.messages.tell()
	c.messages.recycle(h)
}

// deliverHeld hands over what is complete and whose turn has come in an order. spec: MSG-17
func (c *recvChannel) deliverHeld() {
	for {
		number := c.order
		if h := c.held.at(number); h == nil || !h.done {
			return
		}
		c.order++
		c.give(c.takeOut(number))
		c.settle(c.use(number))
	}
}

// hold returns the record of a message of which something came before, or a new one.
func (c *recvChannel) hold(number uint64, f *wire.Message, a *arrival) *heldMessage {
	if h := c.held.at(number); h != nil {
		return h
	}
	h := c.messages.record(number, f, a)
	if c.deadline > 0 && h.stamped {
		h.due = c.messages.clock.at(h.source).Add(max(c.deadline, c.playout))
	}
	before := c.held.memory()
	c.held.put(h, c.base)
	c.messages.streams.book.add(c.held.memory() - before)
	return h
}

// record returns an empty record for a message.
func (m *messagesState) record(number uint64, f *wire.Message, a *arrival) *heldMessage {
	var h *heldMessage
	if n := len(m.free); n > 0 {
		h = m.free[n-1]
		m.free = m.free[:n-1]
	} else {
		h = new(heldMessage)
		m.streams.book.add(heldMessageMemory)
	}
	h.parts.book, h.parts.peer = &m.streams.book, true
	h.number, h.total, h.stamped, h.source = number, int(f.Total), f.HasStamp, a.source
	return h
}

// forgetHeld drops what was held of a message that came whole.
func (c *recvChannel) forgetHeld(number uint64) {
	if c.held.at(number) != nil {
		c.release(number)
	}
}

// release forgets a message that is held.
func (c *recvChannel) release(number uint64) { c.messages.recycle(c.takeOut(number)) }

// takeOut takes a message out of those held.
func (c *recvChannel) takeOut(number uint64) *heldMessage {
	m, before := c.messages, c.held.memory()
	h := c.held.take(number)
	m.streams.book.add(c.held.memory() - before)
	if !reliable(c.mode) {
		m.partial -= h.total + messageCharge
	}
	m.gaps -= len(h.got)
	return h
}

// recycle keeps the record of a message for use again.
func (m *messagesState) recycle(h *heldMessage) {
	h.parts.truncate(h.parts.start)
	h.parts = pipe{}
	whole, got := h.whole[:0], h.got[:0]
	if cap(whole) > keptWhole || len(m.free) == keptHeld {
		m.setWhole(h, nil)
		whole = nil
	}
	if cap(got) > keptRanges {
		got = nil
	}
	*h = heldMessage{whole: whole, got: got}
	if len(m.free) < keptHeld {
		m.free = append(m.free, h)
	} else {
		m.streams.book.add(-heldMessageMemory)
	}
}

// small reports whether the message is no larger than a block of a pipe: then a piece of memory of its own size holds
// its parts, or many messages of which a byte came would each cost a block.
func (h *heldMessage) small() bool { return h.total <= minBlock }

// setWhole gives a message another piece of memory, or what has become of its own.
func (m *messagesState) setWhole(h *heldMessage, whole []byte) {
	m.streams.book.add(cap(whole) - cap(h.whole))
	h.whole = whole
}

// store keeps bytes of a message that comes in parts.
func (h *heldMessage) store(m *messagesState, off uint64, data []byte) {
	if !h.small() {
		h.parts.write(off, data)
		return
	}
	if len(h.whole) < h.total {
		m.setWhole(h, slices.Grow(h.whole[:0], h.total)[:h.total])
	}
	copy(h.whole[off:], data)
}

// add keeps a part. What came before stays as it is.
func (h *heldMessage) add(m *messagesState, f *wire.Message) error {
	data, start := f.Data, f.Offset
	end := start + uint64(len(data))
	if start == 0 && end == f.Total {
		if len(h.got) == 0 {
			m.setWhole(h, append(h.whole[:0], data...))
			h.done = true
			return nil
		}
	}
	for off := start; off < end; {
		i := h.got.search(off)
		gapEnd := end
		if i < len(h.got) {
			if h.got[i].Start <= off {
				off = min(end, h.got[i].End)
				continue
			}
			gapEnd = min(end, h.got[i].Start)
		}
		h.store(m, off, data[off-start:gapEnd-start])
		off = gapEnd
	}
	m.gaps -= len(h.got)
	h.got.add(start, end)
	m.gaps += len(h.got)
	h.done = h.got[0].Start == 0 && h.got[0].End == f.Total
	if len(h.got) > maxMessageGaps || m.gaps > maxGaps && uint64(m.gaps)*gapCharge > m.streams.window.size+m.local.MessageBuffer {
		return transportErrorf(wire.ProtocolViolation, wire.FrameMessage, "message %d: too many gaps", h.number)
	}
	return nil
}
