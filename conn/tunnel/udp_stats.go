package tunnel

import (
	"errors"
	"sync/atomic"

	"github.com/godwit-net/godwit/conn"
)

// UDPStats counts the datagrams of a UDP forward, or of all flows to the targets of one end. Here is the end
// that is asked.
type UDPStats struct {
	Flows    int    // open now
	Opened   uint64 // flows so far
	In       uint64 // datagrams that came from programs here
	InBytes  uint64
	Out      uint64 // datagrams that were given to programs here
	OutBytes uint64

	// Datagrams from programs here that did not enter the tunnel.
	NoSession uint64 // there was no session
	QueueFull uint64 // more waited than a channel holds
	NoFlow    uint64 // the flow was refused, or there was no room for it

	// Datagrams from the tunnel that reached no program here.
	Unwritten uint64 // refused by the system
	Stale     uint64 // their flow had ended
	Dropped   uint64 // waited for their flow in vain

	Refused    uint64 // flows that were refused
	Evicted    uint64 // flows that ended for a newer one
	Unanswered uint64 // times that a system said that no program listens at the target

	Repair UDPRepair // of forwards with a deadline
}

// UDPRepair is what became of the datagrams of all forwards with the same options, in the present session; those from the
// tunnel are counted together for forwards that differ in Overhead alone. What was repaired by symbols is in the session's Stats.
type UDPRepair struct {
	// Datagrams from programs here.
	SentAgain  uint64  // frames that repeat what was lost
	Expired    uint64  // given up at their deadline
	LateThere  uint64  // came too late, as the other end said last
	QualityOut float64 // 0 to 100, the worst of the channels; 0: not known

	// Datagrams from the tunnel.
	Missing   uint64  // that the order went on without
	Late      uint64  // of those, the ones that came too late
	QualityIn float64 // 0 to 100, the worst of the channels; 0: not known
}

// add adds what is known of a channel. sent tells whether what is sent on it is of the class.
func (r *UDPRepair) add(c *conn.ChannelStats, class *channelClass, sent bool) {
	if s := &c.Sent; s.Open && sent {
		r.SentAgain += s.Retransmitted
		r.Expired += s.Expired
		r.LateThere += s.Peer.Late
		r.QualityOut = worse(r.QualityOut, s.Quality)
	}
	if s := &c.Received; s.Open && class.carries(s.Mode, s.Deadline, s.Playout) {
		r.Missing += s.Skipped
		r.Late += s.Late
		r.QualityIn = worse(r.QualityIn, s.Quality)
	}
}

// worse returns the smaller one of two qualities that are known.
func worse(a, b float64) float64 {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}

// repair returns what is known of the channels that carry datagrams with the options.
func (m *udpMux) repair(o *UDPOptions) (r UDPRepair) {
	if m == nil || o.Deadline == 0 {
		return r
	}
	class := classOf(o)
	m.mu.Lock()
	classes := m.lanes.classes
	m.mu.Unlock()
	for channel := uint16(controlChannel + 1); channel < udpChannels; channel++ {
		c := m.session.ChannelStats(channel)
		r.add(&c, &class, classes[channel] == class)
	}
	return r
}

// amount counts datagrams and their bytes.
type amount struct{ datagrams, bytes atomic.Uint64 }

func (a *amount) add(size int) {
	a.datagrams.Add(1)
	a.bytes.Add(uint64(size))
}

// udpCounters is UDPStats while it changes.
type udpCounters struct {
	opened                       atomic.Uint64
	flows                        atomic.Int64
	in, out                      amount
	noSession, queueFull, noFlow atomic.Uint64
	unwritten, stale, dropped    atomic.Uint64
	refused, evicted, unanswered atomic.Uint64
}

// lost counts a datagram that a session did not take.
func (c *udpCounters) lost(err error) {
	if errors.Is(err, conn.ErrMessageQueueFull) {
		c.queueFull.Add(1)
		return
	}
	c.noSession.Add(1)
}

func (c *udpCounters) stats() UDPStats {
	return UDPStats{
		Flows: int(c.flows.Load()), Opened: c.opened.Load(),
		In: c.in.datagrams.Load(), InBytes: c.in.bytes.Load(), Out: c.out.datagrams.Load(), OutBytes: c.out.bytes.Load(),
		NoSession: c.noSession.Load(), QueueFull: c.queueFull.Load(), NoFlow: c.noFlow.Load(),
		Unwritten: c.unwritten.Load(), Stale: c.stale.Load(), Dropped: c.dropped.Load(),
		Refused: c.refused.Load(), Evicted: c.evicted.Load(), Unanswered: c.unanswered.Load(),
	}
}

// add adds the counters of another one.
func (s *UDPStats) add(o UDPStats) {
	s.Flows += o.Flows
	s.Opened += o.Opened
	s.In += o.In
	s.InBytes += o.InBytes
	s.Out += o.Out
	s.OutBytes += o.OutBytes
	s.NoSession += o.NoSession
	s.QueueFull += o.QueueFull
	s.NoFlow += o.NoFlow
	s.Unwritten += o.Unwritten
	s.Stale += o.Stale
	s.Dropped += o.Dropped
	s.Refused += o.Refused
	s.Evicted += o.Evicted
	s.Unanswered += o.Unanswered
}

// forward is what all kinds of forwards say of themselves.
func (s *UDPStats) forward(name string) ForwardStats {
	return ForwardStats{
		Forward: name, Open: int64(s.Flows), Total: int64(s.Opened), Refused: int64(s.Refused),
		Sent: int64(s.InBytes), Received: int64(s.OutBytes), UDP: s,
	}
}
