//go:build unix

package conn_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
)

// Sizes of a question and of its answer, in bytes, as in the workload `request` of package bench.
const (
	questionSize = 100
	answerSize   = 4000
)

// asker asks one question and waits for the answer, again and again. It is used by one goroutine.
type asker func() error

// requestWorld is one transport with a server that answers: open gives askers, which share what can be shared.
type requestWorld struct {
	name string
	open func(tb testing.TB) asker
}

// BenchmarkRequests measures questions of 100 bytes and answers of 4,000, one after the other or a hundred at
// once, over Godwit and over TCP with TLS, on loopback with both ends in this process. The transports take turns,
// so that whatever else the machine does meets all. Godwit is asked in two ways, on streams that stay and on a new
// stream for each question; TLS has a connection for each asker.
func BenchmarkRequests(b *testing.B) {
	const turn = 300 * time.Millisecond
	worlds := []requestWorld{tlsRequests(b), godwitRequests(b, true), godwitRequests(b, false)}
	for _, parallel := range []int{1, 100} {
		b.Run(map[int]string{1: "one at a time", 100: "a hundred at once"}[parallel], func(b *testing.B) {
			askers := make([][]asker, len(worlds))
			for i, w := range worlds {
				for range parallel {
					askers[i] = append(askers[i], w.open(b))
				}
			}
			p50s, rates := make([][]float64, len(worlds)), make([][]float64, len(worlds))
			cpus := make([][]float64, len(worlds))
			for b.Loop() {
				for i := range worlds {
					cpu := cpuTime(b)
					took := askFor(b, askers[i], turn)
					cpu = cpuTime(b) - cpu
					p50s[i] = append(p50s[i], float64(took[len(took)/2].Nanoseconds())/1e3)
					rates[i] = append(rates[i], float64(len(took))/turn.Seconds())
					cpus[i] = append(cpus[i], float64(cpu.Nanoseconds())/1e3/float64(len(took)))
				}
			}
			b.ReportMetric(0, "ns/op")
			for i, w := range worlds {
				b.ReportMetric(median(p50s[i]), w.name+"-p50-us")
				b.ReportMetric(median(rates[i]), w.name+"/s")
				b.ReportMetric(median(cpus[i]), w.name+"-cpu-us")
			}
		})
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// cpuTime is the processor time that this process has used so far, all of its ends and clients included.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// askFor has all askers ask for a time, and returns how long each answer took, sorted.
func askFor(tb testing.TB, askers []asker, during time.Duration) (took []time.Duration) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	for _, ask := range askers {
		wg.Go(func() {
			var mine []time.Duration
			for begin := time.Now(); begin.Sub(start) < during; {
				require.NoError(tb, ask())
				now := time.Now()
				mine = append(mine, now.Sub(begin))
				begin = now
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took
}

// answerAll answers every question on c.
func answerAll(c io.ReadWriter) {
	question, answer := make([]byte, questionSize), make([]byte, answerSize)
	for {
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// askOver asks on one connection or stream that stays.
func askOver(c io.ReadWriter) asker {
	question, answer := make([]byte, questionSize), make([]byte, answerSize)
	return func() error {
		if _, err := c.Write(question); err != nil {
			return err
		}
		_, err := io.ReadFull(c, answer)
		return err
	}
}

func tlsRequests(tb testing.TB) requestWorld {
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{selfSigned(tb)}})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerAll(c)
		}
	}()
	return requestWorld{"tls", func(tb testing.TB) asker {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		require.NoError(tb, err)
		tb.Cleanup(func() { _ = c.Close() })
		return askOver(c)
	}}
}

func selfSigned(tb testing.TB) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	require.NoError(tb, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// godwitRequests asks on streams of one session, which stay or are opened for each question.
func godwitRequests(tb testing.TB, stay bool) requestWorld {
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			s, err := l.AcceptSession(context.Background())
			if err != nil {
				return
			}
			go answerStreams(s)
		}
	}()
	s, err := conn.Dial(tb.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = s.Close() })
	if stay {
		return requestWorld{"godwit", func(tb testing.TB) asker {
			t, err := s.OpenStream(tb.Context())
			require.NoError(tb, err)
			return askOver(t)
		}}
	}
	return requestWorld{"streams", func(testing.TB) asker { return askOnNewStreams(s) }}
}

func askOnNewStreams(s *conn.Session) asker {
	question, answer := make([]byte, questionSize), make([]byte, answerSize)
	return func() error {
		t, err := s.OpenStream(context.Background())
		if err != nil {
			return err
		}
		defer t.Close()
		if _, err := t.Write(question); err != nil {
			return err
		}
		_, err = io.ReadFull(t, answer)
		return err
	}
}

// answerStreams answers on all streams of a session.
func answerStreams(s *conn.Session) {
	for {
		t, err := s.AcceptStream(context.Background())
		if err != nil {
			return
		}
		go func() {
			answerAll(t)
			_ = t.Close()
		}()
	}
}
