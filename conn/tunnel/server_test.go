package tunnel

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
)

// served is the client's end of a session that a server under test serves.
type served struct {
	client *fakeSession
	log    *logBuffer
	ended  chan struct{}
}

func serve(t *testing.T, ctx context.Context, limit int, list ...string) *served {
	client, server := newFakeSessions()
	v := &served{client: client, log: new(logBuffer), ended: make(chan struct{})}
	s := newServer(ServerConfig{MaxConnections: limit, Allow: rules(t, list...)})
	serving := newServing(s, server, testKey(1), slog.New(slog.NewTextHandler(v.log, nil)))
	go func() {
		defer close(v.ended)
		serving.run(ctx)
	}()
	t.Cleanup(func() { client.kill(); <-v.ended })
	return v
}

// ask opens a stream with these first octets.
func (v *served) ask(t *testing.T, request []byte) stream {
	t.Helper()
	s, err := v.client.OpenStream(t.Context())
	require.NoError(t, err)
	_, err = s.Write(request)
	require.NoError(t, err)
	return s
}

// wantRefusal reads a refusal and checks that the stream ends as the spec says.
func wantRefusal(t *testing.T, s stream, want Code) {
	t.Helper()
	code, _, err := readReply(s)
	require.NoError(t, err)
	require.Equal(t, want, code)
	_, err = s.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err, "nothing follows a refusal")
	require.Eventually(t, func() bool {
		_, err := s.Write([]byte("x"))
		return err == errCode(streamRefused)
	}, 5*time.Second, time.Millisecond, "and nothing is taken any more")
}

// echoServer answers every connection with what it got, after the client's FIN.
func echoServer(t *testing.T) Target {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b, _ := io.ReadAll(c)
				_, _ = c.Write(b)
			}()
		}
	}()
	return TargetFromAddr(l.Addr().(*net.TCPAddr).AddrPort())
}

const anyPort = "tcp://127.0.0.1:1-65535"

func TestAnAllowedTargetIsConnected(t *testing.T) {
	// spec: TUN-2
	v := serve(t, t.Context(), 1, anyPort)
	s := v.ask(t, append(appendRequest(nil, echoServer(t)), "early "...))
	code, _, err := readReply(s)
	require.NoError(t, err, "the reply comes first")
	require.Equal(t, CodeConnected, code)
	_, err = s.Write([]byte("and late"))
	require.NoError(t, err)
	require.NoError(t, s.CloseWrite())
	got, err := io.ReadAll(s)
	require.NoError(t, err)
	require.Equal(t, "early and late", string(got))
}

func TestRefusalsSayWhy(t *testing.T) {
	// spec: TUN-13
	v := serve(t, t.Context(), 10, anyPort)
	wantRefusal(t, v.ask(t, appendRequest(nil, target(t, "tcp://127.0.0.2:22"))), CodeNotAllowed)
	require.Eventually(t, func() bool {
		return strings.Contains(v.log.String(), `target=tcp://127.0.0.2:22 reason="target not allowed"`)
	}, 5*time.Second, time.Millisecond)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := TargetFromAddr(l.Addr().(*net.TCPAddr).AddrPort())
	require.NoError(t, l.Close())
	wantRefusal(t, v.ask(t, appendRequest(nil, closed)), CodeRefused)
}

func TestUnreadableRequestsAreAnswered(t *testing.T) {
	v := serve(t, t.Context(), 10, anyPort)
	// spec: TUN-3
	wantRefusal(t, v.ask(t, []byte("\x07GET")), CodeVersion)
	// spec: TUN-4
	wantRefusal(t, v.ask(t, []byte{version, byte(NetworkTCP), 9}), CodeMalformed)
	// spec: TUN-10
	wantRefusal(t, v.ask(t, appendRequest(nil, Target{Network: NetworkUDP, Addr: netip.IPv6Loopback(), Port: 1})), CodeUnsupported)
}

func TestARequestThatDoesNotComeResetsTheStream(t *testing.T) {
	// spec: TUN-12
	synctest.Test(t, func(t *testing.T) {
		v := serve(t, t.Context(), 10, anyPort)
		start := time.Now()
		s := v.ask(t, []byte{version, byte(NetworkTCP)})
		_, err := s.Read(make([]byte, 1))
		require.Equal(t, errCode(streamBadPreamble), err)
		require.Equal(t, 10*time.Second, time.Since(start), "the promise of the spec")
		v.client.kill()
		<-v.ended
	})
}

func TestConnectionsBeyondTheLimitAreBusy(t *testing.T) {
	// spec: TUN-16
	v := serve(t, t.Context(), 1, anyPort)
	first := v.ask(t, appendRequest(nil, echoServer(t)))
	code, _, err := readReply(first)
	require.NoError(t, err)
	require.Equal(t, CodeConnected, code)
	wantRefusal(t, v.ask(t, appendRequest(nil, echoServer(t))), CodeBusy)

	require.NoError(t, first.CloseWrite())
	_, err = io.ReadAll(first)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		code, _, err := readReply(v.ask(t, appendRequest(nil, echoServer(t))))
		return err == nil && code == CodeConnected
	}, 5*time.Second, 10*time.Millisecond, "a place that is free again is given")
}

func TestStoppingAServerEndsItsConnections(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	v := serve(t, ctx, 10, anyPort)
	s := v.ask(t, appendRequest(nil, echoServer(t)))
	_, _, err := readReply(s)
	require.NoError(t, err)
	cancel()
	<-v.ended
	require.ErrorContains(t, v.client.Err(), "server stopped")
}

func TestAServerWithoutAWayToTellClientsApartDoesNotStart(t *testing.T) {
	// spec: TUN-17
	allow := rules(t, anyPort)
	key := crypto.GeneratePrivateKey()
	_, err := NewServer(ServerConfig{Listen: "127.0.0.1:0", Identity: key, Allow: allow})
	require.ErrorIs(t, err, ErrNoClients)
	_, err = NewServer(ServerConfig{Listen: "127.0.0.1:0", Open: true, Allow: allow})
	require.ErrorIs(t, err, ErrNoIdentity)
	_, err = NewServer(ServerConfig{Listen: "127.0.0.1:0", Identity: key, Open: true})
	require.ErrorIs(t, err, ErrNoRules)
	for _, c := range []ServerConfig{
		{Identity: key, Open: true, Allow: allow},
		{PresharedKey: crypto.GeneratePresharedKey(), Allow: allow},
		{Identity: key, Authorized: &Authorized{}, Allow: allow},
	} {
		require.NoError(t, c.Validate())
	}
}

func TestAClientWithoutServerKeyOrWorkDoesNotStart(t *testing.T) {
	f := []Forward{{Listen: "127.0.0.1:0", Target: target(t, "tcp://127.0.0.1:22")}}
	_, err := NewClient(ClientConfig{Server: "127.0.0.1:1", Forwards: f})
	require.ErrorIs(t, err, ErrNoServerKey)
	_, err = NewClient(ClientConfig{Server: "127.0.0.1:1", PeerKey: testKey(1)})
	require.ErrorIs(t, err, ErrNoForward)
	_, err = NewClient(ClientConfig{PeerKey: testKey(1), Forwards: append(f, Forward{Listen: "192.0.2.1:1"})})
	require.ErrorContains(t, err, "192.0.2.1:1", "a port that cannot be opened is named")
}
