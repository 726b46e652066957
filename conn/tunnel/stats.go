package tunnel

import "sync/atomic"

// counters count the connections of one forward, or of one session at a server.
type counters struct {
	open, total, refused atomic.Int64 // connections
	sent, received       atomic.Int64 // octets into the tunnel and out of it at this end
}
