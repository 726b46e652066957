package tunnel

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// startReverse is a tunnel whose server listens for the client on a port that everybody may have.
func startReverse(t *testing.T, to Target) (e *ends, at string) {
	e = startWithKeys(t)
	at = freeAddr(t)
	e.apply(func(c *ServerConfig) { c.AllowListen = listenRules(t, "tcp://127.0.0.1:1024-65535") })
	e.startClient(ClientConfig{
		Server: e.server.Listen, PeerKey: e.server.Identity.Public(), Identity: e.clientKey,
		Reverse: []Forward{{Listen: at, Target: to}},
	})
	e.wantLog(e.clientLog, "the server listens")
	return e, at
}

func listenRules(t *testing.T, list ...string) Rules {
	t.Helper()
	r, err := ParseListenRules(list)
	require.NoError(t, err)
	return r
}

func dialTCP(t *testing.T, at string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", at)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return c.(*net.TCPConn)
}

// wantClosed waits until nobody listens at an address.
func wantClosed(t *testing.T, at string) {
	t.Helper()
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", at)
		if err == nil {
			c.Close()
		}
		return err != nil
	}, 20*time.Second, time.Millisecond)
}

func TestConnectionsToTheServerReachATargetOfTheClient(t *testing.T) {
	// spec: TUN-63
	e, at := startReverse(t, echoServer(t))
	for range 3 {
		echo(t, dialTCP(t, at), strings.Repeat("to the client and back ", 1000))
	}
	require.EqualValues(t, 3, e.client.list()[0].part.stats().Total)
	require.Empty(t, e.client.Addrs(), "the client itself listens on nothing")
}

func TestAReversePortComesBackWithTheSession(t *testing.T) {
	// spec: TUN-65
	e, at := startReverse(t, echoServer(t))
	echo(t, dialTCP(t, at), "before")
	e.server.AllowListen = listenRules(t, "tcp://127.0.0.1:1024-65535")
	e.stop()
	wantClosed(t, at)
	e.startServer()
	require.Eventually(t, func() bool { return strings.Count(e.clientLog.String(), "the server listens") == 2 }, 20*time.Second, time.Millisecond)
	echo(t, dialTCP(t, at), "after")
}

func TestAServerListensOnlyWhereItsRulesSay(t *testing.T) {
	// spec: TUN-62
	r := listenRules(t, "tcp://127.0.0.1:80", "tcp://[fd00::/8]:90-99", "tcp://:7000")
	for at, want := range map[string]bool{
		"tcp://127.0.0.1:80": true, "tcp://127.0.0.2:80": false, "tcp://127.0.0.1:81": false, "tcp://0.0.0.0:80": false, "tcp://[::]:80": false,
		"tcp://[fd00::1]:95": true, "tcp://[fe00::1]:95": false, "tcp://[::]:95": false, "tcp://localhost:80": false,
		"tcp://0.0.0.0:7000": true, "tcp://[::]:7000": true, "tcp://10.0.0.1:7000": true, "tcp://224.0.0.1:7000": false, "tcp://255.255.255.255:7000": false,
	} {
		require.Equal(t, want, r.allowsListen(target(t, at)), at)
	}
	require.False(t, r.allowsListen(Target{Network: NetworkUDP, Addr: netip.MustParseAddr("127.0.0.1"), Port: 80}))
	require.False(t, Rules(nil).allowsListen(target(t, "tcp://127.0.0.1:80")))

	v := serve(t, t.Context(), 1, anyPort)
	wantRefusal(t, v.ask(t, listenRequest(target(t, "tcp://127.0.0.1:8080"))), CodeNotAllowed)
	wantRefusal(t, v.ask(t, listenRequest(target(t, "tcp://localhost:8080"))), CodeNotAllowed)
}

func listenRequest(on Target) []byte {
	on.Network = networkListenTCP
	return appendRequest(nil, on)
}

func TestAReversePortThatIsNoLongerAllowedIsClosed(t *testing.T) {
	// spec: TUN-60, TUN-65
	e, at := startReverse(t, echoServer(t))
	c := dialTCP(t, at)
	_, err := c.Write([]byte("x"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return e.client.list()[0].part.stats().Total == 1 }, 20*time.Second, time.Millisecond)
	e.apply(func(c *ServerConfig) { c.AllowListen = nil })
	_, err = c.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	wantClosed(t, at)
	e.wantLog(e.clientLog, "the server stopped listening")
	e.wantLog(e.clientLog, "no --allow-listen rule of the server covers it")
	e.apply(func(c *ServerConfig) { c.AllowListen = listenRules(t, "tcp://:1024-65535") })
	require.Eventually(t, func() bool { return strings.Count(e.clientLog.String(), "the server listens") == 2 }, 20*time.Second, time.Millisecond,
		"the client asks again")
}

func TestAReverseForwardThatTheClientGivesUpIsClosed(t *testing.T) {
	// spec: TUN-65
	e, at := startReverse(t, echoServer(t))
	other := freeAddr(t)
	require.NoError(t, e.reconfigure(func(c *ClientConfig) { c.Reverse = []Forward{{Listen: other, Target: c.Reverse[0].Target}} }))
	require.Eventually(t, func() bool { return strings.Count(e.clientLog.String(), "the server listens") == 2 }, 20*time.Second, time.Millisecond)
	echo(t, dialTCP(t, other), "the new one")
	wantClosed(t, at)
	require.Equal(t, 1, strings.Count(e.clientLog.String(), "msg=connected"), "in one session")
}

func TestAPortThatIsTakenIsSaidSo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	e := startWithKeys(t)
	e.apply(func(c *ServerConfig) { c.AllowListen = listenRules(t, "tcp://:1-65535") })
	e.startClient(ClientConfig{
		Server: e.server.Listen, PeerKey: e.server.Identity.Public(), Identity: e.clientKey,
		Reverse: []Forward{{Listen: taken.Addr().String(), Target: target(t, "tcp://127.0.0.1:1")}, {Listen: "192.0.2.1:8080", Target: target(t, "tcp://127.0.0.1:1")}},
	})
	e.wantLog(e.clientLog, "address in use at the server")
	e.wantLog(e.clientLog, "the server has no such address")
}

// deliveries is a client with one reverse forward and a server in the test's hands.
func deliveries(t *testing.T, to Target, limit int) (server *fakeSession) {
	client, server := newFakeSessions()
	config := ClientConfig{PeerKey: testKey(1), MaxConnections: limit, Reverse: []Forward{{Listen: "127.0.0.1:80", Target: to}}}
	c, err := NewClient(config)
	require.NoError(t, err)
	c.keeper.dial = gives(client).dial
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ended) })
	asked, err := server.AcceptStream(t.Context())
	require.NoError(t, err)
	on, err := readRequest(asked)
	require.NoError(t, err)
	require.Equal(t, listenRequest(target(t, "tcp://127.0.0.1:80")), appendRequest(nil, on))
	_, err = asked.Write(appendReply(nil, CodeConnected, ""))
	require.NoError(t, err)
	return server
}

func (a answer) dial(context.Context) (session, error) { return a() }

func TestAServerReachesNothingThatItWasNotAskedFor(t *testing.T) {
	// spec: TUN-64
	at := echoServer(t)
	server := deliveries(t, at, 10)
	v := &served{client: server}
	for _, ask := range []Target{target(t, "tcp://127.0.0.1:81"), target(t, "tcp://127.0.0.2:80"), target(t, "tcp://localhost:80"), at} {
		wantRefusal(t, v.ask(t, appendRequest(nil, ask)), CodeNotAllowed)
	}
	wantRefusal(t, v.ask(t, listenRequest(target(t, "tcp://127.0.0.1:80"))), CodeUnsupported)
	wantRefusal(t, v.ask(t, []byte("\x07GET")), CodeVersion)

	s := v.ask(t, appendRequest(nil, target(t, "tcp://127.0.0.1:80")))
	code, _, err := readReply(s)
	require.NoError(t, err)
	require.Equal(t, CodeConnected, code)
	require.NoError(t, s.CloseWrite())
	_, err = io.ReadAll(s)
	require.NoError(t, err)
}

func TestConnectionsFromTheServerBeyondTheLimitAreBusy(t *testing.T) {
	// spec: TUN-64
	v := &served{client: deliveries(t, echoServer(t), 1)}
	on := appendRequest(nil, target(t, "tcp://127.0.0.1:80"))
	first := v.ask(t, on)
	code, _, err := readReply(first)
	require.NoError(t, err)
	require.Equal(t, CodeConnected, code)
	wantRefusal(t, v.ask(t, on), CodeBusy)
}

func TestASessionGetsSoManyPortsAndNoMore(t *testing.T) {
	// spec: TUN-66
	client, server := newFakeSessions()
	s := newServer(ServerConfig{AllowListen: listenRules(t, "tcp://127.0.0.1:1-65535")})
	v := newServing(s, server, testKey(1), logger(nil))
	ended := make(chan struct{})
	go func() { defer close(ended); v.run(t.Context()) }()
	defer func() { client.kill(); <-ended }()
	asking := &served{client: client}
	for i := 0; i < maxListens; {
		_, port, _ := net.SplitHostPort(freeAddr(t))
		n, _ := strconv.Atoi(port)
		code, _, err := readReply(asking.ask(t, listenRequest(Target{NetworkTCP, netip.MustParseAddr("127.0.0.1"), "", uint16(n)})))
		require.NoError(t, err)
		if code == CodeConnected { // else somebody was faster
			i++
		}
	}
	wantRefusal(t, asking.ask(t, listenRequest(target(t, "tcp://127.0.0.1:9999"))), CodeBusy)
}

func TestAClientAsksAgainWithGrowingPauses(t *testing.T) {
	// spec: TUN-65
	synctest.Test(t, func(t *testing.T) {
		client, server := newFakeSessions()
		k := newKeeper(func() string { return "" }, gives(client).dial, logger(nil))
		ctx, cancel := context.WithCancel(t.Context())
		go k.run(ctx)
		r := &reverse{client: &Client{keeper: k, log: logger(nil)}, on: target(t, "tcp://127.0.0.1:80")}
		go func() { _ = r.run(ctx) }()
		var asked []time.Duration
		for range 12 {
			before := time.Now()
			s, err := server.AcceptStream(t.Context())
			require.NoError(t, err)
			asked = append(asked, time.Since(before))
			_, err = readRequest(s)
			require.NoError(t, err)
			sendRefusal(s, &RefusedError{Code: CodeInUse})
		}
		require.Zero(t, asked[0])
		for i, pause := range asked[1:] {
			limit := min(firstListenPause<<i, 30*time.Second)
			require.LessOrEqual(t, pause, limit)
			require.GreaterOrEqual(t, pause, limit/2)
		}
		cancel()
		synctest.Wait()
	})
}

func TestBadReverseForwardsAreRefused(t *testing.T) {
	c := ClientConfig{Server: "127.0.0.1:1", PeerKey: testKey(1)}
	for listen, want := range map[string]string{
		"web:80": `"web": the server listens on addresses`, "127.0.0.1:0": `port "0" is not a number from 1`,
	} {
		c.Reverse = []Forward{{Listen: listen, Target: target(t, "tcp://a:1")}}
		require.ErrorContains(t, c.Validate(), want)
	}
	c.Reverse = []Forward{{Listen: ":80", Target: target(t, "tcp://a:1")}, {Listen: "[::]:80", Target: target(t, "tcp://a:1")}}
	require.ErrorContains(t, c.Validate(), "two listen on [::]:80")
	c.Reverse = c.Reverse[:1]
	require.NoError(t, c.Validate())
}
