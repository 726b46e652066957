package wire

import (
	"crypto/subtle"
	"encoding/hex"
)

const (
	// MaxIDLen is the longest session ID of version 1 in bytes. Eight bytes hold the encrypted routing
	// information of a server and cost no more than that on every packet.
	MaxIDLen = 8
	// ServerIDLen is the length of every ID that a server chooses, in bytes. One fixed length lets a
	// load balancer find the ID without state.
	ServerIDLen = 8
	// DefaultClientIDLen is the length of the ID that a client chooses for itself unless it is told
	// otherwise, in bytes.
	DefaultClientIDLen = 4
	// ResetTokenLen is the length of a stateless reset token in bytes: 128 bits cannot be guessed.
	ResetTokenLen = 16
)

// ID is a session ID: 0, 4 or 8 bytes. It is comparable and can be a map key. The zero value is the
// ID of length 0.
type ID struct {
	n uint8
	b [MaxIDLen]byte
}

// ValidIDLen reports whether a session ID may have n bytes.
func ValidIDLen(n int) bool {
	return n == 0 || n == 4 || n == 8 // spec: WIRE-4
}

// MakeID returns the ID made of the bytes of b. A length other than 0, 4 or 8 is a bug of the caller
// and panics: bytes from the network are checked with [ValidIDLen] first, as the parsers here do.
func MakeID(b []byte) ID {
	if !ValidIDLen(len(b)) {
		panic("BUG: session ID length")
	}
	id := ID{n: uint8(len(b))}
	copy(id.b[:], b)
	return id
}

// Len returns the length in bytes: 0, 4 or 8.
func (id ID) Len() int { return int(id.n) }

// Bytes returns a view of the bytes. It is a method of the pointer so that it need not allocate.
func (id *ID) Bytes() []byte { return id.b[:id.n] }

// Append appends the bytes of the ID, without its length.
func (id ID) Append(b []byte) []byte { return append(b, id.b[:id.n]...) }

// Array returns the bytes, filled up with zeros. For a server's ID that is the ID itself.
func (id ID) Array() [MaxIDLen]byte { return id.b }

// String returns the bytes in hexadecimal, or "-" for the ID of length 0.
func (id ID) String() string {
	if id.n == 0 {
		return "-"
	}
	return hex.EncodeToString(id.b[:id.n])
}

// ResetToken proves that a stateless reset comes from the endpoint that once held the session.
type ResetToken [ResetTokenLen]byte

// IsZero reports whether the token is unset. An unset token matches nothing.
func (t ResetToken) IsZero() bool { return t == ResetToken{} }

// Equal compares in constant time. An unset token equals nothing, itself included.
func (t ResetToken) Equal(other ResetToken) bool {
	return !t.IsZero() && subtle.ConstantTimeCompare(t[:], other[:]) == 1
}

// String shows the first two bytes only: whoever holds the token can end the session.
func (t ResetToken) String() string {
	return hex.EncodeToString(t[:2]) + "…"
}

// ECN is the two-bit congestion mark of an IP packet, with the values of RFC 3168.
type ECN uint8

// The four code points.
const (
	NotECT ECN = 0 // not capable
	ECT1   ECN = 1
	ECT0   ECN = 2
	CE     ECN = 3 // congestion experienced
)

// String returns the name of the code point.
func (e ECN) String() string {
	switch e & 3 {
	case ECT1:
		return "ECT1"
	case ECT0:
		return "ECT0"
	case CE:
		return "CE"
	default:
		return "NotECT"
	}
}
