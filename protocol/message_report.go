package protocol

import (
	"time"

	"github.com/godwit-net/godwit/protocol/wire"
)

const (
	// reportInterval is the least time between two reports about a channel: what people look at, and programs
	// that adapt their rate, need no more.
	reportInterval = time.Second
	// reportMessages is how many messages come at least before the next report, so that one costs less than
	// two bytes a message, and reportLatest after which time it goes although they were fewer.
	reportMessages = 32
	reportLatest   = 10 * time.Second
	// reportCheck is how often a receiver looks whether a report is due.
	reportCheck = reportInterval / 8
)

// reporting is what a receiver remembers of its reports about a channel.
type reporting struct {
	at   Time   // when the last one left, or the channel was announced
	told uint64 // what it had counted, summed up
}

// news returns how much a channel has counted.
func (s *ReceivedMessages) news() uint64 {
	return s.Arrived + s.Skipped + s.Stale + s.Late + s.Duplicate + s.Overflowed
}

// reportDue reports whether the sender of a channel should hear what has come.
//
// spec: MSG-50
func (c *recvChannel) reportDue(now Time) bool {
	since, news := now.Sub(c.reports.at), c.stats.news()-c.reports.told
	return since >= reportInterval && (news >= reportMessages || news > 0 && since >= reportLatest)
}

// report returns what the sender of a channel is told.
func (c *recvChannel) report() wire.ChannelReport {
	f := wire.ChannelReport{
		Channel: uint64(c.number), Arrived: c.stats.Arrived, Skipped: c.stats.Skipped, Late: c.stats.Late,
		Dropped: c.stats.Stale + c.stats.Overflowed, Duplicate: c.stats.Duplicate,
		JitterMicros: uint64(c.messages.clock.jitter / time.Microsecond),
		DelayMicros:  uint64(max(c.messages.clock.extra, 0) / time.Microsecond),
	}
	if t := c.times; t != nil {
		f.Margin, f.Lateness = t.margin, t.lateness
	}
	return f
}

// appendReports appends the reports that are due and fit below limit. They go in packets that leave anyway, and
// ask for no acknowledgement: one that is lost is made up for by the next.
func (m *messagesState) appendReports(b []byte, limit int, now Time) []byte {
	if now.Before(m.reportCheck) {
		return b
	}
	m.reportCheck = now.Add(reportCheck)
	for _, c := range m.inOrder {
		if !c.reportDue(now) {
			continue
		}
		n := len(b)
		if b = c.report().Append(b); len(b) > limit {
			return b[:n]
		}
		c.reports = reporting{at: now, told: c.stats.news()}
	}
	return b
}

// peerView is what the receiver of a channel said last.
type peerView struct {
	place  packetPlace // of the packet that it came in
	at     Time
	report wire.ChannelReport
	late   float64 // share of the messages between this and the one before that came too late, 0 to 1
}

// handleReport takes what the peer says of a channel of this end.
//
// spec: MSG-51
func (m *messagesState) handleReport(f *wire.ChannelReport, a *arrival) error {
	if m.ended {
		return nil
	}
	c := m.out[uint16(f.Channel)]
	if c == nil {
		return transportErrorf(wire.ProtocolViolation, wire.FrameChannelReport, "channel %d was never used", f.Channel)
	}
	if f.Arrived > c.next || f.Skipped > c.next {
		return transportErrorf(wire.ProtocolViolation, wire.FrameChannelReport, "channel %d: more messages than %d", f.Channel, c.next)
	}
	if c.peer == nil {
		c.peer = new(peerView)
	} else if a.place.before(c.peer.place) {
		return nil // an older one, overtaken
	}
	*c.peer = peerView{a.place, a.now, *f, lateShare(&c.peer.report, f)}
	return nil
}

// lateShare returns the share of the messages between two reports that came too late.
func lateShare(before, now *wire.ChannelReport) float64 {
	late, all := 0.0, 0.0
	for i := range now.Margin {
		l := float64(now.Lateness[i]) - float64(before.Lateness[i])
		late += l
		all += l + float64(now.Margin[i]) - float64(before.Margin[i])
	}
	return min(max(late/max(all, 1), 0), 1)
}
