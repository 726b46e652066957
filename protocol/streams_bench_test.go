package protocol

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// streamLoop carries data over one stream: write, packets, read, acknowledgements, new limits.
type streamLoop struct {
	client, server *streamsEnd
	write, read    []byte
	packet         []byte
	facts          []fact
}

func newStreamLoop(tb testT, size int) *streamLoop {
	limits := testLimits()
	limits.MaxData, limits.MaxStreamDataBidiRemote = DefaultSessionWindow, DefaultStreamWindow
	client, server := newStreamsEnds(tb, limits)
	return &streamLoop{
		client: client, server: server,
		write: make([]byte, 64<<10), read: make([]byte, 64<<10),
		packet: make([]byte, 0, size),
	}
}

// carry moves one packet and returns the bytes of stream data in it. The frames are parsed as a
// session does it, without allocation.
func (l *streamLoop) carry(from, to *streamsEnd) int {
	l.facts = l.facts[:0]
	b := from.appendControl(l.packet[:0], cap(l.packet), &l.facts)
	b = from.appendData(b, cap(l.packet)-len(b), &l.facts, false)
	n := 0
	for len(b) > 0 {
		typ, m := wire.ConsumeFrameType(b)
		b = b[m:]
		switch {
		case typ == wire.FramePadding:
			continue
		case typ.IsStream():
			f, m := wire.ParseStream(typ, b)
			b, n = b[m:], n+len(f.Data)
			if to.handleStream(f) != nil {
				panic("BUG: stream data refused")
			}
		case typ == wire.FrameMaxStreamData:
			f, m := wire.ParseMaxStreamData(b)
			b = b[m:]
			if to.handleMaxStreamData(f) != nil {
				panic("BUG: limit refused")
			}
		default: // limits and hints with one number
			v, m := wire.ConsumeVarint(b)
			b = b[m:]
			if typ == wire.FrameMaxData {
				to.handleMaxData(v)
			}
		}
	}
	for i := range l.facts {
		from.acked(l.facts[i])
	}
	return n
}

// round writes one buffer and carries it until the other end has read it.
func (l *streamLoop) round() {
	w, r := l.client.stream0(), l.server.stream0()
	for written, read := 0, 0; read < len(l.write); {
		n, _ := w.Write(l.write[written:])
		written += n
		for range 16 { // a batch
			if l.carry(l.client, l.server) == 0 {
				break
			}
		}
		for {
			n, _ := r.Read(l.read)
			if n == 0 {
				break
			}
			read += n
		}
		l.carry(l.server, l.client)
	}
	l.client.events, l.server.events = l.client.events[:0], l.server.events[:0]
}

func BenchmarkStreamLoop(b *testing.B) {
	for _, size := range []int{1200, 16 << 10} {
		b.Run(fmt.Sprintf("packet=%d", size), func(b *testing.B) {
			l := newStreamLoop(b, size)
			b.SetBytes(int64(len(l.write)))
			b.ReportAllocs()
			for b.Loop() {
				l.round()
			}
		})
	}
}

// BenchmarkManyStreams writes a little on each of many open streams, one packet's worth in all.
func BenchmarkManyStreams(b *testing.B) {
	for _, count := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("open=%d", count), func(b *testing.B) {
			client, _ := newStreamsEnds(b, wideLimits())
			all := make([]*Stream, count)
			for i := range all {
				all[i] = client.openStream(false)
			}
			l := streamLoop{packet: make([]byte, 0, 1200)}
			small, next := make([]byte, 50), 0
			b.ReportAllocs()
			for b.Loop() {
				for range 10 {
					_, _ = all[next%count].Write(small)
					next++
				}
				l.facts = l.facts[:0]
				out := client.appendControl(l.packet[:0], 1200, &l.facts)
				client.appendData(out, 1200, &l.facts, false)
				for i := range l.facts {
					client.acked(l.facts[i])
				}
			}
		})
	}
}

func TestStreamLoopDoesNotAllocate(t *testing.T) {
	for _, size := range []int{1200, 16 << 10} {
		l := newStreamLoop(t, size)
		for range 200 {
			l.round() // windows grow, pools fill
		}
		got := testing.AllocsPerRun(100, l.round)
		require.Less(t, got, 1.0, "64 kB over one stream in packets of %d bytes", size)
	}
}

func TestIdleStreamIsSmall(t *testing.T) {
	const count = 10_000
	client, _ := newStreamsEnds(t, wideLimits())
	all := make([]*Stream, count)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range all {
		all[i] = client.newStream(0)
	}
	each := (heap() - before) / count
	require.Less(t, each, uint64(500), "bytes of an idle stream")
	runtime.KeepAlive(all)
}
