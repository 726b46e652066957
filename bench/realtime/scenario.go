package realtime

import (
	"time"

	"github.com/godwit-net/godwit/protocol"
)

// Load is what the application sends: frames of messages, by the clock, on one channel.
type Load struct {
	// Options are those of every message. Tag is not used.
	Options protocol.MessageOptions
	// Size is that of each message in bytes, or the least, when MaxSize is more: then each is drawn.
	Size, MaxSize int
	// Frame is how many messages are written at once; 0: one. MaxFrame, when it is more, is the most: then
	// each frame is drawn.
	Frame, MaxFrame int
	// First is how many messages the first frame has; 0: as many as the others.
	First int
	// Every is the time from one frame to the next.
	Every time.Duration
}

// Scenario is a load on a link.
type Scenario struct {
	Name  string
	Group string // heads it in the table
	Link  string // in the language of sim.ParseLink, the same in both directions
	Load  Load
	Cap   int // overhead of repair that both ends allow, in percent; 0: the default
	// Transfer is how many bytes go out at once on a stream beside the messages, again and again; 0: none.
	// Only messages that were written during a transfer count then.
	Transfer int
	// Samples is how many messages are written after the warm-up.
	Samples int
	// Starts is how many sessions are played one after the other, each from its first message on and without any
	// warm-up; Samples are of each. 0: one session, with a warm-up.
	Starts int
	// Pause is the time from the handshake to the first message, for those with Starts.
	Pause time.Duration
	// Seeds is how many seeds are enough, since a run is costly; 0: as many as are asked for.
	Seeds int
	// Targets are what the figures should be.
	Targets []Target
}

// shortPart is the part of the samples that short scenarios have.
const shortPart = 10

// Short returns the scenario with a tenth of its samples, or of its starts, for tables that are made often. Targets are about
// whole runs, so they are shown beside figures that may miss them by chance.
func (s Scenario) Short() Scenario {
	if s.Starts > 0 {
		s.Starts /= shortPart
		return s
	}
	s.Samples /= shortPart
	return s
}

func (l *Load) frame() int { return max(l.Frame, 1) }

// perSecond is how many messages the load has in a second, on average.
func (l *Load) perSecond() float64 {
	frame := float64(l.frame()+max(l.frame(), l.MaxFrame)) / 2
	return frame / l.Every.Seconds()
}
