package tunnel

import (
	"context"
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
	// Allow lists what clients may reach that have no rules of their own in Authorized.
	Allow Rules
	// AllowListen lists where clients may have the server listen for them, likewise.
	AllowListen Rules
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
	config  atomic.Pointer[ServerConfig] // replaced by Apply
	log     *slog.Logger
	dialer  *dialer
	began   time.Time
	kept    keptFlows   // of UDP
	listens keptListens // likewise

	sessionCount atomic.Uint64 // sessions so far

	applying sync.Mutex // one Apply at a time

	mu             sync.Mutex // not held while listener accepts
	listener       *conn.Listener
	maxConnections int // that listener was opened for
	sessions       map[*serving]struct{}
}

// NewServer checks the configuration and opens the port. Serve does the rest.
func NewServer(config ServerConfig) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	s := newServer(config)
	if err := s.replace(); err != nil {
		return nil, err
	}
	return s, nil
}

// newServer is a server without a port.
func newServer(config ServerConfig) *Server {
	s := &Server{log: logger(config.Logger), dialer: newDialer(), began: time.Now(), sessions: make(map[*serving]struct{})}
	s.config.Store(config.withDefaults())
	return s
}

func (c ServerConfig) withDefaults() *ServerConfig {
	if c.MaxConnections == 0 {
		c.MaxConnections = DefaultMaxConnections
	}
	return &c
}

// Validate tells what is missing, in one line that says what to do.
func (c *ServerConfig) Validate() error {
	switch {
	case c.Authorized == nil && c.PresharedKey.IsZero() && !c.Open:
		return ErrNoClients // spec: TUN-17
	case c.Identity.IsZero() && c.PresharedKey.IsZero():
		return ErrNoIdentity
	case len(c.Allow) == 0 && len(c.AllowListen) == 0 && !c.Authorized.hasRules():
		return ErrNoRules
	}
	return nil
}

// rights is what the owner of a key may do.
func (c *ServerConfig) rights(key crypto.PublicKey) Rights {
	return c.Authorized.rights(key, Rights{Allow: c.Allow, Listen: c.AllowListen})
}

// admit refuses the owner of a key that is not served.
func (c *ServerConfig) admit(peer conn.PeerInfo) error {
	if c.Authorized == nil {
		return nil
	}
	return c.Authorized.Authorize(peer)
}

func (s *Server) connConfig() *conn.Config {
	config := s.config.Load()
	return &conn.Config{
		Identity:      config.Identity,
		PresharedKey:  config.PresharedKey,
		AppProtocols:  []string{AppProtocol}, // spec: TUN-1
		IdleTimeout:   IdleTimeout,           // spec: TUN-18
		MaxStreams:    config.MaxConnections + busyReserve,
		Authorize:     s.authorize,
		MessageBuffer: udpMessageBuffer,
		OverheadCap:   maxOverhead, // each flow has its own
		Logger:        config.Logger,
	}
}

// authorize refuses clients that are not in the list, and says so in the log.
func (s *Server) authorize(peer conn.PeerInfo) error {
	config := s.config.Load()
	err := config.admit(peer)
	if err != nil {
		s.log.Warn("client refused: its key is not authorized", "client", clientName(config.Authorized, peer.PublicKey), "from", peer.Addr)
	}
	return err
}

// errNotAuthorized turns a client away in a way that it understands.
var errNotAuthorized = conn.Refuse(closeNotAuthorized, "this key is not authorized")

// PublicKey is what clients must know as the peer key.
func (s *Server) PublicKey() crypto.PublicKey { return s.current().PublicKey() }

// Addr is the UDP address that the server listens on.
func (s *Server) Addr() net.Addr { return s.current().Addr() }

// Close gives the port back. It is for servers that were never served; Serve closes by itself.
func (s *Server) Close() error { return s.current().Close() }

func (s *Server) current() *conn.Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listener
}

// Serve serves clients until ctx ends, then ends every connection, and returns once all of its
// goroutines have. It returns nil when ctx ended, else what went wrong with the port.
func (s *Server) Serve(ctx context.Context) error {
	var sessions sync.WaitGroup
	defer s.kept.close()
	defer sessions.Wait()
	defer func() { _ = s.Close() }()
	for {
		l := s.current()
		accepted, err := l.AcceptSession(ctx)
		switch {
		case err == nil:
			sessions.Go(func() { s.serveSession(ctx, accepted) })
		case ctx.Err() != nil:
			return nil
		case s.current() == l: // Apply has not replaced it
			return err
		}
	}
}

func (s *Server) serveSession(ctx context.Context, c *conn.Session) {
	peer := c.Peer()
	log := s.log.With("client", clientName(s.config.Load().Authorized, peer.PublicKey))
	log.Info("client connected", "from", peer.Addr)
	newServing(s, connSession{c}, peer.PublicKey, log).run(ctx)
	if ctx.Err() == nil {
		log.Info("client gone", "reason", c.Err())
	}
}

// clientName is what the log calls a client: its name in the authorized file, else its key, else "anonymous".
func clientName(a *Authorized, key crypto.PublicKey) string {
	if name, ok := a.Name(key); ok {
		return name
	}
	if !key.IsZero() {
		return key.String()
	}
	return "anonymous"
}

// logger returns l, or a logger that drops everything.
func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
