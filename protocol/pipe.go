package protocol

import "sync"

// A pipe holds the bytes of one direction of a stream by offset: those written and not yet
// acknowledged at the sender, those arrived and not yet read at the receiver.
//
// Memory is for bytes held, never for an offset. Data lies in blocks of 8 kB, and a block exists
// only while a byte of it was written and not discarded. A pipe with little in it keeps that in one
// smaller block, so that thousands of streams with a few bytes each stay cheap. An empty pipe holds
// no block at all.
//
// A pipe does not know which bytes were written: its user does, and reads no others.
type pipe struct {
	start uint64 // bytes before it are discarded
	end   uint64 // highest offset written, at least start

	// ring holds the block of offsets [i*blockSize, (i+1)*blockSize) at position i modulo its length,
	// a power of two. Positions in holes are nil.
	ring []*block
	held int // blocks in the ring

	// small replaces the ring while everything in the pipe lies in [smallBase, smallBase+len(small.data)).
	small     *block
	smallBase uint64
}

// block is a piece of pooled memory.
type block struct{ data []byte }

const (
	blockShift = 13
	// blockSize amortises the pool over several packets and keeps the waste at the edges small.
	blockSize = 1 << blockShift
	// minBlock is the smallest block: what a stream with a few bytes costs.
	minBlock = 1 << 10
	// blockClasses counts the sizes from minBlock to blockSize, each twice the one before.
	blockClasses = 4
	// minRing and keptRing are the lengths of a ring at first and the longest one that an empty pipe
	// keeps. Longer ones are freed, so that an idle stream stays small.
	minRing  = 4
	keptRing = 8
)

// blockPools hold free blocks by size, shared by all sessions.
var blockPools [blockClasses]sync.Pool

// blockClass returns the class of the smallest block that holds n bytes, n at most blockSize.
func blockClass(n uint64) int {
	class := 0
	for n > minBlock<<class {
		class++
	}
	return class
}

func getBlock(class int) *block {
	if b, ok := blockPools[class].Get().(*block); ok {
		return b
	}
	return &block{data: make([]byte, minBlock<<class)}
}

func putBlock(b *block) {
	blockPools[blockClass(uint64(len(b.data)))].Put(b)
}

// len returns the distance between start and end, holes included.
func (p *pipe) len() uint64 { return p.end - p.start }

// write stores data at an offset that is not before start.
func (p *pipe) write(off uint64, data []byte) {
	end := off + uint64(len(data))
	if p.writeSmall(off, end, data) {
		return
	}
	p.reserve(off, end)
	p.end = max(p.end, end)
	for len(data) > 0 {
		n := copy(p.block(off >> blockShift).data[off&(blockSize-1):], data)
		off += uint64(n)
		data = data[n:]
	}
}

// writeSmall stores data in the small block if the pipe is so small, and says whether it did.
func (p *pipe) writeSmall(off, end uint64, data []byte) bool {
	if p.held > 0 || len(data) == 0 {
		return len(data) == 0
	}
	if p.small == nil {
		span := max(end, p.end) - p.start
		if span > blockSize/2 {
			return false
		}
		p.small, p.smallBase = getBlock(blockClass(span)), p.start
	}
	if need := end - p.smallBase; need > uint64(len(p.small.data)) && !p.growSmall(need) {
		return false
	}
	copy(p.small.data[off-p.smallBase:], data)
	p.end = max(p.end, end)
	return true
}

// growSmall makes room for need bytes in the small block. When that is too much for a small block
// it moves the contents to the ring and returns false.
func (p *pipe) growSmall(need uint64) bool {
	old, from := p.small, p.start-p.smallBase
	content := old.data[from : p.end-p.smallBase]
	need -= from
	fits := need <= blockSize/2
	if fits {
		p.small, p.smallBase = getBlock(blockClass(need)), p.start
		copy(p.small.data, content)
	} else {
		p.small = nil
		p.reserve(p.start, p.start)
		for off := p.start; len(content) > 0; {
			n := copy(p.block(off >> blockShift).data[off&(blockSize-1):], content)
			off, content = off+uint64(n), content[n:]
		}
	}
	putBlock(old)
	return fits
}

// reserve makes the ring long enough for everything from start to end.
func (p *pipe) reserve(off, end uint64) {
	first, last := p.start>>blockShift, max(p.end, end)>>blockShift
	if last-first < uint64(len(p.ring)) {
		return
	}
	size := uint64(max(minRing, len(p.ring)))
	for size <= last-first {
		size *= 2
	}
	old := p.ring
	p.ring = make([]*block, size)
	for i := range uint64(len(old)) {
		at := first + i
		p.ring[at&(size-1)] = old[at&uint64(len(old)-1)]
	}
}

// block returns the block with an index, which it gets from the pool if the index is a hole.
func (p *pipe) block(index uint64) *block {
	at := &p.ring[index&uint64(len(p.ring)-1)]
	if *at == nil {
		*at = getBlock(blockClasses - 1)
		p.held++
	}
	return *at
}

// view returns bytes from off on: as many as lie together, at least one. They were written before.
func (p *pipe) view(off uint64) []byte {
	if p.small != nil {
		return p.small.data[off-p.smallBase : p.end-p.smallBase]
	}
	in := off & (blockSize - 1)
	return p.ring[off>>blockShift&uint64(len(p.ring)-1)].data[in:min(blockSize, in+p.end-off)]
}

// appendTo appends n bytes from off on to b. They were written before.
func (p *pipe) appendTo(b []byte, off uint64, n int) []byte {
	for n > 0 {
		v := p.view(off)
		v = v[:min(n, len(v))]
		b = append(b, v...)
		off += uint64(len(v))
		n -= len(v)
	}
	return b
}

// read copies bytes from start on into dst and discards them. They were written before.
func (p *pipe) read(dst []byte) {
	off := p.start
	for len(dst) > 0 {
		n := copy(dst, p.view(off))
		off += uint64(n)
		dst = dst[n:]
	}
	p.discard(off)
}

// discard frees the bytes before off, which is from start to end.
func (p *pipe) discard(off uint64) {
	if off == p.end {
		p.start = off
		p.release()
		return
	}
	if p.held > 0 {
		for i := p.start >> blockShift; i < off>>blockShift; i++ {
			p.free(i)
		}
	}
	p.start = off
}

// truncate frees the bytes from off on, which is from start to end.
func (p *pipe) truncate(off uint64) {
	if off == p.start {
		p.end = off
		p.release()
		return
	}
	if p.held > 0 {
		for i := (off-1)>>blockShift + 1; i <= p.end>>blockShift && i-p.start>>blockShift < uint64(len(p.ring)); i++ {
			p.free(i)
		}
	}
	p.end = off
}

func (p *pipe) free(index uint64) {
	at := &p.ring[index&uint64(len(p.ring)-1)]
	if *at != nil {
		putBlock(*at)
		*at = nil
		p.held--
	}
}

// release frees all blocks of a pipe whose bytes are all discarded.
func (p *pipe) release() {
	if p.small != nil {
		putBlock(p.small)
		p.small = nil
	}
	for i := 0; p.held > 0; i++ {
		p.free(uint64(i))
	}
	if len(p.ring) > keptRing {
		p.ring = nil
	}
}

// memory returns the bytes of the blocks that the pipe holds.
func (p *pipe) memory() int {
	n := p.held * blockSize
	if p.small != nil {
		n += len(p.small.data)
	}
	return n
}
