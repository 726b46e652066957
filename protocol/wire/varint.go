package wire

import "encoding/binary"

// MaxVarint is the largest number a variable-length integer can hold: 62 bits, because the first two
// bits of the encoding carry its length (RFC 9000, section 16).
const MaxVarint = 1<<62 - 1

// Upper bounds of the shorter encodings.
const (
	maxVarint1 = 1<<6 - 1
	maxVarint2 = 1<<14 - 1
	maxVarint4 = 1<<30 - 1
)

// AppendVarint appends v in its shortest encoding: 1, 2, 4 or 8 bytes.
// A v above [MaxVarint] is a bug of the caller and panics.
func AppendVarint(b []byte, v uint64) []byte {
	switch { // spec: WIRE-2
	case v <= maxVarint1:
		return append(b, byte(v))
	case v <= maxVarint2:
		return append(b, 0x40|byte(v>>8), byte(v))
	case v <= maxVarint4:
		return binary.BigEndian.AppendUint32(b, 0x80<<24|uint32(v))
	case v <= MaxVarint:
		return binary.BigEndian.AppendUint64(b, 0xc0<<56|v)
	default:
		panic("BUG: varint above 2^62-1")
	}
}

// ConsumeVarint reads the variable-length integer at the start of b and returns it with its size,
// or n = -1 when b is too short. An encoding longer than needed is accepted.
func ConsumeVarint(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, -1
	}
	if b[0] <= maxVarint1 { // most numbers are small
		return uint64(b[0]), 1
	}
	n = 1 << (b[0] >> 6)
	if len(b) < n { // spec: WIRE-1
		return 0, -1
	}
	switch n {
	case 2:
		return uint64(binary.BigEndian.Uint16(b)) & maxVarint2, 2
	case 4:
		return uint64(binary.BigEndian.Uint32(b)) & maxVarint4, 4
	default:
		return binary.BigEndian.Uint64(b) & MaxVarint, 8
	}
}

// SizeVarint returns the number of bytes that AppendVarint writes for v, and 8 for a v that it refuses.
func SizeVarint(v uint64) int {
	switch {
	case v <= maxVarint1:
		return 1
	case v <= maxVarint2:
		return 2
	case v <= maxVarint4:
		return 4
	default:
		return 8
	}
}
