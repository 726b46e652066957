package protocol

import (
	"math"
	"time"

	"github.com/godwit-net/godwit/protocol/wire"
)

const (
	// carryResidual is the share of messages that may be lost with all of their copies: a tenth of what a
	// 99.9th percentile sees, twice that since some of those are found overdue in time.
	carryResidual = 2e-4
	// maxCarried is the most copies of a message that go along before it is overdue.
	maxCarried = 16
	// maxCopies is the most frames with one message that may be under way.
	maxCopies = 64
	// carryGap is the least time between two packets with copies of a channel: copies in packets that leave
	// together are lost together.
	carryGap = 4 * time.Millisecond
	// carryRate is what copies may use, in bytes a second: 256 kbit/s, or carryShare of the window in a round trip,
	// whichever is more. In an outage of more than outageTrips round trips it is a carryOutage-th of that.
	carryRate   = 256_000 / 8
	carryShare  = 0.05
	carryOutage = 4
	outageTrips = 3
	// carryBurst is how many bytes of copies may leave at once, in seconds of that rate: 6 kB, so that what is in flight
	// after an outage of 200 ms fits an initial window.
	carryBurst = 0.192
	// maxCarryScan is how many messages of a channel are looked at for one packet.
	maxCarryScan = 64

	// twiceAfter is how long after a message the extra packet leaves that MessageOptions.Twice asks for: long
	// enough for a short burst of loss to be over, and so short that at 60 Hz the extra packet of the next message
	// leaves within 20 ms: that is the fourth chance of this one.
	twiceAfter = 3 * time.Millisecond
	// spareAfter is the same for those that are sent twice by default, spareShare their share of all messages.
	// Nobody knows which packets will be lost. But of the messages whose packet is lost, as many are then on time
	// as that share: so that where one in a hundred is lost, less than one in a hundred comes late.
	spareAfter = 2 * time.Millisecond
	spareShare = 1.0 / 22
	// maxSpare is how many extra packets can be saved up, and how many may be owed for packets that left in
	// silence or after a loss.
	maxSpare = 4
	// extraLate is how long an extra packet that may not leave is kept.
	extraLate = 10 * time.Millisecond

	// silenceDoubt is the probability that packets are overdue by accident below which that is called silence,
	// with minOverdue to maxOverdue packets.
	silenceDoubt = 0.01
	minOverdue   = 2
	maxOverdue   = 6

	// minSilentGap is the least time from one repetition in silence to the next. It grows with the time in which
	// nothing was heard, of which it is a silentGapShare-th.
	minSilentGap   = 8 * time.Millisecond
	silentGapShare = 3
)

// The delays after which extra copies leave: one queue for each, so that each is in the order of time.
const (
	extraTwice = iota
	extraSpare
	extraKinds
)

// extraCopy is a message that leaves once more.
type extraCopy struct {
	at       Time
	channel  *sendChannel
	position uint64
}

// carryState decides when messages that are not acknowledged are sent again although nothing says that they
// are lost.
type carryState struct {
	flying int // reliable messages that were sent in full and are not settled
	extras [extraKinds]queue[extraCopy]

	// As of the last packet that was begun.
	copies   int           // how many of each message the loss needs
	patience time.Duration // after how long without acknowledgement a message is overdue
	silent   bool          // nothing is acknowledged
	crowded  bool          // packets wait in a queue on the path: nothing leaves in addition
	due      bool          // copies should leave, in a packet of their own if need be
	repeat   bool          // all that are not acknowledged may go along, since there is silence
	tried    Time          // when they were due last

	tokens   float64 // bytes of copies that may leave
	filled   Time    // when tokens was right
	spare    float64 // extra packets that may leave by default
	repeated Time    // when messages were repeated last, since there is silence
}

// copiesNeeded returns how many copies beside the first let a message be lost with all of them no more often than
// carryResidual. A copy after a loss is lost with the probability that a run of losses goes on.
//
// spec: FEC-20
func (l *lossState) copiesNeeded() int {
	p := l.presentLoss()
	again := max(p, 1-1/l.rate.burstMean())
	n := 0
	for left := p; left > carryResidual && n < maxCarried; left *= again {
		n++
	}
	return n
}

// patience is how long after it was sent a packet should be acknowledged.
func (l *lossState) patience() time.Duration {
	return l.rtt.smoothed + max(4*l.rtt.variance, l.reorder.window(&l.rtt), timerGranularity)
}

// waiting returns when the n-th oldest of the packets left that wait for an acknowledgement, or the last one if there
// are fewer, and how many there are up to n.
func (l *lossState) waiting(n int) (sent Time, count int) {
	end := min(l.list.next, l.cursor+maxCarryScan)
	for pn := l.cursor; pn < end && count < n; pn++ {
		if p := l.list.at(pn); p.outstanding() && p.eliciting && !p.probe {
			sent = p.answerable()
			count++
		}
	}
	return sent, count
}

// overdueInSilence returns how many packets in a row must be overdue so that the usual loss, of packets and of their
// acknowledgements, is hardly the reason.
func (l *lossState) overdueInSilence() int {
	p := l.presentLoss()
	unanswered := 1 - (1-p)*(1-p)
	n := minOverdue
	for left := math.Pow(unanswered, minOverdue); left > silenceDoubt && n < maxOverdue; left *= unanswered {
		n++
	}
	return n
}

// silence says from when to when messages are repeated since nothing is acknowledged: when so many packets are overdue
// that it is no accident and nothing came since, until outageTrips round trips later. While there are fewer packets
// than that, and all are overdue, one more leaves.
//
// spec: FEC-24
func (l *lossState) silence() (from, to Time, certain bool) {
	if !l.rtt.sampled {
		return 0, 0, false
	}
	enough := l.overdueInSilence()
	sent, count := l.waiting(enough)
	if count == 0 {
		return 0, 0, false
	}
	patience := l.patience()
	from = max(l.progressed, sent).Add(patience)
	if count < enough {
		return from, from.Add(patience), false
	}
	return from, from.Add(outageTrips * l.rtt.smoothed), true
}

// nextRepeat returns when messages are repeated next in silence, and when they may be in a packet that leaves anyway;
// 0: not. The longer nothing is heard the longer the time between.
func (k *carryState) nextRepeat(l *lossState) (at, along Time) {
	if k.flying == 0 {
		return 0, 0
	}
	from, to, _ := l.silence()
	if from == 0 {
		return 0, 0
	}
	gap := max(minSilentGap, k.repeated.Sub(from)/silentGapShare)
	at, along = max(from, k.repeated.Add(gap)), max(from, k.repeated.Add(gap/2))
	if at.After(to) {
		at = 0
	}
	return at, along
}

// deadline returns when a packet should leave for copies alone; 0: not because of what is known now.
func (k *carryState) deadline(l *lossState) Time {
	at, _ := k.nextRepeat(l)
	for i := range k.extras {
		if q := &k.extras[i]; q.len() > 0 && (at == 0 || q.front().at.Before(at)) {
			at = q.front().at
		}
	}
	if at != 0 && !at.After(k.tried) {
		at = k.tried.Add(timerGranularity) // it could not leave
	}
	return at
}

// prepareCopies looks at the path before a packet is begun.
func (m *messagesState) prepareCopies(now Time, l *lossState) {
	k := &m.carry
	k.due, k.repeat = false, false
	k.copies, k.crowded = l.copiesNeeded(), l.crowded()
	if k.flying == 0 && k.extras[extraTwice].len() == 0 && k.extras[extraSpare].len() == 0 {
		k.silent = false
		return
	}
	k.patience = l.patience()
	from, to, certain := l.silence()
	k.silent = certain && !now.Before(from)
	k.refill(now, l, k.silent && now.After(to))
	at, along := k.nextRepeat(l)
	k.repeat = along != 0 && !now.Before(along)
	if at != 0 && !now.Before(at) {
		k.due, k.repeated = true, now // whether it may leave or not
	}
	for i := range k.extras {
		q := &k.extras[i]
		for q.len() > 0 && now.Sub(q.front().at) > extraLate {
			q.pop()
		}
		k.due = k.due || q.len() > 0 && !now.Before(q.front().at)
	}
	if k.due {
		k.tried = now
	}
}

// refill adds what the time since the last packet allows.
//
// spec: FEC-22
func (k *carryState) refill(now Time, l *lossState, outage bool) {
	rate := max(carryRate, carryShare*float64(l.window())/l.rtt.smoothed.Seconds())
	burst := rate * carryBurst
	if outage {
		rate /= carryOutage
	}
	if k.filled.IsZero() {
		k.tokens = burst
	} else {
		k.tokens = min(k.tokens+rate*now.Sub(k.filled).Seconds(), burst)
	}
	k.filled = now
}

// sentOnce notes that a reliable message left in full for the first time, with a size that copies have too.
func (k *carryState) sentOnce(now Time, c *sendChannel, position uint64) {
	m := c.queue.at(position)
	if m.twice {
		k.extras[extraTwice].push(extraCopy{now.Add(twiceAfter), c, position})
	}
	if k.copies == 0 || k.crowded || !c.carries() {
		return
	}
	if k.spare = min(k.spare+spareShare, maxSpare); k.spare >= 1 {
		k.spare--
		k.extras[extraSpare].push(extraCopy{now.Add(spareAfter), c, position})
	}
}

// owe notes a packet that left in silence or after a loss: one fewer leaves by default.
func (k *carryState) owe() { k.spare = max(k.spare-1, -maxSpare) }

// copyWriter appends copies of messages to a packet.
type copyWriter struct {
	b     []byte
	limit int // of len(b)
	facts *[]fact
	alone bool // the packet leaves for copies alone, and has none yet
}

// add appends a copy, and returns false if there was no room.
func (w *copyWriter) add(c *sendChannel, position uint64) bool {
	before := len(w.b)
	w.b, _ = c.appendPart(w.b, w.limit-before, w.facts, messagePart{position: position, to: c.queue.at(position).places(), copied: true})
	if len(w.b) == before {
		return false
	}
	if w.alone {
		w.alone = false
		c.stats.Extra++
		if k := &c.messages.carry; k.repeat {
			k.owe()
		}
	}
	return true
}

// addWithin is add under the cap.
func (w *copyWriter) addWithin(c *sendChannel, position uint64) bool {
	before := len(w.b)
	k := &c.messages.carry
	if size := c.queue.at(position).size + copyHeader; float64(size) > k.tokens || !w.add(c, position) {
		return false
	}
	k.tokens -= float64(len(w.b) - before)
	return true
}

// appendCopies appends the copies that are due, and those that go along with what leaves anyway.
func (m *messagesState) appendCopies(w *copyWriter, now Time) {
	k := &m.carry
	extra := k.addExtras(w, now)
	if k.flying == 0 || k.copies == 0 && !k.silent && !k.repeat {
		return
	}
	for _, c := range m.outOrder {
		if !c.carries() || c.queue.len() == 0 {
			continue
		}
		if k.silent && !k.repeat || !extra && now.Sub(c.carriedAt) < carryGap {
			continue
		}
		c.carry(w, now)
	}
}

// addExtras appends the extra copies that are due, and says whether one was: it takes others along.
//
// spec: FEC-25
func (k *carryState) addExtras(w *copyWriter, now Time) (extra bool) {
	for i := range k.extras {
		q := &k.extras[i]
		for q.len() > 0 && !now.Before(q.front().at) {
			e := *q.front()
			if e.channel.wantsExtra(e.position) {
				if !w.add(e.channel, e.position) {
					return extra
				}
				extra = true
			}
			q.pop()
		}
	}
	return extra
}

// carries reports whether messages of a channel are carried. The code needs fewer bytes, but a symbol helps only when
// its whole block is there: who wants the lowest cost gets that.
//
// spec: FEC-21
func (c *sendChannel) carries() bool {
	return c.light && reliable(c.mode) && c.priority >= latencyPriority && (c.deadline == 0 || c.goal != Economy)
}

// wantsExtra reports whether an extra copy of a message is still of use.
func (c *sendChannel) wantsExtra(position uint64) bool {
	if position < c.queue.head || position >= c.sendAt {
		return false
	}
	if c.mode == wire.Sequenced && position+1 < c.sendAt {
		return false // the receiver would drop it after the newer one
	}
	return c.copyable(position)
}

// copyable reports whether a copy of a message may leave.
//
// spec: FEC-23
func (c *sendChannel) copyable(position uint64) bool {
	m := c.queue.at(position)
	if m.settled || m.late || m.sent < m.places() || m.copies >= maxCopies || m.sentIn == uint32(c.messages.streams.packets) {
		return false
	}
	return len(c.lost) == 0 || !c.lost.contains(m.start) // what is lost has its turn anyway
}

// carry appends copies of messages, the oldest first since the others may have to wait for it.
func (c *sendChannel) carry(w *copyWriter, now Time) {
	k := &c.messages.carry
	for position := c.queue.head; position < min(c.sendAt, c.queue.head+maxCarryScan); position++ {
		m := c.queue.at(position)
		age := now.Sub(m.sentAt)
		if !c.copyable(position) || age < carryGap {
			continue
		}
		overdue := k.copies > 0 && age >= k.patience
		if !k.repeat && !overdue && int(m.carried) >= k.copies {
			continue
		}
		if !w.addWithin(c, position) {
			return
		}
		m.carried++
		c.carriedAt = now
		if k.repeat {
			k.repeated = now
		}
	}
}

// copyHeader is what a copy adds to a message, at most: type, channel, number, stamp, length.
const copyHeader = 1 + 4 + 2 + 2 + 2

// noteCopied notes that a copy of a message left.
func (c *sendChannel) noteCopied(m *outMessage) {
	m.copies++
	m.sentIn = uint32(c.messages.streams.packets)
	c.stats.Carried++
	c.stats.CarriedBytes += uint64(m.size)
}

// enterFlight counts a reliable message that was sent in full.
func (c *sendChannel) enterFlight(m *outMessage) {
	k := &c.messages.carry
	k.flying++
	c.flight += uint64(m.size) + copyHeader
	if !k.silent { // in silence nothing is acknowledged, at any rate
		c.light = c.flight <= uint64(c.messages.streams.wholeRoom)
	}
}

// leaveFlight takes it out again when its fate is decided.
func (c *sendChannel) leaveFlight(m *outMessage) {
	c.messages.carry.flying--
	c.flight -= uint64(m.size) + copyHeader
}
