package protocol

import (
	"math/bits"
	"time"
)

// SentMessages counts messages that this end sends. Those without a counter of their own are still under way.
type SentMessages struct {
	Sent          uint64 // accepted for sending
	SentBytes     uint64 // in them
	Acknowledged  uint64 // arrived at the peer
	Lost          uint64 // lost, in modes that do not send again; or under way when the session ended
	Expired       uint64 // by their deadlines
	Retransmitted uint64 // frames that repeat what a lost packet had
	RepeatedBytes uint64 // of messages, in them
	Needless      uint64 // of those, the ones whose first copy was acknowledged before them
	Carried       uint64 // frames with copies of messages of which nothing said that they were lost
	CarriedBytes  uint64 // of messages, in them
	Extra         uint64 // packets that left for such copies alone
}

// ReceivedMessages counts messages that the peer sends.
type ReceivedMessages struct {
	Arrived       uint64 // complete, each once, whatever became of it then
	Received      uint64 // given to the application
	ReceivedBytes uint64 // in them
	Skipped       uint64 // numbers that the peer, or their deadline, had this end go on without
	Stale         uint64 // sequenced messages that came after a newer one
	Late          uint64 // messages that came after this end had gone on without them, or too late to tell which
	Duplicate     uint64 // copies of messages that had come before
	Overflowed    uint64 // unreliable messages dropped since the application did not take them
}

// MessageStats counts messages of both directions.
type MessageStats struct {
	SentMessages
	ReceivedMessages
}

func (s *SentMessages) add(c *SentMessages) {
	s.Sent += c.Sent
	s.SentBytes += c.SentBytes
	s.Acknowledged += c.Acknowledged
	s.Lost += c.Lost
	s.Expired += c.Expired
	s.Retransmitted += c.Retransmitted
	s.RepeatedBytes += c.RepeatedBytes
	s.Needless += c.Needless
	s.Carried += c.Carried
	s.CarriedBytes += c.CarriedBytes
	s.Extra += c.Extra
}

func (s *ReceivedMessages) add(c *ReceivedMessages) {
	s.Arrived += c.Arrived
	s.Received += c.Received
	s.ReceivedBytes += c.ReceivedBytes
	s.Skipped += c.Skipped
	s.Stale += c.Stale
	s.Late += c.Late
	s.Duplicate += c.Duplicate
	s.Overflowed += c.Overflowed
}

// sum returns the counters of all channels.
func (m *messagesState) sum() (st MessageStats) {
	for _, c := range m.outOrder {
		st.SentMessages.add(&c.stats)
	}
	for _, c := range m.inOrder {
		st.ReceivedMessages.add(&c.stats)
	}
	return st
}

// HistogramLen is how many entries a Histogram has: enough for the longest deadline.
const HistogramLen = 16

// Histogram counts times by powers of two: entry 0 those below 1 ms, entry n those from 2^(n-1) to below 2^n ms,
// the last one all from 16.4 s on.
type Histogram [HistogramLen]uint64

func (h *Histogram) add(d time.Duration) {
	h[min(bits.Len64(uint64(max(d, 0)/time.Millisecond)), HistogramLen-1)]++
}

// Count returns how many times were counted.
func (h *Histogram) Count() (n uint64) {
	for _, k := range h {
		n += k
	}
	return n
}

// Quantile returns a time that a share q of those counted, 0 to 1, is below: the end of an entry, so at most
// twice the true value (or 1 ms), and 2^15 ms for the last one. 0: nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	need, total := q*float64(h.Count()), uint64(0)
	for i, k := range h {
		if total += k; k > 0 && float64(total) >= need {
			return time.Millisecond << i
		}
	}
	return 0
}

// receiveTimes is how the messages of a channel stand to the time at which they are wanted.
type receiveTimes struct{ margin, lateness Histogram }

// wanted is how long after a message as quick as any its play-out, else its deadline, is; 0: it has none.
func (c *recvChannel) wanted() time.Duration {
	if c.playout > 0 {
		return c.playout
	}
	return c.deadline
}

// came notes that a message is complete, and how much time was left until it is wanted.
func (c *recvChannel) came(stamped bool, a *arrival) {
	c.stats.Arrived++
	c.fates.add(c.timed(stamped, a))
}

// timed notes how a message stands to its time, and reports whether it is late.
func (c *recvChannel) timed(stamped bool, a *arrival) (late bool) {
	wanted := c.wanted()
	if wanted == 0 || !stamped {
		return false
	}
	if c.times == nil {
		c.times = new(receiveTimes)
	}
	left := c.messages.clock.at(a.source).Add(wanted).Sub(a.now)
	if left < 0 {
		c.times.lateness.add(-left)
		return true
	}
	c.times.margin.add(left)
	return false
}
