package conn_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/internal/testutil"
)

// serveEcho answers every session of l with what it sent, until l is closed.
func serveEcho(l *conn.Listener) {
	for {
		s, err := l.AcceptSession(context.Background())
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(s, s) // the client sees what is missing
			_ = s.Close()
		}()
	}
}

// roundTrip dials, sends data, and expects it back.
func roundTrip(ctx context.Context, address string, config *conn.Config, data []byte) error {
	c, err := conn.Dial(ctx, address, config)
	if err != nil {
		return err
	}
	defer c.Close()
	go func() {
		_, _ = c.Write(data) // the reader sees what is missing
		_ = c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err == nil && !bytes.Equal(data, got) {
		err = errors.New("the answer differs from the question")
	}
	return err
}

func TestManyClientsOverSeveralShards(t *testing.T) {
	l, err := conn.Listen("127.0.0.1:0", &conn.Config{Shards: 4})
	require.NoError(t, err)
	defer l.Close()
	go serveEcho(l)
	config := &conn.Config{PeerKey: l.PublicKey()}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			require.NoError(t, roundTrip(t.Context(), l.Addr().String(), config, randomBytes(1000*i)))
		})
	}
	wg.Wait()
}

func TestNothingIsLeftBehindWhenAllIsClosed(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(t, err)
	go serveEcho(l)
	config := &conn.Config{PeerKey: l.PublicKey()}
	for range 5 {
		require.NoError(t, roundTrip(t.Context(), l.Addr().String(), config, randomBytes(100_000)))
	}
	_, err = conn.Dial(t.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey(), AppProtocols: []string{"x"}})
	require.Error(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, testutil.Leaks(ignore))
}

func TestServerCanBeStartedAgainAtTheSamePortAtOnce(t *testing.T) {
	address := "127.0.0.1:0"
	for range 3 {
		l, err := conn.Listen(address, nil)
		require.NoError(t, err)
		address = l.Addr().String()
		c, err := conn.Dial(t.Context(), address, &conn.Config{PeerKey: l.PublicKey()})
		require.NoError(t, err)
		s, err := l.AcceptSession(t.Context())
		require.NoError(t, err)
		_, err = conn.Listen(address, nil)
		require.Error(t, err, "two servers at one port would share the clients")
		require.NoError(t, l.Close())
		require.NoError(t, s.Close())
		<-c.Done()
	}
}

func TestPresharedKeyIsEnoughOnBothSides(t *testing.T) {
	psk := crypto.GeneratePresharedKey()
	l, err := conn.Listen("127.0.0.1:0", &conn.Config{PresharedKey: psk})
	require.NoError(t, err)
	defer l.Close()
	go serveEcho(l)
	require.NoError(t, roundTrip(t.Context(), l.Addr().String(), &conn.Config{PresharedKey: psk}, []byte("hello")))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err = roundTrip(ctx, l.Addr().String(), &conn.Config{PresharedKey: crypto.GeneratePresharedKey()}, nil)
	require.ErrorIs(t, err, conn.ErrNoAnswer)
}

func TestBothEndsSeeTheSameSession(t *testing.T) {
	identity := crypto.GeneratePrivateKey()
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(t, err)
	defer l.Close()
	c, err := conn.Dial(t.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey(), Identity: identity})
	require.NoError(t, err)
	defer c.Close()
	s, err := l.AcceptSession(t.Context())
	require.NoError(t, err)
	defer s.Close()
	require.Equal(t, identity.Public(), s.Peer().PublicKey)
	require.Equal(t, l.PublicKey(), c.Peer().PublicKey)
	require.Equal(t, c.Peer().ChannelBinding, s.Peer().ChannelBinding)
	require.NotZero(t, c.Peer().ChannelBinding)
	require.Equal(t, l.Addr().String(), c.RemoteAddr().String())
	require.NoError(t, c.Confirmed(t.Context()))
	require.Equal(t, s.RemoteAddr().String(), s.Peer().Addr.String())
	write(t, c, "hello")
	wantRead(t, s, "hello")
	require.NotZero(t, c.Stats().BytesSent)
	require.NotZero(t, s.Stats().BytesReceived)
	if runtime.GOOS == "linux" {
		require.Equal(t, c.LocalAddr().String(), s.RemoteAddr().String(), "the client knows which of its addresses is used")
	}
}

func TestDialTriesAllAddressesOfAName(t *testing.T) {
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(t, err)
	defer l.Close()
	go serveEcho(l)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	config := &conn.Config{PeerKey: l.PublicKey()}
	for _, host := range []string{"localhost", ""} {
		require.NoError(t, roundTrip(t.Context(), net.JoinHostPort(host, port), config, []byte("hello")), "host %q", host)
	}
}

func TestWrongUseIsRefusedByName(t *testing.T) {
	ctx := t.Context()
	for text, call := range map[string]func() error{
		"neither PeerKey nor PresharedKey": func() error { _, err := conn.Dial(ctx, "127.0.0.1:1", nil); return err },
		"missing port":                     func() error { return dialErr(ctx, "127.0.0.1") },
		"Config.KeepAlive is negative":     func() error { _, err := conn.Listen(":0", &conn.Config{KeepAlive: -1}); return err },
		"Config.IdleTimeout":               func() error { _, err := conn.Listen(":0", &conn.Config{IdleTimeout: 25 * time.Hour}); return err },
		"no socket was given":              func() error { _, err := conn.NewEndpoint(nil, nil); return err },
	} {
		require.ErrorContains(t, call(), text)
	}
}

func dialErr(ctx context.Context, address string) error {
	_, err := conn.Dial(ctx, address, &conn.Config{PeerKey: crypto.GeneratePrivateKey().Public()})
	return err
}

func TestConfigThatCannotWorkIsRefusedByDialAndListen(t *testing.T) {
	key := crypto.GeneratePrivateKey()
	for field, config := range map[string]conn.Config{
		"MaxDatagram":                  {MaxDatagram: 1199},
		"MaxStreams and MaxUniStreams": {MaxStreams: math.MaxInt},
		"MaxUniStreams":                {MaxUniStreams: math.MaxInt},
		"Retry":                        {Retry: 9},
		"AppProtocols":                 {AppProtocols: make([]string, 17)},
		"AppProtocols: the name":       {AppProtocols: []string{"ok", ""}},
		"has 256 bytes":                {AppProtocols: []string{strings.Repeat("x", 256)}},
		"PreviousIdentities":           {PreviousIdentities: []crypto.PrivateKey{key, key, key, key}},
		"IdleTimeout":                  {IdleTimeout: time.Microsecond},
	} {
		_, err := conn.Listen("127.0.0.1:0", &config)
		require.ErrorContains(t, err, field)
		config.PeerKey = key.Public()
		_, err = conn.Dial(t.Context(), "127.0.0.1:9", &config)
		require.ErrorContains(t, err, field)
	}
}

func TestConfigAtItsLimitsWorks(t *testing.T) {
	names := make([]string, 16)
	for i := range names {
		names[i] = strings.Repeat("x", 40) + string(rune('a'+i))
	}
	server := &conn.Config{
		MaxStreams: math.MaxInt >> 3, MaxUniStreams: -1, MaxDatagram: 1200, StreamWindow: 1, SessionWindow: math.MaxInt,
		AppProtocols: names, IdleTimeout: 24 * time.Hour,
		PreviousIdentities: []crypto.PrivateKey{crypto.GeneratePrivateKey(), crypto.GeneratePrivateKey(), crypto.GeneratePrivateKey()},
	}
	// In virtual time: an idle timeout of a second is shorter than some pauses of a busy machine.
	inBubble(t, quick, server, func(t *testing.T, w *world) {
		c, err := w.client().Dial(t.Context(), serverAddr.String(), &conn.Config{
			PeerKey: server.PreviousIdentities[2].Public(), MaxStreams: -1, MaxUniStreams: math.MaxInt >> 3, MaxDatagram: 65527,
			StreamWindow: math.MaxInt, SessionWindow: 1, AppProtocols: names, IdleTimeout: time.Second,
		})
		require.NoError(t, err)
		go serveEcho(w.listener)
		question, answer := randomBytes(100), make([]byte, 100)
		go func() { _, _ = c.Write(question) }() // the reader sees what is missing
		_, err = io.ReadFull(c, answer)
		require.NoError(t, err)
		require.Equal(t, question, answer)
		require.NoError(t, c.Close())
	})
}

// flaky is a socket whose n-th call fails.
type flaky struct {
	*net.UDPConn
	n     int64
	calls atomic.Int64
}

var errFlaky = errors.New("the socket had a bad moment")

func (f *flaky) fails() bool { return f.calls.Add(1) == f.n }

func (f *flaky) ReadFrom(b []byte) (int, net.Addr, error) {
	if f.fails() {
		return 0, nil, errFlaky
	}
	return f.UDPConn.ReadFrom(b)
}

func (f *flaky) WriteTo(b []byte, a net.Addr) (int, error) {
	if f.fails() {
		return 0, errFlaky
	}
	return f.UDPConn.WriteTo(b, a)
}

// onlyPacketConn hides all but the methods of a net.PacketConn.
type onlyPacketConn struct{ net.PacketConn }

func TestSocketThatFailsOnceCostsTimeAndNothingElse(t *testing.T) {
	for n := range int64(40) {
		raw, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		require.NoError(t, err)
		e, err := conn.NewEndpoint(onlyPacketConn{&flaky{UDPConn: raw, n: n + 1}}, nil)
		require.NoError(t, err)
		l, err := e.Listen()
		require.NoError(t, err)
		go serveEcho(l)
		config := &conn.Config{PeerKey: l.PublicKey()}
		require.NoError(t, roundTrip(t.Context(), e.Addr().String(), config, randomBytes(30_000)), "call %d fails", n+1)
		require.NoError(t, e.Close())
	}
}

// onSocket makes an endpoint on a socket of the caller's own.
func onSocket(tb testing.TB) (*conn.Endpoint, *net.UDPConn) {
	tb.Helper()
	raw, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(tb, err)
	e, err := conn.NewEndpoint(raw, nil)
	require.NoError(tb, err)
	return e, raw
}

func TestSocketThatIsGoneEndsItsSessions(t *testing.T) {
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(t, err)
	defer l.Close()
	e, raw := onSocket(t)
	inner, err := e.Listen()
	require.NoError(t, err)
	c, err := e.Dial(t.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	require.NoError(t, err)
	require.NoError(t, raw.Close()) // behind the endpoint's back
	<-c.Done()
	require.ErrorContains(t, c.Err(), "socket failed")
	_, err = inner.Accept()
	require.ErrorContains(t, err, "socket failed")
}
