package protocol

import (
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/wire"
)

// minProtected is how many bytes must follow the start of the packet number, so that there is a
// sample for the header mask: four bytes of longest number and sixteen of sample.
const minProtected = 4 + 16

// minKeepAlive is the size of pings that keep a session alive, of probes, and of the first packet after
// a silence: more than the smallest stateless reset, which must be smaller than what provoked it.
const minKeepAlive = 43

// minReply is the least allowance of an address that is not proved with which a packet is begun: an
// acknowledgement with its header and tag, and some room.
const minReply = 128

// packetBuilder owns a protected packet under construction.
type packetBuilder struct {
	buf   []byte // what the caller has so far, and the packet
	start int    // where the packet begins
	pnOff int    // where its number begins, from start
	pnLen int
	body  int // where its frames begin
	limit int // where its frames must end
	path  *path
	pkt   *sentPacket
	asked bool // it asks for an acknowledgement at once

	covered bool // it opens with SOURCE

	acks  [maxAckFrames]ackSent // acknowledgements in it
	nAcks int
}

// maxAckFrames is how many paths are acknowledged in one packet: the one in use and one that ends
// or begins.
const maxAckFrames = 2

// ackSent is an acknowledgement in a packet under construction.
type ackSent struct {
	state *ackState
	token uint64
}

// room returns how many bytes of frames still fit.
func (b *packetBuilder) room() int { return b.limit - len(b.buf) }

// empty reports whether there are no frames yet.
func (b *packetBuilder) empty() bool { return len(b.buf) == b.body }

// eliciting marks the packet as one that wants to be acknowledged.
func (b *packetBuilder) eliciting() { b.pkt.eliciting, b.pkt.inFlight = true, true }

// frame is what every frame of package wire can do.
type frame interface{ Append([]byte) []byte }

// appendFrame writes f if it fits, and remembers fact so that its fate is known.
func appendFrame[F frame](b *packetBuilder, f F, what fact) bool {
	n := len(b.buf)
	b.buf = f.Append(b.buf)
	if len(b.buf) > b.limit {
		b.buf = b.buf[:n]
		return false
	}
	b.pkt.facts = append(b.pkt.facts, what)
	b.eliciting()
	return true
}

// AppendDatagram appends the next datagram to send to b and says where it goes. Call it until it
// returns false. One call makes one datagram, of at most the size that its path carries.
func (s *Session) AppendDatagram(now Time, b []byte) ([]byte, Meta, bool) {
	s.handleEarly(now)
	n := len(b)
	b, meta, ok := s.appendDatagram(now, b)
	switch {
	case ok:
		s.stats.DatagramsSent++
		s.stats.BytesSent += uint64(len(b) - n)
	case s.Resting():
		s.rest() // it was only asked
	}
	return b, meta, ok
}

func (s *Session) appendDatagram(now Time, b []byte) ([]byte, Meta, bool) {
	switch s.state {
	case stateHandshake:
		return s.appendHandshake(now, b)
	case stateClosing:
		if s.hs != nil {
			if b, meta, ok := s.appendFin(now, b); ok {
				return b, meta, ok
			}
		}
		return s.appendClose(now, b)
	case stateDraining, stateDead:
		return b, Meta{}, false
	}
	if s.hs != nil {
		if b, meta, ok := s.appendFin(now, b); ok {
			return b, meta, ok
		}
	}
	if s.unissued {
		s.unissued = false
		s.issueIDs()
	}
	s.maybeUpdateKey(now)
	s.checkKeyLimits(now)
	s.lingerTimeout(now)
	if s.state != stateEstablished {
		return s.appendDatagram(now, b)
	}
	for _, p := range s.paths.list {
		if b, meta, ok := s.appendPathProbe(now, b, p); ok {
			return b, meta, ok
		}
	}
	p := s.paths.active
	if s.repairPresses() {
		if b, meta, ok := s.appendSymbol(now, b, p); ok {
			return b, meta, ok
		}
	}
	if b, meta, ok := s.appendFull(now, b, p); ok {
		return b, meta, ok
	}
	if b, meta, ok := s.appendPacket(now, b, p); ok {
		return b, meta, ok
	}
	if b, meta, ok := s.appendSymbol(now, b, p); ok {
		return b, meta, ok
	}
	return s.appendSizeProbe(now, b, p) // when data does not need the path
}

// begin starts a packet on p of at most size bytes.
func (s *Session) begin(b []byte, p *path, size int) packetBuilder {
	pkt := p.loss.begin()
	pnLen := p.loss.numberLen(pkt.pn)
	pb := packetBuilder{buf: b, start: len(b), path: p, pkt: pkt, pnLen: pnLen}
	pb.buf = wire.AppendShort(pb.buf, p.peerID, pkt.pn, pnLen, s.keys.send.Phase())
	pb.body = len(pb.buf)
	pb.pnOff = pb.body - pnLen - pb.start
	pb.limit = pb.start + size - crypto.TagSize
	return pb
}

// seal finishes a packet: protects it, records it and counts it.
func (s *Session) seal(now Time, b *packetBuilder, addr AddrPair) ([]byte, Meta, bool) {
	p, pn := b.path, b.pkt.pn
	for len(b.buf)-b.start-b.pnOff < minProtected-crypto.TagSize {
		b.buf = append(b.buf, byte(wire.FramePadding))
	}
	b.buf = append(b.buf, zeroTag[:]...)
	b.buf = b.buf[:len(b.buf)-crypto.TagSize]
	if b.covered {
		s.cover(now, b)
	}
	sealed := s.keys.send.SealPacket(b.buf[b.start:], b.pnOff, b.pnLen, uint32(p.id), pn)
	size := len(sealed)
	b.buf = b.buf[:b.start+size]
	ecn := wire.NotECT
	if b.pkt.eliciting {
		ecn = p.loss.sendECN()
		b.pkt.ecn = ecn
		s.idle.sent(now)
		if b.pkt.hasData() {
			s.idle.wake(now)
		}
	}
	for _, a := range b.acks[:b.nAcks] {
		a.state.sent(a.token)
	}
	s.keys.used = true
	p.loss.commit(now, b.pkt, size)
	p.loss.boundUnanswered((*sentHandler)(s))
	if !p.validated && addr.Remote == p.addr.Remote {
		p.budget.out += size
	}
	s.stats.PacketsSent++
	return b.buf, Meta{Addr: addr, ECN: ecn}, true
}

var zeroTag [crypto.TagSize]byte

// appendPacket writes the ordinary packet: everything that waits, in a fixed order.
func (s *Session) appendPacket(now Time, buf []byte, p *path) ([]byte, Meta, bool) {
	s.paceUntil = 0
	size := min(p.loss.datagramSize(), p.allowance())
	if size < minReply {
		return buf, Meta{}, false
	}
	s.streams.setPath(now, p.loss.rtt.smoothed, p.loss.window())
	b := s.begin(buf, p, size)
	s.prepareMessages(now, &b)
	bulk, latency, probe := s.permission(now, p, size)
	ackDue := s.ackDue(now)
	urgent := bulk || probe
	if latency && !urgent {
		b.limit = min(b.limit, b.start+p.loss.latencyRoom(now)-crypto.TagSize)
		b.pkt.latency = true
	}
	if !urgent && !latency && !ackDue {
		return buf, Meta{}, false
	}
	if urgent || latency {
		s.beginCovered(now, &b)
	}
	s.appendAcks(now, &b)
	s.appendReport(&b)
	s.appendReports(now, &b)
	body := len(b.buf)
	if urgent || latency {
		s.appendControl(&b, latency && !urgent)
		body -= s.endCovered(&b)
	}
	if probe && len(b.buf) == body {
		s.appendPing(&b)
	}
	if b.pkt.eliciting {
		s.appendGrease(&b)
		s.finishMessages(now, &b, probe)
		s.askForAck(&b, probe)
	} else if s.idle.pingDue {
		s.appendPing(&b)
		s.askForAck(&b, true)     // in the room of the padding; the peer need not wake again to answer
		s.padTo(&b, minKeepAlive) // spec: SESS-15
	}
	if !b.pkt.eliciting && !ackDue {
		s.nothingToSend(p, bulk)
		return buf, Meta{}, false
	}
	if b.empty() {
		return buf, Meta{}, false
	}
	if b.pkt.eliciting && (probe || s.idle.quiet(now)) {
		s.padTo(&b, minKeepAlive)
	}
	b.buf = s.streams.trimTail(b.buf)
	buf, meta, ok := s.seal(now, &b, p.addr)
	s.accountMessages(now, &b, len(buf)-b.start)
	return buf, meta, ok
}

// permission asks congestion control and pacer once what may be sent now. A probe of the loss
// detection passes both.
func (s *Session) permission(now Time, p *path, size int) (bulk, latency, probe bool) {
	probe = p.loss.probesWanted > 0
	bulk, wait := p.loss.canSend(now, size, sendBulk)
	if bulk {
		return true, true, probe
	}
	if s.streams.hasLatencyData() || s.copiesDue() {
		var pass Time
		latency, pass = p.loss.canSend(now, minReply, sendLatency) // a small packet needs no more
		if pass != 0 && (wait == 0 || pass < wait) {
			wait = pass
		}
	}
	if wait != 0 && (s.wantsToSend() || s.idle.pingDue) {
		s.paceUntil = wait
	}
	return false, latency, probe
}

// wantsToSend reports whether anything but acknowledgements waits.
func (s *Session) wantsToSend() bool {
	return s.streams.hasData() || s.streams.hasControl() || s.hasSkips() || s.copiesDue() || s.control.pending() || s.ids.pending()
}

// CanWait reports whether nothing is to be sent now, but perhaps an acknowledgement for which the peer asked
// with stream data. An owner that has just woken the reader of that data may wait for what the reader answers,
// until NextTimeout at the latest: the answer takes the acknowledgement along.
//
// spec: REL-43
func (s *Session) CanWait() bool {
	if s.state != stateEstablished || s.hs != nil || s.early != nil || s.unissued || len(s.paths.list) != 1 || s.repair != nil {
		return false
	}
	if s.closing.graceful() {
		return false // what has just come may have been all that the end waits for
	}
	p := s.paths.active
	can := p.validated && p.moving == nil && p.response == nil && p.loss.probesWanted == 0 &&
		p.acks.canWait() && !s.wantsToSend() && !s.idle.pingDue
	if can {
		p.loss.appLimited()
	}
	return can
}

// OwesAck reports whether an acknowledgement waits for which the peer asked.
func (s *Session) OwesAck() bool { return s.paths.active.acks.asked }

// nothingToSend tells congestion control that the application, not the network, is the limit.
func (s *Session) nothingToSend(p *path, bulk bool) {
	if bulk && !s.streams.hasData() {
		p.loss.appLimited()
	}
}

func (s *Session) ackDue(now Time) bool {
	for _, p := range s.paths.list {
		if p.acks.shouldSend(now) {
			return true
		}
	}
	return false
}

// appendAcks writes the acknowledgements of the active path and, while a path ends or begins, of
// the others: at most one frame a path and two in all.
func (s *Session) appendAcks(now Time, b *packetBuilder) {
	s.appendAck(now, b, b.path)
	for _, p := range s.paths.list {
		if p != b.path && p.acks.pending() {
			s.appendAck(now, b, p)
		}
	}
}

// reservedForAck is what an acknowledgement leaves for the rest of a packet.
const reservedForAck = 64

func (s *Session) appendAck(now Time, b *packetBuilder, p *path) {
	if !p.acks.pending() || b.nAcks == maxAckFrames {
		return
	}
	reserved := reservedForAck
	if !p.acks.shouldSend(now) {
		reserved = max(reserved, s.streams.nextWhole()) // what is not due must not keep a message out
	}
	out, token, ok := p.acks.append(b.buf, now, p.id, b.room()-reserved)
	if !ok {
		return
	}
	b.buf = out
	b.pkt.facts = append(b.pkt.facts, fact{kind: factAck, a: token, b: p.id})
	b.acks[b.nAcks] = ackSent{&p.acks, token}
	b.nAcks++
}

// appendControl writes facts about the session, then about streams, then stream data.
func (s *Session) appendControl(b *packetBuilder, latencyOnly bool) {
	if !latencyOnly {
		s.appendSessionFacts(b)
		s.appendIDFrames(b)
	}
	n := len(b.buf)
	if !latencyOnly && s.streams.hasControl() {
		b.buf = s.streams.appendControl(b.buf, b.room(), &b.pkt.facts)
	}
	s.appendSkips(b)
	s.appendStreamData(b, latencyOnly)
	if len(b.buf) > n {
		b.eliciting()
	}
}

// appendStreamData writes stream data. What is urgent, and what fills a window so small that the peer
// would wait in vain for a whole batch, asks for an acknowledgement at once, in front of the data: data
// that fills the packet leaves no room behind it.
func (s *Session) appendStreamData(b *packetBuilder, latencyOnly bool) {
	before := len(b.buf)
	hurry := s.streams.asksForAck() || s.streams.hasData() && b.path.loss.fillsWindow(b.limit-b.start+crypto.TagSize)
	if hurry && b.room() > reservedForAck {
		b.buf = append(b.buf, byte(wire.FrameImmediateAck))
		b.asked = true
	}
	if b.room() <= minStreamRoom {
		return
	}
	data := len(b.buf)
	s.appendCopies(b, latencyOnly)
	b.buf = s.streams.appendData(b.buf, b.room(), &b.pkt.facts, latencyOnly)
	if len(b.buf) == data {
		b.buf, b.asked = b.buf[:before], false // nothing to hurry for
	}
	b.pkt.urgent = s.streams.urgent
}

// maxGrease is the longest grease frame: a type of four bytes, a length of one, seven bytes of nothing.
const maxGrease = 12

// appendGrease puts a frame of a random unknown type into one packet of each end, so that nobody forgets
// to skip what a later version may send.
// spec: REG-9
func (s *Session) appendGrease(b *packetBuilder) {
	if !s.control.greased && b.room() > maxGrease {
		b.buf = wire.AppendGreaseFrame(b.buf, s.rng.Uint64())
		s.control.greased = true
	}
}

// minStreamRoom is the smallest rest of a packet into which stream data is put: a header of
// fifteen bytes for less than twice as much data is a waste.
const minStreamRoom = 48

func (s *Session) appendPing(b *packetBuilder) {
	b.buf = append(b.buf, byte(wire.FramePing))
	b.pkt.facts = append(b.pkt.facts, fact{kind: factPing})
	b.eliciting()
	s.idle.pingDue = false
}

// askForAck asks the peer not to delay the acknowledgement of a probe, or of a tail of what would be sent again,
// after which nothing would show a loss.
func (s *Session) askForAck(b *packetBuilder, probe bool) {
	if !b.asked && !b.pkt.rides && b.room() > 0 && (probe || !s.streams.hasData() && !s.streams.patient) {
		s.askNow(b)
	}
}

// askNow has the peer acknowledge the packet at once.
func (s *Session) askNow(b *packetBuilder) {
	b.buf = append(b.buf, byte(wire.FrameImmediateAck))
	b.asked = true
}

// padTo makes the finished packet at least size bytes long.
func (s *Session) padTo(b *packetBuilder, size int) {
	if n := min(size-crypto.TagSize-(len(b.buf)-b.start), b.room()); n > 0 {
		b.buf = append(b.buf, make([]byte, n)...) // FramePadding is 0
	}
}

// appendPathProbe writes a challenge or the answer to one, alone in its packet, to the address that
// it is about.
func (s *Session) appendPathProbe(now Time, buf []byte, p *path) ([]byte, Meta, bool) {
	if p.peerID.Len() == 0 && p.id != 0 {
		if p.proof.wanted(now) {
			p.probeSkipped(now, &p.proof) // the peer has not said yet how to name this path
		}
		return buf, Meta{}, false
	}
	addr, budget, proof := p.nextProbe(now)
	if addr == (AddrPair{}) {
		return buf, Meta{}, false
	}
	size := MinDatagram
	if budget != nil && !budget.allows(size) {
		size = minProbe
		if !budget.allows(size) {
			p.probeSkipped(now, proof)
			return buf, Meta{}, false
		}
	}
	b := s.begin(buf, p, size)
	if proof != nil {
		b.buf = wire.PathChallenge{Data: proof.data}.Append(b.buf)
		proof.sent(now, p.loss.pto())
	}
	if p.response != nil && p.response.addr == addr {
		b.buf = wire.PathResponse{Data: p.response.data}.Append(b.buf)
		p.response = nil
	}
	s.padTo(&b, size)
	if budget != nil && budget != &p.budget {
		budget.out += len(b.buf) - b.start + crypto.TagSize
	}
	// Not in flight: the challenge has its own repetition, and the time to another address is no
	// sample of this path's round trip.
	return s.seal(now, &b, addr)
}

// probeSkipped counts a probe that cannot leave as sent: a stranger who says little is asked less
// often, and a clock that rang must be set again.
func (p *path) probeSkipped(now Time, proof *challenge) {
	if proof != nil {
		proof.sent(now, p.loss.pto())
		return
	}
	p.response = nil
}

// minProbe is the size of a challenge that may not be padded: header, number, two frames and tag.
const minProbe = 64

// nextProbe returns the address that a challenge or an answer goes to next, the budget that limits
// it (nil: none) and the challenge (nil: only an answer).
func (p *path) nextProbe(now Time) (AddrPair, *ledger, *challenge) {
	budget := &p.budget
	if p.validated {
		budget = nil
	}
	switch m := p.moving; {
	case p.proof.wanted(now):
		return p.addr, budget, &p.proof
	case m != nil && !m.moved && m.proof.wanted(now):
		return m.addr, &m.budget, &m.proof
	case m != nil && m.stay.wanted(now):
		return m.old, nil, &m.stay
	case p.response != nil && p.response.addr.Remote == p.addr.Remote:
		return p.response.addr, budget, nil
	case p.response != nil && m != nil && !m.moved && p.response.addr.Remote == m.addr.Remote:
		return p.response.addr, &m.budget, nil
	case p.response != nil:
		p.response = nil // from an address that is nobody's any more
	}
	return AddrPair{}, nil, nil
}

// appendSizeProbe writes a packet of a size that the path may or may not carry.
func (s *Session) appendSizeProbe(now Time, buf []byte, p *path) ([]byte, Meta, bool) {
	size, ok := p.loss.mtu.nextProbe(now)
	if !ok || !p.validated || p.moving != nil {
		return buf, Meta{}, false
	}
	if ok, wait := p.loss.canSend(now, size, sendSizeProbe); !ok {
		if s.paceUntil == 0 || wait < s.paceUntil {
			s.paceUntil = wait
		}
		return buf, Meta{}, false
	}
	b := s.begin(buf, p, size)
	b.pkt.probe = true
	b.buf = append(b.buf, byte(wire.FramePing), byte(wire.FrameImmediateAck))
	b.eliciting()
	s.padTo(&b, size)
	return s.seal(now, &b, p.addr)
}
