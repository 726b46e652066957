package protocol

import (
	"math/bits"
	"time"

	"github.com/godwit-net/godwit/protocol/wire"
)

// ChannelStats is what has happened on the two channels of one number: the one on which this end sends, and the
// one on which the peer does.
type ChannelStats struct {
	Sent     SentChannelStats
	Received ReceivedChannelStats
}

// SentChannelStats is the sender's view of a channel. Without a first message all is zero.
type SentChannelStats struct {
	SentMessages
	Open              bool // a message was sent
	Mode              wire.Mode
	Deadline, Playout time.Duration
	Priority          uint8

	Waiting      int       // messages of which some has never been sent
	WaitingBytes uint64    // in all messages that are not settled
	QueueTime    Histogram // from SendMessage until all of a message had left once
	Overhead     float64   // bytes of messages sent again, by bytes sent for the first time

	// Quality is 0 to 100 (see quality): from half the round-trip time, the play-out, and the share of the last 64
	// messages that was lost, expired, or late by the peer's last report. 0: nothing is known.
	Quality float64

	// Peer is what the receiver said last, ReportAge ago. It speaks at most once a second while messages flow.
	Reported  bool
	ReportAge time.Duration
	Peer      ReceiverReport
}

// ReceiverReport is what only the receiver of a channel knows. Counters are of messages.
type ReceiverReport struct {
	Arrived   uint64        // complete
	Skipped   uint64        // it went on without them
	Late      uint64        // came after that
	Dropped   uint64        // came after a newer one, or while the application took none
	Duplicate uint64        // copies of what had come
	Jitter    time.Duration // mean change of the one-way delay from packet to packet (RFC 3550)
	Delay     time.Duration // mean one-way delay above the smallest
	Margin    Histogram     // time left when they were complete, of those in time, until play-out, else deadline
	Lateness  Histogram     // time that had passed since, of the others
}

// ReceivedChannelStats is the receiver's view of a channel. Before the peer has announced it all is zero.
type ReceivedChannelStats struct {
	ReceivedMessages
	Open              bool // the peer has announced it
	Mode              wire.Mode
	Deadline, Playout time.Duration

	Holding  int // messages of which parts have come, or that wait for others
	Playing  int // complete messages that wait for their play-out
	Missing  uint64
	Jitter   time.Duration // as in ReceiverReport
	Delay    time.Duration
	Margin   Histogram
	Lateness Histogram
	// Quality is 0 to 100, from half the round-trip time, the play-out, and the share of the last 64 messages that
	// did not come, or came late. 0: nothing is known.
	Quality float64
}

// ChannelStats returns what has happened on a channel number so far.
func (s *Session) ChannelStats(now Time, channel uint16) (st ChannelStats) {
	if s.messages == nil {
		return st
	}
	half := time.Duration(0)
	if p := s.paths.active; p != nil && p.loss.rtt.sampled {
		half = p.loss.rtt.smoothed / 2
	}
	if c := s.messages.out[channel]; c != nil {
		st.Sent = c.snapshot(now, half)
	}
	if c := s.messages.in[channel]; c != nil {
		st.Received = c.snapshot(half)
	}
	return st
}

func (c *sendChannel) snapshot(now Time, half time.Duration) SentChannelStats {
	st := SentChannelStats{
		SentMessages: c.stats, Open: true, Mode: c.mode, Deadline: c.deadline, Playout: c.playout, Priority: c.priority,
		Waiting: int(c.queue.tail - c.sendAt), WaitingBytes: c.data.len() - uint64(c.queue.len()), QueueTime: c.queueTime,
	}
	if c.firstBytes > 0 {
		st.Overhead = float64(c.stats.RepeatedBytes) / float64(c.firstBytes)
	}
	lost := c.fates.share()
	if p := c.peer; p != nil {
		st.Reported, st.ReportAge, st.Peer = true, now.Sub(p.at), p.view()
		lost = min(1, lost+p.late)
	}
	if c.fates.known > 0 {
		st.Quality = quality(half+c.playout, lost)
	}
	return st
}

func (p *peerView) view() ReceiverReport {
	f := &p.report
	return ReceiverReport{
		Arrived: f.Arrived, Skipped: f.Skipped, Late: f.Late, Dropped: f.Dropped, Duplicate: f.Duplicate,
		Jitter: saturatedMicros(f.JitterMicros), Delay: saturatedMicros(f.DelayMicros),
		Margin: f.Margin, Lateness: f.Lateness,
	}
}

// saturatedMicros returns a number of µs of the peer's, at most an hour.
func saturatedMicros(v uint64) time.Duration {
	return time.Duration(min(v, uint64(time.Hour/time.Microsecond))) * time.Microsecond
}

func (c *recvChannel) snapshot(half time.Duration) ReceivedChannelStats {
	m := c.messages
	st := ReceivedChannelStats{
		ReceivedMessages: c.stats, Open: true, Mode: c.mode, Deadline: c.deadline, Playout: c.playout,
		Holding: c.held.n, Missing: c.missing(), Jitter: m.clock.jitter, Delay: max(m.clock.extra, 0),
	}
	for _, h := range m.playing[laneOf(reliable(c.mode))].items {
		if h.channel == c {
			st.Playing++
		}
	}
	if c.times != nil {
		st.Margin, st.Lateness = c.times.margin, c.times.lateness
	}
	if c.fates.known > 0 {
		st.Quality = quality(half+c.playout, c.fates.share())
	}
	return st
}

// missing returns how many numbers below the newest have not come in full, and may come no more.
func (c *recvChannel) missing() uint64 {
	return c.numbers.expected - min(c.stats.Arrived+c.stats.Skipped, c.numbers.expected)
}

// recentFates is what became of the last 64 messages.
type recentFates struct {
	bits  uint64 // the newest in the lowest bit; 1: it did not come in time
	known uint8
}

func (r *recentFates) add(failed bool) {
	r.bits <<= 1
	if failed {
		r.bits |= 1
	}
	r.known = min(r.known+1, 64)
}

// addMissing counts n numbers that were left out, takeBack one of them that came after all.
func (r *recentFates) addMissing(n uint64) {
	for range min(n, 64) {
		r.add(true)
	}
}

func (r *recentFates) takeBack() { r.bits &= r.bits - 1 }

func (r *recentFates) share() float64 {
	return float64(bits.OnesCount64(r.bits)) / max(1, float64(r.known))
}
