//go:build !race

package tunnel // not with the race detector: it empties pools at random

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/internal/testutil"
)

func TestDatagramsDoNotAllocate(t *testing.T) {
	target, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer target.Close()
	to := udpTarget(target.LocalAddr())
	for name, o := range map[string]UDPOptions{"plain": {}, "ordered": {Deadline: time.Second}} {
		t.Run(name, func(t *testing.T) {
			e := startUDP(t, udpForwardTo(to, o))
			c := e.program(0)
			data, in := make([]byte, 1100), make([]byte, 2000)
			// once tells whether the datagram and its answer came: a plain forward drops what is too old when the
			// machine pauses.
			once := func() bool {
				_, err := c.Write(data)
				require.NoError(t, err)
				_ = target.SetReadDeadline(time.Now().Add(askPause))
				_, from, err := target.ReadFromUDPAddrPort(in)
				if err != nil {
					return false
				}
				_, err = target.WriteToUDPAddrPort(data, from)
				require.NoError(t, err)
				_ = c.SetReadDeadline(time.Now().Add(askPause))
				_, err = c.Read(in)
				return err == nil
			}
			exchange := func() {
				tries := 1
				for ; tries < 20 && !once(); tries++ {
				}
				if tries == 20 {
					t.Fatal("no answer")
				}
			}
			for range 1000 {
				exchange()
			}
			require.Zero(t, testutil.FewestAllocs(1000, exchange))
		})
	}
}

// BenchmarkDatagrams sends datagrams of 1,380 bytes through the tunnel as fast as their answers come, 64 at a time.
func BenchmarkDatagrams(b *testing.B) {
	benchmarkDatagrams(b, 64)
}

// BenchmarkDatagramRoundTrip has one datagram under way.
func BenchmarkDatagramRoundTrip(b *testing.B) { benchmarkDatagrams(b, 1) }

func benchmarkDatagrams(b *testing.B, window int) {
	e := startUDP(b, udpForwardTo(udpEcho(b), UDPOptions{}))
	c := e.program(0)
	require.NoError(b, c.SetReadBuffer(farBuffer))
	data, in := make([]byte, 1380), make([]byte, 2000)
	b.SetBytes(int64(2 * len(data)))
	sent, got := 0, 0
	for b.Loop() {
		for sent-got < window {
			_, err := c.Write(data)
			require.NoError(b, err)
			sent++
		}
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := c.Read(in); err != nil {
			got = sent // lost
			continue
		}
		got++
	}
}
