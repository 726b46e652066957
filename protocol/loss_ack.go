package protocol

import (
	"time"

	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/wire"
)

// handleAck takes an acknowledgement of this path. maxAckDelay is how long the peer may hold one back.
// An acknowledgement of a number that was never sent is a *TransportError, and then nothing changed.
func (l *lossState) handleAck(now Time, ack *wire.Ack, maxAckDelay time.Duration, cb ackHandler) error {
	if err := l.checkAck(ack); err != nil {
		return err
	}
	l.maxAckDelay = maxAckDelay
	l.wake()
	l.pass = ackPass{prior: l.bytesInFlight}
	l.ecn.acked = wire.ECNCounts{}
	spurious := l.stats.spurious
	sample, rode := l.rttSample(now, ack)
	held := maxAckDelay
	if rode { // spec: REL-45
		held = max(held, rideDelay)
	}
	ranges := ack.Ranges()
	for r, ok := ranges.Next(); ok && r.End > l.list.base; r, ok = ranges.Next() {
		l.ackRange(now, max(r.Start, l.list.base), r.End, cb)
	}
	raised := l.largest == noPacketNumber || ack.Largest > l.largest
	if raised {
		l.largest = ack.Largest
	}
	if sample > 0 && l.pass.progress {
		l.pass.rtt = l.rtt.update(now, sample, min(ack.Delay(), held))
	}
	marked := l.marks(now, ack, raised)
	if !raised && l.pass.packets == 0 && !l.pass.progress && marked == 0 && spurious == l.stats.spurious {
		return nil // nothing new
	}
	if l.pass.progress {
		l.unanswered, l.progressed = 0, now
	}
	l.detectLost(now, cb)
	if l.pass.progress && l.ptoCount > 0 {
		l.endOutage(cb)
	}
	l.reportLost(now, marked)
	l.reportAcked(now)
	l.trim(now)
	l.updatePace()
	return nil
}

// checkAck refuses acknowledgements of packets that were never sent: of numbers to come, and of
// numbers that were skipped so that guesses are found out.
// spec: REL-8
func (l *lossState) checkAck(ack *wire.Ack) error {
	if ack.Largest >= l.list.next {
		return transportErrorf(wire.AckUnsent, ack.Type(), "packet %d was never sent", ack.Largest)
	}
	if !l.skip.since(l.list.base) {
		return nil // the usual case; all that is older is decided
	}
	ranges := ack.Ranges()
	for r, ok := ranges.Next(); ok; r, ok = ranges.Next() {
		if l.skip.within(r.Start, r.End) {
			return transportErrorf(wire.AckUnsent, ack.Type(), "a number was skipped between %d and %d", r.Start, r.End)
		}
	}
	return nil
}

// rttSample returns the time since the largest packet of the frame left, if the frame is the first
// to acknowledge it; else 0. It must be asked before the frame is taken. rode says that the peer may have held the
// frame back for a packet of its own.
func (l *lossState) rttSample(now Time, ack *wire.Ack) (sample time.Duration, rode bool) {
	if ack.Largest < max(l.list.base, l.epoch) {
		return 0, false
	}
	p := l.list.at(ack.Largest)
	if p.acked {
		return 0, false
	}
	return max(now.Sub(p.sent), 1), p.rides
}

// ackRange takes the packets start to end-1. History is repeated in every frame, so runs that are
// known already are jumped over; jumps are joined on the way, which keeps the cost of a packet, over
// its whole life, as good as constant.
func (l *lossState) ackRange(now Time, start, end uint64, cb ackHandler) {
	for pn := start; pn < end; {
		p := l.list.at(pn)
		if !p.acked {
			pn++
			var next *sentPacket
			if pn < end {
				next = l.list.at(pn)
			}
			l.ackPacket(now, p, next, cb)
			continue
		}
		if next := pn + uint64(p.run); next < end {
			if q := l.list.at(next); q.acked {
				p.run += q.run
			}
		}
		pn += uint64(p.run)
	}
	if first := l.list.at(start); uint64(first.run) < end-start {
		first.run = uint32(end - start)
	}
}

// ackPacket takes one packet that arrived. next is the one behind it if it is acknowledged too, else nil.
func (l *lossState) ackPacket(now Time, p, next *sentPacket, cb ackHandler) {
	p.acked, p.run = true, 1
	l.stats.packetsAcked++
	l.stats.bytesAcked += uint64(p.size)
	current := p.pn >= l.epoch
	if current {
		l.ecn.packetAcked(p.ecn)
	}
	switch {
	case p.lost:
		l.ackedAfterAll(now, p, current)
	default:
		l.leaveFlight(p)
		if p.inFlight {
			l.countAcked(now, p)
		}
	}
	if p.eliciting {
		l.pass.progress = true
		if p.sent.After(l.persistentSince) {
			l.persistentSince = 0
		}
	}
	if current {
		l.ackedSize(now, p)
	}
	if next == nil || !next.takeFact(p) {
		cb.packetAcked(p)
	}
	p.forget()
}

// leaveFlight takes a packet out of the sums when its fate is decided.
func (l *lossState) leaveFlight(p *sentPacket) {
	if p.inFlight {
		l.bytesInFlight -= int(p.size)
		if p.latency {
			l.latencyInFlight -= int(p.size)
		}
	}
	if p.eliciting {
		l.outstanding--
	}
}

func (l *lossState) countAcked(now Time, p *sentPacket) {
	l.pass.bytes += int(p.size)
	l.pass.packets++
	if !p.sent.After(l.recoveryStart) {
		l.pass.recoveryBytes += int(p.size)
	}
	l.sampler.OnAcked(&l.frame, now, p.sent, int(p.size), &p.state)
}

// ackedSize tells size discovery what arrived.
func (l *lossState) ackedSize(now Time, p *sentPacket) {
	if !p.probe {
		l.mtu.packetAcked(int(p.size))
		return
	}
	before := l.mtu.current()
	l.mtu.probeAcked(now, int(p.size))
	l.sizeChanged(before)
}

func (l *lossState) sizeChanged(before int) {
	if size := l.mtu.current(); size != before {
		l.cc.SetMaxDatagram(size)
		l.updatePace()
	}
}

// ackedAfterAll takes a packet that was declared lost and arrived nevertheless: the reordering window
// was too small, and if that goes for every loss of the episode, there was no congestion.
// spec: REL-16
func (l *lossState) ackedAfterAll(now Time, p *sentPacket, current bool) {
	if !p.eliciting && !p.inFlight {
		return // an acknowledgement: it was never counted as a loss
	}
	l.stats.spurious++
	if !current || !p.inFlight {
		return
	}
	l.runStart = 0
	l.rate.takeBack()
	l.reorder.spurious(now.Sub(p.sent)-l.rtt.reference(), &l.rtt)
	l.sampler.OnSpurious(int(p.size))
	l.sampler.OnAcked(&l.frame, now, p.sent, int(p.size), &p.state)
	if p.episode != l.episode || l.episodeLost == 0 {
		return
	}
	if l.episodeLost--; l.episodeLost > 0 || l.episodeMarked {
		return
	}
	l.stats.undos++
	l.recoveryStart, l.persistentSince = 0, 0
	l.cc.Undo(now)
}

// marks validates the ECN counts and returns how many packets the frame newly reports as marked.
func (l *lossState) marks(now Time, ack *wire.Ack, raised bool) int {
	if !raised {
		return 0
	}
	if ack.Largest < l.epoch {
		l.ecn.absorb(ack)
		return 0
	}
	marked := int(l.ecn.validate(ack))
	if marked == 0 {
		return 0
	}
	l.stats.marked += uint64(marked)
	if l.marking() == congestion.MarkL4S { // spec: REL-42
		return marked
	}
	if ack.Largest >= l.list.base && l.list.at(ack.Largest).sent.After(l.recoveryStart) {
		l.beginEpisode(now) // spec: REL-26
	}
	l.episodeMarked = true
	return marked
}

// reportAcked tells the controller what the frame brought.
func (l *lossState) reportAcked(now Time) {
	if l.pass.packets == 0 {
		return
	}
	rate, round := l.sampler.Sample(&l.frame, l.rtt.min())
	l.reorder.fates += int32(l.pass.packets)
	if round {
		l.reorder.round(&l.rtt)
		l.ecn.round()
	}
	l.cc.Acked(congestion.AckSample{
		Now: now, Bytes: l.pass.bytes, Packets: l.pass.packets, RecoveryBytes: l.pass.recoveryBytes,
		ECT: l.ecn.ackedMarks(), RTT: l.pass.rtt, SmoothedRTT: l.rtt.smoothed, MinRTT: l.rtt.min(),
		PriorInFlight: l.pass.prior, InFlight: l.bytesInFlight, RoundStart: round, Rate: rate,
	})
}
