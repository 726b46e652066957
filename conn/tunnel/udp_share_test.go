package tunnel

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/sim"
)

// sinkTCP is a TCP connection to a target that takes everything and says nothing.
type sinkTCP struct {
	net.Conn
	got  atomic.Int64 // bytes
	over chan struct{}
}

func (c *sinkTCP) Write(b []byte) (int, error) {
	c.got.Add(int64(len(b)))
	return len(b), nil
}

func (c *sinkTCP) Read([]byte) (int, error) {
	<-c.over
	return 0, net.ErrClosed
}

func (c *sinkTCP) Close() error                    { return nil }
func (c *sinkTCP) CloseWrite() error               { return nil }
func (c *sinkTCP) SetLinger(int) error             { return nil }
func (c *sinkTCP) SetDeadline(time.Time) error     { return nil }
func (c *sinkTCP) SetReadDeadline(time.Time) error { return nil }

// flood sends datagrams of 1380 bytes, as a VPN with a transfer inside would, at a rate in Mbit/s until ctx ends.
func (w *udpWorld) flood(ctx context.Context, at, to string, rate float64) {
	s := w.socket(at)
	tick := time.NewTicker(time.Duration(1380 * 8 / rate * float64(time.Microsecond)))
	go func() {
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_, _ = s.WriteToUDPAddrPort(make([]byte, 1380), netip.MustParseAddrPort(to))
			case <-ctx.Done():
				return
			}
		}
	}()
}

// tcp carries a connection through the tunnel that sends as much as it can until ctx ends, and returns where it arrives.
func (w *udpWorld) tcp(ctx context.Context) *sinkTCP {
	sink := &sinkTCP{over: make(chan struct{})}
	w.server.dialer.connect = func(context.Context, netip.AddrPort) (tcpConn, error) { return sink, nil }
	t, _, err := w.client.openStream(ctx, Target{Network: NetworkTCP, Addr: serverHost, Port: 80})
	require.NoError(w.t, err)
	require.NoError(w.t, awaitReply(t, Target{}))
	go func() {
		defer close(sink.over)
		defer t.Reset(streamReset)
		for b := make([]byte, 64<<10); ctx.Err() == nil; {
			if _, err := t.Write(b); err != nil {
				return
			}
		}
	}()
	return sink
}

func TestAVPNAndTCPShareThePath(t *testing.T) {
	// spec: TUN-47
	allow := append([]string{"tcp://10.0.0.0/8:80"}, allowAll...)
	link := sim.Config{Delay: 20 * time.Millisecond, Rate: 10e6, Queue: 50_000}
	inUDPWorld(t, link, allow, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward, "udp://10.1.0.1:53=udp://10.2.0.1:53"}, nil)
		vpn, dns, asking := w.socket(farPort), w.socket("10.2.0.1:53"), w.socket("10.1.0.1:4000")
		ctx, cancel := context.WithCancel(context.Background())
		sink := w.tcp(ctx)
		w.flood(ctx, program, nearPort, 20)
		w.wait(5 * time.Second)
		_, _ = w.got(vpn, time.Millisecond)
		before := sink.got.Load()
		var worst time.Duration
		var bytes int64
		for range 40 { // 10 s
			asked := time.Now()
			w.send(asking, "10.1.0.1:53", "where is it")
			require.NoError(t, dns.SetReadDeadline(time.Now().Add(time.Second)))
			_, _, err := dns.ReadFromUDPAddrPort(make([]byte, 100))
			require.NoError(t, err)
			worst = max(worst, time.Since(asked))
			w.wait(250*time.Millisecond - time.Since(asked))
			got, _ := w.got(vpn, time.Microsecond)
			bytes += int64(1380 * len(got))
		}
		tcp, udp := float64(sink.got.Load()-before)*8/10e6, float64(bytes)*8/10e6
		cancel()
		w.wait(time.Second)
		t.Logf("TCP %.2f Mbit/s, VPN %.2f Mbit/s, a question took %v at most", tcp, udp, worst)
		require.InEpsilon(t, 1, tcp/udp, 0.2)
		require.Greater(t, tcp+udp, 8.0)
		require.Less(t, worst, 80*time.Millisecond)
	})
}
