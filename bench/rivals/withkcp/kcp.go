package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os/exec"
	"strings"

	"github.com/xtaci/kcp-go/v5"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// kcpGo is kcp-go, with its erasure code or without.
type kcpGo struct{ fec bool }

// What its README and kcptun advise for the lowest latency: "turbo", no delay of writes and acknowledgements, and
// windows that do not bound a game or a stream of media.
const (
	kcpNoDelay, kcpInterval, kcpResend, kcpNoCongestion = 1, 10, 2, 1
	kcpWindow                                           = 1024 // packets, both ways
	kcpBuffer                                           = 4 << 20
	kcpData, kcpParity                                  = 10, 3 // of the erasure code
	kcpKey                                              = 32
)

func (t kcpGo) About() transport.About {
	a := transport.About{
		Name: "kcp-go", Version: debianVersion(),
		Settings: "NoDelay(1, 10, 2, 1), AES-256 in its own feedback mode with a CRC (it has no authenticated mode yet), windows of 1024 packets, no delay of writes and acknowledgements, MTU 1400; no handshake; a socket for each client",
		Streams:  true, Messages: true,
	}
	if t.fec {
		a.Name, a.Settings = "kcp-go-fec", "as kcp-go, with its Reed-Solomon code 10:3"
	}
	return a
}

func debianVersion() string {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", "golang-github-xtaci-kcp-dev").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out)) + " (Debian)"
}

func (t kcpGo) shards() (data, parity int) {
	if t.fec {
		return kcpData, kcpParity
	}
	return 0, 0
}

func (t kcpGo) Listen(o transport.Options) (transport.Server, error) {
	key := make([]byte, kcpKey)
	_, _ = rand.Read(key) // it does not fail
	block, err := kcp.NewAESBlockCrypt(key)
	if err != nil {
		return nil, err
	}
	s := &kcpServer{key: key, datagram: o.Datagram}
	data, parity := t.shards()
	err = o.Open(func() (err error) {
		s.listener, err = kcp.ListenWithOptions(net.JoinHostPort(o.Host, "0"), block, data, parity)
		return err
	})
	if err != nil {
		return nil, err
	}
	_ = s.listener.SetReadBuffer(kcpBuffer) // what is granted is enough, or packets are sent again
	_ = s.listener.SetWriteBuffer(kcpBuffer)
	return s, nil
}

type kcpServer struct {
	listener *kcp.Listener
	key      []byte
	datagram int
}

func (s *kcpServer) Target() string {
	return s.listener.Addr().String() + " " + base64.StdEncoding.EncodeToString(s.key)
}

func (s *kcpServer) Accept(ctx context.Context) (transport.Session, error) {
	defer context.AfterFunc(ctx, func() { s.listener.Close() })()
	c, err := s.listener.AcceptKCP()
	if err != nil {
		return nil, err
	}
	session := newSession(c, s.datagram)
	_, err = session.Read(make([]byte, 1)) // the byte that showed it
	return session, err
}

func (s *kcpServer) Close() error { return s.listener.Close() }

func (t kcpGo) Client(o transport.Options) (transport.Client, error) { return &kcpClient{o, t}, nil }

type kcpClient struct {
	transport.Options
	kcpGo
}

func (c *kcpClient) Dial(_ context.Context, target string) (transport.Session, error) {
	addr, text, _ := strings.Cut(target, " ")
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("target %q: %w", target, err)
	}
	block, err := kcp.NewAESBlockCrypt(key)
	if err != nil {
		return nil, err
	}
	var raw *kcp.UDPSession
	data, parity := c.shards()
	if err := c.Open(func() (err error) {
		raw, err = kcp.DialWithOptions(addr, block, data, parity)
		return err
	}); err != nil {
		return nil, err
	}
	_ = raw.SetReadBuffer(kcpBuffer)
	_ = raw.SetWriteBuffer(kcpBuffer)
	session := newSession(raw, c.Datagram)
	_, err = session.Write([]byte{'!'}) // the server learns of a session by its first packet
	return session, err
}

func (c *kcpClient) Close() error { return nil }

// session is one of kcp-go's. Messages have their length in front: its own message mode cannot tell them apart
// once they are fragmented.
type session struct {
	*kcp.UDPSession
	*transport.Framed
}

func newSession(c *kcp.UDPSession, datagram int) *session {
	c.SetNoDelay(kcpNoDelay, kcpInterval, kcpResend, kcpNoCongestion)
	c.SetWindowSize(kcpWindow, kcpWindow)
	c.SetACKNoDelay(true)
	c.SetWriteDelay(false)
	c.SetStreamMode(true)
	if datagram > 0 {
		c.SetMtu(datagram)
	}
	return &session{c, transport.NewFramed(c)}
}
