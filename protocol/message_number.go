package protocol

import "github.com/godwit-net/godwit/protocol/wire"

// Numbers of messages are counted from 0 in each channel and travel as their lowest 8 or 16 bits. The
// receiver takes the number closest to the one that it expects next. What it expects moves on, and a packet
// that is held back on the way must not be read as another message: so a receiver refuses numbers from
// packets that are older than a margin, and a sender keeps within what is left of half the range.
const (
	narrowHalf   = 1 << 7
	narrowMargin = 1 << 6
	wideHalf     = 1 << 15
	wideMargin   = 1 << 14
	// narrowFlight is the most numbers under way with which a sender uses one byte: then a packet that is
	// older than the margin is late by more than a round trip.
	narrowFlight = narrowMargin / 2
	// resyncAhead is how far the numbers of a channel without retransmission get ahead of what is
	// acknowledged before the receiver is told with a SKIP where they are.
	resyncAhead = wideHalf / 2
)

// numberWidth says how a number can be sent: known is one more than the largest number that the receiver has
// for certain, next is the next number that no message has yet.
//
// spec: MSG-6
func numberWidth(number, known, next uint64) (wide, ok bool) {
	if next-number < narrowHalf-narrowMargin && number < known+narrowFlight {
		return false, true
	}
	return true, next-number < wideHalf-wideMargin && number < known+wideHalf
}

// packetPlace is the place of a packet in the order in which the peer sent them: paths are opened in the order
// of their IDs, and each is used until the next one.
type packetPlace struct{ path, pn uint64 }

func (p packetPlace) before(q packetPlace) bool {
	return p.path < q.path || p.path == q.path && p.pn < q.pn
}

// numberMark notes that the receiver expected next when it had seen packets up to place.
type numberMark struct {
	place packetPlace
	next  uint64
}

// numberGuard tells packets that are too old to restore a number from.
type numberGuard struct {
	marks [2]numberMark // the older one first
}

// accepts reports whether at place the number expected was at most margin less than now.
//
// spec: MSG-7
func (g *numberGuard) accepts(place packetPlace, expected, margin uint64) bool {
	for _, m := range g.marks {
		if !place.before(m.place) && m.next+margin >= expected {
			return true
		}
	}
	return false
}

// moved notes that expected has grown in the packet at place.
func (g *numberGuard) moved(place packetPlace, expected, margin uint64) {
	if expected >= g.marks[1].next+margin/2 {
		g.marks[0], g.marks[1] = g.marks[1], numberMark{place, expected}
	}
}

// numbers is what the receiver of a channel knows of the peer's numbers.
type numbers struct {
	expected     uint64 // one more than the largest seen, or told by a SKIP
	narrow, wide numberGuard
}

// restore returns the number that a frame means, or false when its packet is too old to say.
func (n *numbers) restore(f *wire.Message, place packetPlace) (uint64, bool) {
	if f.Wide {
		if !n.wide.accepts(place, n.expected, wideMargin) {
			return 0, false
		}
		return wire.DecodePacketNumber(n.expected, uint32(f.Number), 2), true
	}
	if !n.narrow.accepts(place, n.expected, narrowMargin) {
		return 0, false
	}
	return wire.DecodePacketNumber(n.expected, uint32(f.Number), 1), true
}

// seen notes that all numbers below next may be in use, as of the packet at place.
func (n *numbers) seen(next uint64, place packetPlace) {
	if next <= n.expected {
		return
	}
	n.expected = next
	n.narrow.moved(place, next, narrowMargin)
	n.wide.moved(place, next, wideMargin)
}
