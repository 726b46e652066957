package conn_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/sim"
	"github.com/godwit-net/godwit/protocol/wire"
)

// inBubble runs a test in virtual time on a network of links like link.
func inBubble(t *testing.T, link sim.Config, config *conn.Config, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, newWorld(t, link, config))
	})
}

// quick is a link on which nothing is lost.
var quick = sim.Config{Delay: 5 * time.Millisecond}

// wantError asserts that err is a session's error of an owner with a code.
func wantError(t testing.TB, err error, owner conn.Owner, remote bool, code uint64) {
	t.Helper()
	var e *conn.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, owner, e.Owner, "%v", err)
	require.Equal(t, remote, e.Remote, "%v", err)
	require.Equal(t, code, e.Code, "%v", err)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func TestEverythingWrittenBeforeCloseArrives(t *testing.T) {
	for _, loss := range []float64{0, 0.20} {
		t.Run(fmt.Sprintf("loss %v", loss), func(t *testing.T) {
			inBubble(t, sim.Config{Delay: 25 * time.Millisecond, Loss: loss}, nil, func(t *testing.T, w *world) {
				c, s := w.pair()
				a, b := streams(t, c, s)
				data := randomBytes(1 << 20)
				go func() {
					_, err := c.Write(data)
					require.NoError(t, err)
					_, err = a.Write(data[:1000])
					require.NoError(t, err)
					require.NoError(t, c.Close())
					_, err = c.Write(data)
					require.ErrorIs(t, err, net.ErrClosed)
				}()
				got, err := io.ReadAll(s)
				require.NoError(t, err)
				require.True(t, bytes.Equal(data, got))
				got, err = io.ReadAll(b)
				require.NoError(t, err)
				require.True(t, bytes.Equal(data[:1000], got), "other streams are finished too")
				<-s.Done()
				if loss == 0 {
					wantError(t, s.Err(), conn.Application, true, 0)
				}
				_, err = s.Write([]byte("x"))
				require.ErrorIs(t, err, s.Err())
			})
		})
	}
}

func TestCloseWaitsForNobody(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, _ := w.pair()
		w.net.SetDown(true)
		write(t, c, "lost")
		start := time.Now()
		require.NoError(t, c.Close())
		require.Zero(t, time.Since(start))
		require.ErrorIs(t, c.Close(), net.ErrClosed, "twice is an error, as for TCP")
		require.ErrorIs(t, c.Err(), net.ErrClosed)
		<-c.Done()
	})
}

func TestAClosedSessionEndsWithItsLastAcknowledgement(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		time.Sleep(time.Second) // what follows a handshake is over
		start := time.Now()
		write(t, c, "the last words")
		require.NoError(t, c.Close())
		<-s.Done()
		require.Less(t, time.Since(start), 4*quick.Delay, "there, back, and the news that all is over")
		wantError(t, s.Err(), conn.Application, true, 0)
	})
}

func TestDeadPeerIsNoticedWithinTheIdleTimeout(t *testing.T) {
	inBubble(t, quick, &conn.Config{IdleTimeout: 10 * time.Second}, func(t *testing.T, w *world) {
		c, s := w.pair()
		write(t, c, "hello")
		wantRead(t, s, "hello")
		w.net.SetDown(true)
		start := time.Now()
		_, err := s.Read(make([]byte, 1))
		require.ErrorIs(t, err, conn.ErrIdleTimeout)
		wantError(t, err, conn.Local, false, 0)
		require.InDelta(t, 10, time.Since(start).Seconds(), 0.5)
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)

		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, conn.ErrIdleTimeout, "the smaller timeout of both ends counts at both")
	})
}

func TestKeepAliveKeepsASilentSession(t *testing.T) {
	inBubble(t, quick, &conn.Config{IdleTimeout: 10 * time.Second, KeepAlive: time.Second}, func(t *testing.T, w *world) {
		c, s := w.pair()
		time.Sleep(10 * time.Minute)
		write(t, c, "still here")
		wantRead(t, s, "still here")
	})
}

func TestDialToSilenceFailsInTime(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		silent := "10.0.0.99:1"
		start := time.Now()
		_, err := w.client().Dial(context.Background(), silent, w.clientConfig())
		require.EqualError(t, err, "no answer: server down, address wrong, or key does not match")
		require.ErrorIs(t, err, conn.ErrNoAnswer)
		require.InDelta(t, 5, time.Since(start).Seconds(), 0.1)

		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		start = time.Now()
		_, err = w.client().Dial(ctx, silent, w.clientConfig())
		require.EqualError(t, err, "no answer: server down, address wrong, or key does not match")
		require.ErrorIs(t, err, conn.ErrNoAnswer)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 700*time.Millisecond, time.Since(start))

		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, stop)
		start = time.Now()
		_, err = w.client().Dial(ctx, silent, w.clientConfig())
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 100*time.Millisecond, time.Since(start))
	})
}

func TestWrongKeyIsAnsweredWithSilence(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		other := crypto.GeneratePrivateKey().Public()
		_, err := w.client().Dial(t.Context(), serverAddr.String(), &conn.Config{PeerKey: other})
		require.ErrorIs(t, err, conn.ErrNoAnswer)
	})
}

func TestDialAgreesOnAnApplicationProtocolOrIsRefusedAtOnce(t *testing.T) {
	inBubble(t, quick, &conn.Config{AppProtocols: []string{"chess/2", "chess/1"}}, func(t *testing.T, w *world) {
		config := w.clientConfig()
		config.AppProtocols = []string{"chess/1", "go/1"}
		c, err := w.client().Dial(t.Context(), serverAddr.String(), config)
		require.NoError(t, err)
		require.Equal(t, "chess/1", c.Peer().AppProtocol)

		config.AppProtocols = []string{"poker/1"}
		start := time.Now()
		_, err = w.client().Dial(t.Context(), serverAddr.String(), config)
		wantError(t, err, conn.Transport, true, uint64(wire.RejectAppProtocol))
		require.ErrorContains(t, err, "chess/2", "the refusal names what would have worked")
		require.Less(t, time.Since(start), 100*time.Millisecond)
	})
}

func TestAuthorizeDecidesBeforeAccept(t *testing.T) {
	key := crypto.GeneratePrivateKey()
	config := &conn.Config{Authorize: func(p conn.PeerInfo) error {
		switch p.PublicKey {
		case key.Public():
			return nil
		case crypto.PublicKey{}:
			return conn.Refuse(77, "no anonymous clients")
		}
		return errors.New("not on the list")
	}}
	inBubble(t, quick, config, func(t *testing.T, w *world) {
		dial := func(identity crypto.PrivateKey) *conn.Session {
			c := w.clientConfig()
			c.Identity = identity
			s, err := w.client().Dial(t.Context(), serverAddr.String(), c)
			require.NoError(t, err, "the client is not known yet when Dial returns")
			return s
		}
		refused := dial(crypto.PrivateKey{})
		<-refused.Done()
		wantError(t, refused.Err(), conn.Application, true, 77)
		require.ErrorContains(t, refused.Err(), "no anonymous clients")

		refused = dial(crypto.GeneratePrivateKey())
		_, err := refused.Read(make([]byte, 1))
		wantError(t, err, conn.Transport, true, uint64(wire.NotAuthorized))
		require.ErrorContains(t, err, "not on the list")

		dial(key)
		s, err := w.listener.AcceptSession(t.Context())
		require.NoError(t, err)
		require.Equal(t, key.Public(), s.Peer().PublicKey, "the others never got here")
	})
}

func TestAuthorizeThatHangsTurnsItsClientAwayAndNobodyElse(t *testing.T) {
	release := make(chan struct{})
	slow := crypto.GeneratePrivateKey()
	synctest.Test(t, func(t *testing.T) {
		release = make(chan struct{})
		w := newWorld(t, quick, &conn.Config{Authorize: func(p conn.PeerInfo) error {
			if p.PublicKey == slow.Public() {
				<-release
			}
			return nil
		}})
		config := w.clientConfig()
		config.Identity = slow
		start := time.Now()
		hung, err := w.client().Dial(t.Context(), serverAddr.String(), config)
		require.NoError(t, err)
		_, s := w.pair()
		require.True(t, s.Peer().PublicKey.IsZero())
		<-hung.Done()
		wantError(t, hung.Err(), conn.Transport, true, uint64(wire.NotAuthorized))
		require.InDelta(t, 5, time.Since(start).Seconds(), 0.1)
		close(release)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = w.listener.AcceptSession(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded, "a late yes is no")
	})
}

func TestFullBacklogRefusesByNameUntilSomebodyAccepts(t *testing.T) {
	inBubble(t, quick, &conn.Config{AcceptBacklog: 2}, func(t *testing.T, w *world) {
		dial := func() error {
			_, err := w.client().Dial(t.Context(), serverAddr.String(), w.clientConfig())
			time.Sleep(time.Second) // for the server's last step
			return err
		}
		require.NoError(t, dial())
		require.NoError(t, dial())
		start := time.Now()
		wantError(t, dial(), conn.Transport, true, uint64(wire.RejectFull))
		require.Less(t, time.Since(start), 1200*time.Millisecond, "at once")
		_, err := w.listener.Accept()
		require.NoError(t, err)
		require.NoError(t, dial())
	})
}

func TestClosedListenerRefusesAndItsSessionsGoOn(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		unaccepted, err := w.client().Dial(t.Context(), serverAddr.String(), w.clientConfig())
		require.NoError(t, err)
		time.Sleep(time.Second)
		require.NoError(t, w.listener.Close())
		require.ErrorIs(t, w.listener.Close(), net.ErrClosed)
		_, err = w.listener.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
		<-unaccepted.Done()
		wantError(t, unaccepted.Err(), conn.Transport, true, uint64(wire.ServerStopping))
		_, err = w.client().Dial(t.Context(), serverAddr.String(), w.clientConfig())
		wantError(t, err, conn.Transport, true, uint64(wire.RejectStopping))
		write(t, c, "still open")
		wantRead(t, s, "still open")

		_, err = w.server.Listen()
		require.NoError(t, err, "an endpoint can listen again")
		_, err = w.client().Dial(t.Context(), serverAddr.String(), w.clientConfig())
		require.NoError(t, err)
	})
}

func TestEndpointCloseTellsEveryPeer(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		require.NoError(t, w.server.Close())
		wantError(t, s.Err(), conn.Transport, false, uint64(wire.ServerStopping))
		require.ErrorIs(t, s.Err(), net.ErrClosed, "this end did it")
		<-c.Done()
		require.NotErrorIs(t, c.Err(), net.ErrClosed)
		wantError(t, c.Err(), conn.Transport, true, uint64(wire.ServerStopping))
		require.ErrorIs(t, w.server.Close(), net.ErrClosed)
		_, err := w.server.Listen()
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = w.server.Dial(t.Context(), serverAddr.String(), w.clientConfig())
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestEndedSessionReturnsTheSameErrorFromEveryCall(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		stream, _ := streams(t, c, s)
		require.NoError(t, s.CloseWithError(9, "bored"))
		<-c.Done()
		ctx := t.Context()
		buf := make([]byte, 1)
		for name, call := range map[string]func() error{
			"Read":            func() error { _, err := c.Read(buf); return err },
			"Write":           func() error { _, err := c.Write(buf); return err },
			"CloseWrite":      c.CloseWrite,
			"OpenStream":      func() error { _, err := c.OpenStream(ctx); return err },
			"OpenUniStream":   func() error { _, err := c.OpenUniStream(ctx); return err },
			"AcceptStream":    func() error { _, err := c.AcceptStream(ctx); return err },
			"AcceptUniStream": func() error { _, err := c.AcceptUniStream(ctx); return err },
			"Flush":           c.Flush,
			"Err":             c.Err,
			"stream Read":     func() error { _, err := stream.Read(buf); return err },
			"stream Write":    func() error { _, err := stream.Write(buf); return err },
		} {
			wantError(t, call(), conn.Application, true, 9)
			require.ErrorContains(t, call(), "bored", name)
			require.NotErrorIs(t, call(), net.ErrClosed, name)
		}
		require.NoError(t, c.Confirmed(ctx))
		require.NoError(t, c.Close())
		_, err := c.Read(buf)
		wantError(t, err, conn.Application, true, 9)

		_, err = s.Write(buf)
		wantError(t, err, conn.Application, false, 9)
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestWaitingCallsEndWithTheSession(t *testing.T) {
	inBubble(t, quick, &conn.Config{MaxUniStreams: -1}, func(t *testing.T, w *world) {
		c, _ := w.pair()
		errs := make(chan error)
		ctx := t.Context()
		calls := []func() error{
			func() error { _, err := c.Read(make([]byte, 1)); return err },
			func() error { _, err := c.Read(make([]byte, 1)); return err },
			func() error { _, err := c.Write(make([]byte, 64<<20)); return err },
			func() error { _, err := c.AcceptStream(ctx); return err },
			func() error { _, err := c.OpenUniStream(ctx); return err },
		}
		for _, call := range calls {
			go func() { errs <- call() }()
		}
		time.Sleep(time.Second)
		require.NoError(t, c.Close())
		for range calls {
			require.ErrorIs(t, <-errs, net.ErrClosed)
		}
	})
}

func TestClientThatMovesKeepsItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, quick, nil)
		sock, err := w.net.Listen(netip.MustParseAddrPort("10.0.0.2:0"))
		require.NoError(t, err)
		e, err := conn.NewEndpoint(sock, nil)
		require.NoError(t, err)
		defer e.Close()
		c, err := e.Dial(t.Context(), serverAddr.String(), w.clientConfig())
		require.NoError(t, err)
		s, err := w.listener.AcceptSession(t.Context())
		require.NoError(t, err)
		write(t, c, "one")
		wantRead(t, s, "one")
		require.NoError(t, sock.Rebind(netip.MustParseAddrPort("10.9.9.9:999")))
		write(t, c, "two")
		wantRead(t, s, "two")
		write(t, s, "three")
		wantRead(t, c, "three")
		require.Equal(t, "10.9.9.9:999", s.RemoteAddr().String())
	})
}

func TestRestartedServerIsNoticedAtTheNextPacket(t *testing.T) {
	identity := crypto.GeneratePrivateKey()
	inBubble(t, quick, &conn.Config{Identity: identity}, func(t *testing.T, w *world) {
		c, s := w.pair()
		write(t, c, "hello")
		wantRead(t, s, "hello")
		time.Sleep(time.Second)
		w.net.SetDown(true) // it dies without a word
		require.NoError(t, w.server.Close())
		w.net.SetDown(false)
		again := w.endpoint(serverAddr, &conn.Config{Identity: identity})
		_, err := again.Listen()
		require.NoError(t, err)
		start := time.Now()
		write(t, c, "a packet that is large enough to be answered by a smaller one")
		<-c.Done()
		require.ErrorIs(t, c.Err(), conn.ErrReset)
		require.Equal(t, 2*quick.Delay, time.Since(start), "one round trip")
	})
}

func TestConfirmedComesHalfARoundTripAfterDial(t *testing.T) {
	inBubble(t, sim.Config{Delay: 50 * time.Millisecond}, nil, func(t *testing.T, w *world) {
		start := time.Now()
		c, err := w.client().Dial(t.Context(), serverAddr.String(), w.clientConfig())
		require.NoError(t, err)
		require.Equal(t, 100*time.Millisecond, time.Since(start))
		require.NoError(t, c.Confirmed(t.Context()))
		require.Equal(t, 200*time.Millisecond, time.Since(start))

		w.net.SetDown(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, c.Confirmed(ctx))
	})
}
