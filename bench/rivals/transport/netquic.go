package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"golang.org/x/net/quic"
)

// netQUIC is golang.org/x/net/quic.
type netQUIC struct{}

// NetQUIC returns QUIC as the Go team has it, which has neither segmentation offload nor datagrams.
func NetQUIC() Transport { return netQUIC{} }

func (netQUIC) About() About {
	return About{
		Name: "x/net/quic", Module: "golang.org/x/net", Settings: "buffers of 8 and 16 MiB, messages on one stream, flushed",
		Streams: true, Multiplexed: true, PerRequest: true, Messages: true,
	}
}

// Buffers of a stream and of a connection: its default of 1 MiB is less than what a long path holds.
const (
	netQUICStreamBuffer = 8 << 20
	netQUICConnBuffer   = 16 << 20
)

func netQUICConfig(o *Options, config *tls.Config) *quic.Config {
	return &quic.Config{
		TLSConfig: config, MaxIdleTimeout: idleTimeout, KeepAlivePeriod: o.KeepAlive, MaxBidiRemoteStreams: manyStreams,
		MaxStreamReadBufferSize: netQUICStreamBuffer, MaxStreamWriteBufferSize: netQUICStreamBuffer, MaxConnReadBufferSize: netQUICConnBuffer,
	}
}

func (netQUIC) Listen(o Options) (Server, error) {
	config, err := serverTLS(o.Host)
	if err != nil {
		return nil, err
	}
	socket, err := o.socket()
	if err != nil {
		return nil, err
	}
	enlarge(socket)
	s := &netQUICServer{config: config}
	s.endpoint, err = quic.NewEndpoint(socket, netQUICConfig(&o, config))
	return s, err
}

// socketBuffer is asked of the system for sockets of those that do not ask themselves, in bytes.
const socketBuffer = 7 << 20

func enlarge(socket *net.UDPConn) {
	_ = socket.SetReadBuffer(socketBuffer) // what is granted is enough, or loses packets that are sent again
	_ = socket.SetWriteBuffer(socketBuffer)
}

func (netQUIC) Client(o Options) (Client, error) {
	socket, err := o.socket()
	if err != nil {
		return nil, err
	}
	enlarge(socket)
	e, err := quic.NewEndpoint(socket, nil)
	return &netQUICClient{Options: o, endpoint: e}, err
}

type netQUICServer struct {
	endpoint *quic.Endpoint
	config   *tls.Config
}

func (s *netQUICServer) Target() string {
	return target(s.endpoint.LocalAddr().String(), s.config.Certificates[0].Certificate[0])
}

func (s *netQUICServer) Accept(ctx context.Context) (Session, error) {
	c, err := s.endpoint.Accept(ctx)
	if err != nil {
		return nil, err
	}
	first := &lazy{accept: func() (Stream, error) { return netQUICStreamOf(c.AcceptStream(context.Background())) }}
	return &netQUICSession{readWriter: first, Framed: NewFramed(first), conn: c}, nil
}

// closed is a context that waits for nothing.
func closed() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func (s *netQUICServer) Close() error { return withoutCancel(s.endpoint.Close(closed())) }

// withoutCancel takes away the error of a context that waits for nothing.
func withoutCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

type netQUICClient struct {
	Options
	endpoint *quic.Endpoint
}

func (c *netQUICClient) Dial(ctx context.Context, to string) (Session, error) {
	to, config, err := clientTLS(to)
	if err != nil {
		return nil, err
	}
	conn, err := c.endpoint.Dial(ctx, "udp", to, netQUICConfig(&c.Options, config))
	if err != nil {
		return nil, err
	}
	first, err := netQUICStreamOf(conn.NewStream(ctx))
	if err == nil {
		_, err = first.Write(hello)
	}
	return &netQUICSession{readWriter: first, Framed: NewFramed(first), conn: conn}, err
}

func (c *netQUICClient) Close() error { return withoutCancel(c.endpoint.Close(closed())) }

// netQUICStream sends what is written at once.
type netQUICStream struct{ *quic.Stream }

func netQUICStreamOf(s *quic.Stream, err error) (Stream, error) { return netQUICStream{s}, err }

func (s netQUICStream) Write(b []byte) (int, error) {
	n, err := s.Stream.Write(b)
	if err == nil {
		err = s.Flush()
	}
	return n, err
}

func (s netQUICStream) CloseWrite() error {
	s.Stream.CloseWrite()
	return nil
}

// Close does not wait until the peer has everything, as its own Close does.
func (s netQUICStream) Close() error {
	s.CloseRead()
	s.Stream.CloseWrite()
	return nil
}

// netQUICSession is one connection.
type netQUICSession struct {
	readWriter
	*Framed
	conn *quic.Conn
}

func (s *netQUICSession) OpenStream(ctx context.Context) (Stream, error) {
	return netQUICStreamOf(s.conn.NewStream(ctx))
}

func (s *netQUICSession) AcceptStream(ctx context.Context) (Stream, error) {
	if err := settle(s.readWriter); err != nil {
		return nil, err
	}
	return netQUICStreamOf(s.conn.AcceptStream(ctx))
}

func (s *netQUICSession) Close() error {
	s.conn.Abort(nil)
	return nil
}
