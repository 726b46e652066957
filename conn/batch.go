package conn

import (
	"sync"

	"github.com/godwit-net/godwit/conn/udp"
	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/monotime"
)

const (
	// batchBytes is how much one turn of sending builds before it is written, what one segmented write of
	// Linux takes. More would only make others wait for the lock.
	batchBytes = 64 << 10
	// batchDatagrams bounds a turn of small datagrams likewise.
	batchDatagrams = 64
)

// batch is a burst of datagrams on its way out, back to back in one buffer.
type batch struct {
	buf     []byte
	msgs    []udp.Message
	parcels []parcel // of several sessions, in an outbox
}

var batchPool = sync.Pool{New: func() any {
	// The last datagram may begin just below batchBytes.
	return &batch{buf: make([]byte, 0, batchBytes+udp.MaxDatagram), msgs: make([]udp.Message, 0, batchDatagrams)}
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

// fill takes datagrams from src until there are no more (false) or the batch is full (true).
func (b *batch) fill(now monotime.Time, src source) (more bool) {
	for len(b.buf) < batchBytes && len(b.msgs) < batchDatagrams {
		start := len(b.buf)
		buf, meta, ok := src.AppendDatagram(now, b.buf)
		if !ok {
			return false
		}
		b.buf = buf
		b.msgs = append(b.msgs, udp.Message{
			Data:   buf[start:len(buf):len(buf)],
			Remote: meta.Addr.Remote,
			Local:  meta.Addr.Local,
			ECN:    uint8(meta.ECN),
		})
	}
	return true
}
