package conn

import (
	"sync"

	"github.com/godwit-net/godwit/conn/udp"
	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/monotime"
)

const (
	// batchRuns is how many segmented writes one turn of sending is made for. More would only make others
	// wait for the lock.
	batchRuns = 2
	// maxTail is how many bytes more a turn takes if they are all there is: a write of their own would cost as much
	// as a full one.
	maxTail = udp.MaxDatagram / 2
	// batchBytes is the room for a turn, the last datagram of which may be of any size.
	batchBytes = batchRuns*udp.MaxDatagram + maxTail + udp.MaxDatagram
)

// batch is a burst of datagrams on its way out, back to back in one buffer.
type batch struct {
	buf     []byte
	msgs    []udp.Message
	parcels []parcel // of several sessions, in an outbox
}

var batchPool = sync.Pool{New: func() any {
	return &batch{buf: make([]byte, 0, batchBytes), msgs: make([]udp.Message, 0, (batchRuns+1)*udp.MaxRun)}
}}

func newBatch() *batch { return batchPool.Get().(*batch) }

// free gives b back; its messages must not be used any more.
func (b *batch) free() {
	b.reset()
	batchPool.Put(b)
}

func (b *batch) reset() {
	clear(b.parcels)
	b.buf, b.msgs, b.parcels = b.buf[:0], b.msgs[:0], b.parcels[:0]
}

// source is what has datagrams to send: a session, or an endpoint with replies of its own.
type source interface {
	AppendDatagram(now monotime.Time, b []byte) ([]byte, protocol.Meta, bool)
}

// bulkSource is a source that makes many datagrams of one kind at once: a session.
type bulkSource interface {
	AppendMore(now monotime.Time, b []byte, meta protocol.Meta, size, max int) ([]byte, int)
	EndsWithin(n int) bool
}

// room returns how many more datagrams of the size of the last one make a whole number of segmented writes.
// One more than that would be a write of its own.
func (b *batch) room(size int) int {
	return min(batchRuns*udp.RunLength(size)-len(b.msgs), (batchRuns*udp.MaxDatagram-len(b.buf)+size)/size)
}

// fill takes datagrams from src until there are no more (false) or the batch is full (true).
func (b *batch) fill(now monotime.Time, src source) (more bool) {
	bulk, _ := src.(bulkSource)
	for {
		start := len(b.buf)
		buf, meta, ok := src.AppendDatagram(now, b.buf)
		if !ok {
			return false
		}
		size := len(buf) - start
		b.add(buf, &meta, size)
		room := b.room(size)
		if bulk != nil && room >= 0 {
			if bulk.EndsWithin(room*size + maxTail) {
				room += maxTail/size + 1
			}
			buf, n := bulk.AppendMore(now, b.buf, meta, size, room)
			for range n {
				b.add(buf, &meta, size)
			}
			room -= n
		}
		if room <= 0 {
			return true
		}
	}
}

// add takes the next datagram in buf, which begins with all those of b.
func (b *batch) add(buf []byte, meta *protocol.Meta, size int) {
	end := len(b.buf) + size
	b.msgs = append(b.msgs, udp.Message{
		Data:   buf[len(b.buf):end:end],
		Remote: meta.Addr.Remote,
		Local:  meta.Addr.Local,
		ECN:    uint8(meta.ECN),
	})
	b.buf = buf[:end]
}
