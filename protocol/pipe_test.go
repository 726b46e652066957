package protocol

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPipeKeepsBytesByOffset(t *testing.T) {
	var p pipe
	p.write(0, []byte("hello "))
	p.write(6, []byte("world"))
	require.Equal(t, "lo wo", string(p.appendTo(nil, 3, 5)))
	out := make([]byte, 6)
	p.read(out)
	require.Equal(t, "hello ", string(out))
	p.discard(8)
	require.Equal(t, "rld", string(p.appendTo([]byte{}, 8, 3)))
	p.truncate(9)
	require.EqualValues(t, 1, p.len())
	p.write(9, []byte("ust"))
	require.Equal(t, "rust", string(p.appendTo(nil, 8, 4)))
}

func TestPipeMemoryIsForBytesHeld(t *testing.T) {
	var p pipe
	require.Zero(t, p.memory())
	p.write(0, make([]byte, 100))
	require.Equal(t, minBlock, p.memory(), "a little data takes a small block")
	p.write(100, make([]byte, 3000))
	require.Equal(t, 4*minBlock, p.memory())
	p.write(3100, make([]byte, blockSize))
	require.Equal(t, 2*blockSize, p.memory())
	p.write(1<<24, []byte("x"))
	require.Equal(t, 3*blockSize, p.memory(), "a hole takes no block")
	p.discard(blockSize - 1)
	require.Equal(t, 3*blockSize, p.memory())
	p.discard(blockSize)
	require.Equal(t, 2*blockSize, p.memory())
	p.truncate(1 << 24)
	require.Equal(t, blockSize, p.memory())
	p.discard(1 << 20)
	require.Zero(t, p.memory())
	p.discard(1 << 24)
	require.Nil(t, p.ring)
	p.write(1<<24, []byte("x"))
	require.Equal(t, minBlock, p.memory(), "small again, wherever the offset is")
	p.discard(1<<24 + 1)
	require.Zero(t, p.memory())
	require.Nil(t, p.ring)
}

func TestPipeTakesWideBlocksForMuchData(t *testing.T) {
	var p pipe
	p.write(0, make([]byte, wideFrom-1))
	require.Equal(t, wideFrom, p.memory())
	require.Nil(t, p.around(blockSize-10, 10, 20), "packets end where a block does")
	p.write(wideFrom-1, pattern(wideFrom-1, 2))
	require.Equal(t, wideBlock, p.memory())
	require.Equal(t, pattern(wideFrom-1, 2), p.around(wideFrom-1, 10, 2)[10:])
	require.Len(t, p.around(blockSize-10, 10, 1<<16), 10+1<<16, "packets of any size lie in one")
	p.write(wideBlock-5, pattern(wideBlock-5, 10))
	require.Equal(t, 2*wideBlock, p.memory())
	require.Equal(t, pattern(wideBlock-5, 10), p.appendTo(nil, wideBlock-5, 10))
	p.discard(wideBlock)
	require.Equal(t, wideBlock, p.memory())
	p.discard(wideBlock + 5)
	require.Zero(t, p.memory())

	p.write(p.end, []byte("x"))
	require.Equal(t, minBlock, p.memory(), "a little data takes a small block all the same")
	p.write(p.end, make([]byte, blockSize))
	require.Equal(t, wideBlock, p.memory(), "more does not wait for much")
	p.discard(p.end)
	p.write(p.end, make([]byte, blockSize/2+1))
	p.discard(p.end)
	p.write(p.end, make([]byte, blockSize))
	require.LessOrEqual(t, p.memory(), 2*blockSize, "until there was little")
}

func TestPipeTakesWideBlocksForBytesAndNotForOffsets(t *testing.T) {
	var p pipe
	for i := range uint64(wideFrom/blockSize - 1) {
		p.write(i<<20, []byte("x"))
	}
	require.Equal(t, (wideFrom/blockSize-1)*blockSize, p.memory(), "each byte has a block of its own")
}

func TestPipeTakesNoWideBlocksWhereMemoryIsShort(t *testing.T) {
	p := pipe{book: &memoryBook{most: wideRoom - 1, bounded: true}}
	p.write(0, make([]byte, 2*wideBlock))
	require.Equal(t, 2*wideBlock, p.memory())
	require.Nil(t, p.around(blockSize-10, 10, 20))
}

func TestPipesOfManyStreamsTakeFewWideBlocks(t *testing.T) {
	var book memoryBook
	pipes := make([]pipe, 100)
	for i := range pipes {
		pipes[i].book = &book
		pipes[i].write(0, make([]byte, wideFrom))
	}
	require.LessOrEqual(t, book.held, wideRoom+len(pipes)*wideFrom, "the others take what they hold")
	require.Equal(t, wideBlock, pipes[0].memory())
	require.Equal(t, wideFrom, pipes[99].memory())
}

// What a peer sends is in wide blocks only where its credit is more than they may waste.
func TestPipesOfAPeerTakeWideBlocksWhereItHasMuchCredit(t *testing.T) {
	for _, ample := range []bool{false, true} {
		p := pipe{book: &memoryBook{ample: ample}, peer: true}
		for off := uint64(0); off < 1<<20; off += 2 * blockSize { // a byte here and there
			p.write(off, []byte{1})
		}
		require.Equal(t, ample, p.ring.shift == wideShift)
	}
}

// pipeModel is a pipe as a plain slice.
type pipeModel struct {
	base    uint64 // offset of bytes[0]
	bytes   []byte
	written []bool
}

func (m *pipeModel) write(off uint64, data []byte) {
	if need := int(off-m.base) + len(data); need > len(m.bytes) {
		m.bytes = append(m.bytes, make([]byte, need-len(m.bytes))...)
		m.written = append(m.written, make([]bool, need-len(m.written))...)
	}
	copy(m.bytes[off-m.base:], data)
	for i := range data {
		m.written[int(off-m.base)+i] = true
	}
}

func TestPipeAgreesWithASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SampledFrom([]uint64{0, 1, blockSize - 1, 123_456_789}).Draw(t, "start")
		p, m := pipe{start: start, end: start}, pipeModel{base: start}
		check := func(off uint64, n int) {
			require.True(t, bytes.Equal(m.bytes[off-m.base:][:n], p.appendTo(nil, off, n)), "%d bytes at %d", n, off)
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				n := rapid.SampledFrom([]int{1, 10, 1000, 1200, 3000, 9000, 20_000, wideFrom}).Draw(t, "n")
				off := p.end
				if rapid.Bool().Draw(t, "elsewhere") {
					off = p.start + uint64(rapid.IntRange(0, 30_000).Draw(t, "off"))
				}
				data := pattern(int(off)*7, n)
				p.write(off, data)
				m.write(off, data)
			},
			"discard": func(t *rapid.T) {
				off := rapid.Uint64Range(p.start, p.end).Draw(t, "to")
				p.discard(off)
				m.bytes, m.written, m.base = m.bytes[off-m.base:], m.written[off-m.base:], off
			},
			"truncate": func(t *rapid.T) {
				off := rapid.Uint64Range(p.start, p.end).Draw(t, "to")
				p.truncate(off)
				m.bytes, m.written = m.bytes[:off-m.base], m.written[:off-m.base]
			},
			"": func(t *rapid.T) {
				require.EqualValues(t, len(m.bytes), p.len())
				if len(m.bytes) == 0 {
					require.Zero(t, p.memory())
				}
				if len(m.bytes) == 0 {
					return
				}
				i, n := rapid.IntRange(0, len(m.bytes)-1).Draw(t, "look at"), 0
				for i+n < len(m.written) && m.written[i+n] {
					n++
				}
				check(m.base+uint64(i), n)
				if n == 0 {
					return
				}
				if lent := p.around(m.base+uint64(i), 1, n); lent != nil {
					require.True(t, bytes.Equal(m.bytes[i:i+n], lent[1:]), "%d bytes at %d in one piece", n, m.base+uint64(i))
				}
			},
		})
		p.discard(p.end)
		require.Zero(t, p.memory())
	})
}
