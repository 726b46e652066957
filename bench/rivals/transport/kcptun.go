package transport

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// kcptun is TCP through kcptun-client and kcptun-server.
type kcptun struct{}

// KCPTun returns TCP through Debian's kcptun.
func KCPTun() Transport { return kcptun{} }

func (kcptun) About() About {
	return About{
		Name: "kcptun", Version: packageVersion("kcptun"), Missing: missing("kcptun", "kcptun-client", "kcptun-server"),
		Settings: "TCP through the two programs: fast3, AES, FEC 10:3, windows of 1024 packets, MTU 1350, no compression",
		Streams:  true, Messages: true, Outside: true,
	}
}

// kcptunFlags are those of both ends: the README's advice for speed, without compression, which zeros would gain from.
func kcptunFlags(o *Options) []string {
	packet := 1350 // its default
	if o.Datagram > 0 {
		packet = o.Datagram
	}
	return []string{
		"--mode", "fast3", "--crypt", "aes", "--nocomp", "--quiet", "--sndwnd", "1024", "--rcvwnd", "1024", "--smuxver", "2",
		"--mtu", strconv.Itoa(packet),
	}
}

func (kcptun) Listen(o Options) (Server, error) {
	inner, err := tcp{}.Listen(Options{Host: o.Host, Do: o.Do})
	if err != nil {
		return nil, err
	}
	port, err := o.freePort("udp")
	if err != nil {
		return nil, err
	}
	s := &kcptunServer{Server: inner, addr: net.JoinHostPort(o.Host, strconv.Itoa(port))}
	s.program, err = o.start("kcptun-server", append(kcptunFlags(&o), "-l", s.addr, "-t", inner.Target())...)
	return s, err
}

type kcptunServer struct {
	Server
	*program
	addr string
}

func (s *kcptunServer) Target() string { return s.addr }

// Accept has the first byte taken away, which only says that the tunnel works.
func (s *kcptunServer) Accept(ctx context.Context) (Session, error) {
	session, err := s.Server.Accept(ctx)
	if err != nil {
		return nil, err
	}
	_, err = session.Read(make([]byte, len(hello)))
	return session, err
}

func (s *kcptunServer) Close() error {
	s.end()
	return s.Server.Close()
}

func (kcptun) Client(o Options) (Client, error) {
	inner, err := tcp{}.Client(Options{Host: o.Host, Do: o.Do})
	return &kcptunClient{Client: inner, Options: o}, err
}

type kcptunClient struct {
	Client
	Options

	mu sync.Mutex
	*program
	local string
}

func (c *kcptunClient) Dial(ctx context.Context, to string) (Session, error) {
	if err := c.run(to); err != nil {
		return nil, err
	}
	var session Session
	err := eventually(ctx, func() (err error) {
		if session, err = c.Client.Dial(ctx, c.local); err == nil {
			_, err = session.Write(hello)
		}
		return err
	})
	return session, err
}

// run starts the program when it is known where the server is.
func (c *kcptunClient) run(to string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.program != nil {
		return nil
	}
	port, err := c.freePort("tcp")
	if err != nil {
		return err
	}
	c.local = fmt.Sprintf("%s:%d", c.Host, port)
	c.program, err = c.start("kcptun-client", append(kcptunFlags(&c.Options), "-l", c.local, "-r", to)...)
	return err
}

func (c *kcptunClient) Close() error {
	if c.program != nil {
		c.end()
	}
	return c.Client.Close()
}
