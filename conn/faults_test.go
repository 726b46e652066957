package conn_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/sim"
)

// faulty is a UDP socket that can be told what goes wrong before a call.
type faulty struct {
	*net.UDPConn
	beforeRead, beforeWrite func() error
}

func (f *faulty) ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	if f.beforeRead != nil {
		if err := f.beforeRead(); err != nil {
			return 0, 0, 0, addr, err
		}
	}
	return f.UDPConn.ReadMsgUDPAddrPort(b, oob)
}

func (f *faulty) WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error) {
	if f.beforeWrite != nil {
		if err := f.beforeWrite(); err != nil {
			return 0, 0, err
		}
	}
	return f.UDPConn.WriteMsgUDPAddrPort(b, oob, addr)
}

// endpointOver makes an endpoint on a faulty socket of this machine.
func endpointOver(t *testing.T, f *faulty) *conn.Endpoint {
	t.Helper()
	var err error
	f.UDPConn, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	e, err := conn.NewEndpoint(f, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func TestDatagramsThatTheSystemRefusesToSendAreSentAgain(t *testing.T) {
	for name, refusal := range map[string]error{"no buffers": syscall.ENOBUFS, "would wait": syscall.EAGAIN, "forbidden": syscall.EPERM} {
		t.Run(name, func(t *testing.T) {
			var writes atomic.Int64
			e := endpointOver(t, &faulty{beforeWrite: func() error {
				if writes.Add(1)%7 == 0 {
					return refusal
				}
				return nil
			}})
			l, err := e.Listen()
			require.NoError(t, err)
			go serveEcho(l)
			config := &conn.Config{PeerKey: l.PublicKey()}
			require.NoError(t, roundTrip(t.Context(), e.Addr().String(), config, randomBytes(200_000)))
			require.Positive(t, l.Stats().SendErrors, "they are counted")
		})
	}
}

func TestReadsThatFailForAWhileCostTimeAndNothingElse(t *testing.T) {
	var failures atomic.Int64
	e := endpointOver(t, &faulty{beforeRead: func() error {
		if failures.Add(-1) >= 0 {
			return syscall.ENOMEM
		}
		return nil
	}})
	l, err := e.Listen()
	require.NoError(t, err)
	go serveEcho(l)
	config := &conn.Config{PeerKey: l.PublicKey()}
	require.NoError(t, roundTrip(t.Context(), e.Addr().String(), config, randomBytes(1000)))
	failures.Store(5)
	require.NoError(t, roundTrip(t.Context(), e.Addr().String(), config, randomBytes(100_000)))
	require.EqualValues(t, 5, l.Stats().ReadErrors)
}

func TestEndpointWhoseSocketFailedBeginsNothingNew(t *testing.T) {
	f := &faulty{}
	e := endpointOver(t, f)
	l, err := e.Listen()
	require.NoError(t, err)
	require.NoError(t, f.Close()) // behind the endpoint's back
	_, err = l.Accept()
	require.ErrorContains(t, err, "socket failed")
	_, err = e.Listen()
	require.ErrorContains(t, err, "socket failed")
	_, err = e.Dial(t.Context(), "127.0.0.1:9", &conn.Config{PeerKey: l.PublicKey()})
	require.ErrorContains(t, err, "socket failed", "at once, not as silence")
}

func TestDialEndsWithItsEndpoint(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		client := w.client()
		time.AfterFunc(time.Second, func() { _ = client.Close() })
		start := time.Now()
		_, err := client.Dial(context.Background(), "10.0.0.99:1", w.clientConfig())
		require.ErrorIs(t, err, net.ErrClosed)
		require.Equal(t, time.Second, time.Since(start))
	})
}

// unbounded is congestion control that never says no.
type unbounded struct{ congestion.Controller }

func (unbounded) Window() int        { return 1 << 30 }
func (unbounded) PacingRate() uint64 { return 1 << 40 }

// A session that always has something more to send must not keep whoever began to send: the next caller may
// be the reader of all other sessions.
func TestCallerIsNotKeptByASessionThatNeverFallsSilent(t *testing.T) {
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(t, err)
	defer l.Close()
	var restless atomic.Pointer[conn.Session]
	var writes atomic.Int64
	returned := make(chan struct{}) // by the caller who began to send
	kept := make(chan struct{})
	e := endpointOver(t, &faulty{beforeWrite: func() error {
		s := restless.Load()
		if s == nil {
			return nil
		}
		_, _ = s.Write([]byte("and another one")) // the next turn has something to send too
		if writes.Add(1) == 50 {
			restless.Store(nil)
			select {
			case <-returned:
			case <-time.After(10 * time.Second):
				close(kept)
			}
		}
		return nil
	}})
	c, err := e.Dial(t.Context(), l.Addr().String(), &conn.Config{
		PeerKey: l.PublicKey(),
		CongestionControl: func(c congestion.Config) congestion.Controller {
			return unbounded{congestion.NewCubic(c)}
		},
	})
	require.NoError(t, err)
	s, err := l.AcceptSession(t.Context())
	require.NoError(t, err)
	go func() { _, _ = io.Copy(io.Discard, s) }() // ends with the session
	stream, err := c.OpenStream(t.Context())
	require.NoError(t, err)
	time.Sleep(200 * time.Millisecond) // until the handshake and the probes of the path are over
	restless.Store(c)
	write(t, stream, "one write of many")
	select {
	case <-kept:
		t.Error("a Write sent fifty batches for others")
	default:
		close(returned)
	}
	require.NoError(t, c.CloseWithError(0, ""))
}

func TestSessionThatSendsAllTheTimeLeavesTheOthersTheirTurn(t *testing.T) {
	l, err := conn.Listen("127.0.0.1:0", &conn.Config{Shards: 1})
	require.NoError(t, err)
	defer l.Close()
	go serveEcho(l)
	config := &conn.Config{PeerKey: l.PublicKey()}
	greedy, err := conn.Dial(t.Context(), l.Addr().String(), config)
	require.NoError(t, err)
	go func() { _, _ = io.Copy(io.Discard, greedy) }() // both end with the session
	var written atomic.Int64                           // bytes
	go func() {
		for buf := make([]byte, 1<<20); ; written.Add(int64(len(buf))) {
			if _, err := greedy.Write(buf); err != nil {
				return
			}
		}
	}()
	modest := startPings(t, l)
	before := written.Load()
	require.Eventually(t, func() bool { return modest.count.Load() > 5 }, time.Minute, time.Millisecond)
	meanwhile := written.Load() - before
	modest.end(t)
	t.Logf("beside a greedy session, which wrote %d MB: %v", meanwhile>>20, modest.took)
	require.Less(t, meanwhile, int64(1<<28), "bytes: the speed of the machine is in both figures")
	require.NoError(t, greedy.CloseWithError(0, ""))
}

func TestAuthorizeRunsABoundedNumberOfTimesAtOnce(t *testing.T) {
	const clients, most = 300, 256
	var running, peak atomic.Int64
	config := &conn.Config{Authorize: func(conn.PeerInfo) error {
		peak.Store(max(peak.Load(), running.Add(1)))
		time.Sleep(time.Second)
		running.Add(-1)
		return nil
	}}
	inBubble(t, sim.Config{}, config, func(t *testing.T, w *world) {
		client := w.client()
		for range clients {
			_, err := client.Dial(t.Context(), serverAddr.String(), w.clientConfig())
			require.NoError(t, err)
		}
		for range clients {
			_, err := w.listener.AcceptSession(t.Context())
			require.NoError(t, err, "those who had to wait come too")
		}
		require.LessOrEqual(t, peak.Load(), int64(most))
		require.Zero(t, running.Load())
	})
}

func TestAddressTokenOfOneSessionSavesTheNextOneARoundTrip(t *testing.T) {
	inBubble(t, quick, &conn.Config{Retry: conn.RetryAlways}, func(t *testing.T, w *world) {
		client := w.client()
		for n, roundTrips := range []int{2, 1, 1} {
			start := time.Now()
			c, err := client.Dial(t.Context(), serverAddr.String(), w.clientConfig())
			require.NoError(t, err)
			require.Equal(t, time.Duration(2*roundTrips)*quick.Delay, time.Since(start), "session %d", n+1)
			time.Sleep(time.Second)
			require.NoError(t, c.Close())
		}
		require.EqualValues(t, 1, w.listener.Stats().Retries)
		for range 2 {
			_, err := client.Dial(t.Context(), serverAddr.String(), w.clientConfig())
			require.NoError(t, err)
		}
		require.EqualValues(t, 2, w.listener.Stats().Retries, "two at once: the second one has no token")
	})
}
