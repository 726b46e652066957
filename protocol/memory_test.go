package protocol

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestIdleSessionIsSmall: a server of ten thousand players mostly holds sessions in which nothing
// happens. The bound is for one end, with all that its endpoint keeps for it.
func TestIdleSessionIsSmall(t *testing.T) {
	const sessions, bound = 200, 16 << 10
	p := newPair(t, func(_, _ *Config, e *EndpointConfig) { e.Retry = RetryNever })
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	kept := make([]*Session, 0, 2*sessions)
	for range sessions {
		var err error
		p.cs, err = p.client.Dial(p.now, p.cs.cfg, AddrPair{Remote: p.serverAddr})
		require.NoError(t, err)
		p.ss = nil
		p.connect()
		p.say("hello, with some data that fills a buffer for a moment")
		p.answer("and an answer")
		kept = append(kept, p.cs, p.ss)
	}
	p.wire = nil
	clear(p.events)
	for _, s := range kept {
		p.now = p.now.Add(time.Millisecond)
		s.HandleTimeout(p.now.Add(2 * releaseAfter))
		for ok := true; ok; {
			_, ok = s.PollEvent()
		}
	}
	each := (heap() - before) / int64(len(kept))
	t.Logf("%d bytes for one end of an idle session", each)
	require.Less(t, each, int64(bound))
	runtime.KeepAlive(kept)
}
