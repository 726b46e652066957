package transport

import (
	"context"
	"errors"
	"net"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// godwit is what all others are compared with.
type godwit struct{}

// Godwit returns Godwit with its defaults.
func Godwit() Transport { return godwit{} }

func (godwit) About() About {
	return About{
		Name: "godwit", Module: "github.com/godwit-net/godwit",
		Settings: "defaults; inputs reliable and ordered, snapshots sequenced, media ordered with a deadline of 150 ms",
		Streams:  true, Multiplexed: true, PerRequest: true, Messages: true,
	}
}

// manySessions may wait to be accepted: thousands are opened as fast as it goes.
const manySessions = 1 << 14

func godwitConfig(o *Options) *conn.Config {
	return &conn.Config{
		MaxDatagram: o.Datagram, KeepAlive: o.KeepAlive, IdleTimeout: idleTimeout, MaxStreams: manyStreams, AcceptBacklog: manySessions,
	}
}

func (godwit) Listen(o Options) (Server, error) {
	s := &godwitServer{}
	err := o.Open(func() (err error) {
		s.listener, err = conn.Listen(net.JoinHostPort(o.Host, "0"), godwitConfig(&o))
		return err
	})
	s.ticks = &ticks{end: s.listener, buf: make([]conn.Received, batch)}
	return s, err
}

func (godwit) Client(o Options) (Client, error) {
	socket, err := o.socket()
	if err != nil {
		return nil, err
	}
	config := godwitConfig(&o)
	e, err := conn.NewEndpoint(socket, config)
	return &godwitClient{endpoint: e, config: config, ticks: &ticks{end: e, buf: make([]conn.Received, batch)}}, err
}

type godwitServer struct {
	*ticks
	listener *conn.Listener
}

func (s *godwitServer) Target() string {
	return target(s.listener.Addr().String(), []byte(s.listener.PublicKey().String()))
}

func (s *godwitServer) Accept(ctx context.Context) (Session, error) {
	session, err := s.listener.AcceptSession(ctx)
	if err != nil {
		return nil, err
	}
	return godwitSession{session}, nil
}

func (s *godwitServer) Close() error { return s.listener.Close() }

// batch is how many messages are taken in one call.
const batch = 256

// ticks works in ticks with all sessions of an end.
type ticks struct {
	end interface {
		ReceiveBatch([]conn.Received) int
		Flush()
	}
	buf []conn.Received
}

func (t *ticks) ReceiveBatch(take func([]byte)) {
	for n := len(t.buf); n == len(t.buf); {
		n = t.end.ReceiveBatch(t.buf)
		for i := range n {
			take(t.buf[i].Data)
		}
	}
}

func (t *ticks) Flush() { t.end.Flush() }

type godwitClient struct {
	*ticks
	endpoint *conn.Endpoint
	config   *conn.Config
}

func (c *godwitClient) Dial(ctx context.Context, to string) (Session, error) {
	addr, text, err := parseTarget(to)
	if err != nil {
		return nil, err
	}
	key, err := crypto.ParsePublicKey(string(text))
	if err != nil {
		return nil, err
	}
	config := *c.config
	config.PeerKey = key
	session, err := c.endpoint.Dial(ctx, addr, &config)
	if err != nil {
		return nil, err
	}
	return godwitSession{session}, nil
}

func (c *godwitClient) Close() error { return c.endpoint.Close() }

// godwitSession is one session.
type godwitSession struct{ *conn.Session }

// channels are what the classes of messages are here.
var channels = [classes]conn.MessageOptions{
	Ordered: {Channel: uint16(Ordered), Mode: conn.ReliableOrdered},
	Newest:  {Channel: uint16(Newest), Mode: conn.Sequenced},
	Timed:   {Channel: uint16(Timed), Mode: conn.ReliableOrdered, Deadline: MediaDeadline},
}

func (s godwitSession) SendMessage(b []byte, class Class, more bool) error {
	o := channels[class]
	o.More = more
	return s.Session.SendMessage(b, o)
}

func (s godwitSession) ReceiveMessage(buf []byte, _ Class) (int, error) {
	m, err := s.ReceiveMessageInto(context.Background(), buf)
	return len(m.Data), err
}

func (s godwitSession) OpenStream(ctx context.Context) (Stream, error) {
	return godwitStreamOf(s.Session.OpenStream(ctx))
}

func (s godwitSession) AcceptStream(ctx context.Context) (Stream, error) {
	return godwitStreamOf(s.Session.AcceptStream(ctx))
}

// godwitStreamOf makes no Stream of a nil one.
func godwitStreamOf(s *conn.Stream, err error) (Stream, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s godwitSession) Close() error {
	var closed *conn.Error
	if err := s.CloseWithError(0, ""); err != nil && !errors.As(err, &closed) {
		return err
	}
	return nil
}
