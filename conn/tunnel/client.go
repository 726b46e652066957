package tunnel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
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
	// Reverse are the ports that the server listens on for this client, and where their connections go from here:
	// Listen is an address of the server, or none for all of them; the port is not 0.
	Reverse []Forward
	// Redirect is the TCP address that a Linux packet filter redirects connections to, HOST:PORT;
	// each goes on to where it was going. Empty: none.
	Redirect string
	// SOCKS5 is the TCP address, HOST:PORT, where programs are served by SOCKS 5 (RFC 1928): connections and datagrams
	// to any target that the server allows. Empty: none.
	SOCKS5 string
	// SOCKS5Users are the passwords of SOCKS users (RFC 1929), each of 1 to 255 octets as are the names. Nil: nobody
	// needs one.
	SOCKS5Users map[string]string
	// Wait is how long a connection waits for a session. 0: DefaultWait.
	Wait time.Duration
	// MaxConnections bounds the connections of this client. 0: DefaultMaxConnections.
	MaxConnections int
	// Logger gets one line for each change of the session and each refused connection. Nil: nothing
	// is logged.
	Logger *slog.Logger
}

// Client accepts TCP connections and UDP datagrams and carries them to the server.
type Client struct {
	config  atomic.Pointer[ClientConfig] // replaced by Apply
	log     *slog.Logger
	began   time.Time
	dialer  *dialer
	keeper  *keeper
	open    atomic.Int64           // connections, of all parts together
	udp     atomic.Pointer[udpMux] // of the present session; nil without one
	farUDP  udpCounters            // of what the server asked for, which it may not
	keptUDP keptFlows              // of reverse forwards

	asking   sync.Mutex
	reverses []*udpReverse // that run; guarded by asking

	applying sync.Mutex // one Apply at a time

	mu      sync.Mutex
	parts   []*runner
	running *running // nil: Run was not called yet
	ended   bool     // Close was called
}

// NewClient checks the configuration and opens the ports. Run does the rest.
func NewClient(config ClientConfig) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	c := newClient(config)
	if err := c.change(c.plans(&config)); err != nil {
		return nil, err
	}
	return c, nil
}

// newClient is a client without ports.
func newClient(config ClientConfig) *Client {
	c := &Client{log: logger(config.Logger), began: time.Now(), dialer: newDialer()}
	c.config.Store(config.withDefaults())
	c.keeper = newKeeper(func() string { return c.config.Load().Server }, c.dial, c.log)
	c.keeper.begin = c.beginSession
	return c
}

func (c ClientConfig) withDefaults() *ClientConfig {
	if c.Wait == 0 {
		c.Wait = DefaultWait
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = DefaultMaxConnections
	}
	return &c
}

// Validate tells what is missing, in one line that says what to do.
func (c *ClientConfig) Validate() error {
	switch {
	case c.PeerKey.IsZero() && c.PresharedKey.IsZero():
		return ErrNoServerKey
	case len(c.Forwards) == 0 && len(c.Reverse) == 0 && c.Redirect == "" && c.SOCKS5 == "":
		return ErrNoForward
	case c.Redirect != "" && !redirectSupported:
		return errNoRedirect
	}
	return checkReverse(c.Reverse)
}

// Addrs are the addresses that the client listens on, in the order of the forwards; the redirect
// address comes last.
func (c *Client) Addrs() []net.Addr {
	var addrs []net.Addr
	for _, r := range c.list() {
		if a := r.part.addr(); a != nil {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// Close gives the ports back. It is for clients that were never run; Run closes by itself.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	var errs []error
	for _, r := range c.parts {
		errs = append(errs, r.part.close())
	}
	return errors.Join(errs...)
}

// Run carries connections until ctx ends, then resets those that are open, and returns once all of
// its goroutines have. A server that cannot be reached is no error: it is tried again. Run
// returns nil when ctx ended, else what went wrong with a port.
func (c *Client) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	r := &running{ctx: ctx, fail: cancel}
	defer r.wait.Wait()
	defer c.keptUDP.close()
	r.wait.Go(func() { c.keeper.run(ctx) })
	c.applying.Lock() // no part is being ended
	c.startAll(r)
	c.applying.Unlock()
	<-ctx.Done()
	_ = c.Close()
	cause := context.Cause(ctx)
	cancel(nil)
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return nil
	}
	return cause
}

// openStream opens a stream of the session and sends the request on it. It waits for a session,
// and for a place among its streams, as long as the configuration says. The context that it
// returns ends with the session.
func (c *Client) openStream(ctx context.Context, target Target) (stream, context.Context, error) {
	config := c.config.Load()
	ctx, cancel := context.WithTimeout(ctx, config.Wait) // spec: TUN-20
	defer cancel()
	for {
		s, err := c.keeper.get(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("no session with %s within %v", config.Server, config.Wait)
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
	s, err := conn.Dial(ctx, c.config.Load().Server, c.connConfig())
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
	config := c.config.Load()
	return &conn.Config{
		Identity:      config.Identity,
		PeerKey:       config.PeerKey,
		PresharedKey:  config.PresharedKey,
		AppProtocols:  []string{AppProtocol}, // spec: TUN-1
		IdleTimeout:   IdleTimeout,           // spec: TUN-18
		KeepAlive:     KeepAlive,             // spec: TUN-18
		MaxStreams:    config.MaxConnections + busyReserve,
		MessageBuffer: udpMessageBuffer,
		OverheadCap:   maxOverhead, // each forward has its own
		Logger:        config.Logger,
	}
}
