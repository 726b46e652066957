package conn_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
)

var ordered = conn.MessageOptions{Mode: conn.ReliableOrdered}

func TestReceiveBatchOfASessionDoesNotWait(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		buf := make([]conn.Received, 3)
		for _, pair := range [][2]*conn.Session{{c, s}, {s, c}} {
			from, to := pair[0], pair[1]
			require.Zero(t, to.ReceiveBatch(buf))
			for n := range 4 {
				require.NoError(t, from.SendMessage(numbered(n, 9), ordered))
			}
			time.Sleep(time.Second)
			require.Equal(t, 3, to.ReceiveBatch(buf))
			require.Equal(t, 1, to.ReceiveBatch(buf[2:]))
			require.Zero(t, to.ReceiveBatch(buf))
			for i, m := range buf {
				require.Equal(t, []int{0, 1, 3}[i], numberOf(t, m.Message))
				require.Equal(t, to, m.Session)
			}
		}
		require.NoError(t, c.SendMessage(numbered(4, 9), ordered))
		time.Sleep(time.Second)
		require.Equal(t, 1, w.listener.ReceiveBatch(buf), "the listener's call sees what the session's has left")
		require.NoError(t, s.Close())
		require.Zero(t, s.ReceiveBatch(buf))
	})
}

// Whoever receives in another way than with ReceiveBatch has no use for the listener's list, which would keep all
// sessions in memory that ever got a message.
func TestASessionThatIsOverIsNotKeptForReceiveBatch(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		for name, finish := range map[string]func(c, s *conn.Session){
			"closed here":            func(_, s *conn.Session) { require.NoError(t, s.Close()) },
			"closed with an error":   func(_, s *conn.Session) { require.NoError(t, s.CloseWithError(1, "")) },
			"closed by the peer":     func(c, _ *conn.Session) { require.NoError(t, c.Close()) },
			"left with its messages": func(c, _ *conn.Session) { require.NoError(t, c.CloseWithError(1, "")) },
		} {
			c, s := w.pair()
			require.NoError(t, c.SendMessage(numbered(0, 9), ordered))
			time.Sleep(time.Second)
			require.Equal(t, 1, w.listener.Listed(), name)
			finish(c, s)
			time.Sleep(time.Minute)
			require.Zero(t, w.listener.Listed(), name)
		}
	})
}

func TestReceiveBatchTakesWhatASessionLeft(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		buf := make([]conn.Received, 3)
		require.Zero(t, w.listener.ReceiveBatch(buf))
		c, _ := w.pair()
		require.NoError(t, c.SendMessage(numbered(0, 9), ordered))
		time.Sleep(time.Second)
		require.NoError(t, c.Close())
		time.Sleep(time.Minute)
		require.Equal(t, 1, w.listener.ReceiveBatch(buf))
		require.Zero(t, w.listener.Listed())
	})
}

func TestSessionsTakeTurnsInReceiveBatch(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		var sessions []*conn.Session
		for range 3 {
			c, s := w.pair()
			sessions = append(sessions, s)
			for n := range 2 {
				require.NoError(t, c.SendMessage(numbered(n, 9), ordered))
			}
			time.Sleep(time.Second)
		}
		buf := make([]conn.Received, 1)
		for n := range 2 {
			for _, s := range sessions {
				require.Equal(t, 1, w.listener.ReceiveBatch(buf))
				require.Equal(t, s, buf[0].Session)
				require.Equal(t, n, numberOf(t, buf[0].Message))
			}
		}
		require.NoError(t, sessions[1].Close())
		require.Zero(t, w.listener.ReceiveBatch(buf))
	})
}
