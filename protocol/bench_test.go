package protocol

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkBulk moves one stream from end to end, cryptography included, with nothing between the
// two cores: what is left when sockets cost nothing.
func BenchmarkBulk(b *testing.B) {
	for _, size := range []int{1452, 9000, 65487} {
		b.Run(fmt.Sprintf("datagram=%d", size), func(b *testing.B) { benchmarkBulk(b, size) })
	}
}

func benchmarkBulk(b *testing.B, size int) {
	p := newPair(b, func(c, s *Config, _ *EndpointConfig) { c.MaxDatagram, s.MaxDatagram = size, size })
	p.connect()
	p.transfer(p.cs.Stream0(), func() *Stream { return p.ss.Stream0() }, 4<<20, false)
	e := exchanger{p: p, now: p.now, chunk: make([]byte, 64<<10), read: make([]byte, 64<<10), bufs: make([]byte, 0, 4<<20)}
	b.SetBytes(int64(len(e.chunk)))
	b.ReportAllocs()
	for b.Loop() {
		e.chunkThrough()
	}
	b.ReportMetric(float64(p.cs.Stats().MTU), "mtu")
}

// exchanger moves chunks from the client's stream 0 to the server's, a microsecond of virtual time a
// packet.
type exchanger struct {
	p           *pair
	now         Time
	chunk, read []byte
	bufs        []byte
	sizes       []int
}

func (e *exchanger) chunkThrough() {
	for sent, got := 0, 0; got < len(e.chunk); {
		n, _ := e.p.cs.Stream0().Write(e.chunk[sent:])
		sent += n
		moved := e.flow(e.p.cs, e.p.ss)
		for {
			n, _ := e.p.ss.Stream0().Read(e.read)
			if got += n; n == 0 {
				break
			}
		}
		moved += e.flow(e.p.ss, e.p.cs)
		if moved == 0 {
			e.now = e.now.Add(100 * time.Microsecond)
			e.p.cs.HandleTimeout(e.now)
			e.p.ss.HandleTimeout(e.now)
		}
	}
}

// flow hands everything that from wants to send to to, as one batch.
func (e *exchanger) flow(from, to *Session) int {
	buf, sizes := e.bufs[:0], e.sizes[:0]
	for {
		start := len(buf)
		b, meta, ok := from.AppendDatagram(e.now, buf)
		if !ok {
			break
		}
		size := len(b) - start
		b, n := from.AppendMore(e.now, b, meta, size, 44)
		buf = b
		for range n + 1 {
			sizes = append(sizes, size)
		}
		e.now += Time(n + 1)
	}
	e.bufs, e.sizes = buf, sizes
	for _, size := range sizes {
		to.HandleDatagram(e.now, Datagram{Data: buf[:size:size], Addr: to.paths.active.addr})
		buf = buf[size:]
	}
	for _, s := range []*Session{from, to} {
		for ok := true; ok; {
			_, ok = s.PollEvent()
		}
	}
	return len(sizes)
}

// BenchmarkRequest asks 100 bytes and is answered 4,000, cryptography included, with nothing between the two
// cores: two datagrams, and what an owner does around each.
func BenchmarkRequest(b *testing.B) {
	p := newPair(b, func(c, s *Config, _ *EndpointConfig) { c.MaxDatagram, s.MaxDatagram = 9000, 9000 })
	p.connect()
	p.transfer(p.cs.Stream0(), func() *Stream { return p.ss.Stream0() }, 1<<20, false)
	e := exchanger{p: p, now: p.now, chunk: make([]byte, 4000), read: make([]byte, 64<<10)}
	datagrams := 0
	b.ReportAllocs()
	for b.Loop() {
		datagrams += e.say(p.cs, p.ss, 100) + e.say(p.ss, p.cs, 4000)
	}
	b.ReportMetric(float64(datagrams)/float64(b.N), "datagrams/op")
}

// say moves n bytes from one end to the other, whose reader answers before anything else is sent.
func (e *exchanger) say(from, to *Session, n int) (datagrams int) {
	e.now = e.now.Add(20 * time.Microsecond)
	_, _ = from.Stream0().Write(e.chunk[:n]) // it has room
	datagrams = e.flow(from, to)
	for _, s := range []*Session{from, to} {
		s.NextTimeout()
	}
	for got := 0; got < n; {
		k, _ := to.Stream0().Read(e.read)
		if got += k; k == 0 {
			e.now = e.now.Add(100 * time.Microsecond) // until the pacer lets the rest go
			from.HandleTimeout(e.now)
			datagrams += e.flow(from, to)
		}
	}
	return datagrams
}
