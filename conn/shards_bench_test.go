package conn_test

import (
	"context"
	"io"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
)

// shardCores is how many processors it takes to say what a second shard is worth: with fewer, clients and server share them.
const shardCores = 8

// BenchmarkShards compares what a listener of one shard takes with what one of two does: packets of 1,200 bytes of six
// clients that send as fast as they can. Five turns each, one after the other; the medians are reported, as packets a second and their
// ratio, which is to be at least 1.7.
func BenchmarkShards(b *testing.B) {
	if n := runtime.GOMAXPROCS(0); n < shardCores {
		b.Logf("two shards against one: not measured, with %d processors of the %d that it takes", n, shardCores)
		return
	}
	var rates [2][]float64
	for range 5 {
		for i := range rates {
			rates[i] = append(rates[i], packetsOverShards(b, i+1))
		}
	}
	for i := range rates {
		slices.Sort(rates[i])
	}
	one, two := rates[0][2], rates[1][2]
	b.ReportMetric(one, "packets/s/one")
	b.ReportMetric(two, "packets/s/two")
	b.ReportMetric(two/one, "ratio")
	b.ReportMetric(0, "ns/op")
}

// packetsOverShards returns how many packets a second a listener receives.
func packetsOverShards(b *testing.B, shards int) float64 {
	const clients, warm, counted = 6, 300 * time.Millisecond, time.Second
	l, err := conn.Listen("127.0.0.1:0", &conn.Config{Shards: shards})
	require.NoError(b, err)
	defer l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var sessions []*conn.Session
	for range clients {
		c, err := conn.Dial(ctx, l.Addr().String(), &conn.Config{PeerKey: l.PublicKey(), MaxDatagram: 1200})
		require.NoError(b, err)
		defer c.CloseWithError(0, "")
		s, err := l.AcceptSession(ctx)
		require.NoError(b, err)
		sessions = append(sessions, s)
		go func() { _, _ = io.Copy(io.Discard, s) }()
		go func() {
			for buf := make([]byte, 256<<10); ; {
				if _, err := c.Write(buf); err != nil {
					return
				}
			}
		}()
	}
	received := func() (n uint64) {
		for _, s := range sessions {
			n += s.Stats().PacketsReceived
		}
		return n
	}
	time.Sleep(warm)
	before, start := received(), time.Now()
	time.Sleep(counted)
	return float64(received()-before) / time.Since(start).Seconds()
}
