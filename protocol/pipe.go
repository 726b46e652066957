package protocol

import "sync"

// A pipe holds the bytes of one direction of a stream by offset: those written and not yet
// acknowledged at the sender, those arrived and not yet read at the receiver.
//
// Memory is for bytes held, never for an offset. Data lies in blocks of 8 kB, or of 256 kB where there
// is much of it, and a block exists only while a byte of it was written and not discarded. A pipe with
// little in it keeps that in one smaller block, so that thousands of streams with a few bytes each stay
// cheap. An empty pipe holds no memory at all.
//
// A pipe does not know which bytes were written: its user does, and reads no others.
type pipe struct {
	start uint64 // bytes before it are discarded
	end   uint64 // highest offset written, at least start

	ring *ring  // nil while there is no block in it
	held int32  // blocks in the ring
	gone uint16 // bytes at the front of small that are discarded
	wide bool   // the next ring has wide blocks: those of the last one were needed
	peer bool   // the peer fills it

	// small replaces the ring while everything in the pipe fits into it, from start-gone on.
	small *block

	book *memoryBook // counts the blocks; nil: nobody does
}

// block is a piece of pooled memory.
type block struct{ data []byte }

// ring is a pooled table of blocks, all of 1<<shift bytes. The block of offsets [i<<shift, (i+1)<<shift) is at
// position i modulo the length, which is a power of two. Positions in holes are nil.
type ring struct {
	blocks []*block
	shift  uint8
	from   uint64 // start of the pipe when it got the ring
}

func (r *ring) at(index uint64) **block { return &r.blocks[index&uint64(len(r.blocks)-1)] }

// index returns the index of the block with an offset.
func (r *ring) index(off uint64) uint64 { return off >> r.shift }

// in returns where in its block an offset is.
func (r *ring) in(off uint64) int { return int(off & (1<<r.shift - 1)) }

// reaches reports whether there is a position for each block from start to end.
func (r *ring) reaches(start, end uint64) bool {
	return r.index(end)-r.index(start) < uint64(len(r.blocks))
}

const (
	blockShift = 13
	// blockSize amortises the pool over several packets and keeps the waste at the edges small.
	blockSize = 1 << blockShift
	wideShift = 18
	// wideBlock has room for several packets of any size, so that most lie in one piece and can be sealed, or
	// opened, where their data is kept.
	wideBlock = 1 << wideShift
	// wideFrom is how many bytes a pipe must hold to get wide blocks: half of one.
	wideFrom = wideBlock / 2
	// wideRoom is the memory that the session must have left for that, in bytes, and the most that it may hold
	// already: wide blocks are for few streams, since what they waste cannot be used by many.
	wideRoom = 4 * wideBlock
	// wideWindow is the credit in bytes that a peer must have for wide blocks of what it sends: pipes that get them while
	// others hold less than wideRoom waste less than twice that, which is then no more than the credit itself.
	wideWindow = 2 * wideRoom
	// minBlock is the smallest block: what a stream with a few bytes costs.
	minShift = 10
	minBlock = 1 << minShift
	// blockClasses counts the sizes from minBlock to wideBlock, each twice the one before.
	blockClasses = 9
	// minRing is the length of the shortest ring: 32 kB of data in a piece.
	minRing = 4
	// ringClasses counts the lengths of rings that are pooled, each twice the one before. The longest
	// is for a gigabyte.
	ringClasses = 16
)

// blockPools and ringPools hold free blocks and rings by size, shared by all sessions.
var (
	blockPools [blockClasses]sync.Pool
	ringPools  [ringClasses]sync.Pool
)

// blockClass returns the class of the smallest block that holds n bytes, n at most wideBlock.
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

// ringClass returns the class of the shortest ring for n indexes.
func ringClass(n uint64) int {
	class := 0
	for n > minRing<<class {
		class++
	}
	return class
}

func getRing(class int) *ring {
	if class < ringClasses {
		if r, ok := ringPools[class].Get().(*ring); ok {
			return r
		}
	}
	return &ring{blocks: make([]*block, minRing<<class)}
}

// putRing takes a ring back that holds no block.
func putRing(r *ring) {
	if class := ringClass(uint64(len(r.blocks))); class < ringClasses {
		ringPools[class].Put(r)
	}
}

// smallBase is the offset of the first byte of small.
func (p *pipe) smallBase() uint64 { return p.start - uint64(p.gone) }

// get takes a block from its pool, and put gives one back.
func (p *pipe) get(class int) *block {
	p.book.add(minBlock << class)
	return getBlock(class)
}

func (p *pipe) put(b *block) {
	p.book.add(-len(b.data))
	putBlock(b)
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
	p.store(off, data)
}

// store copies data into blocks, which it gets from the pool where there are none. Data that landed there stays.
func (p *pipe) store(off uint64, data []byte) {
	for len(data) > 0 {
		n := put(p.block(p.ring.index(off)).data[p.ring.in(off):], data)
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
		p.small, p.gone = p.get(blockClass(span)), 0
	}
	if need := end - p.smallBase(); need > uint64(len(p.small.data)) && !p.growSmall(need) {
		return false
	}
	copy(p.small.data[off-p.smallBase():], data)
	p.end = max(p.end, end)
	return true
}

// growSmall makes room for need bytes in the small block. When that is too much for a small block
// it moves the contents to the ring and returns false.
func (p *pipe) growSmall(need uint64) bool {
	old, from := p.small, uint64(p.gone)
	content := old.data[from : p.end-p.smallBase()]
	need -= from
	fits := need <= blockSize/2
	if fits {
		p.small, p.gone = p.get(blockClass(need)), 0
		copy(p.small.data, content)
	} else {
		p.small = nil
		p.reserve(p.start, p.start)
		p.store(p.start, content)
	}
	p.put(old)
	return fits
}

// reserve makes the ring long enough for everything from start to end, of which the bytes from off on are new.
func (p *pipe) reserve(off, end uint64) {
	added := end - off
	end = max(p.end, end)
	old := p.ring
	if old != nil && old.reaches(p.start, end) {
		return
	}
	shift := p.nextShift(added)
	p.ring = getRing(ringClass(end>>shift - p.start>>shift + 1))
	p.ring.shift, p.ring.from = shift, p.start
	if old == nil {
		return
	}
	if p.ring.from = old.from; shift == old.shift {
		p.move(old)
	} else {
		p.widen(old)
	}
	putRing(old)
}

// nextShift returns that of the next ring, to which so many bytes are added at once.
func (p *pipe) nextShift(added uint64) uint8 {
	if r := p.ring; r != nil && r.shift == wideShift {
		return wideShift
	}
	much := p.wide || uint64(p.held)<<blockShift+added >= wideFrom
	if much && (p.book == nil || p.book.room() >= wideRoom && p.book.held < wideRoom && (p.book.ample || !p.peer)) {
		return wideShift
	}
	return blockShift
}

// move takes the blocks of a shorter ring over.
func (p *pipe) move(old *ring) {
	first := old.index(p.start)
	for i := first; i < first+uint64(len(old.blocks)); i++ {
		from := old.at(i)
		*p.ring.at(i), *from = *from, nil
	}
}

// widen copies the blocks of a ring into those of a wide one.
func (p *pipe) widen(old *ring) {
	p.held = 0
	first := old.index(p.start)
	for i := first; i < first+uint64(len(old.blocks)); i++ {
		if from := old.at(i); *from != nil {
			p.store(i<<blockShift, (*from).data)
			p.put(*from)
			*from = nil
		}
	}
}

// block returns the block with an index, which it gets from the pool if the index is a hole.
func (p *pipe) block(index uint64) *block {
	at := p.ring.at(index)
	if *at == nil {
		*at = p.get(int(p.ring.shift) - minShift)
		p.held++
	}
	return *at
}

// view returns bytes from off on: as many as lie together, at least one. They were written before.
func (p *pipe) view(off uint64) []byte {
	if p.small != nil {
		base := p.smallBase()
		return p.small.data[off-base : p.end-base]
	}
	in, data := p.ring.in(off), (*p.ring.at(p.ring.index(off))).data
	return data[in:min(uint64(len(data)), uint64(in)+p.end-off)]
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

// around returns the n bytes from off on, which were written before, together with the room bytes before them in
// memory, whatever those are. It returns nil when they do not lie together in one block.
func (p *pipe) around(off uint64, room, n int) []byte {
	if p.held == 0 {
		return nil
	}
	in := p.ring.in(off)
	if in < room || in+n > 1<<p.ring.shift {
		return nil
	}
	return (*p.ring.at(p.ring.index(off))).data[in-room : in+n]
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

// pass goes on at off, which is not before start, in a pipe with nothing in it.
func (p *pipe) pass(off uint64) {
	if p.start < p.end {
		panic("BUG: passing over bytes of a stream")
	}
	p.start, p.end = off, off
}

// discard frees the bytes before off, which is from start to end.
func (p *pipe) discard(off uint64) {
	if off == p.end {
		p.start = off
		p.release()
		return
	}
	if p.held > 0 {
		for i := p.ring.index(p.start); i < p.ring.index(off); i++ {
			p.free(i)
		}
	} else {
		p.gone += uint16(off - p.start)
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
		for i := p.ring.index(off-1) + 1; i <= p.ring.index(p.end-1); i++ {
			p.free(i)
		}
	}
	p.end = off
}

func (p *pipe) free(index uint64) {
	at := p.ring.at(index)
	if *at != nil {
		p.put(*at)
		*at = nil
		p.held--
	}
}

// release frees all blocks of a pipe whose bytes are all discarded.
func (p *pipe) release() {
	if p.small != nil {
		p.put(p.small)
		p.small = nil
	}
	for i := 0; p.held > 0; i++ {
		p.free(uint64(i))
	}
	if p.ring != nil {
		p.wide = p.ring.shift == wideShift && p.end-p.ring.from >= blockSize
		putRing(p.ring)
		p.ring = nil
	}
}

// memory returns the bytes of the blocks that the pipe holds.
func (p *pipe) memory() int {
	n := 0
	if p.ring != nil {
		n = int(p.held) << p.ring.shift
	}
	if p.small != nil {
		n += len(p.small.data)
	}
	return n
}
