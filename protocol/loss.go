package protocol

import (
	"fmt"
	"sync"
	"time"

	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/wire"
)

const (
	// latencyPackets and latencyFraction bound by how much urgent data may exceed the window: four
	// packets, or a twentieth of the window where that is more. It counts as in flight like all
	// else, so bulk data pays it back.
	latencyPackets  = 4
	latencyFraction = 20
	// latencySilence is for how many round trips of silence what left on that allowance long ago does not use it up:
	// for as long as messages are repeated, and as long again for those that follow. A window that was cut to four
	// packets by the outages before would else let nothing leave at the end of one of 200 ms.
	latencySilence = 2 * outageTrips
	// maxLatencyScan is how many of the oldest packets in flight are looked at for those.
	maxLatencyScan = 64
	// startPackets is by how many datagrams messages with a deadline may exceed the first windows of a path, until
	// startAcked packets were acknowledged: a key frame of 120 kB then takes a round trip and a half, not three.
	// With Adaptive's window that is as much again as it starts with.
	startPackets = 32
	startAcked   = 128
	// startDebit is what such a packet costs the pacer, as a part of its size: so both leave in half a round trip.
	startDebit = 2
	// maxUntrackedTail is how many packets that ask for no acknowledgement are remembered at the old
	// end of the list. A receiver of bulk data sends little else, and the peer need not answer.
	maxUntrackedTail = 64
	// maxUnanswered is how many packets that ask for no acknowledgement may leave while one that asks
	// for it is not acknowledged. Every one of them was provoked by a peer that is there and could
	// answer; what is not dropped below the oldest outstanding packet would grow as long as it likes.
	maxUnanswered = 1 << 14
	// overtakingSpans is how many times as many packets as a round trip has now may leave in the next: a window
	// doubles in slow start.
	overtakingSpans = 2
	// noPacketNumber stands for a largest number where there is none yet. One more than it is 0.
	noPacketNumber = ^uint64(0)
)

// sendClass is what kind of packet asks to leave.
type sendClass uint8

const (
	sendBulk      sendClass = iota
	sendLatency             // may exceed the window a little, passes the pacer
	sendProbe               // of loss detection: passes window and pacer, as many as are wanted
	sendAck                 // asks for no acknowledgement: always passes
	sendSizeProbe           // of path size discovery: passes the window, not the pacer
)

// lossTimer is why loss detection wants to be woken.
type lossTimer uint8

const (
	lossTimerNone    lossTimer = iota
	lossTimerReorder           // a packet will have been late for too long
	lossTimerProbe             // nothing was acknowledged for too long
)

// ackHandler learns what became of packets. The packet is valid during the call only, and the call
// must not send or acknowledge anything on the path.
type ackHandler interface {
	// packetAcked: the packet arrived. When p.lost is set it had been declared lost before. Packets that are acknowledged
	// together and have nothing but bytes of a stream, one behind the other, are told as the last of them.
	packetAcked(p *sentPacket)
	// packetLost: the packet is taken to be lost, its facts should be sent again.
	packetLost(p *sentPacket)
	// packetProbed: a probe is due, and the facts of this packet, which may be lost, should be in
	// it. The packet still counts as in flight.
	packetProbed(p *sentPacket)
}

// lossConfig is what the sender's side of a path starts with.
type lossConfig struct {
	cc          congestion.Controller
	random      func() uint64 // for the packet numbers to skip
	maxDatagram int           // the size that the path is known to carry, bytes of UDP payload; 0: baseDatagram
	mtuLimit    int           // the largest datagram ever to try; 0: no larger one
	ecn         bool          // mark packets while the path carries marks
	initialRTT  time.Duration // 0: initialRTT
}

// lossStats counts what happened to packets.
type lossStats struct {
	packetsSent, packetsAcked, packetsLost uint64
	bytesSent, bytesAcked, bytesLost       uint64
	spurious                               uint64 // losses that were none
	ptos                                   uint64 // probe timeouts
	episodes                               uint64 // congestion responses
	undos                                  uint64 // of them taken back
	persistent                             uint64 // persistent congestion
	blackHoles                             uint64 // falls to the base size
	marked                                 uint64 // packets reported with a CE mark
	sizeProbesLost                         uint64
}

// lossState is the sender's side of a path: what is in flight, what arrived, what is lost, and when
// the next packet may leave.
type lossState struct {
	*lossScratch // nil: at rest

	cc      congestion.Controller
	rtt     rttState
	mtu     mtuState
	ecn     ecnState
	reorder reorderState
	sampler congestion.RateSampler
	list    sentList
	skip    skipper
	rate    lossRate
	stats   lossStats

	bytesInFlight   int
	latencyInFlight int    // of them, those that left on the allowance of the latency class
	outstanding     int    // packets in flight that want to be acknowledged
	unanswered      int    // other packets sent since one of those was last acknowledged
	lastEliciting   Time   // when the last of them left that has more than copies
	progressed      Time   // when something that wants to be acknowledged was, last
	largest         uint64 // largest number acknowledged, or noPacketNumber
	cursor          uint64 // the fate of every packet below is decided
	epoch           uint64 // packets below belong to the path before it moved: no samples from them
	lossTime        Time   // when the packet at the cursor will be lost, 0: nothing is late
	maxAckDelay     time.Duration
	ptoCount        int32
	backoff         int32 // how often the timeout has doubled
	outage          Time  // when the first of them expired
	probed          Time  // when the last of them expired
	probesWanted    int
	recoveryStart   Time   // start of the episode of loss; packets sent before belong to it
	episodeLost     int    // losses of it that have not proved spurious
	episode         uint32 // the number of the episode
	episodeMarked   bool   // the network marked packets: nothing to undo
	expiring        bool   // what leaves next is a message with a deadline, or repairs some
	runStart        Time   // send time of the first packet of an unbroken run of losses
	persistentSince Time   // persistent congestion since, 0: none
}

// lossScratch is what of lossState says nothing after a silence.
type lossScratch struct {
	pace  pacer
	pass  ackPass
	frame congestion.AckedFrame
}

// scratchPool has sessions that say something now and then take turns.
var scratchPool = sync.Pool{New: func() any { return new(lossScratch) }}

// ackPass sums up one acknowledgement frame or one timeout.
type ackPass struct {
	prior         int // bytes in flight before
	bytes         int
	packets       int
	recoveryBytes int
	progress      bool // something that wants to be acknowledged was, for the first time
	rtt           time.Duration

	lostBytes    int
	lostPackets  int
	newEpisode   bool
	persistent   bool
	smallestLost int
}

func (l *lossState) init(now Time, cfg lossConfig) {
	*l = lossState{lossScratch: new(lossScratch), cc: cfg.cc, largest: noPacketNumber}
	l.rtt.reset(cfg.initialRTT)
	l.ecn.start(cfg.ecn)
	l.mtu.reset(cfg.maxDatagram, cfg.mtuLimit)
	l.skip.random = cfg.random
	l.skip.reset(0)
	l.updatePace()
}

// setMaxAckDelay tells how long the peer may hold an acknowledgement back.
func (l *lossState) setMaxAckDelay(d time.Duration) { l.maxAckDelay = d }

// sampleRTT takes a round trip that something else than a packet of this path measured, such as the
// handshake.
func (l *lossState) sampleRTT(now Time, rtt time.Duration) {
	l.rtt.update(now, rtt, 0)
	l.updatePace()
}

// nextPN returns the number of the next packet.
func (l *lossState) nextPN() uint64 {
	if l.list.next == l.skip.next {
		return l.list.next + 1
	}
	return l.list.next
}

// largestAcked returns the largest number acknowledged, or false when there is none yet.
func (l *lossState) largestAcked() (uint64, bool) { return l.largest, l.largest != noPacketNumber }

// numberLen returns how many bytes of its number, 1 to 4, packet pn carries. They tell it from what is not acknowledged,
// and from what may overtake it: what leaves within a round trip, in which the window may double. What is later than
// that is taken to be lost (RFC 9000, section 17.1).
// spec: WIRE-43
func (l *lossState) numberLen(pn uint64) int {
	largest, acked := l.largestAcked()
	if !acked {
		largest = 0
	}
	span := max(pn-largest, uint64(l.cc.Window()/l.mtu.current()))
	return wire.PacketNumberLen(largest+overtakingSpans*span, largest, acked)
}

// begin returns the record of the next packet, to be filled in. A packet that is not committed was
// never begun. The pointer is void after the next begin.
func (l *lossState) begin() *sentPacket {
	l.wake()
	l.list.reserve(2)
	pn := l.nextPN()
	p := l.list.at(pn)
	p.reset(pn)
	return p
}

// commit records that the packet left at now, with size bytes of UDP payload.
func (l *lossState) commit(now Time, p *sentPacket, size int) {
	if p.pn != l.list.next {
		l.commitSkip(p.pn)
	}
	l.list.next++
	p.sent, p.size = now, int32(size)
	l.stats.packetsSent++
	l.stats.bytesSent += uint64(size)
	switch {
	case p.probe:
		p.inFlight = false // it must not hold data back, however large it is
		l.mtu.probeSent(size)
		l.pace.sent(now, min(size, l.mtu.current()))
	case p.inFlight:
		l.mtu.packetSent(now, size)
		l.bytesInFlight += size
		if p.latency {
			l.latencyInFlight += size
		}
		p.state = l.sampler.OnSent(now, size, l.bytesInFlight)
		l.pace.sent(now, l.paceDebit(p, size))
		l.cc.Sent(congestion.SendSample{
			Now: now, Bytes: size, InFlight: l.bytesInFlight, AppLimited: l.sampler.AppLimited(), Urgent: p.urgent,
		})
	case len(p.facts) > 0: // acknowledgements; not a challenge, which is about another address perhaps
		l.pace.ackSent(now, size)
	}
	if p.ecn != wire.NotECT {
		l.ecn.packetSent(p.ecn)
	}
	if !p.eliciting {
		l.unanswered++
		l.dropUntracked()
		return
	}
	l.outstanding++
	if !p.repeat { // spec: FEC-24
		l.lastEliciting = p.answerable()
	}
	if l.probesWanted > 0 {
		l.probesWanted--
	}
}

// commitSkip records that the number before pn is never sent.
// spec: REL-6
func (l *lossState) commitSkip(pn uint64) {
	if pn != l.list.next+1 || l.list.next != l.skip.next {
		panic("BUG: packet committed out of order")
	}
	s := l.list.at(l.list.next)
	s.reset(l.list.next)
	s.skipped = true
	l.list.next++
	l.skip.skipped()
}

// dropUntracked forgets the oldest packets while they are only acknowledgements, so that an end
// that has nothing else to send stays small.
func (l *lossState) dropUntracked() {
	if l.list.len() <= maxUntrackedTail || !l.idle() {
		return
	}
	for l.list.len() > maxUntrackedTail {
		l.list.at(l.list.base).forget()
		l.list.base++
	}
	l.cursor = max(l.cursor, l.list.base)
}

// canSend reports whether a packet of size bytes of UDP payload may leave now. When the pacer holds
// it back, wait is when it may; when the window is full, wait is 0: an acknowledgement must come.
func (l *lossState) canSend(now Time, size int, class sendClass) (ok bool, wait Time) {
	switch class {
	case sendAck:
		return true, 0
	case sendProbe:
		return l.probesWanted > 0, 0
	case sendSizeProbe:
		return l.pace.canSend(now, min(size, l.mtu.current()))
	}
	if class == sendLatency {
		if size > l.latencyRoom(now) {
			return false, 0
		}
		return l.pace.canPass(now)
	}
	if l.bytesInFlight > 0 && l.bytesInFlight+size > l.cc.Window() { // spec: REL-21
		return false, 0
	}
	return l.pace.canSend(now, size)
}

// latencyRoom returns how many bytes the next packet of the latency class may have: what the window has
// room for or, beyond it, what is left of the allowance. The allowance is this class's own. Were it counted
// from the window, a window that has just been cut below what is in flight would close it for half a round
// trip, at the very time at which the class exists to be quick.
// spec: REL-22
func (l *lossState) latencyRoom(now Time) int {
	window := l.cc.Window()
	room := window - l.bytesInFlight
	if l.persistentSince.IsZero() {
		allowance := max(latencyPackets*l.mtu.current(), window/latencyFraction)
		if room = max(room, allowance-l.latencyInFlight); room < l.mtu.current() {
			room = max(room, allowance-l.latencyInFlight+l.latencyGone(now))
		}
		if l.starting() {
			room = max(room, window+startPackets*l.mtu.current()-l.bytesInFlight)
		}
	}
	if l.bytesInFlight == 0 {
		room = max(room, l.mtu.current())
	}
	return room
}

// latencyGone returns the bytes that left on the allowance of the latency class, are in flight and cannot be on the path
// any more: nothing is acknowledged, and they are overdue.
func (l *lossState) latencyGone(now Time) (bytes int) {
	if from, _, certain := l.silence(); !certain || now.Before(from) || now.After(from.Add(latencySilence*l.rtt.smoothed)) {
		return 0
	}
	overdue := now.Add(-l.patience())
	for pn := l.cursor; pn < min(l.list.next, l.cursor+maxLatencyScan); pn++ {
		p := l.list.at(pn)
		if p.sent.After(overdue) {
			break
		}
		if p.outstanding() && p.latency {
			bytes += int(p.size)
		}
	}
	return bytes
}

// starting reports whether the path has carried so little that its window says nothing, and messages with a deadline may
// exceed it.
//
// spec: REL-46
func (l *lossState) starting() bool {
	return l.expiring && l.stats.packetsAcked < startAcked && l.stats.persistent == 0
}

// paceDebit is what a packet of size bytes costs the pacer.
func (l *lossState) paceDebit(p *sentPacket, size int) int {
	if p.latency && l.starting() {
		return size / startDebit
	}
	return size
}

// appLimited tells that everything was sent although more could have been.
func (l *lossState) appLimited() {
	if l.bytesInFlight+l.mtu.current() <= l.cc.Window() {
		l.sampler.SetAppLimited(l.bytesInFlight)
	}
}

// fillsWindow reports whether a packet of size bytes will be the last before an acknowledgement must
// come, in a window so small that the peer would wait for more packets than it can get. Such a packet
// should ask for an acknowledgement at once.
func (l *lossState) fillsWindow(size int) bool {
	return l.outstanding < 2*ackPackets && l.bytesInFlight+2*size > l.cc.Window()
}

// window returns the congestion window in bytes.
func (l *lossState) window() int { return l.cc.Window() }

// inFlight returns the bytes that are in flight.
func (l *lossState) inFlight() int { return l.bytesInFlight }

// datagramSize returns the size up to which packets should be filled. While probes die it is the
// base size, so that a path that has lost its large packets still shows itself.
// spec: REL-30
func (l *lossState) datagramSize() int {
	if l.ptoCount >= smallProbeAfter {
		return baseDatagram
	}
	return l.mtu.current()
}

// marking returns how the controller wants packets marked.
func (l *lossState) marking() congestion.Marking {
	if marker, ok := l.cc.(congestion.Marker); ok {
		return marker.Marking()
	}
	return congestion.MarkClassic
}

// sendECN returns the mark for the next packet.
func (l *lossState) sendECN() wire.ECN { return l.ecn.mark(l.marking()) }

// wake undoes rest.
func (l *lossState) wake() {
	if l.lossScratch == nil {
		l.lossScratch = scratchPool.Get().(*lossScratch)
		*l.lossScratch = lossScratch{}
		l.updatePace()
	}
}

// updatePace takes over what the controller says about the rate.
func (l *lossState) updatePace() {
	if l.lossScratch == nil {
		return // wake does it
	}
	l.pace.setRate(l.pacingRate(), l.mtu.current())
}

// pacingRate returns the rate at which packets may leave, in bytes a second.
func (l *lossState) pacingRate() uint64 {
	if rate := l.cc.PacingRate(); rate != 0 {
		return rate
	}
	return uint64(derivedPacing * float64(l.cc.Window()) / l.rtt.smoothed.Seconds())
}

// idle reports whether no packet is waited for.
func (l *lossState) idle() bool { return l.outstanding == 0 && l.bytesInFlight == 0 }

// rest gives back what only traffic needs when no packet is waited for.
func (l *lossState) rest() {
	if l.idle() {
		l.release()
		if l.lossScratch != nil {
			scratchPool.Put(l.lossScratch)
			l.lossScratch = nil
		}
	}
}

// release frees the records of packets when none is waited for. Acknowledgements of those that were
// forgotten are then ignored.
func (l *lossState) release() {
	if !l.idle() {
		return
	}
	for ; l.list.base < l.list.next; l.list.base++ {
		l.list.at(l.list.base).forget()
	}
	l.cursor, l.lossTime = l.list.base, 0
	l.list.release()
}

// abandon gives the path up: what is in flight is taken to be lost, with no lesson from it.
func (l *lossState) abandon(cb ackHandler) {
	for pn := l.cursor; pn < l.list.next; pn++ {
		p := l.list.at(pn)
		if p.outstanding() && p.eliciting {
			cb.packetLost(p)
		}
		if p.probe {
			l.mtu.settle(int(p.size))
		}
	}
	l.bytesInFlight, l.latencyInFlight, l.outstanding, l.unanswered, l.probesWanted = 0, 0, 0, 0, 0
	l.ptoCount, l.backoff = 0, 0
	l.release()
}

// boundUnanswered starts anew when a peer provokes packet after packet and acknowledges none of those
// that ask for it: what they said is said again, and their records are freed.
func (l *lossState) boundUnanswered(cb ackHandler) {
	if l.unanswered > maxUnanswered {
		l.abandon(cb)
	}
}

// migrated tells that the path has a new address at one end. A new port alone is most likely the
// same path. Another address is another network: what was measured is void, and what is still in
// flight says nothing about it. cc is the controller to go on with; nil keeps the old one.
// spec: REL-31
func (l *lossState) migrated(now Time, portOnly bool, cc congestion.Controller) {
	l.skip.reset(l.list.next)
	if portOnly {
		return
	}
	l.epoch = l.list.next
	for pn := l.cursor; pn < l.list.next; pn++ {
		l.list.at(pn).inFlight = false
	}
	l.bytesInFlight, l.latencyInFlight = 0, 0
	if cc != nil {
		l.cc = cc
	}
	l.rtt.reset(0)
	l.ecn.moved()
	l.mtu.reset(baseDatagram, l.mtu.limit)
	l.reorder, l.rate = reorderState{}, lossRate{}
	l.sampler = congestion.RateSampler{}
	l.ptoCount, l.backoff, l.recoveryStart, l.runStart, l.persistentSince = 0, 0, 0, 0, 0
	l.episode, l.episodeLost = l.episode+1, 0
	l.updatePace()
}

// checkInvariants compares the sums with their parts. It looks at every packet that is remembered.
func (l *lossState) checkInvariants() error {
	bytes, latency, outstanding := 0, 0, 0
	for pn := l.list.base; pn < l.list.next; pn++ {
		p := l.list.at(pn)
		if p.pn != pn {
			return fmt.Errorf("slot of packet %d holds %d", pn, p.pn)
		}
		if !p.outstanding() {
			continue
		}
		if pn < l.cursor {
			return fmt.Errorf("packet %d is outstanding below the cursor %d", pn, l.cursor)
		}
		if p.inFlight {
			bytes += int(p.size)
			if p.latency {
				latency += int(p.size)
			}
		}
		if p.eliciting {
			outstanding++
		}
	}
	if bytes != l.bytesInFlight || latency != l.latencyInFlight || outstanding != l.outstanding {
		return fmt.Errorf("%d bytes (%d urgent) and %d packets in flight, but the parts make %d (%d) and %d",
			l.bytesInFlight, l.latencyInFlight, l.outstanding, bytes, latency, outstanding)
	}
	return nil
}

// deadline returns when handleTimeout should be called, and why; 0: never.
func (l *lossState) deadline() (Time, lossTimer) {
	if !l.lossTime.IsZero() {
		return l.lossTime, lossTimerReorder
	}
	if l.outstanding == 0 {
		return 0, lossTimerNone
	}
	from := l.lastEliciting
	if l.ptoCount > 0 {
		from = max(from, l.probed) // the probe may have had to stay: its path is not the one in use
	}
	return from.Add(l.probeInterval()), lossTimerProbe
}

// pto returns the probe timeout without backoff.
func (l *lossState) pto() time.Duration { return l.rtt.probeTimeout() + l.maxAckDelay }
