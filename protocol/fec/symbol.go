package fec

import "encoding/binary"

const (
	// Window is the most source packets that a symbol covers, and that an encoder or decoder holds. Wire
	// says so too (MaxRepairWindow): receivers keep no more.
	Window = 64
	// Seeds is the number of seeds: what GF(2^8) leaves beside the Window elements that stand for
	// sequences. A window that is repaired three times over, which is the largest overhead that can be
	// agreed on (300 %), uses each seed once.
	Seeds = 256 - Window
	// MaxSymbol is the most coded bytes, so that Window of them are 96 KiB. It is above what a datagram
	// on an Ethernet carries; larger packets, of jumbo networks, are not covered.
	MaxSymbol = 1536
	// MaxContent is the most bytes of a source packet that can be covered.
	MaxContent = MaxSymbol - lengthSize
	// lengthSize are the bytes that code the length of a content.
	lengthSize = 2
	// minSymbol is the shortest vector: no content is empty.
	minSymbol = lengthSize + 1
)

// SymbolSize returns the coded bytes of a content: what a sender leaves room for in each packet that it
// wants to cover, so that a symbol fits a packet.
func SymbolSize(content int) int { return lengthSize + content }

// A vector is what is coded: the length of a content in two bytes, the content, and any number of zeros
// that nobody stores. Without the length, padding and a last frame that runs to the end of its packet
// could not be told apart.

// fillVector writes the vector of a content, given in two parts, over a buffer.
func fillVector(b, head, body []byte) []byte {
	n := len(head) + len(body)
	b = resize(b[:0], lengthSize+n)
	binary.BigEndian.PutUint16(b, uint16(n)) // spec: FEC-1
	copy(b[lengthSize:], head)
	copy(b[lengthSize+len(head):], body)
	return b
}

// contentLen returns the length of the content of a recovered vector, or false where it is no vector
// that a sender makes.
func contentLen(v []byte) (int, bool) {
	if len(v) < minSymbol {
		return 0, false
	}
	n := int(binary.BigEndian.Uint16(v))
	if n == 0 || lengthSize+n > len(v) {
		return 0, false
	}
	return n, isZero(v[lengthSize+n:])
}

func isZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// growth is the step in which buffers grow: fine enough for small packets to cost little, and a size in
// which the runtime allocates.
const growth = 256

// resize returns b with n bytes, at most MaxSymbol, of which those beyond len(b) are zero.
func resize(b []byte, n int) []byte {
	had := len(b)
	if cap(b) < n {
		larger := make([]byte, n, (n+growth-1)/growth*growth)
		copy(larger, b)
		return larger
	}
	b = b[:n]
	if had < n {
		clear(b[had:])
	}
	return b
}

// index is the place of a sequence in a ring of Window, in a set of bits and among the coefficients.
func index(sequence uint16) int { return int(sequence % Window) }
