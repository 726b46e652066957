package conn_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/protocol/sim"
)

// numbered makes a message of size bytes that says which one it is.
func numbered(n, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(n + i)
	}
	binary.BigEndian.PutUint32(b, uint32(n))
	return b
}

func numberOf(t *testing.T, m conn.Message) int {
	n := int(binary.BigEndian.Uint32(m.Data))
	require.Equal(t, numbered(n, len(m.Data)), m.Data)
	return n
}

func TestMessagesOfAllModesCrossALossyLink(t *testing.T) {
	link := sim.Config{Delay: 20 * time.Millisecond, Loss: 0.1, Duplicate: 0.05, Reorder: 0.1}
	inBubble(t, link, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		const count = 300
		modes := []conn.Mode{conn.Unreliable, conn.Sequenced, conn.ReliableUnordered, conn.ReliableOrdered}
		go func() {
			for n := range count {
				for i, mode := range modes {
					size := 20 + n%7*400 // some are larger than a packet
					if err := c.SendMessage(numbered(n, size), conn.MessageOptions{Channel: uint16(i), Mode: mode}); err != nil {
						t.Errorf("message %d: %v", n, err)
					}
				}
				time.Sleep(time.Millisecond)
			}
			_ = c.Close() // delivers what is reliable first
		}()
		got := make([][]int, len(modes))
		for {
			m, err := s.ReceiveMessage(t.Context())
			if err != nil {
				require.ErrorIs(t, err, io.EOF)
				break
			}
			got[m.Channel] = append(got[m.Channel], numberOf(t, m))
		}
		for i, mode := range modes {
			seen := map[int]bool{}
			for k, n := range got[i] {
				require.False(t, seen[n], "%v: message %d came twice", mode, n)
				seen[n] = true
				switch mode {
				case conn.ReliableOrdered:
					require.Equal(t, k, n)
				case conn.Sequenced:
					require.True(t, k == 0 || n > got[i][k-1], "the newest wins")
				}
			}
			if mode == conn.ReliableUnordered || mode == conn.ReliableOrdered {
				require.Len(t, got[i], count)
			} else {
				require.Greater(t, len(got[i]), count/3)
				require.Less(t, len(got[i]), count)
			}
		}
	})
}

func TestOutcomesAreToldOnceAndMayCallTheSession(t *testing.T) {
	inBubble(t, sim.Config{Delay: 10 * time.Millisecond, Loss: 0.2}, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		outcomes := make(chan conn.Outcome, 1000)
		var again func(conn.Outcome)
		left := 200
		again = func(o conn.Outcome) {
			outcomes <- o
			if left--; left > 0 {
				if err := c.SendMessage([]byte("again"), conn.MessageOptions{Outcome: again}); err != nil {
					t.Errorf("SendMessage: %v", err)
				}
			}
		}
		require.NoError(t, c.SendMessage([]byte("first"), conn.MessageOptions{Outcome: again}))
		counts := map[conn.Outcome]int{}
		for range 200 {
			counts[<-outcomes]++
		}
		require.Greater(t, counts[conn.Acknowledged], 120)
		require.Greater(t, counts[conn.Lost], 10)
		require.Equal(t, 200, counts[conn.Acknowledged]+counts[conn.Lost])
		st := c.Stats().Messages
		require.EqualValues(t, counts[conn.Lost], st.Lost)
		require.NoError(t, s.CloseWithError(1, "gone"))
		for range 3 {
			_ = c.SendMessage(nil, conn.MessageOptions{Outcome: func(o conn.Outcome) { outcomes <- o }, Mode: conn.ReliableOrdered, Channel: 1})
		}
		<-c.Done()
		time.Sleep(time.Second)
		for len(outcomes) > 0 {
			require.Equal(t, conn.Lost, <-outcomes, "the session ended")
		}
	})
}

func TestReceiveMessageEndsWithContextAndSession(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := s.ReceiveMessage(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, c.SendMessage([]byte("hello"), conn.MessageOptions{Channel: 5}))
		small := make([]byte, 4)
		_, err = s.ReceiveMessageInto(t.Context(), small)
		require.ErrorIs(t, err, io.ErrShortBuffer)
		buf := make([]byte, 5)
		m, err := s.ReceiveMessageInto(t.Context(), buf)
		require.NoError(t, err)
		require.Equal(t, conn.Message{Channel: 5, Data: []byte("hello")}, m)
		require.Same(t, &buf[0], &m.Data[0])
		failed := make(chan error, 1)
		go func() {
			_, err := s.ReceiveMessage(t.Context())
			failed <- err
		}()
		time.Sleep(time.Millisecond)
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-failed, net.ErrClosed)
		require.ErrorIs(t, s.SendMessage(nil, conn.MessageOptions{}), net.ErrClosed)
	})
}

func TestAMessageQueueThatIsFullSaysSo(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		sent := 0
		for ; ; sent++ {
			err := c.SendMessage(numbered(sent, 100_000), conn.MessageOptions{Mode: conn.ReliableOrdered})
			if err != nil {
				require.ErrorIs(t, err, conn.ErrMessageQueueFull)
				break
			}
			require.Less(t, sent, 1000, "memory is bounded")
			time.Sleep(10 * time.Millisecond)
		}
		require.ErrorIs(t, c.SendMessage(make([]byte, 2<<20), conn.MessageOptions{}), conn.ErrMessageSize)
		for n := range sent {
			m, err := s.ReceiveMessage(t.Context())
			require.NoError(t, err)
			require.Equal(t, n, numberOf(t, m), "nothing that was accepted is dropped")
		}
	})
}

func TestMessagesOfATickShareAPacket(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		require.NoError(t, c.SendMessage(numbered(0, 50), conn.MessageOptions{Mode: conn.ReliableOrdered}))
		time.Sleep(time.Second)
		before := c.Stats().PacketsSent
		for n := 1; n <= 10; n++ {
			require.NoError(t, c.SendMessage(numbered(n, 50), conn.MessageOptions{Mode: conn.ReliableOrdered, More: true}))
		}
		require.Equal(t, before, c.Stats().PacketsSent)
		require.NoError(t, c.Flush())
		require.Equal(t, before+1, c.Stats().PacketsSent)
		require.NoError(t, c.SendMessage(numbered(11, 50), conn.MessageOptions{Mode: conn.ReliableOrdered, More: true}))
		for n := range 12 {
			m, err := s.ReceiveMessage(t.Context())
			require.NoError(t, err)
			require.Equal(t, n, numberOf(t, m), "what nobody flushed leaves by itself")
		}
	})
}

func TestReceiveBatchTakesTheMessagesOfAllSessions(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		early, err := w.client().Dial(t.Context(), serverAddr.String(), w.clientConfig())
		require.NoError(t, err)
		require.NoError(t, early.SendMessage(numbered(0, 9), conn.MessageOptions{Mode: conn.ReliableOrdered}))
		time.Sleep(100 * time.Millisecond)
		buf := make([]conn.Received, 8)
		require.Zero(t, w.listener.ReceiveBatch(buf), "nobody has accepted the session")
		_, err = w.listener.AcceptSession(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, w.listener.ReceiveBatch(buf))
		next := map[*conn.Session]int{}
		var clients []*conn.Session
		for range 5 {
			c, s := w.pair()
			clients = append(clients, c)
			next[s] = 0
		}
		for n := range 20 {
			for _, c := range clients {
				require.NoError(t, c.SendMessage(numbered(n, 9), conn.MessageOptions{Mode: conn.ReliableOrdered}))
			}
		}
		time.Sleep(time.Second)
		for total := 0; total < 100; {
			n := w.listener.ReceiveBatch(buf)
			require.Equal(t, min(len(buf), 100-total), n)
			for _, m := range buf[:n] {
				require.Equal(t, next[m.Session], numberOf(t, m.Message))
				next[m.Session]++
			}
			total += n
		}
		require.Zero(t, w.listener.ReceiveBatch(buf))
		require.Len(t, next, 5)
	})
}

func TestAPeerThatTakesNoMessagesIsAskedForNone(t *testing.T) {
	inBubble(t, quick, &conn.Config{MaxChannels: -1}, func(t *testing.T, w *world) {
		c, s := w.pair()
		require.ErrorIs(t, c.SendMessage(nil, conn.MessageOptions{}), conn.ErrChannelLimit)
		require.NoError(t, s.SendMessage([]byte("the other way"), conn.MessageOptions{}))
		m, err := c.ReceiveMessage(t.Context())
		require.NoError(t, err)
		require.Equal(t, "the other way", string(m.Data))
	})
	_, err := conn.Listen("127.0.0.1:0", &conn.Config{MaxChannels: 65537})
	require.ErrorContains(t, err, "MaxChannels")
	_, err = conn.Listen("127.0.0.1:0", &conn.Config{MessageBuffer: -1})
	require.ErrorContains(t, err, "MessageBuffer")
	require.False(t, errors.Is(err, net.ErrClosed))
}

func TestPlayoutKeepsThePaceOfTheSource(t *testing.T) {
	link := sim.Config{Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.01}
	inBubble(t, link, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		const count, gap, budget = 500, 20 * time.Millisecond, 300 * time.Millisecond
		start := time.Now()
		go func() {
			o := conn.MessageOptions{Mode: conn.ReliableOrdered, Deadline: budget, Playout: budget}
			for n := range count {
				if err := c.SendMessage(numbered(n, 1000), o); err != nil {
					t.Errorf("message %d: %v", n, err)
				}
				time.Sleep(gap)
			}
		}()
		var first time.Duration
		for n := -1; n < count-1; {
			m, err := s.ReceiveMessage(t.Context())
			require.NoError(t, err)
			n = numberOf(t, m)
			took := time.Since(start) - time.Duration(n)*gap
			if n == 200 {
				first = took
				require.InDelta(t, float64(link.Delay+budget), float64(took), float64(8*time.Millisecond))
			}
			if n >= 200 { // to the tick of the timers
				require.InDelta(t, float64(first), float64(took), float64(3*time.Millisecond), "message %d", n)
			}
		}
	})
}
