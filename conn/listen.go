package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/conn/udp"
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/wire"
)

const (
	// maxAuthorizing is how many calls of Config.Authorize run at once.
	maxAuthorizing = 256
	// authorizeTimeout is how long one may take before its session is turned away.
	authorizeTimeout = 5 * time.Second
	// leavePatience is how long Listen waits for a port that a closed listener of this process may still
	// hold: its sessions are gone a few round trips after their end.
	leavePatience = 2 * time.Second
	// leaveInterval is how often Listen tries meanwhile.
	leaveInterval = 10 * time.Millisecond
)

// Listener accepts sessions. It is a net.Listener.
type Listener struct {
	endpoint  *Endpoint
	authorize func(PeerInfo) error
	backlog   int

	mu          sync.Mutex // taken after a session's lock, before a shard's
	gate        gate
	mail        mailList   // accepted sessions with messages
	ready       []*Session // authorized, waiting for Accept
	waiting     []*Session // waiting for a call of authorize
	authorizing int        // calls under way
	refusing    wire.RejectCode
	pressure    bool
	over        chan struct{} // closed with the listener
	err         error         // why it is closed
}

// Listen accepts sessions at a local UDP "host:port". An empty host means all addresses, port 0 a free
// port. config may be nil. The socket stays open until the listener and all accepted sessions are closed
// and have drained; a Listen for the same port meanwhile waits for that, for at most 2 s. A port that
// another socket has is refused.
func Listen(address string, config *Config) (*Listener, error) {
	c := config.orZero()
	if err := c.check(); err != nil {
		return nil, err
	}
	socks, err := openPort(address, c.shards(), c.features())
	if err != nil {
		return nil, fmt.Errorf("conn: %w", err)
	}
	e, err := newEndpoint(socks, c, true)
	if err != nil {
		return nil, err
	}
	defer e.release()
	return e.Listen()
}

// leaving counts the closed listeners of this process whose sockets may still be open for their sessions.
var leaving atomic.Int64

// openPort opens the sockets of a listener. While a listener of this process is leaving, a refusal may be
// its work: a program that restarts its server in place need not know that.
func openPort(address string, shards int, features udp.Features) ([]*udp.Socket, error) {
	start := time.Now()
	for {
		socks, err := udp.ListenShared(context.Background(), address, shards, features)
		if err == nil || leaving.Load() == 0 || time.Since(start) > leavePatience {
			return socks, err
		}
		time.Sleep(leaveInterval)
	}
}

func newListener(e *Endpoint) *Listener {
	return &Listener{
		endpoint: e, authorize: e.config.Authorize, backlog: e.config.backlog(), over: make(chan struct{}),
	}
}

// Accept waits for the next session and returns it as a net.Conn, always a *Session.
func (l *Listener) Accept() (net.Conn, error) {
	s, err := l.AcceptSession(context.Background())
	if err != nil {
		return nil, err
	}
	return s, nil
}

// AcceptSession waits for the next session. It fails with net.ErrClosed after Close.
func (l *Listener) AcceptSession(ctx context.Context) (*Session, error) {
	s, err := l.accept(ctx)
	if err == nil {
		s.acceptedBy(l)
	}
	return s, err
}

func (l *Listener) accept(ctx context.Context) (*Session, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	stop := stop{ctx: ctx, over: l.over}
	if err := l.gate.enter(&l.mu, &stop); err != nil {
		return nil, err
	}
	defer l.gate.leave()
	for {
		if l.err != nil {
			return nil, l.err
		}
		if len(l.ready) > 0 {
			s := l.ready[0]
			l.ready[0] = nil
			l.ready = l.ready[1:]
			l.balance()
			return s, nil
		}
		if err := l.gate.wait(&l.mu, &stop); err != nil {
			return nil, err
		}
	}
}

// PublicKey returns the key that clients pin.
func (l *Listener) PublicKey() crypto.PublicKey { return l.endpoint.identity.Public() }

// Addr returns the local address.
func (l *Listener) Addr() net.Addr { return l.endpoint.Addr() }

// Close stops accepting. Clients that come are refused, sessions that nobody accepted end with
// SERVER_STOPPING, accepted ones go on.
func (l *Listener) Close() error {
	left, first := l.end(net.ErrClosed)
	if !first {
		return net.ErrClosed
	}
	for _, s := range left {
		s.closeTransport(wire.ServerStopping, "listener closed")
	}
	l.endpoint.listenerClosed(l)
	return nil
}

// fail closes the listener for a reason of its own. Its sessions are ended by the caller.
func (l *Listener) fail(err error) {
	if _, first := l.end(err); first {
		l.endpoint.listenerClosed(l)
	}
}

// end closes the door and returns the sessions that wait behind it.
func (l *Listener) end(err error) (left []*Session, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, false
	}
	l.err = err
	close(l.over)
	left = append(l.ready, l.waiting...)
	l.ready, l.waiting = nil, nil
	l.refuse(wire.RejectStopping)
	return left, true
}

// established takes a new session, with the session's lock held. It says how the session is turned away
// if it cannot stay.
func (l *Listener) established(s *Session) (code wire.ErrorCode, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
		return wire.ServerStopping, "listener closed"
	case l.pending() >= l.backlog:
		return wire.ServerBusy, "accept backlog is full"
	case l.authorize == nil:
		l.push(s)
	default:
		l.waiting = append(l.waiting, s)
		l.authorizeNext()
	}
	l.balance()
	return 0, ""
}

// pending counts the sessions on their way to Accept.
func (l *Listener) pending() int { return len(l.ready) + len(l.waiting) + l.authorizing }

func (l *Listener) push(s *Session) {
	l.ready = append(l.ready, s)
	l.gate.open()
}

// balance tells the shards how the queue stands: from half of it on, clients must prove their address
// before anything is done for them; when it is full they are refused.
func (l *Listener) balance() {
	if l.err != nil {
		return
	}
	n := l.pending()
	var code wire.RejectCode
	if n >= l.backlog {
		code = wire.RejectFull
	}
	if high := n > l.backlog/2; high != l.pressure || code != l.refusing {
		l.pressure = high
		l.refuse(code)
	}
}

// refuse makes the shards refuse every new session with a code; 0 lets them take new ones.
func (l *Listener) refuse(code wire.RejectCode) {
	l.refusing = code
	for _, sh := range l.endpoint.shards {
		sh.mu.Lock()
		sh.core.Refuse(code)
		sh.queued = l.pressure
		sh.press()
		sh.mu.Unlock()
	}
}

// authorizeNext starts as many calls of authorize as may run.
func (l *Listener) authorizeNext() {
	for len(l.waiting) > 0 && l.authorizing < maxAuthorizing {
		s := l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		l.authorizing++
		go l.authorizeOne(s)
	}
}

// authorizeOne asks the application about one session. A call that takes too long turns its session away,
// and holds its place until it returns: it cannot be stopped, and more than maxAuthorizing must not pile up.
func (l *Listener) authorizeOne(s *Session) {
	late := time.AfterFunc(authorizeTimeout, func() {
		s.closeTransport(wire.NotAuthorized, "authorization took too long")
	})
	err := l.authorize(s.Peer())
	inTime := late.Stop()
	if err != nil {
		turnAway(s, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.authorizing--
	l.authorizeNext()
	switch {
	case err != nil || !inTime:
	case l.err != nil:
		go s.closeTransport(wire.ServerStopping, "listener closed") // its lock comes before ours
	default:
		l.push(s)
	}
	l.balance()
}

// turnAway closes a session with the code of an error from Authorize.
func turnAway(s *Session, err error) {
	var r *refusal
	if errors.As(err, &r) {
		_ = s.CloseWithError(r.code, r.reason) // it may have ended by itself
		return
	}
	s.closeTransport(wire.NotAuthorized, err.Error())
}
