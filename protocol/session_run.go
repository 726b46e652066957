package protocol

import (
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/wire"
)

// AppendMore appends up to max more datagrams that are like the one which AppendDatagram has just appended at the
// same time: of its size, with its meta, and full of data of streams, while nothing else wants to be sent. It
// returns how many. What a packet asks of a session is asked once for all of them, so that bulk data costs little
// more than its copy and its cipher.
//
// It may append fewer than could be sent, or none: AppendDatagram has the rest. It does not grow b.
func (s *Session) AppendMore(now Time, b []byte, meta Meta, size, max int) (out []byte, n int) {
	if !s.mayRun(now, meta, size) {
		return b, 0
	}
	p := s.paths.active
	max = min(max, (cap(b)-len(b))/size)
	for n < max && s.keepsRunning(now, p, meta.ECN, size) {
		stream := s.streams.nextBulk(size)
		if stream == nil {
			break
		}
		b = s.appendBulk(now, b, p, stream, meta.ECN, size)
		n++
	}
	s.stats.DatagramsSent += uint64(n)
	s.stats.PacketsSent += uint64(n)
	s.stats.BytesSent += uint64(n * size)
	return b, n
}

// appendFull appends a packet that is full of data of one stream, if nothing else is to be said: the first of a run.
func (s *Session) appendFull(now Time, b []byte, p *path) ([]byte, Meta, bool) {
	size := p.loss.datagramSize()
	meta := Meta{Addr: p.addr, ECN: p.loss.sendECN()}
	if cap(b)-len(b) < size || !s.mayRun(now, meta, size) || !s.keepsRunning(now, p, meta.ECN, size) {
		return b, Meta{}, false
	}
	stream := s.streams.nextBulk(size)
	if stream == nil {
		return b, Meta{}, false
	}
	s.paceUntil = 0
	s.streams.setPath(now, p.loss.rtt.smoothed, p.loss.window())
	b = s.appendBulk(now, b, p, stream, meta.ECN, size)
	s.idle.sent(now)
	s.idle.wake(now)
	s.keys.used = true
	p.loss.boundUnanswered((*sentHandler)(s))
	s.stats.PacketsSent++
	return b, meta, true
}

// EndsWithin reports whether the stream that is next is the only one that waits and has at most n bytes to send: an owner
// that makes datagrams in batches may take them along.
func (s *Session) EndsWithin(n int) bool {
	t := &s.streams
	l := t.sched.pick(t.sessionCredit(), false)
	if l == nil || l.next != l {
		return false
	}
	stream, ok := l.owner.(*Stream)
	if !ok {
		return false
	}
	_, left := stream.send.nextRange(t.sessionCredit(), l.budget())
	return left > 0 && left <= n
}

// mayRun reports whether nothing but data of streams waits, and nothing of the path is in question.
func (s *Session) mayRun(now Time, meta Meta, size int) bool {
	p := s.paths.active
	if s.state != stateEstablished || s.hs != nil || p == nil || len(s.paths.list) > 1 || size != p.loss.datagramSize() {
		return false
	}
	settled := p.validated && p.moving == nil && p.response == nil && !p.proof.wanted(now) && p.addr == meta.Addr
	silent := !p.acks.pending() && s.messages == nil && s.repair == nil && s.idle.asked && !s.idle.pingDue
	told := s.control.greased && !s.control.pending() && !s.unissued && !s.ids.pending()
	return settled && silent && told
}

// keepsRunning reports whether one more packet like the last may leave now.
func (s *Session) keepsRunning(now Time, p *path, mark wire.ECN, size int) bool {
	l := &p.loss
	if l.probesWanted > 0 || s.keys.send.NeedsUpdate() || l.sendECN() != mark || l.fillsWindow(size) || s.streams.hasControl() {
		return false
	}
	ok, _ := l.canSend(now, size, sendBulk)
	return ok
}

// nextBulk returns the stream that is next, if it is not urgent and has data in one piece for a whole packet of
// size bytes.
func (t *streamsState) nextBulk(size int) *Stream {
	l := t.sched.pick(t.sessionCredit(), false)
	if l == nil || l.priority >= latencyPriority || t.err != nil {
		return nil
	}
	s, ok := l.owner.(*Stream)
	if !ok {
		return nil
	}
	if _, n := s.send.nextRange(t.sessionCredit(), l.budget()); n < size {
		return nil
	}
	return s
}

// appendBulk appends one packet that is full of data of a stream.
func (s *Session) appendBulk(now Time, b []byte, p *path, stream *Stream, mark wire.ECN, size int) []byte {
	pkt := p.loss.begin()
	pnLen := p.loss.numberLen(pkt.pn)
	start := len(b)
	b = wire.AppendShort(b, p.peerID, pkt.pn, pnLen, s.keys.send.Phase())
	header := len(b) - start
	queue := stream.queue
	sealed, n := stream.sealFrame(s.keys.send, b[start:], pnLen, size-crypto.TagSize-header, uint32(p.id), pkt)
	if sealed == nil {
		b, n = stream.appendFrame(b, size-crypto.TagSize-header, &pkt.facts)
		sealed = s.keys.send.SealPacket(b[start:], header-pnLen, pnLen, uint32(p.id), pkt.pn)
	}
	s.streams.sched.spent(&stream.lane, queue, n)
	pkt.eliciting, pkt.inFlight, pkt.ecn = true, true, mark
	p.loss.commit(now, pkt, size)
	return b[:start+len(sealed)]
}

// maxInPlace is the room for the header of a frame that is sealed where its data lies: type, stream, offset.
const maxInPlace = 1 + 8 + 8

// sealFrame makes a packet of which the stream fills all space, and seals it from where the data lies, which saves
// a copy: the header of the frame takes the place of the bytes before for that time. It returns the packet, which
// follows its header in memory, and how much data is in it; nil if the data does not lie in one piece.
func (s *Stream) sealFrame(key *crypto.Sender, header []byte, pnLen, space int, path uint32, pkt *sentPacket) (sealed []byte, n int) {
	off, _ := s.send.nextRange(s.streams.sessionCredit(), s.budget())
	room := wire.SizeStreamHeader(s.id, off, 0, false)
	n = space - room
	lent := s.send.pipe.around(off, room, n)
	if lent == nil {
		return nil, 0
	}
	var before [maxInPlace]byte
	copy(before[:], lent[:room])
	wire.AppendStreamHeader(lent[:0], s.id, off, n, false, false)
	sealed = key.SealPacketFrom(header, lent, len(header)-pnLen, pnLen, path, pkt.pn)
	copy(lent, before[:room])
	s.noteSent(off, uint64(n), false)
	pkt.facts = append(pkt.facts, streamFact(s, off, n, false))
	return sealed, n
}
