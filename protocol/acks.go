package protocol

import (
	"math"
	"slices"
	"time"

	"github.com/godwit-net/godwit/protocol/wire"
)

const (
	// ackPackets is after how many packets of bulk data an acknowledgement is due.
	ackPackets = 16
	// ackDelayFraction of the round trip is how long one may wait.
	ackDelayFraction = 4
	// defaultAckDelay is the longest it may wait, where nothing else was agreed.
	defaultAckDelay = 10 * time.Millisecond
	// repeatFor is how long after the last packet acknowledgements are repeated when a sender who had more
	// to send falls silent: longer than paths are usually gone, short enough not to matter if the sender is.
	repeatFor = outageProbing
	// repeatFraction of a round trip is the time from one repetition to the next, minRepeat the least: a
	// hundred small packets a second.
	repeatFraction = 4
	minRepeat      = 10 * time.Millisecond
	// ackTruncated is the token of a frame that left ranges out: what it did not say is not known to
	// the peer when it arrives.
	ackTruncated = ^uint64(0)
	// keptAckRanges is the room for ranges that an idle path keeps.
	keptAckRanges = 4
)

// ackState is the receiver's side of a path: what has arrived, and when to say so.
type ackState struct {
	seen     rangeset // at most wire.MaxAckRanges ranges
	ecn      wire.ECNCounts
	largest  Time   // arrival of the largest number
	reported uint64 // the peer knows of everything below, as of the last frame but one
	known    uint64 // as of the last frame that it acknowledged

	maxDelay  time.Duration // the longest we promised
	delay     time.Duration // how long an acknowledgement of bulk data waits
	threshold int32         // after how many packets it is due
	waiting   int32         // packets that want to be acknowledged and are not

	due Time // when the delay is over, 0: nothing waits

	heard  Time // arrival of the last packet that wants to be acknowledged
	repeat Time // when to say again what has arrived, 0: no need

	hasECN bool // ecn has something to say
	fixed  bool // the peer has asked for a delay of its own
	now    bool // what waits, without delay
	asked  bool // what waits is stream data whose sender asked for it: its reader may answer
}

func (a *ackState) init(maxDelay time.Duration) {
	if maxDelay <= 0 {
		maxDelay = defaultAckDelay
	}
	*a = ackState{maxDelay: maxDelay, delay: maxDelay, threshold: ackPackets}
}

// setRTT lets the delay follow the round trip.
func (a *ackState) setRTT(srtt time.Duration) {
	if !a.fixed {
		a.delay = min(srtt/ackDelayFraction, a.maxDelay) // spec: REL-3
	}
}

// setFrequency takes the peer's wish: after how many packets, and after how long.
func (a *ackState) setFrequency(packets int, delay time.Duration) {
	a.threshold = int32(min(max(packets, 1), math.MaxInt32))
	a.delay = min(delay, a.maxDelay)
	a.fixed = true
}

// requestNow makes an acknowledgement due at once.
func (a *ackState) requestNow() { a.now = true }

// receive takes an authentic packet that was not seen before. immediate says that it asks for an
// answer without delay.
func (a *ackState) receive(now Time, pn uint64, eliciting, immediate bool, ecn wire.ECN) {
	a.receiveUntil(now, pn, eliciting, immediate, 0, ecn)
}

// receiveUntil is receive for a packet whose acknowledgement may wait until a time for another packet to take it
// along; 0: as all else.
func (a *ackState) receiveUntil(now Time, pn uint64, eliciting, immediate bool, until Time, ecn wire.ECN) {
	next := a.seen.end()
	a.seen.add(pn, pn+1)
	a.bound(pn)
	if pn >= next {
		a.largest = now
	}
	a.count(ecn)
	if !eliciting {
		return
	}
	a.waiting++ // spec: REL-1
	due := now.Add(a.delay)
	if until != 0 && a.waiting <= ridePackets && !a.fixed {
		due = until
	}
	if a.due.IsZero() || due.Before(a.due) {
		a.due = due
	}
	// A gap or a packet out of order is news that the sender's loss detection waits for, and so is
	// a mark of congestion.
	if immediate || pn != next || ecn == wire.CE { // spec: REL-2
		a.now = true
	}
}

// ask notes that the sender of stream data that just came asked for an acknowledgement. Its owner may hold it
// back for the answer of the data's reader.
func (a *ackState) ask(now Time) {
	a.asked = true
	if a.waiting == 1 {
		a.due = now.Add(a.maxDelay) // spec: REL-43
	}
}

// bound forgets the oldest range when there are too many, but not the one with pn: a packet that came
// very late would else never be reported, and be sent again for nothing.
// spec: REL-4
func (a *ackState) bound(pn uint64) {
	if len(a.seen) <= wire.MaxAckRanges {
		return
	}
	oldest := 0
	if pn < a.seen[0].End {
		oldest = 1
	}
	a.seen = slices.Delete(a.seen, oldest, oldest+1)
}

func (a *ackState) count(ecn wire.ECN) {
	switch ecn { // spec: REL-5
	case wire.ECT0:
		a.ecn.ECT0++
	case wire.ECT1:
		a.ecn.ECT1++
	case wire.CE:
		a.ecn.CE++
	default:
		return
	}
	a.hasECN = true
}

// pending reports whether something wants to be acknowledged.
func (a *ackState) pending() bool { return a.waiting > 0 || a.now && len(a.seen) > 0 }

// canWait reports whether no acknowledgement is due but one that may wait for an answer.
func (a *ackState) canWait() bool { return !a.now && a.waiting < a.threshold }

// shouldSend reports whether an acknowledgement is due, in a packet of its own if need be.
func (a *ackState) shouldSend(now Time) bool {
	return a.pending() && (a.now || a.asked || a.waiting >= a.threshold || !a.due.IsZero() && !now.Before(a.due))
}

// deadline returns when an acknowledgement will be due, 0: none waits.
func (a *ackState) deadline() Time {
	if !a.pending() {
		return a.repeat
	}
	return a.due
}

// expect notes whether the sender of a packet that just came has more to send at once: then it did not
// ask for an acknowledgement without delay. If nothing follows for a round trip, the path may be gone and
// with it our last acknowledgements. Said again, they tell the sender, as soon as the path is back, where
// to go on.
// spec: REL-32
func (a *ackState) expect(now Time, more bool, rtt time.Duration) {
	a.heard, a.repeat = now, 0
	if more {
		a.repeat = now.Add(max(rtt, minRepeat))
	}
}

// handleTimeout makes a repetition due.
func (a *ackState) handleTimeout(now Time, rtt time.Duration) {
	if a.repeat == 0 || now.Before(a.repeat) {
		return
	}
	a.now = true
	a.repeat = now.Add(max(rtt/repeatFraction, minRepeat))
	if a.repeat.Sub(a.heard) > repeatFor {
		a.repeat = 0
	}
}

// append appends an acknowledgement of at most size bytes. The token is what sent and ackedAck want to
// be given. It does nothing and returns false when nothing has arrived yet or too little room is left.
func (a *ackState) append(b []byte, now Time, path uint64, size int) (out []byte, token uint64, ok bool) {
	if len(a.seen) == 0 || size <= 0 {
		return b, 0, false
	}
	delay := uint64(max(now.Sub(a.largest), 0) / time.Microsecond)
	extras := wire.AckExtras{HasECN: a.hasECN, ECN: a.ecn}
	n := len(b)
	b, ok = wire.AppendAckWithin(b, size, path, delay, a.seen, extras)
	if !ok {
		return b, 0, false
	}
	token = a.seen.max()
	if len(b)-n+maxRangeSize > size {
		token = ackTruncated // perhaps: then the history is kept a little longer
	}
	return b, token, true
}

// maxRangeSize is the size of one more range at most.
const maxRangeSize = 2 * 8

// sent notes that a packet with the acknowledgement left.
func (a *ackState) sent(uint64) { a.waiting, a.now, a.asked, a.due = 0, false, false, 0 }

// ackedAck notes that the frame with this token has arrived. History is then dropped up to where the
// frame before it ended: a packet that came late, between the two, stays in at least one more frame.
func (a *ackState) ackedAck(token uint64) {
	if token == ackTruncated || token+1 <= a.known {
		return
	}
	a.reported, a.known = a.known, token+1
	// The newest range stays: a frame cannot be empty.
	if end := a.seen.end(); end > 0 {
		a.seen.sub(0, min(a.reported, end-1))
	}
}

// largestSeen returns the largest number that has arrived.
func (a *ackState) largestSeen() (uint64, bool) { return a.seen.max(), len(a.seen) > 0 }

// rest gives back what an idle path does not need.
func (a *ackState) rest() { a.seen.release(keptAckRanges) }
