package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// port is a TCP port that the client listens on.
type port struct {
	client   *Client
	name     string // of what the configuration says, for statistics
	listener *net.TCPListener
	serve    func(ctx context.Context, p *port, c *net.TCPConn) error // carries one connection to its end
	count    counters
	udp      *udpCounters // of SOCKS clients; nil for others
}

func (c *Client) openPort(name, address string, serve func(context.Context, *port, *net.TCPConn) error) (*port, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &port{client: c, name: name, listener: l.(*net.TCPListener), serve: serve}, nil
}

// openForward opens the port of a forward.
func (c *Client) openForward(f Forward) (part, error) {
	if f.Target.Network == NetworkUDP {
		return c.newUDPForward(f)
	}
	return c.openPort(f.String(), f.Listen, func(ctx context.Context, p *port, tcp *net.TCPConn) error {
		return p.forward(ctx, tcp, f.Target)
	})
}

// serveRedirected carries a redirected connection to where it was going. spec: TUN-22
func (c *Client) serveRedirected(ctx context.Context, p *port, tcp *net.TCPConn) error {
	dst, err := originalDestination(tcp)
	if err != nil {
		return p.refuse(ctx, tcp, Target{}, err)
	}
	return p.forward(ctx, tcp, TargetFromAddr(dst))
}

func (p *port) addr() net.Addr { return p.listener.Addr() }
func (p *port) close() error   { return p.listener.Close() }

func (p *port) stats() ForwardStats {
	s := p.count.stats(p.name)
	if p.udp != nil {
		udp := p.udp.stats()
		s.UDP = &udp
	}
	return s
}

// run takes connections until ctx ends.
func (p *port) run(ctx context.Context) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	defer context.AfterFunc(ctx, func() { _ = p.close() })()
	for {
		tcp, err := p.listener.AcceptTCP()
		if err != nil && ctx.Err() != nil {
			return nil
		}
		if err != nil && isTemporary(err) {
			if !pauseAccept(ctx) {
				return nil
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("listening on %v: %w", p.listener.Addr(), err)
		}
		conns.Go(func() { p.serveOne(ctx, tcp) })
	}
}

// serveOne carries one connection, if there is room for it.
func (p *port) serveOne(ctx context.Context, tcp *net.TCPConn) {
	defer p.client.open.Add(-1)
	limit := p.client.config.Load().MaxConnections
	if p.client.open.Add(1) > int64(limit) {
		p.count.refused.Add(1)
		p.client.log.Warn("connection refused: too many are open", "from", tcp.RemoteAddr(), "limit", limit)
		resetTCP(tcp)
		return
	}
	p.count.open.Add(1)
	defer p.count.open.Add(-1)
	if err := p.serve(ctx, p, tcp); err != nil {
		p.count.refused.Add(1)
	}
}

// forward carries one connection to a target.
func (p *port) forward(ctx context.Context, tcp *net.TCPConn, target Target) error {
	if err := p.carry(ctx, tcp, target); err != nil {
		return p.refuse(ctx, tcp, target, err)
	}
	return nil
}

// refuse resets a connection that cannot be carried, and logs why.
func (p *port) refuse(ctx context.Context, tcp *net.TCPConn, target Target, err error) error {
	resetTCP(tcp) // spec: TUN-13
	if ctx.Err() == nil {
		p.client.log.Warn("connection refused", "from", tcp.RemoteAddr(), "target", target, "reason", err)
	}
	return err
}

// carry carries one connection to its end. An error means that it never stood.
func (p *port) carry(ctx context.Context, tcp tcpConn, target Target) error {
	t, session, err := p.client.openStream(ctx, target)
	if err != nil {
		return err
	}
	return carryRequest(ctx, session, tcp, t, target, &p.count)
}

// carryRequest carries a connection whose request was just sent on t to its end: what the application says first
// need not wait for the reply. An error means that the other end refused. It ends with either context.
func carryRequest(ctx, session context.Context, tcp tcpConn, t stream, target Target, count *counters) error {
	r := newRelay(tcp, t, count)
	defer context.AfterFunc(ctx, r.abort)()
	defer context.AfterFunc(session, r.abort)()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.up()
	}()
	err := awaitReply(t, target)
	close(r.answered)
	if err == nil {
		count.total.Add(1)
		r.down()
	} else {
		r.abort()
	}
	<-done
	r.finish()
	return err
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
