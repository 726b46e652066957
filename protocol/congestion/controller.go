package congestion

import (
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// Controller decides how many bytes may be in flight on one path, and how fast they leave.
//
// One controller serves one path in one direction; a path that moves to another address gets a new one.
// Calls come from one goroutine at a time, in the
// order of events, with times that never go back. A controller must not block and should not
// allocate: Sent is called for every packet and Acked for every acknowledgement frame.
//
// What the transport does, so that a controller need not:
//   - it detects losses, and takes them back when a packet that was declared lost arrives after all;
//   - it marks packets (ECN), finds out whether the path carries marks, and reports those that came
//     back as CE. A controller that does not answer them as it answers loss is a [Marker];
//   - it groups losses into episodes. An episode begins with the loss of a packet that was sent
//     after the previous episode began, or with a CE mark on such a packet, so there is at most one
//     episode a round trip. A controller that backs off once per episode reads LossSample.Episode;
//   - it measures RTT and delivery rate, counts rounds, and marks what was limited by the
//     application rather than by the path;
//   - it holds packets back: a packet leaves when the window has room and the pacer has credit.
//     Loss probes, acknowledgements without data, and a small allowance for urgent data pass;
//   - loss of a path MTU probe never counts.
type Controller interface {
	// Name is a short lower-case word for logs and statistics, such as "cubic".
	Name() string

	// Sent tells that a packet which counts as in flight has left.
	Sent(SendSample)

	// Acked tells what one acknowledgement frame brought. It is called once for each frame that
	// acknowledges at least one packet for the first time, after the losses that the frame revealed.
	Acked(AckSample)

	// Lost tells that packets were declared lost, or that the network marked packets (ECN).
	Lost(LossSample)

	// Undo tells that every loss of the last episode proved spurious: the packets had only been
	// late. The controller should go back to what it would be without the episode. An episode that
	// was caused or joined by a CE mark is never undone.
	Undo(now monotime.Time)

	// SetMaxDatagram tells that the largest datagram of the path is now n bytes of UDP payload. It
	// rises as path MTU probes succeed, and falls when a black hole is found.
	SetMaxDatagram(n int)

	// Window returns how many bytes may be in flight. It must be at least one datagram.
	Window() int

	// PacingRate returns the rate at which packets may leave, in bytes of UDP payload a second.
	// 0 leaves it to the transport, which takes two windows per smoothed RTT.
	PacingRate() uint64
}

// Config is what a controller starts with. The zero value of every field works.
type Config struct {
	// MaxDatagram is the largest datagram of the path in bytes of UDP payload. 0: 1200.
	MaxDatagram int
	// InitialWindow is the window to start with, in bytes. 0: ten datagrams, but at most the
	// larger of 14,720 bytes and two datagrams (RFC 9002, section 7.2).
	InitialWindow int
}

const (
	defaultMaxDatagram = 1200  // every path must carry it
	initialPackets     = 10    // RFC 9002, section 7.2
	initialWindowCap   = 14720 // RFC 9002, section 7.2, from RFC 6928
	minWindowPackets   = 2     // RFC 9002, section 7.2: kMinimumWindow
)

func (c Config) withDefaults() Config {
	if c.MaxDatagram <= 0 {
		c.MaxDatagram = defaultMaxDatagram
	}
	if c.InitialWindow <= 0 {
		c.InitialWindow = initialWindow(c.MaxDatagram)
	}
	c.InitialWindow = max(c.InitialWindow, minWindowPackets*c.MaxDatagram)
	return c
}

func initialWindow(maxDatagram int) int {
	return min(initialPackets*maxDatagram, max(minWindowPackets*maxDatagram, initialWindowCap))
}

// SendSample describes one packet that left.
type SendSample struct {
	Now      monotime.Time
	Bytes    int // size of the datagram, UDP payload
	InFlight int // bytes in flight, this packet included
	// AppLimited says that the application had nothing more to send at some time before, and that
	// what was in flight then is not all delivered yet, or was just so: nothing came after it.
	AppLimited bool
	// Urgent says that the packet has data for which milliseconds matter. They wait in the queue that the
	// rest of the traffic makes.
	Urgent bool
}

// AckSample describes what one acknowledgement frame brought.
type AckSample struct {
	Now monotime.Time

	// Bytes and Packets were acknowledged for the first time, packets that had been declared lost
	// not included.
	Bytes, Packets int
	// RecoveryBytes of Bytes were sent before the current episode of loss began. They say nothing
	// about the window after it, so a window does not grow for them.
	RecoveryBytes int

	// ECT packets were acknowledged that left with an ECN mark: what the counts in LossSample.ECN are
	// a part of. 0 where the path does not carry marks.
	ECT int

	// RTT is the sample that the frame gave, acknowledgement delay taken off; 0: it gave none.
	RTT time.Duration
	// SmoothedRTT and MinRTT are the path's estimates, this sample included.
	SmoothedRTT, MinRTT time.Duration

	// PriorInFlight and InFlight are the bytes in flight before and after the frame.
	PriorInFlight, InFlight int

	// RoundStart says that a round trip has passed since the last frame with RoundStart: a packet
	// was acknowledged that was sent after that frame came.
	RoundStart bool

	// Rate is the delivery-rate sample. Rate.AppLimited is also the mark to look at before a
	// window grows.
	Rate RateSample
}

// LossSample describes packets that were just declared lost, or marked by the network.
type LossSample struct {
	Now monotime.Time

	// Bytes and Packets were declared lost. Both are 0 when the sample reports marks only.
	Bytes, Packets int
	// Episode says that this begins a new episode: back off now. Without it, the losses belong to
	// an episode for which the controller has backed off already.
	Episode bool
	// ECN is the number of packets newly reported as marked CE. They begin an episode as a loss does,
	// but not for a Marker that asks for MarkL4S.
	ECN int
	// Persistent says that everything sent over a long time was lost (RFC 9002, section 7.6). What
	// was known about the path is void: start again from the minimum.
	Persistent bool
	// PriorInFlight and InFlight are the bytes in flight before and after the loss.
	PriorInFlight, InFlight int
}

// LossObserver is a Controller that wants to hear of every lost packet, not only of their sum.
type LossObserver interface {
	// LostPacket tells that one packet was declared lost. The calls for all packets of a report come
	// before Lost, in the order in which the packets left.
	LostPacket(PacketLoss)
}

// PacketLoss describes one packet that was declared lost, and the path when it left.
type PacketLoss struct {
	// Bytes is the size of the datagram.
	Bytes int
	// TxInFlight is what was in flight when it left, itself included.
	TxInFlight int
	// Lost bytes were declared lost since it left, itself included.
	Lost uint64
	// AppLimited says that the application, not the path, may have limited the rate when it left.
	AppLimited bool
}
