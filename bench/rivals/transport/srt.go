package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// srt is media through two srt-live-transmit, from datagrams to datagrams.
type srt struct{}

// SRT returns Debian's srt-live-transmit.
func SRT() Transport { return srt{} }

func (srt) About() About {
	return About{
		Name: "srt", Version: packageVersion("srt-tools"), Missing: missing("srt-tools", "srt-live-transmit"),
		Settings: fmt.Sprintf("srt-live-transmit, live mode, AES-128, latency %d ms: what comes leaves %[1]d ms after it was sent", MediaDeadline.Milliseconds()),
		Messages: true, OneWay: true, Outside: true,
	}
}

// srtQuery are the options of both ends. An SRT packet carries one datagram.
const srtQuery = "transtype=live&pbkeylen=16&passphrase=rivalsrivals"

const srtBuffer = 4 << 20

func (srt) Listen(o Options) (Server, error) {
	socket, err := o.socket()
	if err != nil {
		return nil, err
	}
	_ = socket.SetReadBuffer(srtBuffer)
	port, err := o.freePort("udp")
	if err != nil {
		return nil, err
	}
	s := &srtServer{socket: socket, addr: fmt.Sprintf("%s:%d", o.Host, port)}
	s.program, err = o.start("srt-live-transmit", "-quiet", "-autoreconnect:no",
		fmt.Sprintf("srt://%s?mode=listener&latency=%d&%s", s.addr, MediaDeadline.Milliseconds(), srtQuery), "udp://"+socket.LocalAddr().String())
	return s, err
}

// srtServer has one session.
type srtServer struct {
	*program
	socket *net.UDPConn
	addr   string
}

func (s *srtServer) Target() string { return s.addr }

// Accept waits until the tunnel works.
func (s *srtServer) Accept(ctx context.Context) (Session, error) {
	defer context.AfterFunc(ctx, func() { s.socket.Close() })()
	session := &srtAccepted{socket: s.socket}
	_, err := s.socket.Read(make([]byte, len(udpHello)))
	return session, err
}

func (s *srtServer) Close() error {
	s.end()
	return s.socket.Close()
}

type srtAccepted struct {
	noStream
	socket *net.UDPConn
}

func (s *srtAccepted) SendMessage([]byte, Class, bool) error { return errOneWay }

func (s *srtAccepted) ReceiveMessage(buf []byte, _ Class) (int, error) {
	for {
		n, err := s.socket.Read(buf)
		if err != nil || string(buf[:n]) != udpHello {
			return n, err
		}
	}
}

func (s *srtAccepted) Close() error { return s.socket.Close() }

var errOneWay = errors.New("messages go the other way only")

func (srt) Client(o Options) (Client, error) { return &srtClient{Options: o}, nil }

// srtClient has one program for each session.
type srtClient struct {
	Options
	*program
}

// Dial starts the program and says hello until a round trip would be over: before, nothing passes.
func (c *srtClient) Dial(ctx context.Context, to string) (Session, error) {
	port, err := c.freePort("udp")
	if err != nil {
		return nil, err
	}
	local := fmt.Sprintf("%s:%d", c.Host, port)
	c.program, err = c.start("srt-live-transmit", "-quiet", "-autoreconnect:no", "udp://"+local,
		fmt.Sprintf("srt://%s?mode=caller&latency=%d&%s", to, MediaDeadline.Milliseconds(), srtQuery))
	if err != nil {
		return nil, err
	}
	addr, err := net.ResolveUDPAddr("udp", local)
	if err != nil {
		return nil, err
	}
	var socket *net.UDPConn
	if err := c.Open(func() (err error) {
		socket, err = net.DialUDP("udp", nil, addr)
		return err
	}); err != nil {
		return nil, err
	}
	const hellos = 50 // a second, in which the programs find each other
	said := 0
	err = eventually(ctx, func() error {
		_, _ = socket.Write([]byte(udpHello)) // refused until the program listens
		if said++; said < hellos {
			return errStarting
		}
		return nil
	})
	return &srtDialed{socket: socket}, err
}

var errStarting = errors.New("the programs are starting")

func (c *srtClient) Close() error {
	if c.program != nil {
		c.end()
	}
	return nil
}

type srtDialed struct {
	noStream
	socket *net.UDPConn
}

func (s *srtDialed) SendMessage(b []byte, _ Class, _ bool) error {
	_, err := s.socket.Write(b)
	return err
}

func (s *srtDialed) ReceiveMessage([]byte, Class) (int, error) { return 0, errOneWay }

func (s *srtDialed) Close() error { return s.socket.Close() }
