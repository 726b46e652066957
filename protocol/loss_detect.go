package protocol

import (
	"time"

	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/wire"
)

const (
	// packetThreshold is how many later numbers may arrive before a packet is lost whatever the
	// time. Loss is a matter of time; this only bounds what is remembered. It is the size of the
	// replay window: the peer would refuse a packet that is later than that.
	packetThreshold = 8192
	// reorderFraction of the smallest round trip is the reordering window of a path that has shown
	// no reordering.
	reorderFraction = 8
	// reorderDecay is by which fraction a grown window shrinks in a round trip without a spurious
	// loss.
	reorderDecay = 16
	// reorderFates is how many packets must have been acknowledged for that. A round trip of a game has three, too
	// few to say anything: with a step after each, 2.4 % of 60 messages a second were taken for lost where packets
	// come up to 10 ms late, and 0.95 % with this.
	reorderFates = 16
	// persistentProbes is the length of persistent congestion in probe timeouts (RFC 9002, section
	// 7.6.1: kPersistentCongestionThreshold).
	persistentProbes = 3
	// firstProbes and laterProbes are how many packets a probe timeout sends: one for a lost tail,
	// two when that died as well (RFC 9002, section 6.2.4).
	firstProbes = 1
	laterProbes = 2
	// outageProbing is for how long after the first probe timeout probes are sent once a round trip, so that
	// a path that was gone for a moment is noticed the moment it is back. Paths that move from one radio
	// cell or satellite to the next are back by then.
	outageProbing = 3 * time.Second
	// minOutageProbe is the least time between those probes: fifty packets of 1,200 bytes a second.
	minOutageProbe = 20 * time.Millisecond
	// smallProbeAfter is after how many probe timeouts packets have the base size.
	smallProbeAfter = 2
	// maxProbeInterval ends the backoff of the probe timeout, unless the round trip is longer. A
	// packet every two seconds harms no path, and a path that comes back is noticed.
	maxProbeInterval = 2 * time.Second
	// maxBackoff keeps the shift within range.
	maxBackoff = 16
)

// reorderState is the reordering window: how much later than a round trip a packet may be
// acknowledged, after a later one was, before it is lost (RFC 8985, section 6.2).
type reorderState struct {
	extra time.Duration // above the base, learnt from spurious losses
	step  bool          // extra has grown since the last time that it could shrink
	fates int32         // packets acknowledged since then
}

// window returns the reordering window: an eighth of the smallest round trip and what was learnt, a
// smoothed round trip at most.
// spec: REL-11
func (r *reorderState) window(rtt *rttState) time.Duration {
	return min(rtt.min()/reorderFraction+r.extra, rtt.smoothed)
}

// spurious takes a packet that was declared lost and arrived late by that much. The window grows to
// what would have been enough, and by one step a round trip at least.
// spec: REL-12
func (r *reorderState) spurious(late time.Duration, rtt *rttState) {
	base := rtt.min() / reorderFraction
	if !r.step {
		r.extra += base
		r.step = true
	}
	r.extra = min(max(r.extra, late-base), rtt.smoothed)
}

// round ends a round trip. Those with few packets count together.
func (r *reorderState) round(rtt *rttState) {
	if r.fates < reorderFates {
		return
	}
	r.fates = 0
	if !r.step {
		r.extra -= r.extra / reorderDecay
		if r.extra < rtt.min()/reorderFraction/4 {
			r.extra = 0
		}
	}
	r.step = false
}

// lossDelay is how long after it was sent a packet is lost, if a later one has arrived.
func (l *lossState) lossDelay() time.Duration {
	return max(l.rtt.reference()+l.reorder.window(&l.rtt), timerGranularity)
}

// detectLost declares lost what was sent too long before a packet that has arrived. Numbers rise with
// the time of sending, and a retransmission has a number of its own, so one cursor visits every
// packet once, and lost retransmissions are found like any other.
// spec: REL-10
func (l *lossState) detectLost(now Time, cb ackHandler) {
	l.lossTime = 0
	if l.largest == noPacketNumber {
		return
	}
	delay := l.lossDelay()
	for ; l.cursor <= l.largest; l.cursor++ {
		p := l.list.at(l.cursor)
		if p.acked {
			l.runStart = 0
			l.countArrived(now, p)
		}
		if !p.outstanding() {
			continue
		}
		if due := p.sent.Add(delay); due.After(now) && l.largest-l.cursor < packetThreshold { // spec: REL-13
			l.lossTime = due
			return
		}
		l.declareLost(now, p, cb)
	}
}

// declareLost takes a packet as lost.
func (l *lossState) declareLost(now Time, p *sentPacket, cb ackHandler) {
	l.leaveFlight(p)
	p.lost = true
	if !p.eliciting && !p.inFlight {
		p.forget() // an acknowledgement: the next one says the same
		return
	}
	current := p.pn >= l.epoch
	switch {
	case p.probe && current: // spec: REL-28
		l.stats.sizeProbesLost++
		l.mtu.probeLost(now, int(p.size))
	case !p.probe:
		l.countLost(now, p, current)
	}
	cb.packetLost(p)
}

// countArrived takes a packet that the cursor passes since it was acknowledged.
func (l *lossState) countArrived(now Time, p *sentPacket) {
	if p.pn >= l.epoch && p.inFlight {
		l.rate.arrived(now)
	}
}

func (l *lossState) countLost(now Time, p *sentPacket, current bool) {
	l.stats.packetsLost++
	l.stats.bytesLost += uint64(p.size)
	if !current || !p.inFlight {
		return
	}
	l.rate.lost(now)
	lost := l.sampler.OnLostPacket(int(p.size), &p.state)
	if observer, ok := l.cc.(congestion.LossObserver); ok {
		observer.LostPacket(lost)
	}
	if p.ecn != wire.NotECT {
		l.ecn.packetLost()
	}
	if p.sent.After(l.recoveryStart) {
		l.beginEpisode(now)
	}
	p.episode = l.episode
	l.episodeLost++
	s := &l.pass
	s.lostBytes += int(p.size)
	s.lostPackets++
	if s.smallestLost == 0 || int(p.size) < s.smallestLost {
		s.smallestLost = int(p.size)
	}
	l.extendRun(p)
}

// beginEpisode starts an episode of loss: what is in flight now belongs to it, and the controller
// backs off once for all of it.
// spec: REL-15
func (l *lossState) beginEpisode(now Time) {
	l.recoveryStart = now
	l.episode++
	l.episodeLost, l.episodeMarked = 0, false
	l.pass.newEpisode = true
	l.stats.episodes++
}

// extendRun looks for persistent congestion: nothing got through for a long time (RFC 9002, section
// 7.6). The cursor meets every packet in order, so a run ends where it meets one that arrived.
// spec: REL-17
func (l *lossState) extendRun(p *sentPacket) {
	if !p.eliciting || !l.rtt.sampled || p.sent.Before(l.rtt.firstTime) {
		return
	}
	if l.runStart.IsZero() {
		l.runStart = p.sent
		return
	}
	if p.sent.Sub(l.runStart) >= persistentProbes*l.pto() {
		l.pass.persistent = true
	}
}

// reportLost tells the controller, and size discovery, what was lost or marked.
func (l *lossState) reportLost(now Time, marked int) {
	s := &l.pass
	if s.lostPackets == 0 && marked == 0 {
		return
	}
	if s.persistent {
		l.stats.persistent++
		l.persistentSince, l.runStart = now, 0
		l.episodeLost = 0 // nothing to undo: the window starts again
		l.rtt.forgetMin(now)
	}
	l.cc.Lost(congestion.LossSample{
		Now: now, Bytes: s.lostBytes, Packets: s.lostPackets, Episode: s.newEpisode, ECN: marked,
		Persistent: s.persistent, PriorInFlight: s.prior, InFlight: l.bytesInFlight,
	})
	if s.lostPackets > 0 {
		before := l.mtu.current()
		if l.mtu.burstLost(now, s.smallestLost, l.pto()) {
			l.stats.blackHoles++
		}
		l.sizeChanged(before)
	}
}

// trim frees the oldest packets. Those that arrived are done with; those that are lost are kept for a
// probe timeout more, so that a late acknowledgement is recognised.
// spec: REL-14
func (l *lossState) trim(now Time) {
	keep := l.lossDelay() + l.pto()
	for l.list.base < l.list.next {
		p := l.list.at(l.list.base)
		if p.outstanding() || p.lost && !p.acked && now.Sub(p.sent) < keep {
			break
		}
		if p.skipped && !l.passed(l.list.base) {
			break
		}
		p.forget()
		l.list.base++
	}
	l.cursor = max(l.cursor, l.list.base)
}

// passed reports whether a later number than pn was acknowledged.
func (l *lossState) passed(pn uint64) bool {
	largest, ok := l.largestAcked()
	return ok && largest > pn
}

// probeInterval is the time from the last packet to the next probe: the probe timeout; in the first seconds
// of an outage a round trip; then the probe timeout with its backoff.
// spec: REL-19
func (l *lossState) probeInterval() time.Duration {
	if l.ptoCount > 0 && l.backoff == 0 {
		return max(l.rtt.min(), minOutageProbe)
	}
	pto := l.pto()
	return min(pto<<min(l.backoff, maxBackoff), max(pto, maxProbeInterval))
}

// handleTimeout does what is due: it declares packets lost that are late, or asks for probes. It is
// safe to call early.
func (l *lossState) handleTimeout(now Time, cb ackHandler) {
	at, why := l.deadline()
	if why == lossTimerNone || now.Before(at) {
		return
	}
	l.pass = ackPass{prior: l.bytesInFlight}
	if why == lossTimerReorder {
		l.detectLost(now, cb)
		l.reportLost(now, 0)
		l.trim(now)
		l.updatePace()
		return
	}
	l.probe(now, cb)
}

// probe asks for packets that make the peer acknowledge something, with the oldest facts in them.
// spec: REL-20
func (l *lossState) probe(now Time, cb ackHandler) {
	l.stats.ptos++
	if l.ptoCount == 0 {
		l.outage = now
	}
	l.probed = now
	l.probesWanted = firstProbes
	if !l.rtt.sampled || now.Sub(l.outage) >= outageProbing {
		if l.backoff > 0 {
			l.probesWanted = laterProbes
		}
		l.backoff++
	}
	l.ptoCount++
	l.probeOldest(cb)
}

// probeOldest puts the facts of the oldest packets into the probes that are wanted.
func (l *lossState) probeOldest(cb ackHandler) {
	n := 0
	for pn := l.cursor; pn < l.list.next && n < l.probesWanted; pn++ {
		p := l.list.at(pn)
		if p.outstanding() && p.eliciting && !p.probe && !p.symbol {
			cb.packetProbed(p)
			n++
		}
	}
}

// endOutage takes the first acknowledgement after a probe timeout. If it shows nothing to be lost, since it
// was sent before any probe arrived, it still tells what has not: that goes at once, and not when the probe
// after next is answered.
// spec: REL-33
func (l *lossState) endOutage(cb ackHandler) {
	l.ptoCount, l.backoff, l.probesWanted = 0, 0, 0
	if l.pass.lostPackets == 0 && l.outstanding > 0 {
		l.probesWanted = firstProbes
		l.probeOldest(cb)
	}
}
