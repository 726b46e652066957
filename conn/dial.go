package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/conn/udp"
)

// dialStagger is how long one address of a name is tried before the next one is tried beside it
// (RFC 8305, section 5).
const dialStagger = 250 * time.Millisecond

// ctxGrace is how much longer than its context a handshake would go on, so that it is the context that ends it.
const ctxGrace = time.Second

// Dial opens a session to the server at a UDP "host:port", from a socket of its own. It returns after one
// round trip, when the server has proved its key; data can be sent from then on. It fails when nobody
// answers before the context's deadline, or within 5 s if it has none, and at once when the server refuses.
// config must have PeerKey or PresharedKey.
func Dial(ctx context.Context, address string, config *Config) (*Session, error) {
	c := config.orZero()
	if err := c.checkDial(); err != nil {
		return nil, err
	}
	sock, err := udp.Listen(ctx, ":0", c.features())
	if err != nil {
		return nil, fmt.Errorf("conn: %w", err)
	}
	e, err := newEndpoint([]*udp.Socket{sock}, c, false)
	if err != nil {
		return nil, err
	}
	defer e.release()
	return e.dial(ctx, address, c)
}

// Dial opens a session through the endpoint's socket; see the function Dial. With a nil config the
// endpoint's own is used.
func (e *Endpoint) Dial(ctx context.Context, address string, config *Config) (*Session, error) {
	c := config
	if c == nil {
		c = e.config
	}
	if err := c.checkDial(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	err := e.err
	if err == nil {
		e.retain()
	}
	e.mu.Unlock()
	if err != nil {
		return nil, err
	}
	defer e.release()
	return e.dial(ctx, address, c)
}

// dial tries the addresses of a name, each one a moment after the one before it, and returns the first
// session that is established.
func (e *Endpoint) dial(ctx context.Context, address string, c *Config) (*Session, error) {
	addrs, err := resolve(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("conn: %w", err)
	}
	if len(addrs) == 1 {
		return e.dialOne(ctx, addrs[0], c)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := race{results: make(chan raceResult, len(addrs))}
	defer r.finish(cancel)
	for next := 0; ; {
		var another <-chan time.Time
		if next < len(addrs) {
			addr := addrs[next]
			r.start(func() (*Session, error) { return e.dialOne(ctx, addr, c) })
			if next++; next < len(addrs) {
				another = time.After(dialStagger)
			}
		}
		if s, err, done := r.wait(another, next == len(addrs)); done {
			return s, err
		}
	}
}

// race is a set of dials of which the first success counts.
type race struct {
	results chan raceResult
	running int
	err     error // of the first that failed
}

type raceResult struct {
	session *Session
	err     error
}

func (r *race) start(dial func() (*Session, error)) {
	r.running++
	go func() {
		s, err := dial()
		r.results <- raceResult{session: s, err: err}
	}()
}

// wait returns the winner, or the first error when all have failed and no more will start. Otherwise it
// asks for another one to be started.
func (r *race) wait(another <-chan time.Time, last bool) (s *Session, err error, done bool) {
	for {
		select {
		case <-another:
			return nil, nil, false
		case result := <-r.results:
			r.running--
			if result.err == nil {
				return result.session, nil, true
			}
			if r.err == nil {
				r.err = result.err
			}
			if !last {
				return nil, nil, false
			}
			if r.running == 0 {
				return nil, r.err, true
			}
		}
	}
}

// finish ends those that did not win.
func (r *race) finish(cancel context.CancelFunc) {
	cancel()
	for ; r.running > 0; r.running-- {
		if late := <-r.results; late.session != nil {
			_ = late.session.CloseWithError(0, "") // it was not needed
		}
	}
}

// dialOne opens a session to one address.
func (e *Endpoint) dialOne(ctx context.Context, addr netip.AddrPort, c *Config) (*Session, error) {
	sh := e.shards[0]
	config := c.session(sh.sock.Info())
	if deadline, ok := ctx.Deadline(); ok && config.HandshakeTimeout == 0 {
		config.HandshakeTimeout = max(time.Until(deadline), 0) + ctxGrace
	}
	from := newTokenOrigin(addr, c)
	config.AddressToken = tokens.take(*from)
	s, err := sh.dial(config, addr)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	s.tokenFrom = from
	if err := e.over(); err != nil {
		s.giveUp(err) // it came too late for those who ended all sessions
		return nil, err
	}
	if err := s.awaitAnswer(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// silence is the end of a Dial whose context's deadline passed without an answer.
type silence struct{ ctx error }

func (e *silence) Error() string   { return ErrNoAnswer.Error() }
func (e *silence) Unwrap() []error { return []error{ErrNoAnswer, e.ctx} }

// resolve returns the addresses of a "host:port", the preferred one first. An empty host is this machine.
func resolve(ctx context.Context, address string) ([]netip.AddrPort, error) {
	if ap, err := netip.ParseAddrPort(address); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())}, nil
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "udp", service)
	if err != nil {
		return nil, err
	}
	ips := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	if host != "" {
		if ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
			return nil, err
		}
	}
	var addrs []netip.AddrPort
	for _, ip := range ips {
		addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	if len(addrs) == 0 {
		return nil, errors.New("no addresses for " + host)
	}
	return addrs, nil
}
