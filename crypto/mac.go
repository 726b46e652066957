package crypto

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
)

// maxMACInput is the most bytes that any of our keyed hashes takes in: a cookie's fields.
const maxMACInput = 64

// macKey is HMAC-SHA256 under one key, set up once: hashing a short input then takes two to three
// blocks of SHA-256 and allocates nothing. It has scratch space: one caller at a time.
type macKey struct {
	hmac  hash.Hash
	input [maxMACInput]byte
	sum   [sha256.Size]byte
}

func newMACKey(key []byte) *macKey { return &macKey{hmac: hmac.New(sha256.New, key)} }

// of returns the HMAC of the first n bytes of input; the result lasts until the next call.
func (m *macKey) of(n int) []byte {
	m.hmac.Reset()
	m.hmac.Write(m.input[:n])
	return m.hmac.Sum(m.sum[:0])
}
