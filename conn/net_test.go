package conn_test

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/conn/simnet"
	"github.com/godwit-net/godwit/protocol/sim"
)

// world is a network in memory with a listener on it.
type world struct {
	t        testing.TB
	net      *simnet.Network
	server   *conn.Endpoint
	listener *conn.Listener
}

var seeds atomic.Uint64

var serverAddr = netip.MustParseAddrPort("10.0.0.1:4433")

// newWorld makes a network of links like link and a listener with config, nil for the defaults. Everything is
// closed when the test ends.
func newWorld(t testing.TB, link sim.Config, config *conn.Config) *world {
	t.Helper()
	link.Seed += seeds.Add(1) // another fate for each world
	n, err := simnet.New(link)
	require.NoError(t, err)
	w := &world{t: t, net: n}
	w.server = w.endpoint(serverAddr, config)
	w.listener, err = w.server.Listen()
	require.NoError(t, err)
	return w
}

// endpoint makes an endpoint of its own on the network.
func (w *world) endpoint(addr netip.AddrPort, config *conn.Config) *conn.Endpoint {
	w.t.Helper()
	sock, err := w.net.Listen(addr)
	require.NoError(w.t, err)
	e, err := conn.NewEndpoint(sock, config)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = e.Close() })
	return e
}

// client makes an endpoint to dial from.
func (w *world) client() *conn.Endpoint {
	w.t.Helper()
	return w.endpoint(netip.MustParseAddrPort("10.0.0.2:0"), nil)
}

// clientConfig trusts the world's listener.
func (w *world) clientConfig() *conn.Config { return &conn.Config{PeerKey: w.listener.PublicKey()} }

// pair returns both ends of a new session.
func (w *world) pair() (client, server *conn.Session) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	client, err := w.client().Dial(ctx, serverAddr.String(), w.clientConfig())
	require.NoError(w.t, err)
	server, err = w.listener.AcceptSession(ctx)
	require.NoError(w.t, err)
	return client, server
}

// streams returns both ends of a new stream of a session. One byte has gone through it in each direction, since
// the peer learns of a stream by its first byte.
func streams(t testing.TB, client, server *conn.Session) (a, b *conn.Stream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	a, err := client.OpenStream(ctx)
	require.NoError(t, err)
	write(t, a, "!")
	b, err = server.AcceptStream(ctx)
	require.NoError(t, err)
	wantRead(t, b, "!")
	return a, b
}

func write(t testing.TB, c net.Conn, text string) {
	t.Helper()
	n, err := c.Write([]byte(text))
	require.NoError(t, err)
	require.Equal(t, len(text), n)
}

// wantRead reads as many bytes as text has.
func wantRead(t testing.TB, c net.Conn, text string) {
	t.Helper()
	got := make([]byte, 0, len(text))
	for len(got) < len(text) {
		n, err := c.Read(got[len(got):cap(got)])
		require.NoError(t, err)
		got = got[:len(got)+n]
	}
	require.Equal(t, text, string(got))
}
