package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// socksTimeout is how long a SOCKS client may take from its connection to its request. It speaks from this machine or
// this network, at once.
const socksTimeout = 10 * time.Second

// openSocks opens the port of SOCKS clients.
func (c *Client) openSocks(address string, passwords bool) (part, error) {
	p, err := c.openPort("socks5 "+address, address, c.serveSocks)
	if err != nil {
		return nil, err
	}
	p.udp = new(udpCounters)
	if a := p.addr().(*net.TCPAddr); !a.IP.IsLoopback() && !passwords {
		c.log.Warn("anybody who reaches this address can use the tunnel: give SOCKS users passwords, or listen on 127.0.0.1", "on", a)
	}
	return p, nil
}

// serveSocks serves one SOCKS client.
func (c *Client) serveSocks(ctx context.Context, p *port, tcp *net.TCPConn) error {
	defer func() { _ = tcp.Close() }()
	defer context.AfterFunc(ctx, func() { resetTCP(tcp) })()
	if err := tcp.SetDeadline(time.Now().Add(socksTimeout)); err != nil {
		return err
	}
	r, err := readSocks(tcp, newSocksUsers(c.config.Load().SOCKS5Users))
	if err == nil {
		err = tcp.SetDeadline(time.Time{})
	}
	switch {
	case err != nil:
		if reply, ok := socksReplyTo(err); ok {
			_, _ = tcp.Write(appendSocksReply(nil, reply, Target{})) // it may be gone
		}
	case r.command == socksConnect:
		r.target.Network = NetworkTCP
		err = p.connectSocks(ctx, tcp, r.target)
	default:
		err = p.associate(ctx, tcp, r.target)
	}
	if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil { // one that only looks whether somebody listens says nothing
		c.log.Warn("SOCKS request refused", "from", tcp.RemoteAddr(), "target", r.target.HostPort(), "reason", err)
	}
	return err
}

// connectSocks carries the connection of a SOCKS client to its target. The client waits for the reply.
func (p *port) connectSocks(ctx context.Context, tcp *net.TCPConn, target Target) error {
	t, session, err := p.client.openStream(ctx, target)
	if err != nil {
		return answerSocks(tcp, err)
	}
	r := newRelay(tcp, t, &p.count)
	defer context.AfterFunc(ctx, r.abort)()
	defer context.AfterFunc(session, r.abort)()
	if err := answerSocks(tcp, awaitReply(t, target)); err != nil {
		t.Reset(streamReset)
		t.CancelRead(streamReset)
		_ = t.Close()
		return err
	}
	p.count.total.Add(1)
	r.run(ctx)
	return nil
}

// answerSocks tells a SOCKS client what came of its request, and returns why that was nothing.
func answerSocks(tcp net.Conn, err error) error {
	reply, _ := socksReplyTo(err)
	if _, writeErr := tcp.Write(appendSocksReply(nil, reply, Target{})); err == nil {
		err = writeErr
	}
	return err
}
