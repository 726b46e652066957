package tunnel

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/internal/testutil"
)

func TestMain(m *testing.M) { testutil.Main(m) }

// fakeTunnel is a real client and a real server around sessions in memory.
type fakeTunnel struct {
	client *Client
	log    *logBuffer
	t      *testing.T
	ctx    context.Context
	server *Server

	mu      sync.Mutex
	session *fakeSession // the client's end of the newest session
	down    bool         // the server does not answer
}

func startFakeTunnel(t *testing.T, wait time.Duration, targets ...Target) *fakeTunnel {
	t.Helper()
	return startLimitedTunnel(t, wait, 100, targets...)
}

func startLimitedTunnel(t *testing.T, wait time.Duration, limit int, targets ...Target) *fakeTunnel {
	ctx, cancel := context.WithCancel(t.Context())
	f := &fakeTunnel{t: t, log: new(logBuffer), ctx: ctx}
	log := slog.New(slog.NewTextHandler(f.log, nil))
	f.server = newServer(ServerConfig{MaxConnections: 100, Allow: rules(t, anyPort), Logger: log})
	config := ClientConfig{Server: "gw.example:4433", PeerKey: testKey(1), Wait: wait, MaxConnections: limit, Logger: log}
	for _, target := range targets {
		config.Forwards = append(config.Forwards, Forward{Listen: "127.0.0.1:0", Target: target})
	}
	c, err := NewClient(config)
	require.NoError(t, err)
	f.client, c.keeper.dial = c, f.dial
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return f
}

func (f *fakeTunnel) dial(context.Context) (session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, errors.New("no answer")
	}
	client, server := newFakeSessions()
	go newServing(f.server, server, testKey(1), f.server.log).run(f.ctx)
	f.session = client
	return client, nil
}

func (f *fakeTunnel) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
	if down && f.session != nil {
		f.session.kill()
	}
}

func (f *fakeTunnel) connect(i int) *net.TCPConn {
	f.t.Helper()
	c, err := net.Dial("tcp", f.client.Addrs()[i].String())
	require.NoError(f.t, err)
	f.t.Cleanup(func() { c.Close() })
	require.NoError(f.t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return c.(*net.TCPConn)
}

// wantReset connects and expects a reset, which can be as early as in connect.
func (f *fakeTunnel) wantReset(i int) {
	f.t.Helper()
	c, err := net.Dial("tcp", f.client.Addrs()[i].String())
	if err == nil {
		defer c.Close()
		require.NoError(f.t, c.SetDeadline(time.Now().Add(20*time.Second)))
		_, err = c.Read(make([]byte, 1))
	}
	require.ErrorIs(f.t, err, syscall.ECONNRESET)
}

// echo sends text, half-closes, and reads the answer.
func echo(t *testing.T, c *net.TCPConn, text string) {
	t.Helper()
	_, err := c.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, c.CloseWrite())
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

// echoRest sends the rest of a text, half-closes, and reads the answer to all of it.
func echoRest(t *testing.T, c *net.TCPConn, sent, rest string) {
	t.Helper()
	_, err := c.Write([]byte(rest))
	require.NoError(t, err)
	require.NoError(t, c.CloseWrite())
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, sent+rest, string(got))
}

func (f *fakeTunnel) wantLog(text string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool { return strings.Contains(f.log.String(), text) }, 10*time.Second, time.Millisecond,
		"the log lacks %q", text)
}

func TestSeveralForwardsShareOneSession(t *testing.T) {
	// spec: TUN-2
	f := startFakeTunnel(t, time.Second, echoServer(t), echoServer(t))
	var all sync.WaitGroup
	for i := range 20 {
		c := f.connect(i % 2)
		all.Go(func() { echo(t, c, strings.Repeat("x", 1+i*1000)) })
	}
	all.Wait()
	require.Equal(t, 1, strings.Count(f.log.String(), "msg=connected"))
}

func TestARefusedForwardIsResetAndReportedAtBothEnds(t *testing.T) {
	// spec: TUN-13
	f := startFakeTunnel(t, time.Second, target(t, "tcp://192.0.2.7:22"))
	f.wantReset(0)
	f.wantLog("no --allow rule of the server covers it")
	require.Equal(t, 2, strings.Count(f.log.String(), "connection refused"), "once at each end")
}

func TestNewConnectionsWorkAfterTheServerCameBack(t *testing.T) {
	// spec: TUN-15, TUN-19
	f := startFakeTunnel(t, 10*time.Second, echoServer(t))
	open := f.connect(0)
	_, err := open.Write([]byte("half"))
	require.NoError(t, err)
	echo(t, f.connect(0), "before")

	f.setDown(true)
	_, err = open.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET, "what was open is reset")
	f.wantLog("session lost")
	waiting := f.connect(0)
	f.setDown(false)
	echo(t, waiting, "came while it was down")
	echo(t, f.connect(0), "after")
}

func TestAConnectionWithoutASessionIsResetAfterTheWait(t *testing.T) {
	// spec: TUN-20
	f := startFakeTunnel(t, 50*time.Millisecond, echoServer(t))
	f.setDown(true)
	f.wantReset(0)
	f.wantLog("no session with gw.example:4433 within 50ms")
}

func TestConnectionsBeyondTheClientsLimitAreReset(t *testing.T) {
	f := startLimitedTunnel(t, time.Second, 1, echoServer(t))
	first := f.connect(0)
	_, err := first.Write([]byte("x"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return f.client.open.Load() == 1 }, 5*time.Second, time.Millisecond)
	f.wantReset(0)
	require.NoError(t, first.CloseWrite())
	_, err = io.ReadAll(first)
	require.NoError(t, err)
}

func TestBothEndsAskForTheirTimeouts(t *testing.T) {
	// spec: TUN-1, TUN-2, TUN-18
	client := new(Client)
	client.config.Store(new(ClientConfig))
	c := client.connConfig()
	s := newServer(ServerConfig{}).connConfig()
	require.Equal(t, []string{"godwit-tunnel/2"}, c.AppProtocols)
	require.Equal(t, []string{"godwit-tunnel/2"}, s.AppProtocols)
	require.LessOrEqual(t, c.IdleTimeout, 15*time.Second)
	require.LessOrEqual(t, s.IdleTimeout, 15*time.Second)
	require.Positive(t, c.KeepAlive)
	require.LessOrEqual(t, c.KeepAlive, 5*time.Second)
	require.Greater(t, c.IdleTimeout, 3*c.KeepAlive, "three keepalives may be lost")
}
