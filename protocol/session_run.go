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
	pnOff := len(b) - pnLen - start
	queue := stream.queue
	b, n := stream.appendFrame(b, start+size-crypto.TagSize-len(b), &pkt.facts)
	s.streams.sched.spent(&stream.lane, queue, n)
	b = b[:start+len(s.keys.send.SealPacket(b[start:], pnOff, pnLen, uint32(p.id), pkt.pn))]
	pkt.eliciting, pkt.inFlight, pkt.ecn = true, true, mark
	p.loss.commit(now, pkt, size)
	return b
}
