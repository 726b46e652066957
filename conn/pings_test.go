package conn_test

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
)

// times are durations in the order of their length.
type times []time.Duration

func (d times) at(share float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(float64(len(d))*share), len(d)-1)].Round(100 * time.Microsecond)
}

func (d times) String() string {
	return fmt.Sprintf("p50 %v, p99 %v, most %v of %d", d.at(0.5), d.at(0.99), d.at(1), len(d))
}

// pings is an established session that says something and hears it back, again and again.
type pings struct {
	session *conn.Session
	counts  atomic.Bool // what it hears from now on is in took
	took    times
	count   atomic.Int64 // of took, while they go on
	err     error
	done    chan struct{}
}

func startPings(t testing.TB, l *conn.Listener) *pings {
	t.Helper()
	c, err := conn.Dial(t.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	require.NoError(t, err)
	p := &pings{session: c, done: make(chan struct{})}
	p.counts.Store(true)
	go p.run()
	return p
}

// run ends when the session is closed.
func (p *pings) run() {
	defer close(p.done)
	answer := make([]byte, 64)
	for {
		question := randomBytes(len(answer))
		start := time.Now()
		if _, err := p.session.Write(question); err != nil {
			return
		}
		if _, err := io.ReadFull(p.session, answer); err != nil {
			return
		}
		if string(question) != string(answer) {
			p.err = fmt.Errorf("echo of %x is %x", question, answer)
			return
		}
		if p.counts.Load() {
			p.took = append(p.took, time.Since(start))
			p.count.Add(1)
		}
		time.Sleep(time.Millisecond)
	}
}

func (p *pings) end(t testing.TB) {
	t.Helper()
	require.NoError(t, p.session.Err(), "the session lives")
	_ = p.session.CloseWithError(0, "") // it has said enough
	<-p.done
	require.NoError(t, p.err)
}

// heapNow is what the heap holds after a collection.
func heapNow() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // pools keep what they have over one
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
