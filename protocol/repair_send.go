package protocol

import (
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/fec"
	"github.com/godwit-net/godwit/protocol/wire"
)

// beginCovered opens a packet with SOURCE when what comes next is a message with a deadline that the code should
// cover, and leaves room so that a symbol over it fits a packet. The frame goes again with endCovered if no such
// message follows.
//
// spec: FEC-30 FEC-39
func (s *Session) beginCovered(now Time, b *packetBuilder) {
	c := s.streams.nextChannel()
	if c == nil || !c.repairs() {
		return
	}
	if plan := s.planFor(now, b.path, c); plan.ratio == 0 || plan.late && (len(c.lost) > 0 || b.path.loss.rounds(c.nextExpires().Sub(now)) >= 1) {
		return
	}
	limit, n := b.coveredLimit(), c.nextWhole()
	if n > limit-b.body-sourceSize { // spec: FEC-1
		return
	}
	if c.carries() && n > 0 && 2*n <= s.streams.wholeRoom {
		return // it goes along in the next packets
	}
	r := s.repairing()
	if r.send == nil {
		r.send = &repairSender{}
		r.send.encoder.Reset(r.next)
		s.oweNothing() // parts of symbols that the sender before was not asked for
	}
	b.covered = true
	b.limit = min(b.limit, limit)
	b.pkt.sequence = r.send.encoder.Next()
	b.buf = wire.Source{Sequence: b.pkt.sequence}.Append(b.buf)
}

// headSize is the size of what precedes the frames in the content of this packet.
func (b *packetBuilder) headSize() int {
	return wire.SizeVarint(b.path.id) + wire.SizeVarint(b.pkt.pn)
}

// coveredLimit is where the frames of a covered packet must end.
func (b *packetBuilder) coveredLimit() int {
	frames := b.body + sourceSize
	symbol := b.body - b.pnLen + wire.MaxPacketNumberLen + repairHeaderSize + fec.SymbolSize(b.headSize())
	return frames + min(b.limit-symbol, fec.MaxContent-b.headSize())
}

// endCovered takes SOURCE out again if nothing that is worth it followed, and returns by how many bytes the
// packet has become shorter.
func (s *Session) endCovered(b *packetBuilder) int {
	if !b.covered {
		return 0
	}
	for i := range b.pkt.facts {
		if f := &b.pkt.facts[i]; f.kind == factMessage && s.messages.out[uint16(f.a)].repairs() {
			b.pkt.covered = true
			return 0
		}
	}
	b.covered = false
	b.limit -= sourceSize // a frame that fills the packet stays the last
	b.buf = append(b.buf[:b.body], b.buf[b.body+sourceSize:]...)
	s.streams.tail.move(-sourceSize)
	return sourceSize
}

// cover takes the content of a finished packet, before it is sealed.
func (s *Session) cover(now Time, b *packetBuilder) {
	r := s.repair.send
	var head [16]byte
	h := wire.AppendVarint(wire.AppendVarint(head[:0], b.path.id), b.pkt.pn)
	r.encoder.Add(h, b.buf[b.body+sourceSize:])
	c := r.at(b.pkt.sequence)
	if c.waits {
		s.releaseHeld(c)
	}
	*c = coveredPacket{sequence: b.pkt.sequence, path: b.path.id, pn: b.pkt.pn, facts: c.facts[:0]}
	ratio := 0.0
	for i := range b.pkt.facts {
		if f := &b.pkt.facts[i]; f.kind == factMessage {
			m := s.messages.out[uint16(f.a)]
			c.expires = max(c.expires, m.expiryOf(f.a>>16))
			if m.repairs() && (c.payer == nil || m.plan.ratio > ratio) {
				c.payer, ratio = m, m.plan.ratio
			}
		}
	}
	s.repair.stats.Covered++
	r.owe(now, c.payer, ratio)
}

// nextExpires returns when the message that leaves next expires.
func (c *sendChannel) nextExpires() Time {
	position, _, _ := c.nextPart()
	return c.expiryOf(position)
}

// expiryOf returns when the message at a position expires, 0 when it is settled or never does.
func (c *sendChannel) expiryOf(position uint64) Time {
	if position < c.queue.head || c.deadline == 0 {
		return 0
	}
	return c.queue.at(position).given.Add(c.deadline)
}

// appendSymbol writes the next repair symbol, in a packet of its own behind all that waits, when one is due and
// neither the window, the pacer nor the cap keep it.
//
// spec: FEC-31
func (s *Session) appendSymbol(now Time, buf []byte, p *path) ([]byte, Meta, bool) {
	if s.repair == nil || s.repair.send == nil {
		return buf, Meta{}, false
	}
	r := s.repair.send
	r.tried = now // or the timer would ring for ever while the path is not proved
	if due := r.due(); !p.validated || due == 0 || r.demanded == 0 && now.Before(due) || s.streams.hasLatencyData() && !s.repairPresses() {
		return buf, Meta{}, false
	}
	first, count := r.span(now)
	if count == 0 {
		s.oweNothing()
		return buf, Meta{}, false
	}
	data := r.encoder.Size(first, uint8(count))
	b := s.begin(buf, p, p.loss.datagramSize())
	size := b.body - b.start + repairHeaderSize + data + crypto.TagSize
	if size > p.loss.datagramSize() {
		s.oweNothing()
		return buf, Meta{}, false
	}
	if !s.canPay(size) {
		return buf, Meta{}, false
	}
	if !s.symbolPermitted(now, &b, size) {
		return buf, Meta{}, false
	}
	f := wire.Repair{First: first, Count: uint8(count), Seed: r.encoder.NextSeed()}
	b.buf = r.encoder.AppendSymbol(f.AppendHeader(b.buf, data), first, f.Count, f.Seed)
	if r.owed < 2 && b.room() > 0 {
		b.buf = append(b.buf, byte(wire.FrameImmediateAck)) // what waits for the symbols should not wait long
	}
	b.eliciting()
	b.pkt.symbol = true
	b.pkt.sequence = uint16(r.sent)
	r.symbols[r.sent%len(r.symbols)] = sentSymbol{pn: b.pkt.pn, first: first, count: uint16(count), counts: r.demanded > 0}
	r.demanded -= min(r.demanded, 1)
	r.sent++
	for i := range uint16(count) {
		r.at(first + i).symbol = b.pkt.pn + 1
	}
	s.repair.stats.Symbols++
	buf, meta, ok := s.seal(now, &b, p.addr)
	s.pay(len(buf) - b.start)
	return buf, meta, ok
}

// symbolPermitted asks congestion control and pacer: symbols belong to the latency class, as what they repair.
func (s *Session) symbolPermitted(now Time, b *packetBuilder, size int) bool {
	l := &b.path.loss
	l.expiring = true
	ok, wait := l.canSend(now, size, sendBulk)
	if ok {
		return true
	}
	ok, pass := l.canSend(now, size, sendLatency)
	b.pkt.latency = ok
	if pass != 0 && (wait == 0 || pass < wait) {
		wait = pass
	}
	if !ok && wait != 0 && (s.paceUntil == 0 || wait < s.paceUntil) {
		s.paceUntil = wait
	}
	return ok
}
