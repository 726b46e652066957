package conn

import "github.com/godwit-net/godwit/protocol"

// What sessions count and measure. They are plain structs: a call fills one in, and allocates nothing.
type (
	// Stats is what a session has seen so far.
	Stats = protocol.Stats
	// DirectionStats is how one direction of a session's path behaves.
	DirectionStats = protocol.DirectionStats
	// MessageStats counts messages of both directions.
	MessageStats = protocol.MessageStats
	// ChannelStats is what has happened on the two channels of a number: messages, queues, margins before
	// their deadlines, quality, and what the receiver at the other end says of them.
	ChannelStats = protocol.ChannelStats
	// SentChannelStats is the sender's view of a channel.
	SentChannelStats = protocol.SentChannelStats
	// ReceivedChannelStats is the receiver's view of a channel.
	ReceivedChannelStats = protocol.ReceivedChannelStats
	// ReceiverReport is what only the receiver of a channel knows.
	ReceiverReport = protocol.ReceiverReport
	// Histogram counts times by powers of two of a millisecond.
	Histogram = protocol.Histogram
)

// ChannelStats returns what has happened so far on a channel number, in both directions.
func (s *Session) ChannelStats(channel uint16) ChannelStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.ChannelStats(s.now(), channel)
}
