//go:build linux && e2e

package main

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/godwit-net/godwit/bench/netpath"
	"github.com/godwit-net/godwit/internal/testutil"
)

func TestMain(m *testing.M) { testutil.Main(m) }

// patience is for what must happen: a busy machine may take its time.
const patience = 20 * time.Second

// newTestPath makes a path that ends with the test.
func newTestPath(t *testing.T, link string) *netpath.Path {
	t.Helper()
	p, err := netpath.New(link)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func connectOver(t *testing.T, p *netpath.Path, s sender) *transfer {
	t.Helper()
	x, err := connect(t.Context(), p, s)
	require.NoError(t, err)
	t.Cleanup(x.close)
	return x
}

func TestBytesArriveAsTheyWereSent(t *testing.T) {
	const size = 1_000_000
	for _, s := range allSenders {
		t.Run(s.String(), func(t *testing.T) {
			p := newTestPath(t, "rate=50mbit,delay=2ms,queue=1MB,loss=1%")
			x := connectOver(t, p, s)
			sent := sha256.New()
			go func() {
				data := io.LimitReader(rand.NewChaCha8([32]byte{'n', 's'}), size)
				_, _ = io.Copy(x.in, io.TeeReader(data, sent))
				_ = x.in.Close()
			}()
			received := sha256.New()
			n, err := io.Copy(received, x.out)
			require.NoError(t, err)
			require.EqualValues(t, size, n)
			require.Equal(t, sent.Sum(nil), received.Sum(nil))
			lost, all := x.lost()
			require.NotZero(t, lost)
			require.Greater(t, all, uint64(size/1500))
			stats := p.Bridge.Stats()
			require.NotZero(t, stats.Up.Dropped())
		})
	}
}

func TestRateAndDelayAreThoseOfTheLink(t *testing.T) {
	for _, s := range []sender{tcpCubic, adaptive} {
		begin := time.Now()
		p := newTestPath(t, "rate=20mbit,delay=30ms,queue=1bdp")
		x := connectOver(t, p, s)
		require.GreaterOrEqual(t, time.Since(begin), 60*time.Millisecond, "the handshake takes a round trip")
		begin = time.Now()
		go func() { _ = sendBulk(x.in) }()
		const size = 2_500_000
		_, err := io.CopyN(io.Discard, x.out, size)
		require.NoError(t, err)
		took := time.Since(begin)
		require.Greater(t, took, time.Second, "%v: more than the rate", s)
		require.Less(t, took, patience, s)
	}
}

func TestTheKernelUsesTheCongestionControlThatWasAskedFor(t *testing.T) {
	for _, controller := range []string{"cubic", "bbr"} {
		x := connectOver(t, newTestPath(t, ""), sender{tcp: true, controller: controller})
		raw, err := x.in.(halfClosing).half.(*net.TCPConn).SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) {
			got, err := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
			require.NoError(t, err)
			require.Equal(t, controller, got)
		}))
	}
	_, err := connect(t.Context(), newTestPath(t, ""), sender{tcp: true, controller: "none such"})
	require.ErrorContains(t, err, "TCP_CONGESTION none such")
}

func TestAScenarioMeasuresEveryFlow(t *testing.T) {
	s := rival(adaptive, tcpBBR, "1bdp")
	s.flows[1].start, s.warmup, s.duration = 500*time.Millisecond, time.Second, 4*time.Second
	r, err := s.run(t.Context())
	require.NoError(t, err)
	require.InDelta(t, 1, r.share(0)+r.share(1), 0.001)
	for i, f := range r.flows {
		require.Positive(t, f.goodput, s.flows[i])
	}
	require.Less(t, r.total(), 50e6, "more than the link carries")
	require.Positive(t, r.queue.Count())
	require.LessOrEqual(t, r.queue.Quantile(1), 41*time.Millisecond, "one bandwidth-delay product is 40 ms")
	require.Zero(t, r.stats.vanished)
	var line strings.Builder
	require.NoError(t, writeResult(&line, &s, r))
	require.Equal(t, 8, strings.Count(line.String(), "|"), line.String())
}

func TestNamespacesEndWithThePath(t *testing.T) {
	before := namespaces(t)
	p, err := netpath.New("delay=1ms")
	require.NoError(t, err)
	x, err := connect(t.Context(), p, tcpCubic)
	require.NoError(t, err)
	require.Greater(t, namespaces(t), before)
	x.close()
	require.NoError(t, p.Close())
	require.Eventually(t, func() bool { return namespaces(t) == before }, patience, 10*time.Millisecond)
}

// namespaces counts what keeps foreign network namespaces alive: threads in one, and open handles.
func namespaces(t *testing.T) (n int) {
	t.Helper()
	own, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	for _, pattern := range []string{"/proc/self/task/*/ns/net", "/proc/self/fd/*"} {
		links, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, l := range links {
			target, err := os.Readlink(l)
			if err == nil && strings.HasPrefix(target, "net:") && target != own || target == "/dev/net/tun" {
				n++
			}
		}
	}
	return n
}

func TestLinksThatCannotBeBridgedAreRefused(t *testing.T) {
	for _, link := range []string{"corrupt=1%", "no such link"} {
		_, err := netpath.New(link)
		require.Error(t, err, link)
	}
}
