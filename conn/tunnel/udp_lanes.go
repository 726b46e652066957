package tunnel

import (
	"time"

	"github.com/godwit-net/godwit/conn"
)

// Priorities of channels. Streams, which carry TCP, have 64.
const (
	// plainPriority is that of TCP: a program that sends as much as the path carries (a VPN inside the tunnel) must not
	// starve the connections beside it. They take turns (MSG-20), and a datagram now and then goes first.
	plainPriority = 64 // spec: TUN-47
	// mediaPriority is of the latency class: losses are noticed as soon as they can be.
	mediaPriority = 128
	// controlPriority: what opens a flow goes before its datagrams.
	controlPriority = 192
)

const (
	// plainDeadline bounds the queue in front of a slow link for datagrams that nothing is promised. A burst of
	// 144 datagrams of 1,472 bytes needs it at 7 Mbit/s; congestion control inside the tunnel (WireGuard with TCP)
	// sees losses rather than a longer queue.
	plainDeadline = 250 * time.Millisecond
	// largeDeadline is how long the parts of a datagram larger than a packet are repaired when the forward has no
	// deadline: without repair it would be lost when one of its parts is. A few round trips of any path.
	largeDeadline = time.Second
)

const (
	// udpChannels is how many channels each end takes, the control channel among them.
	udpChannels = 64
	// sharedChannels are kept for forwards with other options: flows with an order have a channel each, so that
	// none waits for another one's losses, until no more than these are left. Then they share.
	sharedChannels = 16
	// plainChannels is how many channels the flows without a deadline spread over, so that few wait in the queue of
	// one that fills its own. A channel costs memory at both ends, and programs for DNS have a flow for each question.
	plainChannels = 16
)

// channelClass is what the messages of a channel have in common, for the whole session (MSG-1).
type channelClass struct {
	mode     conn.Mode
	deadline time.Duration
	playout  time.Duration
	overhead int // percent; the cap of conn.MessageOptions
	priority uint8
}

// carries tells whether a channel of the peer's with these properties may be of the class.
func (c *channelClass) carries(mode conn.Mode, deadline, playout time.Duration) bool {
	return c.mode == mode && c.deadline == deadline && c.playout == playout
}

// options are those of a message on a channel of the class. With a deadline, its latency is accepted: it is to be met
// at the lowest cost.
func (c *channelClass) options(channel uint16) conn.MessageOptions {
	return conn.MessageOptions{Channel: channel, Mode: c.mode, Deadline: c.deadline, Playout: c.playout, Goal: conn.Economy, OverheadCap: c.overhead, Priority: c.priority, More: true}
}

// classOf returns how a forward's datagrams are carried that fit a packet.
func classOf(o *UDPOptions) channelClass { // spec: TUN-37
	switch {
	case o.Deadline == 0:
		return channelClass{mode: conn.Unreliable, deadline: plainDeadline, priority: plainPriority}
	case o.ordered():
		return mediaClass(conn.ReliableOrdered, o)
	}
	return mediaClass(conn.ReliableUnordered, o)
}

func mediaClass(mode conn.Mode, o *UDPOptions) channelClass {
	return channelClass{mode: mode, deadline: o.Deadline, playout: o.Playout, overhead: o.overheadCap(), priority: mediaPriority}
}

// largeClass is how those are carried that do not fit, where nothing else is repaired.
var largeClass = channelClass{mode: conn.ReliableUnordered, deadline: largeDeadline, overhead: defaultOverhead, priority: plainPriority}

// lanes are the sending channels of one session.
type lanes struct {
	used    [udpChannels]int // flows on each channel
	classes [udpChannels]channelClass
	next    uint16 // the first channel that has no class; 0 stands for 1
}

// most is how many channels flows of the class should have, if each can have its own.
func (c *channelClass) most() int {
	switch c.mode {
	case conn.ReliableOrdered:
		return udpChannels
	case conn.Unreliable:
		return plainChannels
	}
	return 1
}

// take returns a channel of the class for one more flow. It fails when all channels have other classes.
func (l *lanes) take(c channelClass) (channel uint16, ok bool) {
	l.next = max(l.next, controlChannel+1)
	have := 0
	for i := uint16(controlChannel + 1); i < l.next; i++ {
		if l.classes[i] != c {
			continue
		}
		have++
		if !ok || l.used[i] < l.used[channel] {
			channel, ok = i, true
		}
	}
	alone := have < c.most() && l.next < udpChannels-sharedChannels // spec: TUN-38
	if l.next < udpChannels && (!ok || alone && l.used[channel] > 0) {
		channel, ok = l.next, true
		l.classes[channel] = c
		l.next++
	}
	if ok {
		l.used[channel]++
	}
	return channel, ok
}

// release gives a flow's place on a channel back.
func (l *lanes) release(channel uint16) { l.used[channel]-- }
