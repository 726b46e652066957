package sim

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// Share puts two more sockets on the links that Connect made between two others: what they send waits
// in the same queues, as that of several sessions does behind one bottleneck. The error says that the
// two others are not connected.
func (w *World) Share(client, server, likeClient, likeServer netip.AddrPort) error {
	up, down := w.links[route{likeClient, likeServer}], w.links[route{likeServer, likeClient}]
	if up == nil || down == nil {
		return fmt.Errorf("no links between %v and %v to share: Connect them first", likeClient, likeServer)
	}
	w.links[route{client, server}], w.links[route{server, client}] = up, down
	return nil
}

// Backlog returns how long a datagram that entered now would wait for its turn.
func (l *Link) Backlog(now monotime.Time) time.Duration { return max(l.queue.busy.Sub(now), 0) }
