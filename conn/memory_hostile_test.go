//go:build !race

package conn_test // not with the race detector: it takes memory of its own

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// hostileEnv tells the process of this test to be the clients: the server's address and key.
const hostileEnv = "GODWIT_TEST_HOSTILE"

const hostileSessions = 60

// beHostile opens sessions that fill everything that they may at the server: its windows, its buffers for messages, its
// table of streams. They read nothing of what it writes. Each says when it is there.
func beHostile(t *testing.T, address, key string) {
	public, err := crypto.ParsePublicKey(key)
	require.NoError(t, err)
	raw, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	e, err := conn.NewEndpoint(raw, &conn.Config{MemoryLimit: -1})
	require.NoError(t, err)
	data := make([]byte, 4<<20)
	for range hostileSessions {
		var s *conn.Session
		for s == nil { // what the others send may leave no time for the first answer
			s, err = e.Dial(t.Context(), address, &conn.Config{PeerKey: public})
		}
		require.NoError(t, err)
		go func() { _, _ = s.Write(data) }()
		go func() {
			for {
				st, err := s.OpenStream(t.Context())
				if err != nil {
					return
				}
				go func() { _, _ = st.Write(data[:1<<20]) }()
			}
		}()
		for i := range uint16(32) {
			for mode := conn.Unreliable; mode <= conn.ReliableOrdered; mode++ {
				_ = s.SendMessage(data[:200_000], conn.MessageOptions{Channel: i<<2 | uint16(mode), Mode: mode}) // as many as are taken
			}
		}
	}
	fmt.Println("all there")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// Many sessions that each fill all they may make the server hold no more than it was told to, and do not keep a
// session from going on that is there, nor a new one from coming.
//
// spec: SESS-26 SESS-29 SESS-30
func TestAttack13ManySessionsTogetherStayWithinTheLimit(t *testing.T) {
	if target := os.Getenv(hostileEnv); target != "" {
		var address, key string
		_, err := fmt.Sscan(target, &address, &key)
		require.NoError(t, err)
		beHostile(t, address, key)
		return
	}
	if !alone(t) {
		return
	}
	const (
		limit = 64 << 20
		slack = 8 << 20 // buffers of sockets and pools, and what collecting leaves
	)
	l, err := conn.Listen("127.0.0.1:0", &conn.Config{Shards: 1, MemoryLimit: limit, Retry: conn.RetryNever})
	require.NoError(t, err)
	defer l.Close()
	// How long the clients take to come is up to the machine: a session that is silent meanwhile would end.
	honest, err := conn.Dial(t.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey(), KeepAlive: 2 * time.Second})
	require.NoError(t, err)
	server, err := l.AcceptSession(t.Context())
	require.NoError(t, err)
	sayAgain(server)
	unread := make([]byte, 8<<20) // for each session, whose peer does not read
	before := heapNow()

	attack := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$")
	attack.Env = append(os.Environ(), hostileEnv+"="+l.Addr().String()+" "+l.PublicKey().String())
	attack.Stderr = os.Stderr
	in, err := attack.StdinPipe()
	require.NoError(t, err)
	out, err := attack.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, attack.Start())
	defer func() {
		_ = in.Close()
		_ = attack.Process.Kill()
		_ = attack.Wait()
	}()
	attacked, ended := context.WithCancelCause(t.Context())
	said := make(chan string, 1)
	go func() {
		line, err := bufio.NewReader(out).ReadString('\n')
		said <- line
		if err != nil {
			ended(fmt.Errorf("the clients have ended: %w", err))
		}
	}()
	for range hostileSessions {
		s, err := l.AcceptSession(attacked)
		require.NoError(t, err, context.Cause(attacked))
		go func() { _, _ = s.Write(unread) }()
	}
	require.Equal(t, "all there\n", <-said)

	most := int64(0)
	for range 20 {
		wantAgain(t, honest, randomBytes(50_000))
		st := l.Stats()
		most = max(most, st.Memory)
		require.Less(t, heapNow()-before, int64(limit+slack))
	}
	require.Less(t, most, int64(limit+lag))
	require.Greater(t, most, int64(limit/4), "much was held")
	t.Logf("%d MiB counted, %d MiB of heap, limit %d MiB, %d sessions held back", most>>20, (heapNow()-before)>>20, limit>>20, l.Stats().HeldBack)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := conn.Dial(ctx, l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	require.NoError(t, err, "there is room for a new session")
	go func() {
		for { // of the clients some may have come twice
			s, err := l.AcceptSession(ctx)
			if err != nil {
				return
			}
			sayAgain(s)
		}
	}()
	wantAgain(t, c, randomBytes(50_000))
}

// sayAgain has a session say again what it hears.
func sayAgain(s *conn.Session) {
	go func() { _, _ = io.Copy(s, s) }()
}

func wantAgain(t *testing.T, s *conn.Session, data []byte) {
	t.Helper()
	go func() { _, _ = s.Write(data) }()
	got := make([]byte, len(data))
	_, err := io.ReadFull(s, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
}
