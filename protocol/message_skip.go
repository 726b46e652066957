package protocol

import "github.com/godwit-net/godwit/protocol/wire"

// takeUnreliable takes a message, or a part of one, of a mode that sends nothing again.
func (c *recvChannel) takeUnreliable(number uint64, f *wire.Message, a *arrival) {
	m := c.messages
	c.slide(number)
	switch {
	case number < c.base || *c.use(number)&settledUse != 0:
		c.stats.Duplicate++
		return
	case c.mode == wire.Sequenced && number < c.order: // spec: MSG-17
		*c.use(number) = settledUse
		c.stats.Stale++
		return
	}
	if number > c.numbers.expected {
		c.fates.addMissing(number - c.numbers.expected)
	} else if number < c.numbers.expected {
		c.fates.takeBack()
	}
	c.numbers.seen(number+1, a.place)
	whole := !f.Fragment || uint64(len(f.Data)) == f.Total
	if whole {
		c.forgetHeld(number)
		c.settleUnreliable(number)
		c.came(f.HasStamp, a)
		if m.bound(c, len(f.Data)+messageCharge) {
			c.deliver(number, f, a)
		}
		return
	}
	c.takePart(number, f, a)
}

// takePart keeps a part of an unreliable message until the others have come, or newer messages have.
func (c *recvChannel) takePart(number uint64, f *wire.Message, a *arrival) {
	m := c.messages
	u := c.use(number)
	charge := uint32(f.Total) + messageCharge
	if *u == 0 {
		if c.held.n == maxOpenParts {
			c.stats.Overflowed++
			oldest := c.held.first(c.base)
			if number < oldest.number {
				return
			}
			c.giveUp(oldest.number)
		}
		if number < c.base || !m.bound(c, int(charge)) {
			return
		}
		*c.use(number) = charge
		m.partial += int(charge)
	} else if *u != charge {
		return // its size changed: nothing can be made of it
	}
	h := c.hold(number, f, a)
	if h.add(m, f) != nil {
		c.giveUp(number)
		return
	}
	if !h.done {
		return
	}
	c.came(f.HasStamp, a)
	c.give(c.takeOut(number))
	c.settleUnreliable(number)
}

// giveUp drops a held message of a channel without retransmission.
func (c *recvChannel) giveUp(number uint64) {
	*c.use(number) = settledUse
	c.release(number)
}

// settleUnreliable notes that a number is decided. What is older than it in a sequenced channel is too, unless
// it has time until its play-out.
func (c *recvChannel) settleUnreliable(number uint64) {
	if number >= c.base {
		*c.use(number) = settledUse
	}
	if c.mode == wire.Sequenced && c.playout == 0 {
		c.newest(number)
	}
}

// newest notes that the application of a sequenced channel gets a number, and forgets what is older. It
// reports whether that is the newest so far.
func (c *recvChannel) newest(number uint64) bool {
	if number < c.order {
		return false
	}
	c.order = number + 1
	for h := c.held.first(c.base); h != nil && h.number < c.order; h = c.held.first(c.base) {
		c.stats.Stale++
		c.giveUp(h.number)
	}
	return true
}

// slide moves the base so that number lies less than maxSpan ahead of it: what is older is not told from
// duplicates any more.
func (c *recvChannel) slide(number uint64) {
	if number < c.base+maxSpan {
		return
	}
	base := number - maxSpan + 1
	for h := c.held.first(c.base); h != nil && h.number < base; h = c.held.first(c.base) {
		c.stats.Overflowed++
		c.release(h.number)
	}
	if base-c.base >= uint64(len(c.uses)) {
		clear(c.uses)
	} else {
		for ; c.base < base; c.base++ {
			*c.use(c.base) = 0
		}
	}
	c.base = base
}

// dropOldest drops a message that waits for its time, or of which only parts have come, to make room.
func (m *messagesState) dropOldest() {
	if p := &m.playing[unreliableLane]; len(p.items) > 0 {
		h := p.pop()
		h.channel.stats.Overflowed++
		m.partial -= h.total + messageCharge
		m.recycle(h)
		return
	}
	for _, c := range m.inOrder {
		if !reliable(c.mode) && c.held.n > 0 {
			c.stats.Overflowed++
			c.giveUp(c.held.first(c.base).number)
			return
		}
	}
	panic("BUG: parts are counted that nobody holds")
}

// handleSkip takes a SKIP frame: the messages below next that have not come do not come any more.
//
// spec: MSG-10
func (m *messagesState) handleSkip(f wire.Skip, a *arrival) error {
	c := m.in[uint16(f.Channel)]
	if m.ended {
		return nil
	}
	if c == nil {
		return transportErrorf(wire.ProtocolViolation, wire.FrameSkip, "channel %d was not announced", f.Channel)
	}
	if !reliable(c.mode) {
		if f.Next > c.numbers.expected+wideHalf {
			return transportErrorf(wire.ProtocolViolation, wire.FrameSkip, "channel %d: skips to %d", f.Channel, f.Next)
		}
		c.numbers.seen(f.Next, a.place)
		return nil
	}
	if f.Next <= c.base {
		return nil // an old one
	}
	if f.Next-c.base > maxSpan {
		return transportErrorf(wire.ProtocolViolation, wire.FrameSkip, "channel %d: skips %d messages", f.Channel, f.Next-c.base)
	}
	return c.skipTo(f, a)
}

// skipTo settles the numbers below f.Next, and the books of the session with them: of what the peer has used
// for them, what has not come is charged and given back now.
func (c *recvChannel) skipTo(f wire.Skip, a *arrival) error {
	m := c.messages
	came := uint64(0)
	for n := c.base; n < f.Next; n++ {
		came += uint64(*c.use(n) &^ settledUse)
	}
	if f.Used < c.used || f.Used-c.used < came {
		return transportErrorf(wire.ProtocolViolation, wire.FrameSkip, "channel %d: its messages used more", c.number)
	}
	missing := f.Used - c.used - came
	if err := m.charge(missing); err != nil {
		return err
	}
	m.streams.consumed(missing)
	c.numbers.seen(f.Next, a.place)
	c.passTo(f.Next)
	for ; c.base < f.Next; c.base++ {
		*c.use(c.base) = 0
	}
	c.used = f.Used
	if u := c.use(c.base); *u&settledUse != 0 {
		c.settle(u)
	}
	c.deliverHeld()
	return nil
}

// passTo lets the order go on at next: held messages before it that are complete are given to the application,
// the others are dropped.
func (c *recvChannel) passTo(next uint64) {
	m := c.messages
	for h := c.held.first(c.base); h != nil && h.number < next; h = c.held.first(c.base) {
		u := c.use(h.number)
		*u |= settledUse
		if h.done {
			c.give(c.takeOut(h.number))
		} else {
			m.streams.consumed(uint64(*u &^ settledUse))
			c.release(h.number)
		}
	}
	from := c.base
	if c.mode == wire.ReliableOrdered {
		from = max(from, c.order)
		c.order = max(c.order, next)
	}
	for n := from; n < next; n++ {
		if *c.use(n)&settledUse == 0 {
			c.stats.Skipped++
			c.fates.add(true)
		}
	}
}

// nextSkip is when the order goes on without what has not come; 0: nothing waits, or it waits without a limit.
func (c *recvChannel) nextSkip() Time {
	if c.mode != wire.ReliableOrdered || c.deadline == 0 {
		return 0
	}
	if h := c.held.firstDone(c.base); h != nil {
		return h.due
	}
	return 0
}

// skipLate lets the order go on when a message that waits for others reaches its own deadline: those are
// older and have passed theirs.
//
// spec: MSG-10
func (c *recvChannel) skipLate(now Time) {
	for {
		at := c.nextSkip()
		if at == 0 || now.Before(at) {
			return
		}
		c.passTo(c.held.firstDone(c.base).number + 1)
		if u := c.use(c.base); *u&settledUse != 0 {
			c.settle(u)
		}
		c.deliverHeld()
	}
}

// drop forgets what is not complete, since the session has ended.
func (c *recvChannel) drop() {
	for h := c.held.first(c.base); h != nil; h = c.held.first(c.base) {
		c.release(h.number)
	}
	c.uses = nil
}
