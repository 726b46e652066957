package udp

import "strings"

// Features are ways to have the system do more at once. Each is tried when a socket is made,
// and switched off when the system refuses it later.
type Features uint8

const (
	// Segment sends a run of datagrams of one size to one peer as one buffer that the system, or the
	// network card, cuts (Linux UDP_SEGMENT, Windows UDP_SEND_MSG_SIZE).
	Segment Features = 1 << iota
	// Coalesce receives such a run as one buffer (Linux UDP_GRO).
	Coalesce
	// Many sends and receives several buffers in one call (sendmmsg, recvmmsg).
	Many
	// Steer has the kernel give the datagrams of a session to the one socket of several that share a port
	// which has the session, wherever they come from, and others to their door (Linux SO_ATTACH_REUSEPORT_CBPF).
	Steer

	// Fragment lets the system divide datagrams that are larger than the way out carries, which a Socket
	// otherwise forbids. It is for programs that pass on what others send.
	Fragment

	// ECN reads and writes the two ECN bits of each datagram.
	ECN

	// AllFeatures is what sockets try.
	AllFeatures = Segment | Coalesce | Many | Steer | ECN
)

var featureNames = []struct {
	feature Features
	name    string
}{{Segment, "segment"}, {Coalesce, "coalesce"}, {Many, "many"}, {Steer, "steer"}, {Fragment, "fragment"}, {ECN, "ecn"}}

// String names the features, "plain" when there are none.
func (f Features) String() string {
	var names []string
	for _, n := range featureNames {
		if f&n.feature != 0 {
			names = append(names, n.name)
		}
	}
	if names == nil {
		return "plain"
	}
	return strings.Join(names, "+")
}
