package conn_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
)

// more has a message wait for a Flush.
var more = conn.MessageOptions{Mode: conn.ReliableOrdered, More: true}

// crowd returns both ends of n sessions between one endpoint and the world's listener.
func (w *world) crowd(n int) (e *conn.Endpoint, clients, servers []*conn.Session) {
	w.t.Helper()
	e = w.client()
	for range n {
		c, err := e.Dial(w.t.Context(), serverAddr.String(), w.clientConfig())
		require.NoError(w.t, err)
		s, err := w.listener.AcceptSession(w.t.Context())
		require.NoError(w.t, err)
		clients, servers = append(clients, c), append(servers, s)
	}
	time.Sleep(time.Second) // what follows a handshake is over
	return e, clients, servers
}

// wants asserts that each session gets one message, with its own number, and no more.
func wants(t *testing.T, sessions []*conn.Session) {
	t.Helper()
	buf := make([]conn.Received, 2)
	for n, s := range sessions {
		require.Equal(t, 1, s.ReceiveBatch(buf))
		require.Equal(t, n, numberOf(t, buf[0].Message))
	}
}

func TestSessionsShareAnOutbox(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		_, clients, servers := w.crowd(5)
		for n, c := range clients {
			require.NoError(t, c.SendMessage(numbered(n, 30), more))
		}
		datagrams, senders := conn.SendTogether(clients)
		require.Equal(t, 5, datagrams)
		require.Equal(t, 5, senders)
		time.Sleep(quick.Delay + time.Millisecond)
		wants(t, servers)
		require.NoError(t, servers[0].CloseWithError(1, ""))
		time.Sleep(time.Second)
		datagrams, senders = conn.SendTogether(clients)
		require.Zero(t, datagrams)
		require.Zero(t, senders)
	})
}

// What does not fit into an outbox follows by itself, in order, and in the end all of it arrives.
func TestAnOutboxThatIsFullIsWritten(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		_, clients, servers := w.crowd(3)
		for n := range 400 {
			for _, c := range clients {
				require.NoError(t, c.SendMessage(numbered(n, 1000), more))
			}
		}
		conn.SendTogether(clients)
		time.Sleep(10 * time.Second)
		buf := make([]conn.Received, 401)
		for _, s := range servers {
			require.Equal(t, 400, s.ReceiveBatch(buf))
			for n, m := range buf[:400] {
				require.Equal(t, n, numberOf(t, m.Message))
			}
		}
	})
}

func TestFlushSendsWhatAllSessionsHoldBack(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		e, clients, servers := w.crowd(4)
		for name, way := range map[string]struct {
			from, to []*conn.Session
			flush    func()
		}{
			"up":   {clients, servers, e.Flush},
			"down": {servers, clients, w.listener.Flush},
		} {
			var mu sync.Mutex
			datagrams := 0
			from := way.from[0].LocalAddr().String()
			w.net.Tap(func(sender, _ netip.AddrPort, _ []byte) bool {
				mu.Lock()
				defer mu.Unlock()
				if sender.String() == from {
					datagrams++
				}
				return true
			})
			for n, s := range way.from {
				require.NoError(t, s.SendMessage(numbered(n, 30), more))
			}
			way.flush()
			mu.Lock()
			require.Equal(t, len(way.from), datagrams, name)
			mu.Unlock()
			time.Sleep(quick.Delay + time.Millisecond)
			wants(t, way.to)
			time.Sleep(time.Second)
			way.flush()
			time.Sleep(time.Second)
			for _, s := range way.to {
				require.Zero(t, s.ReceiveBatch(make([]conn.Received, 1)), name)
			}
		}
	})
}

// A message that waits for a Flush which does not come leaves all the same, each session's after its own time.
func TestWhatNobodyFlushesLeavesByItself(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		const (
			hold  = 5 * time.Millisecond
			apart = 2 * time.Millisecond
			tick  = 1100 * time.Microsecond // the wheel rounds up to less than that
		)
		_, clients, servers := w.crowd(3)
		start := time.Now()
		for n, c := range clients {
			time.Sleep(time.Until(start.Add(time.Duration(n) * apart)))
			require.NoError(t, c.SendMessage(numbered(n, 30), more))
		}
		buf := make([]conn.Received, 1)
		for n, s := range servers {
			due := start.Add(time.Duration(n)*apart + hold + quick.Delay)
			time.Sleep(time.Until(due.Add(-time.Microsecond)))
			require.Zero(t, s.ReceiveBatch(buf), n)
			time.Sleep(time.Until(due.Add(tick)))
			require.Equal(t, 1, s.ReceiveBatch(buf), n)
		}
	})
}

func TestReceiveBatchOfAnEndpointTakesFromAllDialedSessions(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		e, clients, servers := w.crowd(3)
		buf := make([]conn.Received, 5)
		require.Zero(t, e.ReceiveBatch(buf))
		for n, s := range servers {
			require.NoError(t, s.SendMessage(numbered(n, 30), ordered))
			require.NoError(t, s.SendMessage(numbered(n, 40), ordered))
			time.Sleep(time.Second)
		}
		require.Equal(t, 5, e.ReceiveBatch(buf))
		for i, m := range buf {
			require.Equal(t, clients[i/2], m.Session)
			require.Equal(t, i/2, numberOf(t, m.Message))
		}
		require.Equal(t, 1, e.ReceiveBatch(buf))
		require.Zero(t, e.ReceiveBatch(buf))
	})
}
