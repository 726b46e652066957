package tunnel

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/conn/simnet"
	"github.com/godwit-net/godwit/conn/udp"
	"github.com/godwit-net/godwit/protocol/sim"
)

// Addresses of the world.
var (
	worldServer = netip.MustParseAddrPort("10.0.0.1:4433")
	clientHost  = netip.MustParseAddr("10.1.0.1") // where local programs of the client are
	serverHost  = netip.MustParseAddr("10.2.0.1") // where targets are
)

// world is a tunnel in memory, under virtual time: sessions over an emulated link, and local networks without
// delay at both ends.
type udpWorld struct {
	t        *testing.T
	wide     *simnet.Network // between client and server
	local    *simnet.Network
	listener *conn.Listener
	server   *Server
	client   *Client
	log      *logBuffer
	sessions []*conn.Session // of the client, in their order
	down     atomic.Bool
	serving  []*serving
	ctx      context.Context
}

var worldSeeds atomic.Uint64

// inUDPWorld runs a test in a bubble with a tunnel over the link. The server allows allow, and listens where
// listen says.
func inUDPWorld(t *testing.T, link sim.Config, allow, listen []string, test func(t *testing.T, w *udpWorld)) {
	synctest.Test(t, func(t *testing.T) {
		link.Seed += worldSeeds.Add(1)
		w := &udpWorld{t: t, log: new(logBuffer)}
		var err error
		w.wide, err = simnet.New(link)
		require.NoError(t, err)
		w.local, err = simnet.New(sim.Config{MTU: 65575})
		require.NoError(t, err)
		listens, err := ParseListenRules(listen)
		require.NoError(t, err)
		w.server = newServer(ServerConfig{PresharedKey: testUDPKey, Allow: rules(t, allow...), AllowListen: listens, Logger: w.logger()})
		w.reach(w.server.dialer, serverHost)
		sock, err := w.wide.Listen(worldServer)
		require.NoError(t, err)
		e, err := conn.NewEndpoint(sock, w.server.connConfig())
		require.NoError(t, err)
		t.Cleanup(func() { _ = e.Close() })
		w.listener, err = e.Listen()
		require.NoError(t, err)
		test(t, w)
	})
}

func (w *udpWorld) logger() *slog.Logger { return slog.New(slog.NewTextHandler(w.log, nil)) }

// reach lets a dialer use the local network as a host.
func (w *udpWorld) reach(d *dialer, host netip.Addr) {
	open := func(port uint16) (*simnet.Socket, error) {
		s, err := w.local.Listen(netip.AddrPortFrom(host, port))
		if err == nil && port == 0 { // two in a row are no neighbours by chance: the network gives them in their order
			next, err := w.local.Listen(netip.AddrPortFrom(host, 0))
			require.NoError(w.t, err)
			require.NoError(w.t, next.Close())
		}
		return s, err
	}
	d.connectUDP = func(a netip.AddrPort, from uint16) (udpConn, error) {
		s, err := open(from)
		if err != nil {
			return nil, err
		}
		return &connected{Socket: s, to: a}, nil
	}
	d.bindUDP = func(_ netip.Addr, port uint16) (io.Closer, uint16, error) {
		s, err := open(port)
		if err != nil {
			return nil, 0, err
		}
		return s, s.LocalAddr().(*net.UDPAddr).AddrPort().Port(), nil
	}
	d.openUDP = func(address string) (*udpSocket, error) {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, err
		}
		s, err := w.local.Listen(a)
		if err != nil {
			return nil, err
		}
		return udp.New(s, 0)
	}
	d.resolve = func(context.Context, string) ([]netip.Addr, error) {
		time.Sleep(50 * time.Millisecond)
		return []netip.Addr{serverHost}, nil
	}
}

// connected is a socket that hears one address only.
type connected struct {
	*simnet.Socket
	to netip.AddrPort
}

func (c *connected) Read(b []byte) (int, error) {
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil || from == c.to {
			return n, err
		}
	}
}

func (c *connected) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(c.to) }

func (c *connected) Write(b []byte) (int, error) { return c.WriteToUDPAddrPort(b, c.to) }

// start runs the client and the server until the test ends.
func (w *udpWorld) start(forwards, reverse []string) {
	t := w.t
	list, err := ParseForwards(forwards)
	require.NoError(t, err)
	back, err := ParseForwards(reverse)
	require.NoError(t, err)
	config := ClientConfig{Server: worldServer.String(), PresharedKey: testUDPKey, Forwards: list, Reverse: back, Logger: w.logger()}
	require.NoError(t, config.Validate())
	w.client = newClient(config)
	w.client.keeper.dial = w.dial
	w.reach(w.client.dialer, clientHost)
	require.NoError(t, w.client.change(w.client.plans(&config)))
	ctx, cancel := context.WithCancel(context.Background())
	w.ctx = ctx
	done := make(chan error, 2)
	go func() { done <- w.client.Run(ctx) }()
	go func() { done <- w.serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, <-done)
	})
	w.wait(2 * time.Second)
}

// serve serves the sessions of the client.
func (w *udpWorld) serve(ctx context.Context) error {
	for {
		s, err := w.listener.AcceptSession(ctx)
		if err != nil {
			return nil
		}
		v := newServing(w.server, connSession{s}, s.Peer().PublicKey, w.server.log)
		w.serving = append(w.serving, v)
		go v.run(ctx)
	}
}

func (w *udpWorld) dial(ctx context.Context) (session, error) {
	if w.down.Load() {
		return nil, net.ErrClosed
	}
	sock, err := w.wide.Listen(netip.MustParseAddrPort("10.0.0.2:0"))
	if err != nil {
		return nil, err
	}
	e, err := conn.NewEndpoint(sock, nil)
	if err != nil {
		return nil, err
	}
	s, err := e.Dial(ctx, worldServer.String(), w.client.connConfig())
	_ = e.Close // the endpoint ends with the test
	if err != nil {
		return nil, err
	}
	w.t.Cleanup(func() { _ = e.Close() })
	w.sessions = append(w.sessions, s)
	return connSession{s}, nil
}

// wait lets time pass.
func (w *udpWorld) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// socket opens a socket of a local program.
func (w *udpWorld) socket(at string) *simnet.Socket {
	w.t.Helper()
	s, err := w.local.Listen(netip.MustParseAddrPort(at))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = s.Close() })
	return s
}

// send sends a datagram from a program.
func (w *udpWorld) send(s *simnet.Socket, to string, data string) {
	w.t.Helper()
	_, err := s.WriteToUDPAddrPort([]byte(data), netip.MustParseAddrPort(to))
	require.NoError(w.t, err)
}

// got returns what has come to a socket within the time, as text, and from where the last one came.
func (w *udpWorld) got(s *simnet.Socket, within time.Duration) (texts []string, from netip.AddrPort) {
	w.t.Helper()
	require.NoError(w.t, s.SetReadDeadline(time.Now().Add(within)))
	buf := make([]byte, maxDatagram)
	for {
		n, a, err := s.ReadFromUDPAddrPort(buf)
		if err != nil {
			return texts, from
		}
		texts, from = append(texts, string(buf[:n])), a
	}
}
