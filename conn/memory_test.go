//go:build !race

package conn_test // not with the race detector: it makes sessions larger

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/protocol"
)

// raiseClients makes sessions from one socket, each of which has said something and heard it back.
// It returns the server's ends, and the clients' socket.
func raiseClients(t *testing.T, n int, l *conn.Listener) (servers []*conn.Session, raw *net.UDPConn) {
	t.Helper()
	e, raw := onSocket(t)
	t.Cleanup(func() { _ = raw.Close() }) // not the endpoint: nothing must hold its tables
	for range n {
		c, err := e.Dial(t.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey(), IdleTimeout: time.Hour})
		require.NoError(t, err)
		write(t, c, "hello")
		s, err := l.AcceptSession(t.Context())
		require.NoError(t, err)
		wantRead(t, s, "hello")
		write(t, s, "hello to you")
		wantRead(t, c, "hello to you")
		require.NoError(t, c.Confirmed(t.Context()))
		servers = append(servers, s)
	}
	return servers, raw
}

// alone runs a test in a process of its own, in which alone is true: what other tests leave on the heap, and what
// goes of it meanwhile, says nothing about sessions.
func alone(t *testing.T) bool {
	t.Helper()
	const name = "GODWIT_TEST_ALONE"
	if os.Getenv(name) == t.Name() {
		return true
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v", "-test.count", "1")
	c.Env = append(os.Environ(), name+"="+t.Name())
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
	return false
}

// The system gives all sessions of one client socket to one shard. They may use what is meant for all shards.
//
// spec: SESS-30
func TestSessionsOfOneSocketHaveTheWholeLimit(t *testing.T) {
	const (
		limit = 16 << 20
		most  = limit / 2 / protocol.SessionMemory // sessions may take a half by themselves
	)
	l, err := conn.Listen("127.0.0.1:0", &conn.Config{Shards: 4, MemoryLimit: limit, Retry: conn.RetryNever, AcceptBacklog: most})
	require.NoError(t, err)
	defer l.Close()
	e, _ := onSocket(t)
	defer e.Close()
	for range most / 2 { // twice what a quarter allows
		_, err := e.Dial(t.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
		require.NoError(t, err)
	}
	require.Zero(t, l.Stats().NoMemory)
}

// A server of ten thousand players mostly holds sessions in which nothing happens. The clients lose their
// socket without a word, so that in the end the heap holds only what the server's side needs.
func TestIdleSessionsAreSmall(t *testing.T) {
	const (
		sessions = 500
		most     = 5000    // bytes of heap for the server's end of an idle session
		ended    = 1 << 10 // for one that is over: what the tables and pools keep
	)
	if !alone(t) {
		return
	}
	l, err := conn.Listen("127.0.0.1:0", &conn.Config{Shards: 1, Retry: conn.RetryNever, IdleTimeout: time.Hour})
	require.NoError(t, err)
	defer l.Close()
	raiseClients(t, 1, l) // what is made once is made now, some of it in the background: keys for a burst of clients
	before := int64(0)
	require.Eventually(t, func() bool {
		was := before
		before = heapNow()
		return before-was < 4<<10 && was-before < 4<<10
	}, 20*time.Second, 100*time.Millisecond, "nothing is made any more")
	servers, raw := raiseClients(t, sessions, l)
	both := (heapNow() - before) / sessions
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(servers, func(s *conn.Session) bool { return !conn.Resting(s) })
	}, 20*time.Second, 100*time.Millisecond, "nothing happens any more")
	require.NoError(t, raw.Close())

	var each int64
	require.Eventually(t, func() bool {
		each = (heapNow() - before) / sessions
		return each < most
	}, time.Minute, 100*time.Millisecond, "the clients' ends are gone")
	require.GreaterOrEqual(t, l.Stats().Sessions, sessions)
	t.Logf("%d bytes for the server's end of an idle session, %d for both ends when they were just opened", each, both)

	for _, s := range servers {
		require.NoError(t, s.CloseWithError(0, ""))
	}
	clear(servers)
	require.Eventually(t, func() bool {
		each = (heapNow() - before) / sessions
		return each < ended
	}, 20*time.Second, 100*time.Millisecond, "closed sessions give their memory back")
	t.Logf("%d bytes for each session that is over", each)
}
