//go:build unix

package conn_test

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
)

// bareHandshake does what of a handshake with an anonymous client is public-key cryptography, for both ends: two
// ephemeral keys, two exchanges at each end, and ML-KEM, whose encapsulation key comes as bytes.
func bareHandshake(tb testing.TB, static *ecdh.PrivateKey) {
	curve := ecdh.X25519()
	ec, err := curve.GenerateKey(rand.Reader)
	require.NoError(tb, err)
	es, err := curve.GenerateKey(rand.Reader)
	require.NoError(tb, err)
	for _, exchange := range [][2]*ecdh.PrivateKey{{ec, static}, {static, ec}, {ec, es}, {es, ec}} {
		_, err := exchange[0].ECDH(exchange[1].PublicKey())
		require.NoError(tb, err)
	}
	kem, err := mlkem.GenerateKey768()
	require.NoError(tb, err)
	peer, err := mlkem.NewEncapsulationKey768(kem.EncapsulationKey().Bytes())
	require.NoError(tb, err)
	_, text := peer.Encapsulate()
	_, err = kem.Decapsulate(text)
	require.NoError(tb, err)
}

// perSecond runs do on n goroutines for a time, and returns how often it ran in a second.
func perSecond(n int, during time.Duration, do func()) float64 {
	var count atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range n {
		wg.Go(func() {
			for time.Since(start) < during {
				do()
				count.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(count.Load()) / time.Since(start).Seconds()
}

// New sessions a second, both ends on this machine, beside what the bare cryptography of both would allow, and what
// each takes of the processors. The two take turns, so that whatever else the machine does meets both.
func BenchmarkHandshakes(b *testing.B) {
	const (
		dialers = 64
		turn    = 500 * time.Millisecond
	)
	static, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(b, err)
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(b, err)
	defer l.Close()
	go func() {
		for {
			if _, err := l.AcceptSession(b.Context()); err != nil {
				return
			}
		}
	}()
	endpoint := newClients(b)
	config := &conn.Config{PeerKey: l.PublicKey()}
	var bare, real, failed float64
	var cpu [3]time.Duration // before, between and behind the turns
	var bareCPU, realCPU time.Duration
	for b.Loop() {
		cpu[0] = cpuTime(b)
		bare += perSecond(runtime.GOMAXPROCS(0), turn, func() { bareHandshake(b, static) })
		cpu[1] = cpuTime(b)
		real += perSecond(dialers, turn, func() {
			s, err := endpoint.Dial(b.Context(), l.Addr().String(), config)
			if err != nil {
				failed++
				return
			}
			if s.Confirmed(b.Context()) != nil {
				failed++
			}
			_ = s.CloseWithError(0, "")
		})
		cpu[2] = cpuTime(b)
		bareCPU, realCPU = bareCPU+cpu[1]-cpu[0], realCPU+cpu[2]-cpu[1]
	}
	n := float64(b.N)
	b.ReportMetric(real/n, "sessions/s")
	b.ReportMetric(bare/n, "bare/s")
	b.ReportMetric(100*real/bare, "%share")
	micros := func(d time.Duration, rate float64) float64 { return d.Seconds() * 1e6 / (rate * turn.Seconds()) }
	b.ReportMetric(micros(realCPU, real), "cpu-us/session")
	b.ReportMetric(micros(bareCPU, bare), "bare-cpu-us/session")
	b.ReportMetric(failed/n, "failed/op")
	b.ReportMetric(0, "ns/op")
}

func newClients(tb testing.TB) *conn.Endpoint {
	tb.Helper()
	e, _ := onSocket(tb)
	tb.Cleanup(func() { _ = e.Close() })
	return e
}
