package transport

import (
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"syscall"
	"time"
)

// tcp is the kernel's TCP, plain or with TLS 1.3 on it.
type tcp struct{ tls bool }

// TCP returns the kernel's TCP without encryption.
func TCP() Transport { return tcp{} }

// TLS returns crypto/tls over TCP, which is what most programs use.
func TLS() Transport { return tcp{tls: true} }

func (t tcp) About() About {
	a := About{
		Name: "tcp", Version: "kernel", Settings: "CUBIC, TCP_NODELAY, not encrypted",
		Streams: true, Messages: true,
	}
	if t.tls {
		a.Name, a.Version, a.Settings = "tls", runtime.Version(), "crypto/tls 1.3 over TCP with CUBIC and TCP_NODELAY, whole handshakes"
	}
	return a
}

func (t tcp) Listen(o Options) (Server, error) {
	s := &tcpServer{}
	addr := net.JoinHostPort(o.Host, "0")
	err := o.Open(func() (err error) {
		config := net.ListenConfig{Control: o.controlTCP, KeepAlive: o.keepAliveTCP()}
		config.SetMultipathTCP(false)
		s.listener, err = config.Listen(context.Background(), "tcp", addr)
		return err
	})
	if err != nil || !t.tls {
		return s, err
	}
	s.config, err = serverTLS(o.Host)
	return s, err
}

func (t tcp) Client(o Options) (Client, error) { return &tcpClient{Options: o, tls: t.tls}, nil }

// keepAliveTCP is negative, which means never, where Options have 0.
func (o *Options) keepAliveTCP() time.Duration {
	if o.KeepAlive == 0 {
		return -1
	}
	return o.KeepAlive
}

// controlTCP sets the congestion control and, if the size of packets is given, what fits one.
func (o *Options) controlTCP(_, _ string, raw syscall.RawConn) (err error) {
	if controlled := raw.Control(func(fd uintptr) { err = setTCP(int(fd), o.Datagram) }); controlled != nil {
		return controlled
	}
	return err
}

type tcpServer struct {
	listener net.Listener
	config   *tls.Config // nil: no TLS
}

func (s *tcpServer) Target() string {
	if s.config == nil {
		return s.listener.Addr().String()
	}
	return target(s.listener.Addr().String(), s.config.Certificates[0].Certificate[0])
}

func (s *tcpServer) Accept(ctx context.Context) (Session, error) {
	defer context.AfterFunc(ctx, func() { s.listener.Close() })()
	raw, err := s.listener.Accept()
	if err != nil {
		return nil, err
	}
	if s.config == nil {
		return newTCPSession(raw, raw), nil
	}
	c := tls.Server(raw, s.config)
	go c.Handshake() // as net/http does; its error comes again with the first Read
	return newTCPSession(raw, c), nil
}

func (s *tcpServer) Close() error { return s.listener.Close() }

type tcpClient struct {
	Options
	tls bool
}

func (c *tcpClient) Dial(ctx context.Context, to string) (Session, error) {
	var config *tls.Config
	if c.tls {
		var err error
		if to, config, err = clientTLS(to); err != nil {
			return nil, err
		}
	}
	raw, err := c.dial(ctx, to)
	if err != nil || !c.tls {
		return newTCPSession(raw, raw), err
	}
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return newTCPSession(raw, secure), nil
}

func (c *tcpClient) dial(ctx context.Context, to string) (raw net.Conn, err error) {
	err = c.Open(func() error {
		dialer := net.Dialer{Control: c.controlTCP, KeepAlive: c.keepAliveTCP()}
		dialer.SetMultipathTCP(false)
		raw, err = dialer.DialContext(ctx, "tcp", to)
		return err
	})
	return raw, err
}

func (c *tcpClient) Close() error { return nil }

// tcpSession is one connection.
type tcpSession struct {
	net.Conn
	*Framed
	raw net.Conn
}

func newTCPSession(raw, c net.Conn) Session {
	if raw == nil {
		return nil
	}
	return &tcpSession{Conn: c, Framed: NewFramed(c), raw: raw}
}

// Close resets the connection: nobody waits for what is on its way, and no port stays taken.
func (s *tcpSession) Close() error {
	if t, ok := s.raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	return s.raw.Close()
}
