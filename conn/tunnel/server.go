package tunnel

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// ServerConfig says where a server listens, whom it serves and what they may reach.
type ServerConfig struct {
	// Listen is the UDP address, HOST:PORT; an empty HOST means every address of the machine.
	Listen string
	// Identity is the server's static key. Needed unless PresharedKey is set.
	Identity crypto.PrivateKey
	// PresharedKey is what every client must hold. The zero value asks for none.
	PresharedKey crypto.PresharedKey
	// Authorized lists the client keys that are served. Nil: no client needs a key.
	Authorized *Authorized
	// Open serves anyone who knows the server's public key. Without it Authorized or PresharedKey
	// must be set.
	Open bool
	// Allow lists what clients may reach. At least one rule.
	Allow Rules
	// MaxConnections bounds the connections of one session. 0: DefaultMaxConnections.
	MaxConnections int
	// Logger gets one line for each session and each refused connection. Nil: nothing is logged.
	Logger *slog.Logger
}

// busyReserve is how many streams a client may open beyond MaxConnections, so that it gets BUSY
// rather than waiting for a stream.
const busyReserve = 64

// Server connects the connections of its clients to targets.
type Server struct {
	config   ServerConfig
	log      *slog.Logger
	dialer   *dialer
	listener *conn.Listener
}

// NewServer checks the configuration and opens the port. Serve does the rest.
func NewServer(config ServerConfig) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.MaxConnections == 0 {
		config.MaxConnections = DefaultMaxConnections
	}
	s := &Server{config: config, log: logger(config.Logger), dialer: newDialer(config.Allow)}
	l, err := conn.Listen(config.Listen, s.connConfig())
	if err != nil {
		return nil, err
	}
	s.listener = l
	return s, nil
}

// Validate tells what is missing, in one line that says what to do.
func (c *ServerConfig) Validate() error {
	switch {
	case c.Authorized == nil && c.PresharedKey.IsZero() && !c.Open:
		return ErrNoClients // spec: TUN-17
	case c.Identity.IsZero() && c.PresharedKey.IsZero():
		return ErrNoIdentity
	case len(c.Allow) == 0:
		return ErrNoRules
	}
	return nil
}

func (s *Server) connConfig() *conn.Config {
	c := &conn.Config{
		Identity:     s.config.Identity,
		PresharedKey: s.config.PresharedKey,
		AppProtocols: []string{AppProtocol}, // spec: TUN-1
		IdleTimeout:  IdleTimeout,           // spec: TUN-18
		MaxStreams:   s.config.MaxConnections + busyReserve,
		Logger:       s.config.Logger,
	}
	if s.config.Authorized != nil {
		c.Authorize = s.authorize
	}
	return c
}

// authorize refuses clients that are not in the list, and says so in the log.
func (s *Server) authorize(peer conn.PeerInfo) error {
	err := s.config.Authorized.Authorize(peer)
	if err != nil {
		s.log.Warn("client refused: its key is not authorized", "client", clientName(s.config.Authorized, peer), "from", peer.Addr)
	}
	return err
}

// PublicKey is what clients must know as the peer key.
func (s *Server) PublicKey() crypto.PublicKey { return s.listener.PublicKey() }

// Addr is the UDP address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close gives the port back. It is for servers that were never served; Serve closes by itself.
func (s *Server) Close() error { return s.listener.Close() }

// Serve serves clients until ctx ends, then ends every connection, and returns once all of its
// goroutines have. It returns nil when ctx ended, else what went wrong with the port.
func (s *Server) Serve(ctx context.Context) error {
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer s.listener.Close()
	for {
		accepted, err := s.listener.AcceptSession(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		sessions.Go(func() { s.serveSession(ctx, accepted) })
	}
}

func (s *Server) serveSession(ctx context.Context, c *conn.Session) {
	peer := c.Peer()
	log := s.log.With("client", clientName(s.config.Authorized, peer))
	log.Info("client connected", "from", peer.Addr)
	newServing(s, connSession{c}, log).run(ctx)
	if ctx.Err() == nil {
		log.Info("client gone", "reason", c.Err())
	}
}

// clientName is what the log calls a client: its name in the authorized file, else its key, else
// its address.
func clientName(a *Authorized, peer conn.PeerInfo) string {
	if a != nil {
		if name, ok := a.Name(peer.PublicKey); ok {
			return name
		}
	}
	if !peer.PublicKey.IsZero() {
		return peer.PublicKey.String()
	}
	return "anonymous"
}

// serving is one session of a server.
type serving struct {
	dialer  *dialer
	max     int64
	session session
	log     *slog.Logger
	open    atomic.Int64 // connections
}

func newServing(s *Server, sess session, log *slog.Logger) *serving {
	return &serving{dialer: s.dialer, max: int64(s.config.MaxConnections), session: sess, log: log}
}

// run serves the streams of the session until it ends or ctx does, which ends the session, and waits
// for all of them.
func (v *serving) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var streams sync.WaitGroup
	defer streams.Wait()
	defer cancel()
	for {
		t, err := v.session.AcceptStream(ctx)
		if err != nil {
			_ = v.session.CloseWithError(closeDone, "server stopped") // unless it has ended already
			return
		}
		streams.Go(func() { v.serveStream(ctx, t) })
	}
}

// serveStream reads the request of a stream, connects, answers, and carries the connection.
func (v *serving) serveStream(ctx context.Context, t stream) {
	defer v.open.Add(-1)
	busy := v.open.Add(1) > v.max
	target, err := readRequestInTime(t)
	if err != nil {
		v.refuseRequest(t, err)
		return
	}
	if busy { // spec: TUN-16
		v.refuse(t, &RefusedError{Target: target, Code: CodeBusy})
		return
	}
	c, refusal := v.dialer.dial(ctx, target)
	if refusal != nil {
		v.refuse(t, refusal)
		return
	}
	v.carry(ctx, t, c, target)
}

// carry confirms the connection and relays it.
func (v *serving) carry(ctx context.Context, t stream, c tcpConn, target Target) {
	r := newRelay(c, t)
	if _, err := t.Write(appendReply(nil, CodeConnected, "")); err != nil { // spec: TUN-10
		r.abort()
		r.finish()
		return
	}
	start := time.Now()
	r.run(ctx)
	v.log.Debug("connection ended", "target", target, "up", r.fromStream.Load(), "down", r.fromTCP.Load(),
		"reset", r.aborted.Load(), "took", time.Since(start))
}

// readRequestInTime reads the request, which must be complete within requestTimeout.
func readRequestInTime(t stream) (Target, error) { // spec: TUN-12
	if err := t.SetReadDeadline(time.Now().Add(requestTimeout)); err != nil {
		return Target{}, err
	}
	target, err := readRequest(t)
	if err != nil {
		return Target{}, err
	}
	return target, t.SetReadDeadline(time.Time{})
}

// refuseRequest answers a request that could not be read, or resets the stream when there is no
// request to answer.
func (v *serving) refuseRequest(t stream, err error) {
	code := CodeMalformed
	switch {
	case errors.Is(err, errVersion):
		code = CodeVersion // spec: TUN-3
	case errors.Is(err, errNetwork):
		code = CodeUnsupported // spec: TUN-10
	case !errors.Is(err, errMalformed):
		t.Reset(streamBadPreamble) // spec: TUN-12
		t.CancelRead(streamBadPreamble)
		_ = t.Close()
		return
	}
	v.refuse(t, &RefusedError{Code: code})
}

// refuse answers with a refusal and ends the stream. The reply is delivered in the background.
func (v *serving) refuse(t stream, e *RefusedError) { // spec: TUN-13
	v.log.Warn("connection refused", "target", e.Target, "reason", e.Code)
	_, _ = t.Write(appendReply(nil, e.Code, e.Reason))
	_ = t.CloseWrite()
	t.CancelRead(streamRefused)
	_ = t.Close()
}

// logger returns l, or a logger that drops everything.
func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
