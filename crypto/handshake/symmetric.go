package handshake

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"
)

// symmetric is the SymmetricState of the Noise Protocol Framework, revision 34,
// section 5.2, with SHA-256 and ChaCha20-Poly1305. It is a plain value: a copy
// is a snapshot, and a step that failed is undone by dropping the copy that it
// was tried on.
type symmetric struct {
	ck [keySize]byte // chaining key
	h  [keySize]byte // hash of everything so far
	k  [keySize]byte // present message key, when keyed
	n  uint64        // its next nonce

	keyed bool
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

// mixHash adds data to the hash: h = SHA-256(h ‖ data).
func (s *symmetric) mixHash(data []byte) {
	d := sha256.New()
	d.Write(s.h[:])
	d.Write(data)
	d.Sum(s.h[:0])
}

// mixKey adds a secret, or a public value that stands for one, to the chaining
// key and starts a new message key.
func (s *symmetric) mixKey(input []byte) {
	out := s.expand(input, 2)
	copy(s.ck[:], out)
	s.setKey(out[keySize:])
}

// mixKeyAndHash does both, for a pre-shared key.
func (s *symmetric) mixKeyAndHash(input []byte) {
	out := s.expand(input, 3)
	copy(s.ck[:], out)
	s.mixHash(out[keySize : 2*keySize])
	s.setKey(out[2*keySize:])
}

func (s *symmetric) setKey(k []byte) {
	copy(s.k[:], k)
	s.n = 0
	s.keyed = true
}

// expand is Noise's HKDF with n outputs of 32 bytes: that of RFC 5869 with the
// chaining key as salt and no info.
func (s *symmetric) expand(input []byte, n int) []byte {
	out, err := hkdf.Key(sha256.New, input, s.ck[:], "", n*keySize)
	if err != nil {
		panic("BUG: HKDF of at most three blocks failed: " + err.Error())
	}
	return out
}

// sealAndHash appends the sealed text to b, authenticates the hash with it, and
// adds it to the hash. The nonce goes on.
func (s *symmetric) sealAndHash(b, text []byte) []byte {
	start := len(b)
	b = s.aead().Seal(b, s.nonce(), text, s.h[:])
	s.n++
	s.mixHash(b[start:])
	return b
}

// openAndHash appends the opened text to b. On failure the state is as it was.
func (s *symmetric) openAndHash(b, sealed []byte) ([]byte, error) {
	text, err := s.aead().Open(b, s.nonce(), sealed, s.h[:])
	if err != nil {
		return nil, ErrAuth
	}
	s.n++
	s.mixHash(sealed)
	return text, nil
}

func (s *symmetric) aead() aead {
	if !s.keyed {
		panic("BUG: handshake text sealed before there was a key")
	}
	a, err := chacha20poly1305.New(s.k[:])
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return a
}

// aead is the part of cipher.AEAD that is used here.
type aead interface {
	Seal(dst, nonce, text, ad []byte) []byte
	Open(dst, nonce, sealed, ad []byte) ([]byte, error)
}

// nonce is four zero bytes and the counter, little-endian, as Noise lays it
// out for ChaCha20-Poly1305.
func (s *symmetric) nonce() []byte {
	var n [chacha20poly1305.NonceSize]byte
	binary.LittleEndian.PutUint64(n[4:], s.n)
	return n[:]
}

// clear forgets all keys.
func (s *symmetric) clear() { *s = symmetric{} }

var errTooLong = errors.New("handshake: payload too long")
