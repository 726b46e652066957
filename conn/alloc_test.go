//go:build !race

package conn_test // not with the race detector: it empties pools at random

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/internal/testutil"
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
			require.Zero(t, testutil.FewestAllocs(500, func() { there(small) }), "100 bytes")
			require.Zero(t, testutil.FewestAllocs(500, func() { there(large) }), "20 kB")
		})
	}
}

// Bulk data in small datagrams, as fast as it goes, both ways at once: sockets, readers, acknowledgements and
// retransmission state of both ends are in the figure. Tables grow with the window, so the first rounds may allocate.
func TestBulkDoesNotAllocateForPackets(t *testing.T) {
	config := &conn.Config{MaxDatagram: 1452}
	l, err := conn.Listen("127.0.0.1:0", config)
	require.NoError(t, err)
	defer l.Close()
	c, err := conn.Dial(t.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey(), MaxDatagram: 1452})
	require.NoError(t, err)
	defer c.Close()
	s, err := l.AcceptSession(t.Context())
	require.NoError(t, err)
	defer s.Close()
	const roundBytes, rounds = 8 << 20, 30
	done := make(chan error, 4)
	var begin []chan struct{} // a round of one direction at one end
	work := func(step func(n int) (int, error)) {
		c := make(chan struct{})
		begin = append(begin, c)
		go func() {
			for range c {
				var err error
				for n, k := 0, 0; n < roundBytes && err == nil; n += k {
					k, err = step(roundBytes - n)
				}
				done <- err
			}
		}()
	}
	for _, end := range []*conn.Session{c, s} {
		in, out := make([]byte, 128<<10), make([]byte, 128<<10)
		work(func(n int) (int, error) { return end.Write(out[:min(n, len(out))]) })
		work(func(n int) (int, error) { return end.Read(in[:min(n, len(in))]) })
	}
	fewest := 1.0
	for range rounds {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		packets := c.Stats().PacketsSent + s.Stats().PacketsSent
		for _, c := range begin {
			c <- struct{}{}
		}
		for range begin {
			require.NoError(t, <-done)
		}
		runtime.ReadMemStats(&after)
		packets = c.Stats().PacketsSent + s.Stats().PacketsSent - packets
		require.Greater(t, packets, uint64(2*roundBytes/1452))
		fewest = min(fewest, float64(after.Mallocs-before.Mallocs)/float64(packets))
	}
	for _, c := range begin {
		close(c)
	}
	// A hundredth stands for none: a goroutine may be handed the sending of a long burst.
	require.Less(t, fewest, 0.01, "allocations for each packet")
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
			require.Zero(t, testutil.FewestAllocs(500, there), "%v, %d bytes", options.Mode, size)
		}
	}
	require.Zero(t, testutil.FewestAllocs(100, func() { _ = s.ChannelStats(1) }))
}
