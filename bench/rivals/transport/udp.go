package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// udp is messages in bare datagrams: neither encrypted nor sent again. It is the floor of latency and cost.
type udp struct{}

// UDP returns bare datagrams.
func UDP() Transport { return udp{} }

func (udp) About() About {
	return About{
		Name: "udp", Version: "kernel", Settings: "bare datagrams, neither encrypted nor sent again; one system call each",
		Messages: true,
	}
}

// What a client says until the server says it back, so that both have the session.
const udpHello = "hello"

const (
	udpQueue = 256 // datagrams that wait for the application in a session of a server; further ones are dropped
	udpRetry = 100 * time.Millisecond
)

func (udp) Listen(o Options) (Server, error) {
	socket, err := o.socket()
	if err != nil {
		return nil, err
	}
	enlarge(socket)
	s := &udpServer{socket: socket, sessions: make(map[netip.AddrPort]*udpAccepted), ready: make(chan Session, udpQueue)}
	go s.run()
	return s, nil
}

// udpServer tells sessions apart by the client's address.
type udpServer struct {
	socket *net.UDPConn
	ready  chan Session

	mu       sync.Mutex
	sessions map[netip.AddrPort]*udpAccepted
}

func (s *udpServer) Target() string { return s.socket.LocalAddr().String() }

func (s *udpServer) run() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := s.socket.ReadFromUDPAddrPort(buf)
		if err != nil {
			s.end()
			return
		}
		if string(buf[:n]) == udpHello {
			s.open(from)
			_, _ = s.socket.WriteToUDPAddrPort(buf[:n], from)
			continue
		}
		s.mu.Lock()
		session := s.sessions[from]
		s.mu.Unlock()
		if session != nil {
			session.take(buf[:n])
		}
	}
}

func (s *udpServer) open(from netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[from] == nil {
		session := &udpAccepted{server: s, peer: from, queue: make(chan []byte, udpQueue), closed: make(chan struct{})}
		s.sessions[from] = session
		go func() { s.ready <- session }()
	}
}

func (s *udpServer) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.sessions {
		_ = session.Close()
	}
}

func (s *udpServer) Accept(ctx context.Context) (Session, error) {
	select {
	case session := <-s.ready:
		return session, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *udpServer) Close() error { return s.socket.Close() }

// udpAccepted is one client of a server.
type udpAccepted struct {
	noStream
	server *udpServer
	peer   netip.AddrPort
	queue  chan []byte
	once   sync.Once
	closed chan struct{}
}

func (s *udpAccepted) take(b []byte) {
	select {
	case s.queue <- append([]byte(nil), b...):
	default:
	}
}

func (s *udpAccepted) SendMessage(b []byte, _ Class, _ bool) error {
	_, err := s.server.socket.WriteToUDPAddrPort(b, s.peer)
	return err
}

func (s *udpAccepted) ReceiveMessage(buf []byte, _ Class) (int, error) {
	select {
	case b := <-s.queue:
		return copy(buf, b), nil
	case <-s.closed:
		return 0, net.ErrClosed
	}
}

func (s *udpAccepted) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (udp) Client(o Options) (Client, error) { return &udpClient{o}, nil }

type udpClient struct{ Options }

// Dial takes a socket for each session.
func (c *udpClient) Dial(ctx context.Context, to string) (Session, error) {
	addr, err := net.ResolveUDPAddr("udp", to)
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
	enlarge(socket)
	if err := knock(ctx, socket); err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return &udpDialed{socket: socket}, nil
}

// knock says hello until the server says it back.
func knock(ctx context.Context, socket *net.UDPConn) error {
	buf := make([]byte, len(udpHello))
	defer socket.SetReadDeadline(time.Time{})
	for ctx.Err() == nil {
		if _, err := socket.Write([]byte(udpHello)); err != nil {
			return err
		}
		_ = socket.SetReadDeadline(time.Now().Add(udpRetry))
		if n, err := socket.Read(buf); err == nil && string(buf[:n]) == udpHello {
			return nil
		}
	}
	return fmt.Errorf("no answer: %w", ctx.Err())
}

func (c *udpClient) Close() error { return nil }

// udpDialed is a client's session.
type udpDialed struct {
	noStream
	socket *net.UDPConn
}

func (s *udpDialed) SendMessage(b []byte, _ Class, _ bool) error {
	_, err := s.socket.Write(b)
	return err
}

func (s *udpDialed) ReceiveMessage(buf []byte, _ Class) (int, error) {
	for {
		n, err := s.socket.Read(buf)
		if err != nil || string(buf[:n]) != udpHello {
			return n, err
		}
	}
}

func (s *udpDialed) Close() error { return s.socket.Close() }

// noStream is embedded by sessions that have messages alone.
type noStream struct{}

var errNoStream = errors.New("there are no streams here")

func (noStream) Read([]byte) (int, error)  { return 0, errNoStream }
func (noStream) Write([]byte) (int, error) { return 0, errNoStream }
