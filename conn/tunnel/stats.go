package tunnel

import "sync/atomic"

// ForwardStats counts the connections of one forward.
type ForwardStats struct {
	Forward        string    // as the configuration has it
	Open           int64     // connections at this moment
	Total          int64     // that stood
	Refused        int64     // that never stood
	Sent, Received int64     // octets into the tunnel and out of it, at this end
	UDP            *UDPStats // of a UDP forward, whose connections are flows; nil for TCP
}

// counters count the connections of one forward, or of one session at a server.
type counters struct {
	open, total, refused atomic.Int64 // connections
	sent, received       atomic.Int64 // octets into the tunnel and out of it at this end
}

func (c *counters) stats(name string) ForwardStats {
	return ForwardStats{
		Forward: name, Open: c.open.Load(), Total: c.total.Load(), Refused: c.refused.Load(),
		Sent: c.sent.Load(), Received: c.received.Load(),
	}
}
