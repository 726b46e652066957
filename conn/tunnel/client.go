package tunnel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// ClientConfig says where the server is, how it is recognised, and what is forwarded.
type ClientConfig struct {
	// Server is the UDP address of the server, HOST:PORT; HOST is resolved anew for every attempt.
	Server string
	// PeerKey is the server's public key. The client needs it or PresharedKey.
	PeerKey crypto.PublicKey
	// PresharedKey is the key that client and server share.
	PresharedKey crypto.PresharedKey
	// Identity is the client's own key. The zero value: the client is anonymous.
	Identity crypto.PrivateKey
	// Forwards are the ports to listen on and where their connections go.
	Forwards []Forward
	// Redirect is the TCP address that a Linux packet filter redirects connections to, HOST:PORT;
	// each goes on to where it was going. Empty: none.
	Redirect string
	// Wait is how long a connection waits for a session. 0: DefaultWait.
	Wait time.Duration
	// MaxConnections bounds the connections of this client. 0: DefaultMaxConnections.
	MaxConnections int
	// Logger gets one line for each change of the session and each refused connection. Nil: nothing
	// is logged.
	Logger *slog.Logger
}

// Client accepts TCP connections and carries them to the server.
type Client struct {
	config ClientConfig
	log    *slog.Logger
	keeper *keeper
	ports  []*port
	count  counters
}

// port is one TCP port that the client listens on.
type port struct {
	listener *net.TCPListener
	target   func(c *net.TCPConn) (Target, error)
}

// NewClient checks the configuration and opens the ports. Run does the rest.
func NewClient(config ClientConfig) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.Wait == 0 {
		config.Wait = DefaultWait
	}
	if config.MaxConnections == 0 {
		config.MaxConnections = DefaultMaxConnections
	}
	c := &Client{config: config, log: logger(config.Logger)}
	c.keeper = newKeeper(config.Server, c.dial, c.log)
	if err := c.listen(); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Validate tells what is missing, in one line that says what to do.
func (c *ClientConfig) Validate() error {
	switch {
	case c.PeerKey.IsZero() && c.PresharedKey.IsZero():
		return ErrNoServerKey
	case len(c.Forwards) == 0 && c.Redirect == "":
		return ErrNoForward
	case c.Redirect != "" && !redirectSupported:
		return errNoRedirect
	}
	return nil
}

func (c *Client) listen() error {
	for _, f := range c.config.Forwards {
		if err := c.listenOn(f.Listen, func(*net.TCPConn) (Target, error) { return f.Target, nil }); err != nil {
			return err
		}
	}
	if c.config.Redirect == "" {
		return nil
	}
	return c.listenOn(c.config.Redirect, redirectTarget)
}

func (c *Client) listenOn(address string, target func(*net.TCPConn) (Target, error)) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	c.ports = append(c.ports, &port{listener: l.(*net.TCPListener), target: target})
	return nil
}

// redirectTarget is where a redirected connection was going. spec: TUN-22
func redirectTarget(c *net.TCPConn) (Target, error) {
	dst, err := originalDestination(c)
	if err != nil {
		return Target{}, err
	}
	return TargetFromAddr(dst), nil
}

// Addrs are the addresses that the client listens on, in the order of the forwards; the redirect
// address comes last.
func (c *Client) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(c.ports))
	for i, p := range c.ports {
		addrs[i] = p.listener.Addr()
	}
	return addrs
}

// Close gives the ports back. It is for clients that were never run; Run closes by itself.
func (c *Client) Close() error {
	var errs []error
	for _, p := range c.ports {
		errs = append(errs, p.listener.Close())
	}
	return errors.Join(errs...)
}

// Run carries connections until ctx ends, then resets those that are open, and returns once all of
// its goroutines have. A server that cannot be reached is no error: it is tried again. Run
// returns nil when ctx ended, else what went wrong with a port.
func (c *Client) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { c.keeper.run(ctx) })
	for _, p := range c.ports {
		running.Go(func() { cancel(c.acceptFrom(ctx, p, &running)) })
	}
	<-ctx.Done()
	_ = c.Close()
	cause := context.Cause(ctx)
	cancel(nil)
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return nil
	}
	return cause
}

// acceptFrom takes connections from one port until it is closed.
func (c *Client) acceptFrom(ctx context.Context, p *port, running *sync.WaitGroup) error {
	for {
		tcp, err := p.listener.AcceptTCP()
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && isTemporary(err) {
			if !pauseAccept(ctx) {
				return ctx.Err()
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("listening on %v: %w", p.listener.Addr(), err)
		}
		running.Go(func() { c.serve(ctx, p, tcp) })
	}
}

// acceptPause is how long a port waits when the system has no file descriptor or memory left.
const acceptPause = 50 * time.Millisecond

func pauseAccept(ctx context.Context) bool {
	select {
	case <-time.After(acceptPause):
		return true
	case <-ctx.Done():
		return false
	}
}

// isTemporary tells whether accepting may work again later.
func isTemporary(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary()
}

// serve carries one connection and logs why it could not.
func (c *Client) serve(ctx context.Context, p *port, tcp *net.TCPConn) {
	defer c.count.open.Add(-1)
	if c.count.open.Add(1) > int64(c.config.MaxConnections) {
		c.log.Warn("connection refused: too many are open", "from", tcp.RemoteAddr(), "limit", c.config.MaxConnections)
		resetTCP(tcp)
		return
	}
	target, err := p.target(tcp)
	if err == nil {
		err = c.carry(ctx, tcp, target)
	}
	if err != nil {
		resetTCP(tcp) // spec: TUN-13
		if ctx.Err() == nil {
			c.log.Warn("connection refused", "from", tcp.RemoteAddr(), "target", target, "reason", err)
		}
	}
}

// carry carries one connection to its end. An error means that it never stood.
func (c *Client) carry(ctx context.Context, tcp tcpConn, target Target) error {
	t, ctx, err := c.openStream(ctx, target)
	if err != nil {
		return err
	}
	r := newRelay(tcp, t, &c.count)
	stop := context.AfterFunc(ctx, r.abort)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.up() // what the application says first need not wait for the reply
	}()
	err = awaitReply(t, target)
	close(r.answered)
	if err == nil {
		r.down()
	} else {
		r.abort()
	}
	<-done
	r.finish()
	return err
}

// openStream opens a stream of the session and sends the request on it. It waits for a session,
// and for a place among its streams, as long as the configuration says. The context that it
// returns ends with the session.
func (c *Client) openStream(ctx context.Context, target Target) (stream, context.Context, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Wait) // spec: TUN-20
	defer cancel()
	for {
		s, err := c.keeper.get(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("no session with %s within %v", c.config.Server, c.config.Wait)
		}
		t, err := s.OpenStream(ctx) // spec: TUN-2
		if err == nil {
			if _, err = t.Write(appendRequest(nil, target)); err == nil {
				return t, s.ctx, nil
			}
			_ = t.Close()
		}
		if ctx.Err() != nil {
			return nil, nil, fmt.Errorf("the server takes no more streams: %w", err)
		}
		if s.Err() == nil {
			return nil, nil, err
		}
	}
}

// awaitReply reads the reply and returns a refusal as an error.
func awaitReply(t stream, target Target) error {
	if err := t.SetReadDeadline(time.Now().Add(replyTimeout)); err != nil {
		return err
	}
	code, reason, err := readReply(t)
	if err != nil {
		return fmt.Errorf("no reply from the server: %w", err)
	}
	if code != CodeConnected {
		return &RefusedError{Target: target, Code: code, Reason: reason}
	}
	return t.SetReadDeadline(time.Time{})
}

// dial makes one attempt to reach the server.
func (c *Client) dial(ctx context.Context) (session, error) {
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	s, err := conn.Dial(ctx, c.config.Server, c.connConfig())
	if err != nil {
		return nil, err
	}
	if err := s.Confirmed(ctx); err != nil {
		_ = s.CloseWithError(closeDone, "")
		return nil, err
	}
	return connSession{s}, nil
}

func (c *Client) connConfig() *conn.Config {
	return &conn.Config{
		Identity:     c.config.Identity,
		PeerKey:      c.config.PeerKey,
		PresharedKey: c.config.PresharedKey,
		AppProtocols: []string{AppProtocol}, // spec: TUN-1
		IdleTimeout:  IdleTimeout,           // spec: TUN-18
		KeepAlive:    KeepAlive,             // spec: TUN-18
		MaxStreams:   -1,                    // spec: TUN-2
		Logger:       c.config.Logger,
	}
}
