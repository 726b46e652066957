package tunnel

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// ends is a tunnel over real sessions and sockets.
type ends struct {
	t         testing.TB
	serverLog *logBuffer
	clientLog *logBuffer
	server    ServerConfig
	applied   ServerConfig // what the running server has
	running   *Server
	stop      func() // the server
	client    *Client
	clientKey crypto.PrivateKey // the one in the server's list
}

// startServer runs a server and returns its address.
func (e *ends) startServer() net.Addr {
	e.t.Helper()
	e.serverLog = new(logBuffer)
	e.server.Logger = slog.New(slog.NewTextHandler(e.serverLog, nil))
	s, err := NewServer(e.server)
	require.NoError(e.t, err)
	e.running, e.applied = s, e.server
	ctx, cancel := context.WithCancel(e.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	e.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(e.t, <-ended)
	})
	e.t.Cleanup(e.stop)
	return s.Addr()
}

func (e *ends) startClient(c ClientConfig) {
	e.t.Helper()
	e.clientLog = new(logBuffer)
	c.Logger = slog.New(slog.NewTextHandler(e.clientLog, nil))
	client, err := NewClient(c)
	require.NoError(e.t, err)
	e.client = client
	ctx, cancel := context.WithCancel(e.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	e.t.Cleanup(func() {
		cancel()
		require.NoError(e.t, <-ended)
	})
}

func (e *ends) connect(i int) *net.TCPConn {
	e.t.Helper()
	c, err := net.Dial("tcp", e.client.Addrs()[i].String())
	require.NoError(e.t, err)
	e.t.Cleanup(func() { c.Close() })
	require.NoError(e.t, c.SetDeadline(time.Now().Add(30*time.Second)))
	return c.(*net.TCPConn)
}

// wantServed waits until the server carries so many connections.
func (e *ends) wantServed(n int64) {
	e.t.Helper()
	require.Eventually(e.t, func() bool {
		var open int64
		for _, v := range e.running.serving() {
			open += v.count.open.Load()
		}
		return open == n
	}, 20*time.Second, time.Millisecond)
}

func (e *ends) wantLog(b *logBuffer, text string) {
	e.t.Helper()
	require.Eventually(e.t, func() bool { return strings.Contains(b.String(), text) }, 20*time.Second, 5*time.Millisecond,
		"the log lacks %q", text)
}

func forwardTo(targets ...Target) (list []Forward) {
	for _, t := range targets {
		list = append(list, Forward{Listen: "127.0.0.1:0", Target: t})
	}
	return list
}

// startWithKeys is a tunnel whose client is in the server's list; without targets it has no client yet.
func startWithKeys(t *testing.T, targets ...Target) *ends {
	identity, clientKey := crypto.GeneratePrivateKey(), crypto.GeneratePrivateKey()
	authorized, err := ParseAuthorized("clients", strings.NewReader(clientKey.Public().String()+" laptop"))
	require.NoError(t, err)
	e := &ends{t: t, clientKey: clientKey}
	e.server = ServerConfig{Listen: "127.0.0.1:0", Identity: identity, Authorized: authorized, Allow: rules(t, anyPort)}
	e.server.Listen = e.startServer().String()
	if len(targets) == 0 {
		return e
	}
	e.startClient(ClientConfig{
		Server: e.server.Listen, PeerKey: identity.Public(), Identity: clientKey, Forwards: forwardTo(targets...),
	})
	return e
}

func TestATunnelCarriesManyConnectionsAtOnce(t *testing.T) {
	e := startWithKeys(t, echoServer(t), echoServer(t))
	var all sync.WaitGroup
	for i := range 100 {
		c := e.connect(i % 2)
		all.Go(func() {
			data := make([]byte, 1+i*3000)
			_, _ = rand.Read(data)
			go func() {
				_, _ = c.Write(data)
				_ = c.CloseWrite()
			}()
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(data, got) {
				t.Errorf("connection %d: %d of %d octets, %v", i, len(got), len(data), err)
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, strings.Count(e.clientLog.String(), "msg=connected"))
	e.wantLog(e.serverLog, "client=laptop")
}

func TestATunnelWorksWithAPresharedKeyAlone(t *testing.T) {
	psk := crypto.GeneratePresharedKey()
	e := &ends{t: t, server: ServerConfig{Listen: "127.0.0.1:0", PresharedKey: psk, Allow: rules(t, anyPort)}}
	addr := e.startServer()
	e.startClient(ClientConfig{Server: addr.String(), PresharedKey: psk, Forwards: forwardTo(echoServer(t))})
	echo(t, e.connect(0), "hello")
}

func TestAClientThatIsNotInTheListIsToldSo(t *testing.T) {
	// spec: TUN-21
	e := startWithKeys(t, echoServer(t))
	e.startClient(ClientConfig{
		Server: e.server.Listen, PeerKey: e.server.Identity.Public(), Identity: crypto.GeneratePrivateKey(),
		Forwards: forwardTo(echoServer(t)), Wait: 500 * time.Millisecond,
	})
	e.wantLog(e.clientLog, "this key is not authorized")
	e.wantLog(e.serverLog, "its key is not authorized")
	(&fakeTunnel{t: t, client: e.client}).wantReset(0)
}

func TestTheReasonOfARefusalReachesBothEnds(t *testing.T) {
	// spec: TUN-13
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := TargetFromAddr(l.Addr().(*net.TCPAddr).AddrPort())
	require.NoError(t, l.Close())
	e := startWithKeys(t, target(t, "tcp://192.0.2.7:22"), closed)
	f := &fakeTunnel{t: t, client: e.client}
	f.wantReset(0)
	e.wantLog(e.clientLog, "target not allowed")
	e.wantLog(e.serverLog, "target not allowed")
	f.wantReset(1)
	e.wantLog(e.clientLog, "connection refused by the target")
	e.wantLog(e.serverLog, "connection refused by the target")
}

func TestResetsTravelThroughTheTunnel(t *testing.T) {
	// spec: TUN-15
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	e := startWithKeys(t, TargetFromAddr(l.Addr().(*net.TCPAddr).AddrPort()))
	for _, fromClient := range []bool{true, false} {
		near := e.connect(0)
		far, err := l.Accept()
		require.NoError(t, err)
		require.NoError(t, far.SetDeadline(time.Now().Add(20*time.Second)))
		from, to := far.(*net.TCPConn), near
		if fromClient {
			from, to = near, far.(*net.TCPConn)
		}
		require.NoError(t, from.SetLinger(0))
		require.NoError(t, from.Close())
		_, err = to.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET, fmt.Sprint("from the client: ", fromClient))
		to.Close()
	}
}

func TestAStreamThatItsSessionCutsOffHasNoEnd(t *testing.T) {
	// spec: TUN-15
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(t, err)
	defer l.Close()
	c, err := conn.Dial(t.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	require.NoError(t, err)
	defer c.Close()
	s, err := l.AcceptSession(t.Context())
	require.NoError(t, err)
	client, server := connSession{c}, connSession{s}
	open := func() (near, far stream) {
		near, err := client.OpenStream(t.Context())
		require.NoError(t, err)
		_, err = near.Write([]byte("x"))
		require.NoError(t, err)
		far, err = server.AcceptStream(t.Context())
		require.NoError(t, err)
		return near, far
	}
	whole, far := open()
	_, err = far.Write([]byte("a file"))
	require.NoError(t, err)
	require.NoError(t, far.CloseWrite())
	got, err := io.ReadAll(whole)
	require.NoError(t, err)
	require.Equal(t, "a file", string(got))

	cut, far := open()
	_, err = far.Write([]byte("half of a file"))
	require.NoError(t, err)
	_, err = io.ReadFull(cut, make([]byte, len("half of a file")))
	require.NoError(t, err)
	require.NoError(t, server.CloseWithError(closeDone, "server stopped"))
	_, err = cut.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotEqual(t, io.EOF, err, "it would look like the end of the file")
	require.ErrorContains(t, err, "server stopped")
}

func TestTheClientComesBackAfterARestartOfTheServer(t *testing.T) {
	// spec: TUN-19
	e := startWithKeys(t, echoServer(t))
	echo(t, e.connect(0), "before")
	open := e.connect(0)
	_, err := open.Write([]byte("x"))
	require.NoError(t, err)
	e.wantLog(e.clientLog, "msg=connected")

	e.stop()
	e.wantLog(e.clientLog, "session lost")
	_, err = open.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	waiting := e.connect(0)
	e.startServer()
	echo(t, waiting, "came while it was down")
	echo(t, e.connect(0), "after")
}
