package conn

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/conn/udp"
	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/monotime"
	"github.com/godwit-net/godwit/protocol/wire"
)

const (
	// maxReadPause is the longest pause after a read that failed; failures that go on must not burn a processor.
	maxReadPause = 100 * time.Millisecond
	// maxReadFailures in a row end the endpoint: that is more than five seconds in which nothing was read.
	maxReadFailures = 60
)

// shard is one socket with the sessions whose IDs name it. Its reader takes datagrams from the socket and
// hands them to their sessions; those that the kernel gave to another shard's socket come from that one's
// reader. Its wheel wakes sessions when they asked for it.
type shard struct {
	endpoint *Endpoint
	sock     *udp.Socket
	index    int

	mu    sync.Mutex // guards what follows; taken after a session's lock, never before one
	core  *protocol.Endpoint
	first *Session // all sessions, in a list through Session.next
	node  wheelNode
	armed monotime.Time // where node is in the wheel; 0: nowhere

	counted int // what the endpoint's memory has of core

	timers timers
	memory *memory // the endpoint's
	held   heldList

	handshakes handshakeWorker // does the public-key work; unused by a socket that only dials
	work       workMeter       // of first packets
	queued     bool            // the listener's queue is more than half full

	polling sync.Mutex // one poll at a time

	dialing sync.Mutex // one Dial of the core at a time
	dialed  *Session   // the session that it has made so far, locked; guarded by dialing

	unread  atomic.Uint64 // reads that failed
	unsent  atomic.Uint64 // datagrams that the system refused to send
	ignored atomic.Uint64 // first packets that came while nobody listened
}

// routed is a datagram on its way to its session. Those of a session in one batch are a list, so that its lock is
// taken once.
type routed struct {
	session *Session     // nil: the datagram is in the list of one before
	message *udp.Message // nil: none
	next    int          // in the list, -1: none
	last    int          // of the list that begins here
}

// route puts a datagram at the end of the list of its session, under the lock of the session's shard.
func (r *reader) route(s *Session, m *udp.Message) {
	i, head := len(r.routes), s.routes
	r.routes = append(r.routes, routed{message: m, next: -1, last: i})
	if head < i && r.routes[head].session == s {
		r.routes[r.routes[head].last].next, r.routes[head].last = i, i
		return
	}
	r.routes[i].session, s.routes = s, i
}

// reader is the scratch memory of a shard's reading goroutine.
type reader struct {
	in     *udp.ReadBatch
	routes []routed
	// touched are the shards whose endpoint dealt with a datagram itself and may have replies.
	touched []bool
	turn    *turn // of the door's reader, whose work can wait; nil for others
}

// read is the shard's reading goroutine, or that of its door. It fills up to so many buffers at once.
func (sh *shard) read(sock *udp.Socket, buffers int) {
	r := reader{in: sock.NewReadBatch(buffers), touched: make([]bool, len(sh.endpoint.shards))}
	if sock != sh.sock {
		r.turn = &turn{endpoint: sh.endpoint}
	}
	failures := 0
	for {
		msgs, err := sock.ReadBatch(r.in)
		if err == nil {
			failures = 0
			sh.handle(&r, msgs)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			sh.endpoint.readerDone(err)
			return
		}
		sh.unread.Add(1)
		if failures++; failures == maxReadFailures {
			sh.endpoint.readerDone(err)
			return
		}
		time.Sleep(min(time.Millisecond<<min(failures, 10), maxReadPause))
	}
}

// handle takes one batch of datagrams: what belongs to sessions first, in its order, then first packets, each
// of which may cost as much as hundreds of the others.
func (sh *shard) handle(r *reader, msgs []udp.Message) {
	now := sh.endpoint.now()
	firsts := 0
	var locked *shard
	for i := range msgs {
		if isFirst(msgs[i].Data) {
			firsts++
			continue
		}
		if home := sh.home(msgs[i].Data); home != locked {
			locked.unlock()
			home.mu.Lock()
			locked = home
		}
		locked.dispatch(r, now, &msgs[i])
	}
	locked.unlock()
	sh.deliver(r, now)
	if firsts > 0 {
		sh.handleFirsts(r, msgs)
	}
}

// handleFirsts takes the first packets of a batch. Each is charged for what it took itself.
func (sh *shard) handleFirsts(r *reader, msgs []udp.Message) {
	now := sh.endpoint.now()
	for i := range msgs {
		if !isFirst(msgs[i].Data) {
			continue
		}
		sh.mu.Lock()
		sh.dispatch(r, now, &msgs[i])
		start := now
		now = sh.endpoint.now()
		sh.spend(start, now)
		sh.unlock()
		now = r.turn.giveWay(start, now)
	}
	sh.deliver(r, now)
	r.turn.giveWay(now, sh.endpoint.now())
}

// isFirst reports whether a datagram asks for a new session.
func isFirst(data []byte) bool { return kindOf(data) == wire.KindInit }

// unlock gives the lock of a shard up, if there is one.
func (sh *shard) unlock() {
	if sh != nil {
		sh.mu.Unlock()
	}
}

func datagram(m *udp.Message) protocol.Datagram {
	return protocol.Datagram{
		Data: m.Data,
		Addr: protocol.AddrPair{Local: m.Local, Remote: m.Remote},
		ECN:  wire.ECN(m.ECN),
	}
}

// deliver gives sessions what was dispatched to them, and sends what the endpoints' cores answer.
func (sh *shard) deliver(r *reader, now monotime.Time) {
	o := outbox{shard: sh}
	for i := range r.routes {
		if s := r.routes[i].session; s != nil {
			s.receive(now, r.routes, i, &o)
		}
	}
	o.close()
	clear(r.routes)
	r.routes = r.routes[:0]
	for i, touched := range r.touched {
		if touched {
			r.touched[i] = false
			sh.endpoint.shards[i].reply(now)
		}
	}
}

// home returns the shard to which a datagram belongs by its destination: the last octet of a server's ID
// says so. First packets belong where the kernel put them.
func (sh *shard) home(data []byte) *shard {
	shards := sh.endpoint.shards
	if len(shards) == 1 {
		return sh
	}
	if last, ok := serverIDTail(data); ok {
		return shards[int(last)%len(shards)]
	}
	return sh
}

// serverIDTail returns the last octet of the server's ID to which a datagram is addressed, if it is.
func serverIDTail(data []byte) (last byte, ok bool) {
	if len(data) > wire.ServerIDLen && wire.IsShort(data[0]) {
		return data[wire.ServerIDLen], true
	}
	if kindOf(data) != wire.KindFin {
		return 0, false
	}
	long, err := wire.ParseLong(data)
	if err != nil || long.DCID.Len() != wire.ServerIDLen {
		return 0, false
	}
	id := long.DCID.Array()
	return id[wire.ServerIDLen-1], true
}

// kindOf returns the kind of a handshake packet, or wire.KindInvalid.
func kindOf(data []byte) wire.Kind {
	if len(data) == 0 || !wire.IsLong(data[0]) {
		return 0
	}
	long, err := wire.ParseLong(data)
	if err != nil {
		return 0
	}
	return long.Kind
}

// dispatch finds the session of one datagram, or lets the endpoint's core deal with it. A session that is
// complete with this datagram is routed without one, so that it can say what it has to say. The caller holds
// the shard's lock.
func (sh *shard) dispatch(r *reader, now monotime.Time, m *udp.Message) {
	first := isFirst(m.Data)
	if first && !sh.endpoint.listening.Load() {
		sh.ignored.Add(1)
		return
	}
	if first {
		sh.core.SetFull(!sh.memory.forNewSession())
	}
	core := sh.core.Lookup(m.Data)
	if core == nil {
		core = sh.core.Dispatch(now, datagram(m))
	}
	if core != nil {
		if s, ok := core.Context().(*Session); ok {
			r.route(s, m)
		}
		return
	}
	sh.collect(r)
	if sh.core.HasWork() {
		signal(sh.handshakes.more)
	}
}

// collect takes what the core has made of a datagram that belongs to no session, under the shard's lock.
func (sh *shard) collect(r *reader) {
	r.touched[sh.index] = true
	for {
		core, ok := sh.core.Accept()
		if !ok {
			break
		}
		r.route(sh.add(core, false), nil)
	}
	sh.countCore()
	sh.arm()
}

// spend counts the work on a first packet, under the shard's lock.
func (sh *shard) spend(start, now monotime.Time) {
	if sh.work.spend(start, now) {
		sh.press()
	}
}

// press tells the core whether clients must prove their address first: because sessions wait to be accepted,
// or because first packets take too much of this processor.
func (sh *shard) press() { sh.core.SetPressure(sh.queued || sh.work.over) }

// add makes the session of a core, under the shard's lock.
func (sh *shard) add(core *protocol.Session, dialed bool) *Session {
	s := newSession(sh, core, dialed)
	core.SetContext(s)
	s.next = sh.first
	if s.next != nil {
		s.next.prev = s
	}
	sh.first = s
	sh.memory.sessions.Add(1)
	sh.endpoint.retain()
	return s
}

// dial makes a session to the server at addr and returns it with its lock held.
func (sh *shard) dial(config *protocol.Config, addr netip.AddrPort) (*Session, error) {
	sh.dialing.Lock()
	defer sh.dialing.Unlock()
	_, err := sh.core.Dial(sh.endpoint.now(), config, protocol.AddrPair{Remote: addr})
	s := sh.dialed
	sh.dialed = nil
	if err == nil {
		return s, nil
	}
	if s != nil {
		s.dead = true
		sh.remove(s)
		s.mu.Unlock()
	}
	return nil, fmt.Errorf("conn: %w", err)
}

// remove forgets a session whose core is dead.
func (sh *shard) remove(s *Session) {
	sh.mu.Lock()
	if s.next != nil {
		s.next.prev = s.prev
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		sh.first = s.next
	}
	s.next, s.prev = nil, nil
	sh.memory.sessions.Add(-1)
	sh.mu.Unlock()
	sh.timers.remove(&s.node)
	sh.endpoint.release()
}

// sessions returns all sessions of the shard.
func (sh *shard) sessions() (all []*Session) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for s := sh.first; s != nil; s = s.next {
		all = append(all, s)
	}
	return all
}

// reply sends what the endpoint's core has to say itself.
func (sh *shard) reply(now monotime.Time) {
	b := newBatch()
	defer b.free()
	for more := true; more; b.reset() {
		sh.mu.Lock()
		more = b.fill(now, sh.core)
		sh.mu.Unlock()
		sh.write(b)
	}
}

// write sends a batch. What the system refuses is lost like any other datagram; the core finds out.
func (sh *shard) write(b *batch) {
	if len(b.msgs) == 0 {
		return
	}
	sent, _ := sh.sock.WriteBatch(b.msgs) // the number says all
	if lost := len(b.msgs) - sent; lost > 0 {
		sh.unsent.Add(uint64(lost))
	}
}

// arm sets the timer of the endpoint's core, under the shard's lock.
func (sh *shard) arm() {
	at := sh.core.NextTimeout()
	if !at.IsZero() && (sh.armed.IsZero() || at.Before(sh.armed)) {
		sh.armed = at
		sh.timers.set(&sh.node, at)
	}
}

// wake does what the wheel's deadlines were set for.
func (sh *shard) wake(due []*wheelNode, now monotime.Time) {
	o := outbox{shard: sh}
	for _, n := range due {
		switch n {
		case &sh.node:
			sh.timeout(now)
		case &sh.held.node:
			sh.release(now, &o)
		default:
			n.owner.timeout(now, &o)
		}
	}
	o.close()
}

// timeout does what the endpoint's core wanted to be woken for.
func (sh *shard) timeout(now monotime.Time) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.armed = 0
	sh.core.HandleTimeout(now)
	sh.countCore()
	sh.arm()
}

// registry lets sessions claim their names in the table of their shard, from under their own locks.
type registry struct{ sh *shard }

func (r registry) NewID(s *protocol.Session) (wire.ID, wire.ResetToken) {
	r.sh.mu.Lock()
	defer r.sh.mu.Unlock()
	if s.Context() == nil {
		// A session that dials, in the moment before it can be found. It stays locked until its core is complete.
		dialed := r.sh.add(s, true)
		dialed.mu.Lock()
		r.sh.dialed = dialed
	}
	return r.sh.core.NewID(s)
}

func (r registry) RetireID(id wire.ID) {
	r.sh.mu.Lock()
	defer r.sh.mu.Unlock()
	r.sh.core.RetireID(id)
}

func (r registry) AddResetToken(token wire.ResetToken, s *protocol.Session) {
	r.sh.mu.Lock()
	defer r.sh.mu.Unlock()
	r.sh.core.AddResetToken(token, s)
}

func (r registry) RemoveResetToken(token wire.ResetToken) {
	r.sh.mu.Lock()
	defer r.sh.mu.Unlock()
	r.sh.core.RemoveResetToken(token)
}
