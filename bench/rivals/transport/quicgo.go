package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/quic-go/quic-go"
)

// quicGo is quic-go, with messages on a stream or in datagrams.
type quicGo struct{ datagrams bool }

// QUIC returns quic-go with messages on streams: all of them arrive.
func QUIC() Transport { return quicGo{} }

// QUICDatagrams returns quic-go with messages in DATAGRAM frames (RFC 9221): what is lost is lost.
func QUICDatagrams() Transport { return quicGo{datagrams: true} }

// Windows as large as Godwit's, so that neither has to wait for the other end on a long path. IdleTimeout is longer
// than any silence that is measured.
const (
	streamWindow = 32 << 20
	connWindow   = 64 << 20
	idleTimeout  = 2 * time.Minute
	manyStreams  = 1 << 10 // at once; more than any workload opens
)

func (t quicGo) About() About {
	a := About{
		Name: "quic-go", Module: "github.com/quic-go/quic-go",
		Settings: "GSO and receive in batches as it finds them, windows of 32 and 64 MiB, messages on one stream",
		Streams:  true, Multiplexed: true, PerRequest: true, Messages: true,
	}
	if t.datagrams {
		a.Name = "quic-go-dgram"
		a.Settings = "as quic-go, messages in datagrams, which are not sent again; streams are quic-go's own"
		a.Streams, a.Multiplexed, a.PerRequest = false, false, false
	}
	return a
}

func (t quicGo) config(o *Options) *quic.Config {
	return &quic.Config{
		MaxIdleTimeout: idleTimeout, KeepAlivePeriod: o.KeepAlive, EnableDatagrams: t.datagrams, MaxIncomingStreams: manyStreams,
		MaxStreamReceiveWindow: streamWindow, MaxConnectionReceiveWindow: connWindow,
	}
}

// socket opens a socket for a quic.Transport, which makes its buffers large itself.
func (o *Options) socket() (socket *net.UDPConn, err error) {
	err = o.Open(func() error {
		socket, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(o.Host)})
		return err
	})
	return socket, err
}

func (t quicGo) Listen(o Options) (Server, error) {
	config, err := serverTLS(o.Host)
	if err != nil {
		return nil, err
	}
	socket, err := o.socket()
	if err != nil {
		return nil, err
	}
	s := &quicServer{transport: quic.Transport{Conn: socket}, config: config, datagrams: t.datagrams, socket: socket}
	s.listener, err = s.transport.Listen(config, t.config(&o))
	return s, err
}

func (t quicGo) Client(o Options) (Client, error) {
	socket, err := o.socket()
	if err != nil {
		return nil, err
	}
	return &quicClient{transport: quic.Transport{Conn: socket}, config: t.config(&o), datagrams: t.datagrams, socket: socket}, nil
}

type quicServer struct {
	transport quic.Transport
	socket    *net.UDPConn
	config    *tls.Config
	listener  *quic.Listener
	datagrams bool
}

func (s *quicServer) Target() string {
	return target(s.listener.Addr().String(), s.config.Certificates[0].Certificate[0])
}

func (s *quicServer) Accept(ctx context.Context) (Session, error) {
	c, err := s.listener.Accept(ctx)
	if err != nil {
		return nil, err
	}
	first := &lazy{accept: func() (Stream, error) { return quicStreamOf(c.AcceptStream(c.Context())) }}
	return newQUICSession(c, first, s.datagrams), nil
}

func (s *quicServer) Close() error {
	return errors.Join(s.listener.Close(), s.transport.Close(), s.socket.Close())
}

type quicClient struct {
	transport quic.Transport
	socket    *net.UDPConn
	config    *quic.Config
	datagrams bool
}

func (c *quicClient) Dial(ctx context.Context, to string) (Session, error) {
	to, config, err := clientTLS(to)
	if err != nil {
		return nil, err
	}
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		return nil, err
	}
	conn, err := c.transport.Dial(ctx, addr, config, c.config)
	if err != nil {
		return nil, err
	}
	first, err := quicStreamOf(conn.OpenStreamSync(ctx))
	if err == nil {
		_, err = first.Write(hello)
	}
	return newQUICSession(conn, first, c.datagrams), err
}

func (c *quicClient) Close() error { return errors.Join(c.transport.Close(), c.socket.Close()) }

// quicStream has the methods that others have.
type quicStream struct{ *quic.Stream }

func quicStreamOf(s *quic.Stream, err error) (Stream, error) { return quicStream{s}, err }

func (s quicStream) CloseWrite() error { return s.Stream.Close() }

func (s quicStream) Close() error {
	s.CancelRead(0)
	return s.Stream.Close()
}

// quicSession is one connection.
type quicSession struct {
	readWriter
	*Framed
	conn *quic.Conn
}

// readWriter is what a session is embedded as, so that its name does not clash with Framed's.
type readWriter interface {
	Read([]byte) (int, error)
	Write([]byte) (int, error)
}

func newQUICSession(c *quic.Conn, first readWriter, datagrams bool) Session {
	s := &quicSession{readWriter: first, Framed: NewFramed(first), conn: c}
	if datagrams {
		return &quicDatagrams{s}
	}
	return s
}

func (s *quicSession) OpenStream(ctx context.Context) (Stream, error) {
	return quicStreamOf(s.conn.OpenStreamSync(ctx))
}

func (s *quicSession) AcceptStream(ctx context.Context) (Stream, error) {
	if err := settle(s.readWriter); err != nil {
		return nil, err
	}
	return quicStreamOf(s.conn.AcceptStream(ctx))
}

func (s *quicSession) Close() error { return s.conn.CloseWithError(0, "") }

// quicDatagrams is a session whose messages are datagrams.
type quicDatagrams struct{ *quicSession }

func (s *quicDatagrams) SendMessage(b []byte, _ Class, _ bool) error {
	err := s.conn.SendDatagram(b)
	var large *quic.DatagramTooLargeError
	if errors.As(err, &large) {
		return ErrTooLarge
	}
	return err
}

func (s *quicDatagrams) ReceiveMessage(buf []byte, _ Class) (int, error) {
	b, err := s.conn.ReceiveDatagram(context.Background())
	return copy(buf, b), err
}
