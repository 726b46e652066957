//go:build !race

package conn_test // not with the race detector: it empties pools at random

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
)

// The figures are averages over all goroutines of the process, readers and wheels of both ends included, and
// are rounded down: what happens once in a while is no allocation for each packet.
func TestReadsAndWritesDoNotAllocate(t *testing.T) {
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(t, err)
	defer l.Close()
	c, err := conn.Dial(t.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	require.NoError(t, err)
	defer c.Close()
	s, err := l.AcceptSession(t.Context())
	require.NoError(t, err)
	defer s.Close()
	a, b := streams(t, c, s)
	for name, ends := range map[string][2]interface {
		Read([]byte) (int, error)
		Write([]byte) (int, error)
	}{"session": {c, s}, "stream": {a, b}} {
		t.Run(name, func(t *testing.T) {
			small, large, in := make([]byte, 100), make([]byte, 20_000), make([]byte, 32_000)
			there := func(data []byte) {
				_, err := ends[0].Write(data)
				require.NoError(t, err)
				for n := 0; n < len(data); {
					k, err := ends[1].Read(in)
					require.NoError(t, err)
					n += k
				}
			}
			for range 200 {
				there(small) // buffers and tables grow to their size
				there(large)
			}
			require.Zero(t, testing.AllocsPerRun(500, func() { there(small) }), "100 bytes")
			require.Zero(t, testing.AllocsPerRun(500, func() { there(large) }), "20 kB")
		})
	}
}

func TestMessagesDoNotAllocate(t *testing.T) {
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(t, err)
	defer l.Close()
	c, err := conn.Dial(t.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	require.NoError(t, err)
	defer c.Close()
	s, err := l.AcceptSession(t.Context())
	require.NoError(t, err)
	defer s.Close()
	in := make([]byte, 1200)
	ctx := t.Context()
	for channel, options := range []conn.MessageOptions{
		{Mode: conn.ReliableOrdered, Outcome: func(conn.Outcome) {}},
		{Mode: conn.ReliableOrdered, Deadline: time.Second},
		{Mode: conn.ReliableUnordered, Deadline: time.Second, Playout: time.Millisecond},
		{Mode: conn.Sequenced},
		{Mode: conn.Unreliable},
	} {
		options.Channel = uint16(channel)
		for _, size := range []int{20, 1150} {
			out := make([]byte, size)
			there := func() {
				if err := c.SendMessage(out, options); err != nil {
					t.Fatal(err)
				}
				if m, err := s.ReceiveMessageInto(ctx, in); err != nil || len(m.Data) != len(out) {
					t.Fatalf("%d bytes: %v", len(m.Data), err)
				}
			}
			for range 300 {
				there()
			}
			require.Zero(t, testing.AllocsPerRun(500, there), "%v, %d bytes", options.Mode, size)
		}
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = s.ChannelStats(1) }))
}
