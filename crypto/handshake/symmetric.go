package handshake

import (
	"crypto/sha256"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/godwit-net/godwit/crypto"
)

// symmetric is the SymmetricState of the Noise Protocol Framework, revision 34,
// section 5.2, with SHA-256 and ChaCha20-Poly1305. It is a plain value: a copy
// is a snapshot, and a step that failed is undone by dropping the copy that it
// was tried on.
type symmetric struct {
	ck [keySize]byte // chaining key
	h  [keySize]byte // hash of everything so far
	k  [keySize]byte // present message key
	n  uint64        // its next nonce

	nonce  [chacha20poly1305.NonceSize]byte // room for the laid out nonce
	cipher aead                             // ChaCha20-Poly1305 under k; nil before there is a key
}

// newSymmetric starts from the name of a protocol. Names of up to 32 bytes
// stand for themselves, longer ones are hashed.
func newSymmetric(name string) symmetric {
	var s symmetric
	if len(name) <= keySize {
		copy(s.h[:], name)
	} else {
		s.h = sha256.Sum256([]byte(name))
	}
	s.ck = s.h
	return s
}

// maxMix is the longest input of mixHash: the largest message.
const maxMix = InitSize

// mixHash adds data, at most maxMix bytes, to the hash: h = SHA-256(h ‖ data).
// Both lie on the stack, since forged messages come this far.
func (s *symmetric) mixHash(data []byte) {
	if len(data) > maxMix {
		panic("BUG: input of the transcript is too long")
	}
	var b [keySize + maxMix]byte
	n := copy(b[:], s.h[:])
	n += copy(b[n:], data)
	s.h = sha256.Sum256(b[:n])
}

// mixKey adds a secret, or a public value that stands for one, to the chaining
// key and starts a new message key, by Noise's HKDF: that of RFC 5869 with the
// chaining key as salt and no info.
func (s *symmetric) mixKey(input []byte) {
	var out [2 * keySize]byte
	crypto.HKDF(out[:], s.ck[:], input)
	copy(s.ck[:], out[:])
	s.setKey(out[keySize:])
	crypto.Zero(out[:])
}

// mixKeyAndHash does both, for a pre-shared key.
func (s *symmetric) mixKeyAndHash(input []byte) {
	var out [3 * keySize]byte
	crypto.HKDF(out[:], s.ck[:], input)
	copy(s.ck[:], out[:])
	s.mixHash(out[keySize : 2*keySize])
	s.setKey(out[2*keySize:])
	crypto.Zero(out[:])
}

func (s *symmetric) setKey(k []byte) {
	a, err := chacha20poly1305.New(k)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	copy(s.k[:], k)
	s.n, s.cipher = 0, a
}

// sealAndHash appends the sealed text to b, authenticates the hash with it, and
// adds it to the hash. The nonce goes on.
func (s *symmetric) sealAndHash(b, text []byte) []byte {
	start := len(b)
	s.putNonce()
	b = s.cipher.Seal(b, s.nonce[:], text, s.h[:])
	s.n++
	s.mixHash(b[start:])
	return b
}

// openAndHash appends the opened text to b. On failure keys and hash are as
// they were.
func (s *symmetric) openAndHash(b, sealed []byte) ([]byte, error) {
	s.putNonce()
	text, err := s.cipher.Open(b, s.nonce[:], sealed, s.h[:])
	if err != nil {
		return nil, ErrAuth
	}
	s.n++
	s.mixHash(sealed)
	return text, nil
}

// aead is the part of cipher.AEAD that is used here.
type aead interface {
	Seal(dst, nonce, text, ad []byte) []byte
	Open(dst, nonce, sealed, ad []byte) ([]byte, error)
}

// putNonce lays out the nonce: four zero bytes and the counter, little-endian,
// as Noise has it for ChaCha20-Poly1305.
func (s *symmetric) putNonce() { binary.LittleEndian.PutUint64(s.nonce[4:], s.n) }

// clear forgets all keys.
func (s *symmetric) clear() { *s = symmetric{} }
