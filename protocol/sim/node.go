package sim

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/monotime"
	"github.com/godwit-net/godwit/protocol/wire"
)

// A Node is an endpoint of the core in the world, with its sessions and its sockets. It drives them as a
// shard of package conn does: it takes in what arrives at one instant, drains datagrams, drains events,
// and arms one timeout for each session. After every step it checks what must always hold
// (invariant.go) and reports a violation to the world.
type Node struct {
	// Event is the application: it may call the session, and Wake for sessions other than s. May be nil.
	Event func(s *protocol.Session, e protocol.Event)
	// TimerLag is how late a timer fires at most; the lag is drawn for each.
	TimerLag time.Duration
	// CheckEvery has the invariants of the core looked at in one of so many turns of a session only, for
	// long runs that are not about them; 0: in every turn.
	CheckEvery uint64

	world    *World
	rng      *rand.Rand
	sockets  []*Socket
	endpoint *protocol.Endpoint
	server   bool
	skew     time.Duration // the node's clock is ahead of the world's by this
	sessions map[*protocol.Session]*driven
	adopted  uint64
	dirty    []*driven // sessions to drain, in the order in which something happened to them
	flushing bool      // a flush is scheduled for this instant
	flushNow func()    // flush, as one value for all events
	turns    uint64
	armed    monotime.Time
	buf      []byte
	more     []byte // scratch of appendMore
	ledgers  map[netip.AddrPort]*ledger
	down     bool
}

// driven is a session with what its driver and the checks know of it.
type driven struct {
	*protocol.Session
	number uint64        // sessions are counted in the order in which they came
	armed  monotime.Time // node time of the earliest timer event that is scheduled; 0: none
	queued bool          // in dirty
	last   protocol.EventKind
	sent   uint64 // datagrams, to compare with the session's own count
	bytes  uint64
	turns  int // timeouts handled at the instant turnAt
	turnAt monotime.Time
}

// NewNode starts an endpoint with a socket at addr.
func (w *World) NewNode(addr netip.AddrPort, c protocol.EndpointConfig) (*Node, error) {
	if c.Session.Rand == nil {
		c.Session.Rand = w.Reader()
	}
	endpoint, err := protocol.NewEndpoint(c)
	if err != nil {
		return nil, err
	}
	n := &Node{
		world: w, rng: w.Rand(), endpoint: endpoint, server: c.Listen,
		sessions: make(map[*protocol.Session]*driven), ledgers: make(map[netip.AddrPort]*ledger),
	}
	n.flushNow = n.flush
	if _, err := n.Open(addr); err != nil {
		return nil, err
	}
	return n, nil
}

// Open gives the node one more socket, such as that of a second interface.
func (n *Node) Open(addr netip.AddrPort) (*Socket, error) {
	s, err := n.world.Listen(addr, n.receive)
	if err == nil {
		n.sockets = append(n.sockets, s)
	}
	return s, err
}

// Now returns the node's clock.
func (n *Node) Now() monotime.Time { return n.world.now.Add(n.skew) }

// JumpClock puts the node's clock ahead by d, as if the process had been stopped for so long.
func (n *Node) JumpClock(d time.Duration) {
	n.skew += d
	for _, d := range n.inOrder() {
		d.armed = 0 // what is scheduled was meant for the old clock
		n.Wake(d.Session)
	}
	n.armed = 0
	n.scheduleFlush()
}

// Addr returns the address of the first socket, Socket the socket itself.
func (n *Node) Addr() netip.AddrPort { return n.sockets[0].addr }
func (n *Node) Socket() *Socket      { return n.sockets[0] }

// Endpoint returns the endpoint that the node drives.
func (n *Node) Endpoint() *protocol.Endpoint { return n.endpoint }

// Sessions returns how many sessions the node drives.
func (n *Node) Sessions() int { return len(n.sessions) }

// Stop ends the node without a word, like a crash: its sockets close and its sessions are forgotten.
func (n *Node) Stop() {
	n.down = true
	for _, s := range n.sockets {
		s.Close()
	}
	clear(n.sessions)
	n.dirty = nil
}

// Dial starts a session to the server at remote, from the first socket.
func (n *Node) Dial(c *protocol.Config, remote netip.AddrPort) (*protocol.Session, error) {
	if c.Rand == nil {
		c.Rand = n.world.Reader()
	}
	s, err := n.endpoint.Dial(n.Now(), c, protocol.AddrPair{Local: n.Addr(), Remote: remote})
	if err != nil {
		return nil, err
	}
	n.adopt(s)
	return s, nil
}

func (n *Node) adopt(s *protocol.Session) {
	n.adopted++
	n.sessions[s] = &driven{Session: s, number: n.adopted}
	n.Wake(s)
}

// Wake drains a session at this instant, after the application called it outside of Event.
func (n *Node) Wake(s *protocol.Session) {
	d := n.sessions[s]
	if d == nil || d.queued {
		return
	}
	d.queued = true
	n.dirty = append(n.dirty, d)
	n.scheduleFlush()
}

// receive takes one datagram in; what else arrives at this instant comes before the flush.
func (n *Node) receive(p Packet) {
	n.ledger(p.Src).in += len(p.Data)
	d := protocol.Datagram{
		Data: p.Data,
		Addr: protocol.AddrPair{Local: p.Dst, Remote: p.Src},
		ECN:  wire.ECN(p.ECN),
	}
	if s := n.endpoint.Dispatch(n.Now(), d); s != nil {
		s.HandleDatagram(n.Now(), d)
		n.Wake(s)
	}
	poison(p.Data)
	n.scheduleFlush()
}

// nonsense is what a buffer holds that was given back.
var nonsense = func() (b [maxPayload]byte) {
	for i := range b {
		b[i] = 0xdb
	}
	return b
}()

// poison overwrites a buffer that goes back to its owner: whoever kept a reference reads nonsense.
func poison(b []byte) {
	for len(b) > 0 {
		b = b[copy(b, nonsense[:]):]
	}
}

func (n *Node) scheduleFlush() {
	if !n.flushing {
		n.flushing = true
		n.world.Schedule(n.world.now, n.flushNow)
	}
}

// flush drains the endpoint and all sessions to which something happened.
func (n *Node) flush() {
	n.flushing = false
	if n.down {
		return
	}
	n.drainReplies()
	for {
		s, ok := n.endpoint.Accept()
		if !ok {
			break
		}
		n.adopt(s)
	}
	for i := 0; i < len(n.dirty); i++ { // grows while the application acts
		d := n.dirty[i]
		d.queued = false
		n.drive(d)
	}
	n.dirty = n.dirty[:0]
	n.armEndpoint()
}

func (n *Node) drainReplies() {
	for range maxDatagramsAtOnce {
		b, meta, ok := n.endpoint.AppendDatagram(n.Now(), n.scratch())
		if !ok {
			return
		}
		n.send(n.checkAppended(b), meta)
	}
	n.violation("the endpoint does not stop to reply")
}

// sendOf sends a datagram of a session.
func (n *Node) sendOf(d *driven, data []byte, meta protocol.Meta) {
	d.sent++
	d.bytes += uint64(len(data))
	n.prove(d)
	n.send(data, meta)
}

// appendMore sends what the session has more of the kind that it has just given: a few datagrams of that size.
func (n *Node) appendMore(d *driven, meta protocol.Meta, size int) {
	const most = 10
	b, count := d.AppendMore(n.Now(), slices.Grow(n.more[:0], most*size), meta, size, most)
	if len(b) != count*size {
		n.violation("%d datagrams of %d bytes have %d", count, size, len(b))
	}
	n.more = b
	for ; len(b) > 0; b = b[size:] {
		n.sendOf(d, b[:size], meta)
	}
}

// drive drains datagrams and events of a session until there is nothing more, and arms its timeout.
func (n *Node) drive(d *driven) {
	for range maxDatagramsAtOnce {
		b, meta, ok := d.AppendDatagram(n.Now(), n.scratch())
		if ok {
			data := n.checkAppended(b)
			n.sendOf(d, data, meta)
			n.appendMore(d, meta, len(data))
			continue
		}
		e, ok := d.PollEvent()
		if !ok {
			n.rest(d)
			return
		}
		n.checkEvent(d, e)
		if n.Event != nil {
			n.Event(d.Session, e)
		}
	}
	n.violation("a session does not come to rest")
}

// rest ends a turn of a session: it is forgotten when dead, else its timeout is armed.
func (n *Node) rest(d *driven) {
	if n.turns++; n.CheckEvery <= 1 || n.turns%n.CheckEvery == 0 {
		n.checkStats(d)
	}
	if d.Dead() {
		n.checkDead(d)
		delete(n.sessions, d.Session)
		return
	}
	at, why := d.NextTimeout()
	n.checkTimeout(d, at, why)
	if at.IsZero() || !d.armed.IsZero() && !at.Before(d.armed) {
		return // nothing to wait for, or what is scheduled comes first and looks again
	}
	d.armed = at
	n.world.Schedule(n.fireAt(at), func() { n.fire(d, at) })
}

// fireAt is the world's time for a timer of the node.
func (n *Node) fireAt(at monotime.Time) monotime.Time {
	late := time.Duration(0)
	if n.TimerLag > 0 {
		late = time.Duration(n.rng.Int64N(int64(n.TimerLag)))
	}
	return at.Add(late - n.skew)
}

// fire runs a timer event, unless an earlier one took its place.
func (n *Node) fire(d *driven, at monotime.Time) {
	if n.sessions[d.Session] != d || d.armed != at {
		return
	}
	d.armed = 0
	if due, _ := d.NextTimeout(); !due.IsZero() && !due.After(n.Now()) {
		d.HandleTimeout(n.Now())
	}
	n.Wake(d.Session)
}

func (n *Node) armEndpoint() {
	at := n.endpoint.NextTimeout()
	if at.IsZero() || !n.armed.IsZero() && !at.Before(n.armed) {
		return
	}
	n.armed = at
	n.world.Schedule(n.fireAt(at), func() {
		if n.armed != at || n.down {
			return
		}
		n.armed = 0
		n.endpoint.HandleTimeout(n.Now())
		n.scheduleFlush()
	})
}

// send puts a datagram on the socket that its path begins at.
func (n *Node) send(data []byte, meta protocol.Meta) {
	n.checkAmplification(meta.Addr.Remote, len(data))
	socket := n.sockets[0]
	for _, s := range n.sockets {
		if s.addr == meta.Addr.Local {
			socket = s
		}
	}
	socket.Send(meta.Addr.Remote, uint8(meta.ECN), data)
}

// inOrder returns the sessions in the order in which they came, which a map does not keep.
func (n *Node) inOrder() []*driven {
	all := slices.Collect(maps.Values(n.sessions))
	slices.SortFunc(all, func(a, b *driven) int { return cmp.Compare(a.number, b.number) })
	return all
}
