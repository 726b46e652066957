package conn

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/monotime"
	"github.com/godwit-net/godwit/protocol/wire"
)

// Session is one end of a context between two endpoints. It is a net.Conn over its stream 0, which exists
// at both ends from the start. All methods may be called by several goroutines at once.
type Session struct {
	shard *shard

	mu   sync.Mutex // a short lock: never held over a system call or a wait
	core *protocol.Session
	zero Stream // stream 0

	state  gate          // Dial and Confirmed wait for news of the handshake
	queues *streamQueues // nil until streams other than stream 0 are used
	mail   *mailbox      // messages that came, and what became of those sent; nil until they are used
	list   *mailList     // of the ReceiveBatch that takes the session's messages too; nil: of none

	err     error         // why nothing more happens here; kept
	over    chan struct{} // closed when err is set; made when somebody waits for that
	waiting int32         // callers that wait for it
	shown   bool          // the application has it
	closed  bool          // the application has closed the session: every call returns err

	counted int  // what the endpoint's memory has of this session
	wave    wave // readers of streams that are about to run

	dialogue dialogue // on its streams

	legacy *legacy // what it holds though it is over; nil: nothing, or it is not over

	tokenFrom *tokenOrigin // whose address token is still to come; nil: it came, or this end is the server

	dialed   bool          // this end is the client
	ready    bool          // streams can be used
	dead     bool          // the core has nothing left to do
	woke     bool          // a reader of a stream, with the batch that is being received
	flushing bool          // somebody sends the session's datagrams
	again    bool          // and there may be more of them
	heldBack bool          // something waits for memory, as the endpoint's memory has it
	quiet    chan struct{} // closed when nobody sends any more; made when somebody waits for that

	armed      monotime.Time // when the wheel wakes the session at the latest; 0: it does not
	node       wheelNode     // guarded by the wheel
	next, prev *Session      // all sessions of the shard, guarded by the shard
	routes     int           // where its list begins in the routes of who dispatched to it last, guarded by the shard
}

// kinds of streams, as indices.
const (
	bidi = 0
	uni  = 1
)

func newSession(sh *shard, core *protocol.Session, dialed bool) *Session {
	s := &Session{shard: sh, core: core, dialed: dialed}
	s.zero.session = s
	s.node.owner = s
	if dialed {
		s.list = &sh.endpoint.mail
	}
	return s
}

// receive hands the session its datagrams of a batch, which begin at first, and has o send what follows from them.
func (s *Session) receive(now monotime.Time, routes []routed, first int, o *outbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellMemory()
	s.shard.endpoint.serves(s, now)
	for i := first; i >= 0; i = routes[i].next {
		if m := routes[i].message; m != nil {
			d := datagram(m)
			s.core.Receive(now, &d)
		}
	}
	s.keepToken()
	s.woke = false
	s.deliver()
	if s.canWait() {
		s.arm()
		return
	}
	o.take(s)
}

// canWait reports whether the session has nothing to send for now: what a reader that was just woken answers takes the
// acknowledgement of its question along.
func (s *Session) canWait() bool {
	return s.core.CanWait() && (s.woke || !s.core.OwesAck()) && (s.mail == nil || len(s.mail.fates) == 0)
}

// keepToken keeps the proof of address that the server gives once, for the next Dial.
func (s *Session) keepToken() {
	if s.tokenFrom == nil {
		return
	}
	if token, ok := s.core.AddressToken(); ok {
		tokens.put(*s.tokenFrom, token)
		s.tokenFrom = nil
	}
}

// timeout wakes the core if it wants to be woken, and has o send what follows from that.
func (s *Session) timeout(now monotime.Time, o *outbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = 0
	if s.dead {
		return
	}
	at, _ := s.core.NextTimeout()
	if at.IsZero() || at.After(now) {
		s.wakeAt(at) // it has moved away
		return
	}
	s.tellMemory()
	s.core.HandleTimeout(now)
	o.take(s)
	if s.core.Resting() {
		s.rest()
	}
}

// rest gives back what nobody uses in a session in which nothing happens.
func (s *Session) rest() {
	s.state.rest()
	if s.zero.reading.rest() {
		s.zero.readDeadline.rest()
	}
	if s.zero.writing.rest() {
		s.zero.writeDeadline.rest()
	}
	if s.waiting == 0 && !s.shown {
		s.over = nil
	}
}

// arm has the wheel wake the session in time. An earlier wake-up that is already set is left as it is:
// most deadlines only move away, and looking once too often is cheaper than moving each time.
func (s *Session) arm() {
	at, _ := s.core.NextTimeout()
	s.wakeAt(at)
}

// wakeAt has the wheel wake the session at a time, or before.
func (s *Session) wakeAt(at monotime.Time) {
	if s.dead || at.IsZero() || !s.armed.IsZero() && !at.Before(s.armed) {
		return
	}
	s.armed = at
	s.shard.timers.set(&s.node, at)
}

// deliver tells the application what happened in the core.
func (s *Session) deliver() {
	for {
		e, ok := s.core.PollEvent()
		if !ok {
			return
		}
		s.event(&e)
	}
}

func (s *Session) event(e *protocol.Event) {
	switch e.Kind {
	case protocol.EventEstablished:
		s.begin()
	case protocol.EventConfirmed:
		s.state.open()
	case protocol.EventStreamOpened:
		s.opened(e.Stream)
	case protocol.EventStreamReadable:
		if t, ok := e.Stream.Context().(*Stream); ok && t.reading.open() {
			s.woke = true
			s.wave.join(t)
		}
	case protocol.EventStreamWritable:
		if t, ok := e.Stream.Context().(*Stream); ok {
			t.writing.open()
		}
	case protocol.EventStreamsAvailable:
		if s.queues != nil {
			s.queues.open[bidi].open()
			s.queues.open[uni].open()
		}
	case protocol.EventMessagesReadable:
		s.mailCame()
	case protocol.EventMessageOutcomes:
		s.takeFates()
	case protocol.EventClosed:
		s.end(newError(e.Err))
	case protocol.EventDead:
		s.dead = true
		s.unpost()
		s.leave()
		s.shard.remove(s)
	}
}

// begin opens the session to the application: at a client to Dial, at a server to the listener.
func (s *Session) begin() {
	s.ready = true
	s.zero.core = s.core.Stream0()
	s.zero.core.SetContext(&s.zero)
	s.state.open()
	if s.dialed {
		return
	}
	code, reason := wire.ServerStopping, "listener closed"
	if l := s.shard.endpoint.current(); l != nil {
		code, reason = l.established(s)
	}
	if code != 0 {
		s.core.CloseTransport(s.now(), code, reason)
		s.again = true
	}
}

// end keeps the reason why nothing more happens, and lets everyone who waits know.
func (s *Session) end(err error) {
	if s.err != nil {
		return
	}
	s.err = err
	if s.over != nil {
		close(s.over)
	}
	s.zero.stopTimers()
	if e, ok := err.(*Error); ok && s.ready && e.Owner != Application {
		s.logEnd(e)
	}
}

// logEnd tells the operator why the session ended, in a goroutine of its own: nobody knows what a log handler
// does, and the session's lock is held.
func (s *Session) logEnd(e *Error) {
	log := s.shard.endpoint.log
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	peer := s.core.Peer().Addr.Remote
	go log.Debug("session ended", "peer", peer, "owner", e.Owner, "remote", e.Remote, "error", e)
}

// overChan returns the channel that is closed when err is set.
func (s *Session) overChan() <-chan struct{} {
	if s.over == nil {
		s.over = make(chan struct{})
		if s.err != nil {
			close(s.over)
		}
	}
	return s.over
}

func (s *Session) now() monotime.Time { return s.shard.endpoint.now() }

// awaitAnswer sends the first packet of the handshake and waits for the server's answer, with the lock held.
func (s *Session) awaitAnswer(ctx context.Context) error {
	s.flush()
	stop := stop{ctx: ctx, session: s}
	for !s.ready && s.err == nil {
		if err := s.state.wait(&s.mu, &stop); err != nil {
			s.giveUp(err)
			break
		}
	}
	if !s.ready {
		return s.err
	}
	return nil
}

// giveUp ends a handshake whose context has ended.
func (s *Session) giveUp(err error) {
	if s.ready {
		return // the answer came at the last moment
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = &Error{cause: &silence{ctx: err}}
	}
	s.closed = true
	s.end(err)
	s.core.CloseWithError(s.now(), 0, "")
	s.flush()
}
