package protocol

import "time"

// capWindow is the time over which unused allowance can be saved: bursts of loss are seconds apart.
const capWindow = time.Second

// lentBytes is how much repair takes for sent at least: at the default cap 2.4 kB can be spent before any of it is
// earned, which is what a few losses among the first messages of a voice take.
const lentBytes = 8192

// repairBooks say what the repair of a channel has cost, and may cost.
type repairBooks struct {
	balance float64       // bytes that repair may cost now
	earned  [2]uint64     // bytes sent for the first time in this capWindow, and in the one before
	packets [2]int        // that had such bytes
	since   Time          // start of it
	span    time.Duration // what of the two windows is over

	owed    float64   // symbols to send, of repairSender.owed
	sending sentBytes // in the packet under construction
}

// overheadCap is what the repair of a channel may add to what is sent for the first time, as a share: what both ends
// allow, and the channel.
//
// spec: FEC-36
func (s *Session) overheadCap(c *sendChannel) float64 {
	limit := int(min(s.local.OverheadCap, s.remote.OverheadCap))
	if c.cap != 0 {
		limit = max(0, min(limit, c.cap))
	}
	return float64(limit) / 100
}

// sentBytes is what a packet has of messages with a deadline, in bytes of frames.
type sentBytes struct{ first, again int }

func (n *sentBytes) note(bytes int, again bool) {
	if again {
		n.again += bytes
	} else {
		n.first += bytes
	}
}

// accountMessages keeps the books of a packet with messages that have a deadline: what repeats some, and the frame
// SOURCE, are extra; a packet that only repeats is so as a whole. Channels that share a packet share what it has beside
// their messages.
//
// spec: FEC-36
func (s *Session) accountMessages(now Time, b *packetBuilder, size int) {
	sent := s.streams.repairing
	if sent == (sentBytes{}) {
		return
	}
	source := 0
	if b.covered && sent.first > 0 {
		source = sourceSize
	}
	again := sent.again + source
	if sent.first == 0 {
		again = size
	}
	r := s.repairing()
	r.stats.FirstBytes += uint64(size - again)
	r.stats.ExtraBytes += uint64(again)
	for i := range b.pkt.facts {
		f := &b.pkt.facts[i]
		if f.kind != factMessage {
			continue
		}
		c := s.messages.out[uint16(f.a)]
		n := c.books.sending
		c.books.sending = sentBytes{}
		switch {
		case n.first > 0:
			c.books.earn(now, (size-again)*n.first/sent.first, s.overheadCap(c))
			c.books.spend(float64(n.again + source*n.first/sent.first))
		case sent.first > 0:
			c.books.spend(float64(n.again))
		default:
			c.books.spend(float64(size * n.again / sent.again))
		}
	}
	if sent.again == 0 {
		return
	}
	for i := range b.pkt.facts {
		if f := &b.pkt.facts[i]; f.kind == factMessage && s.messages.repeated(f) {
			s.doubleLast(now, b.path, f)
		}
	}
}

// repeated reports whether a fact of the packet that just left was sent again since it was lost.
func (m *messagesState) repeated(f *fact) bool {
	c := m.out[uint16(f.a)]
	if !c.repairs() || f.a>>16 < c.queue.head {
		return false
	}
	msg := c.queue.at(f.a >> 16)
	repeated := msg.repeated && !msg.doubling
	msg.repeated, msg.doubling = false, false
	return repeated
}

// earn credits what was sent for the first time.
func (o *repairBooks) earn(now Time, bytes int, limit float64) {
	switch since := now.Sub(o.since); {
	case o.since.IsZero() || since >= 2*capWindow:
		o.earned, o.packets, o.since, o.span = [2]uint64{}, [2]int{}, now, 0
		o.balance = max(o.balance, limit*lentBytes)
	case since >= capWindow:
		o.earned, o.packets, o.since = [2]uint64{0, o.earned[0]}, [2]int{0, o.packets[0]}, o.since.Add(capWindow)
	}
	o.earned[0] += uint64(bytes)
	o.packets[0]++
	o.span = now.Sub(o.since)
	if o.packets[1] > 0 {
		o.span += capWindow
	}
	o.balance = min(o.balance+limit*float64(bytes), limit*max(lentBytes, float64(o.earned[0]+o.earned[1])))
}

// spend debits what repair has cost, in bytes. Retransmissions go in any case, and what they leave is a debt of at most
// what can be saved.
func (o *repairBooks) spend(bytes float64) {
	o.balance = max(o.balance-bytes, -float64(o.earned[0]+o.earned[1]))
}

// canPay reports whether the channels that owe symbols can pay for one, each its share. Those that cannot owe nothing
// any more.
//
// spec: FEC-36
func (s *Session) canPay(size int) bool {
	r := s.repair.send
	for again := true; again && r.owed > 0; {
		again = false
		left := 0.0
		for _, c := range s.messages.outOrder {
			o := &c.books
			if o.owed > 0 && o.balance < float64(size)*o.owed/r.owed {
				o.owed, again = 0, true
			}
			left += o.owed
		}
		r.owed = left
	}
	if r.owed < 1 {
		r.demanded = 0
	}
	return r.owed >= 1
}

// pay has the channels that owe symbols pay for one that has just left.
func (s *Session) pay(size int) {
	s.repair.stats.ExtraBytes += uint64(size)
	r := s.repair.send
	for _, c := range s.messages.outOrder {
		if share := c.books.owed / r.owed; share > 0 {
			c.books.spend(float64(size) * share)
			c.books.owed -= share
		}
	}
	r.owed--
}

// oweNothing forgets the symbols that are owed, since there is nothing that they could cover.
func (s *Session) oweNothing() {
	for _, c := range s.messages.outOrder {
		c.books.owed = 0
	}
	s.repair.send.owed, s.repair.send.demanded = 0, 0
}
