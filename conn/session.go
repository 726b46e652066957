package conn

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/godwit-net/godwit/conn/udp"
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

	counted int     // what the endpoint's memory has of this session
	wave    wave    // readers of streams that are about to run
	legacy  *legacy // what it holds though it is over; nil: nothing, or it is not over

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

// flush sends what the core has to send, tells the application what happened, and sets the session's
// timer. It gives the lock up while it writes. One caller at a time sends, so that datagrams leave in the
// order in which they were made; another one that comes meanwhile leaves it the work. While others keep a
// session busy there is no end to that, so whoever has sent maxTurns batches hands the rest to a goroutine:
// a reader or a wheel has other sessions to look after, and a Close returns at once.
func (s *Session) flush() {
	s.letGo()
	if s.flushing {
		s.again = true
		return
	}
	s.flushing = true
	b := newBatch()
	if s.send(b, maxTurns) {
		s.sent()
		b.free()
		return
	}
	go func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for !s.send(b, maxTurns) {
		}
		s.sent()
		b.free()
	}()
}

// letGo notes that nothing waits for a Flush any more: everything is on its way.
func (s *Session) letGo() {
	if s.mail != nil {
		s.mail.holding = false
	}
}

// flushCredit tells the peer of room that the application has made by reading.
func (s *Session) flushCredit() {
	if s.core.CreditDue() {
		s.flush()
		return
	}
	s.account()
}

// flushNews is flush, unless all there is to send is an acknowledgement that the next answer takes along.
//
// spec: REL-43
func (s *Session) flushNews() {
	if !s.core.CanWait() {
		s.flush()
		return
	}
	s.deliver()
	s.account()
	s.arm()
}

// maxTurns is how many batches one caller sends before it hands the rest over: a MiB of data, a millisecond
// or two of a processor's time.
const maxTurns = 16

// send sends batches until there is nothing left to send, or turns times. It reports whether all is sent.
func (s *Session) send(b *batch, turns int) (all bool) {
	for more := true; more || s.again; turns-- {
		if turns == 0 {
			return false
		}
		s.again = false
		b.reset()
		more = b.fill(s.now(), s.core)
		s.deliver()
		s.tellFates()
		if len(b.msgs) == 0 {
			continue
		}
		s.mu.Unlock()
		s.shard.write(b)
		s.mu.Lock()
		s.tooBig(b.msgs)
	}
	return true
}

// sent ends a flush.
func (s *Session) sent() {
	s.flushing = false
	s.account()
	if s.quiet != nil {
		close(s.quiet)
		s.quiet = nil
	}
	s.arm()
}

// tooBig tells the core which of its datagrams the system refused as larger than its interface carries.
func (s *Session) tooBig(msgs []udp.Message) {
	for i := range msgs {
		if m := &msgs[i]; m.TooBig {
			s.core.TooBig(s.now(), protocol.AddrPair{Local: m.Local, Remote: m.Remote}, len(m.Data))
		}
	}
}

// awaitQuiet returns when nobody sends the session's datagrams any more.
func (s *Session) awaitQuiet() {
	s.mu.Lock()
	if !s.flushing {
		s.mu.Unlock()
		return
	}
	if s.quiet == nil {
		s.quiet = make(chan struct{})
	}
	quiet := s.quiet
	s.mu.Unlock()
	<-quiet
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

// Confirmed waits until the server has proved that it holds all keys of the session, which takes half a
// round trip more than Dial. At the server it returns at once.
func (s *Session) Confirmed(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stop := stop{ctx: ctx, session: s}
	if err := s.state.enter(&s.mu, &stop); err != nil {
		return err
	}
	defer s.state.leave()
	for !s.core.Confirmed() {
		if s.err != nil {
			return s.err
		}
		if err := s.state.wait(&s.mu, &stop); err != nil {
			return err
		}
	}
	return nil
}

// Read reads from stream 0. At the peer's end of it, or when the peer has closed the session in good order,
// it returns io.EOF after the last byte.
func (s *Session) Read(p []byte) (int, error) { return s.zero.Read(p) }

// Write writes to stream 0. It returns when the bytes are accepted for sending.
func (s *Session) Write(p []byte) (int, error) { return s.zero.Write(p) }

// CloseWrite ends the sending direction of stream 0: the peer reads io.EOF after what was written.
func (s *Session) CloseWrite() error { return s.zero.CloseWrite() }

// Close ends the session in good order. It returns at once; what was written, on all streams, is still
// delivered, as long as the peer acknowledges some of it every 5 s, and for at most 60 s. The peer reads
// what is left and then io.EOF. All calls on the session fail with net.ErrClosed from now on.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.closed = true
	if s.err == nil {
		s.end(&Error{Owner: Application, cause: net.ErrClosed})
	}
	s.core.Shutdown(s.now())
	s.flush()
	return nil
}

// CloseWithError ends the session at once and drops what was not delivered. The peer's calls fail with an
// *Error of the application that has this code (0 to 2^62-1) and reason (at most 256 bytes).
func (s *Session) CloseWithError(code uint64, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	wasClosed := s.closed
	s.closed = true
	if s.err == nil {
		s.end(newError(&protocol.ApplicationError{Code: code, Reason: reason}))
	}
	s.core.CloseWithError(s.now(), code, reason)
	s.flush()
	if wasClosed {
		return net.ErrClosed
	}
	return nil
}

// closeTransport ends the session at once for a reason that is not the application's.
func (s *Session) closeTransport(code wire.ErrorCode, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.core.CloseTransport(s.now(), code, reason)
	s.flush()
}

// Flush sends what can be sent now. Writes do so themselves; it is for programs that work in ticks. Those with many
// sessions flush them together, with Listener.Flush or Endpoint.Flush.
func (s *Session) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.flush()
	return nil
}

// Done returns a channel that is closed when the session has ended, or this end has closed it.
func (s *Session) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = true
	return s.overChan()
}

// Err returns why the session has ended, nil while it lives.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Stats returns the counters of the session and the state of its path.
func (s *Session) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.Stats()
}

// Peer returns what is known about the other end.
func (s *Session) Peer() PeerInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.core.Peer()
	return PeerInfo{
		PublicKey: p.PublicKey, PresharedKeyID: p.PSKID, Addr: p.Addr.Remote,
		AppProtocol: p.AppProtocol, ChannelBinding: p.ChannelBinding,
	}
}

// LocalAddr returns the address of this end's socket, with the IP address that the peer sends to where that is known.
func (s *Session) LocalAddr() net.Addr {
	s.mu.Lock()
	local := s.core.Peer().Addr.Local
	s.mu.Unlock()
	if local.IsValid() {
		return net.UDPAddrFromAddrPort(local)
	}
	return s.shard.sock.Addr()
}

// RemoteAddr returns the peer's current address. It can change.
func (s *Session) RemoteAddr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return net.UDPAddrFromAddrPort(s.core.Peer().Addr.Remote)
}

// SetDeadline sets both deadlines of stream 0. The zero time means none.
func (s *Session) SetDeadline(t time.Time) error { return s.zero.SetDeadline(t) }

// SetReadDeadline sets when reads of stream 0 fail with os.ErrDeadlineExceeded. The zero time means never.
func (s *Session) SetReadDeadline(t time.Time) error { return s.zero.SetReadDeadline(t) }

// SetWriteDeadline sets when writes to stream 0 fail with os.ErrDeadlineExceeded. The zero time means never.
func (s *Session) SetWriteDeadline(t time.Time) error { return s.zero.SetWriteDeadline(t) }

var (
	_ net.Conn     = (*Session)(nil)
	_ net.Conn     = (*Stream)(nil)
	_ net.Listener = (*Listener)(nil)
	_ net.Error    = (*Error)(nil)
)
