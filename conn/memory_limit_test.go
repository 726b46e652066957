package conn_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
)

const (
	smallLimit = 16 << 20 // bytes, the least that Config.MemoryLimit takes
	// lag is how much more than the limit is held at a moment: what a batch of datagrams, a message and a write hold.
	lag = 2 << 20
)

// many makes sessions from one endpoint, and returns both ends.
func (w *world) many(n int) (clients, servers []*conn.Session) {
	w.t.Helper()
	e := w.client()
	for range n {
		c, err := e.Dial(w.t.Context(), serverAddr.String(), w.clientConfig())
		require.NoError(w.t, err)
		s, err := w.listener.AcceptSession(w.t.Context())
		require.NoError(w.t, err)
		clients, servers = append(clients, c), append(servers, s)
	}
	return clients, servers
}

func closeAll(t *testing.T, sessions []*conn.Session) {
	t.Helper()
	for _, s := range sessions {
		_ = s.CloseWithError(0, "") // it may be over
	}
}

// spec: SESS-26 SESS-27 SESS-28
func TestReadersThatStopHoldNoMoreThanTheLimit(t *testing.T) {
	inBubble(t, quick, &conn.Config{MemoryLimit: smallLimit}, func(t *testing.T, w *world) {
		clients, servers := w.many(40)
		data := randomBytes(600_000)
		for _, c := range clients {
			go func() { _, _ = c.Write(data) }()
		}
		var st conn.EndpointStats
		back := 0
		for range 60 {
			time.Sleep(time.Second)
			st = w.listener.Stats()
			require.LessOrEqual(t, st.Memory, int64(smallLimit+lag))
			back = max(back, st.HeldBack)
		}
		require.Greater(t, st.Memory, int64(smallLimit/4), "much is held")
		require.EqualValues(t, smallLimit, st.MemoryLimit)
		require.Positive(t, back)

		honest, other := w.many(1)
		go func() { _, _ = honest[0].Write(data) }()
		got := make([]byte, len(data))
		_, err := io.ReadFull(other[0], got)
		require.NoError(t, err, "whoever reads goes on")
		require.True(t, bytes.Equal(data, got))

		for _, s := range servers {
			_, err := io.ReadFull(s, got)
			require.NoError(t, err, "what waited for memory arrives when there is some")
			require.True(t, bytes.Equal(data, got))
		}
		closeAll(t, append(servers, other...))
		time.Sleep(time.Minute)
		st = w.listener.Stats()
		require.Zero(t, st.Sessions)
		require.Zero(t, st.Memory, "sessions that are over hold nothing")
		require.Zero(t, st.HeldBack)
	})
}

// spec: SESS-29
func TestWritersWaitAndMessagesAreRefusedAtTheLimit(t *testing.T) {
	inBubble(t, quick, &conn.Config{MemoryLimit: smallLimit}, func(t *testing.T, w *world) {
		clients, servers := w.many(40)
		ordered := conn.MessageOptions{Mode: conn.ReliableOrdered}
		message := randomBytes(10_000)
		sent := make([]int, len(servers))
		for i, s := range servers {
			for {
				err := s.SendMessage(message, ordered)
				if errors.Is(err, conn.ErrMessageQueueFull) {
					break
				}
				require.NoError(t, err)
				sent[i]++
			}
			require.Positive(t, sent[i], "each gets a part")
		}
		require.Greater(t, w.listener.Stats().Memory, int64(smallLimit/4))
		require.Equal(t, len(servers), w.listener.Stats().HeldBack)
		data := randomBytes(300_000)
		written := make(chan error, len(servers))
		for _, s := range servers {
			go func() {
				_, err := s.Write(data)
				written <- err
			}()
		}
		for range 10 {
			time.Sleep(time.Second)
			require.LessOrEqual(t, w.listener.Stats().Memory, int64(smallLimit+lag))
		}
		buf := make([]byte, len(message))
		for i, c := range clients {
			go func() { _, _ = io.Copy(io.Discard, c) }()
			for range sent[i] {
				m, err := c.ReceiveMessageInto(t.Context(), buf)
				require.NoError(t, err)
				require.True(t, bytes.Equal(message, m.Data))
			}
		}
		for range servers {
			require.NoError(t, <-written, "writers go on when there is memory again")
		}
		closeAll(t, append(clients, servers...))
		time.Sleep(time.Minute)
		require.Zero(t, w.listener.Stats().Memory)
	})
}

func TestASessionThatIsOverCountsUntilItIsReadOrClosed(t *testing.T) {
	inBubble(t, quick, &conn.Config{MemoryLimit: smallLimit}, func(t *testing.T, w *world) {
		clients, servers := w.many(2)
		data := randomBytes(200_000)
		for _, c := range clients {
			_, err := c.Write(data)
			require.NoError(t, err)
			require.NoError(t, c.Close())
		}
		time.Sleep(2 * time.Minute)
		require.Zero(t, w.listener.Stats().Sessions)
		require.GreaterOrEqual(t, w.listener.Stats().Memory, int64(2*len(data)))
		got, err := io.ReadAll(servers[0])
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		require.Less(t, w.listener.Stats().Memory, int64(len(data)+100_000))
		require.NoError(t, servers[1].Close())
		require.Zero(t, w.listener.Stats().Memory)
	})
}

// An application that forgets a session without closing it must not use up the endpoint's memory.
func TestASessionThatNobodyHasCountsNoMore(t *testing.T) {
	l, err := conn.Listen("127.0.0.1:0", &conn.Config{Shards: 1})
	require.NoError(t, err)
	defer l.Close()
	func() {
		c, err := conn.Dial(t.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
		require.NoError(t, err)
		_, err = c.Write(make([]byte, 100_000))
		require.NoError(t, err)
		s, err := l.AcceptSession(t.Context())
		require.NoError(t, err)
		require.NoError(t, c.Close())
		<-s.Done()
		require.Eventually(t, func() bool { return l.Stats().Sessions == 0 }, 20*time.Second, 10*time.Millisecond)
		require.Greater(t, l.Stats().Memory, int64(100_000))
		runtime.KeepAlive(s)
	}()
	require.Eventually(t, func() bool {
		runtime.GC()
		return l.Stats().Memory == 0
	}, 20*time.Second, 10*time.Millisecond)
}

func TestMemoryIsBoundedByDefault(t *testing.T) {
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(t, err)
	require.EqualValues(t, 2<<30, l.Stats().MemoryLimit)
	require.NoError(t, l.Close())
	l, err = conn.Listen("127.0.0.1:0", &conn.Config{MemoryLimit: -1})
	require.NoError(t, err)
	require.Zero(t, l.Stats().MemoryLimit)
	require.NoError(t, l.Close())
	_, err = conn.Listen("127.0.0.1:0", &conn.Config{MemoryLimit: 1 << 20})
	require.ErrorContains(t, err, "MemoryLimit")
}

// spec: SESS-30
func TestThereIsMemoryForANewSessionWhileOldOnesCanWork(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		limit, data, sessions int64
		want                  bool
		why                   string
	}{
		{64 * mib, 0, 0, true, "nothing is used"},
		{64 * mib, 25 * mib, 100, true, "there is some left"},
		{64 * mib, 50 * mib, 100, false, "it would get too little to work"},
		{64 * mib, 0, 4095, true, "sessions take a little less than half"},
		{64 * mib, 0, 4096, false, "sessions take half of it"},
		{0, 1 << 40, 1 << 20, true, "no bound"},
	} {
		require.Equal(t, c.want, conn.MemoryForNewSession(c.limit, c.data, c.sessions), c.why)
	}
}

// Those who come first and stop reading must not leave nothing to those who come later.
func TestSessionsThatHoldAllTheyMayLeaveSomeForTheNext(t *testing.T) {
	const limit = 1 << 30
	data := int64(0)
	for n := range int64(100_000) {
		share := int64(conn.MemoryShare(limit, data))
		switch {
		case n == 0:
			require.EqualValues(t, limit*7/8/8, share)
		case n < 2000:
			require.Greater(t, share, limit*7/8/13/(n+1), "after %d", n)
		case data < limit:
			require.GreaterOrEqual(t, share, int64(16<<10), "after %d", n)
		default:
			require.Zero(t, share)
			require.Greater(t, n, int64(8000))
			require.LessOrEqual(t, data, int64(limit+16<<10))
			return
		}
		data += share
	}
	t.Fatal("it is never used up")
}
