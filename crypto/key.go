package crypto

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
)

// ErrLowOrder is the error of ECDH when the result would be all zero: the other side sent a point of
// low order, and the result would be known to everybody.
var ErrLowOrder = errors.New("crypto: the public key is a point of low order")

// errNoPrivateKey is the error of using a PrivateKey that was never set.
var errNoPrivateKey = errors.New("crypto: no private key is set")

// PrivateKey is the X25519 private key (RFC 7748) that an endpoint is known by, or an ephemeral one.
// The zero value means "not set". Printing it in any way shows no key material; Text is the only way
// to the text form, so that no logger or encoder finds it by itself. A PrivateKey may be shared
// between goroutines. Go's == asks whether both are the same object; use Equal.
type PrivateKey struct {
	// It holds the public key too, which costs a scalar multiplication to make. Two pointers, because
	// package fmt follows one when the key is in an unexported field of what it prints.
	key **ecdh.PrivateKey
}

// GeneratePrivateKey returns a new private key from the operating system's random source.
func GeneratePrivateKey() PrivateKey {
	key, err := PrivateKeyFromSeed(rand.Reader)
	if err != nil {
		panic("crypto: the operating system has no randomness: " + err.Error())
	}
	return key
}

// PrivateKeyFromSeed reads 32 bytes and returns the private key that they are. The error is the
// reader's, or that the bytes are all zero.
//
// The bytes are read here rather than by ecdh.GenerateKey, which ignores the reader since Go 1.26.
func PrivateKeyFromSeed(random io.Reader) (PrivateKey, error) {
	var b [KeySize]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return PrivateKey{}, fmt.Errorf("crypto: reading a private key: %w", err)
	}
	defer Zero(b[:])
	if isZero(&b) {
		return PrivateKey{}, fmt.Errorf("crypto: reading a private key: %w", errZeroKey)
	}
	return newPrivateKey(&b), nil
}

// ParsePrivateKey reads the text form "gwkey1…". The error says in words what is wrong with the
// text, such as that it is the public key, and never quotes it.
func ParsePrivateKey(text string) (PrivateKey, error) {
	b, err := parseKeyText(privateKeyPrefix, text)
	if err != nil {
		return PrivateKey{}, err
	}
	defer Zero(b[:])
	return newPrivateKey(&b), nil
}

func newPrivateKey(b *[KeySize]byte) PrivateKey {
	key, err := ecdh.X25519().NewPrivateKey(b[:])
	if err != nil {
		panic("BUG: crypto: 32 bytes are not an X25519 key: " + err.Error())
	}
	return PrivateKey{&key}
}

// IsZero reports whether k is not set.
func (k PrivateKey) IsZero() bool { return k.key == nil }

// Equal reports, in constant time, whether both keys are the same. A key that is not set equals none.
func (k PrivateKey) Equal(other PrivateKey) bool {
	return k.key != nil && other.key != nil && (*k.key).Equal(*other.key)
}

// Public returns the public key of k, or the zero PublicKey when k is not set.
func (k PrivateKey) Public() (public PublicKey) {
	if k.key != nil {
		copy(public.b[:], (*k.key).PublicKey().Bytes())
	}
	return public
}

// ECDH returns the X25519 function of k and a public key. It is ErrLowOrder when the result is all
// zero.
//
// spec: PROT-2
func (k PrivateKey) ECDH(public PublicKey) (shared [32]byte, err error) {
	if k.key == nil {
		return shared, errNoPrivateKey
	}
	remote, err := ecdh.X25519().NewPublicKey(public.b[:])
	if err != nil {
		return shared, err
	}
	result, err := (*k.key).ECDH(remote)
	if err != nil {
		return shared, ErrLowOrder
	}
	copy(shared[:], result)
	clear(result)
	return shared, nil
}

// Text returns the secret text form "gwkey1…", 64 characters, or "" when k is not set.
func (k PrivateKey) Text() string {
	if k.key == nil {
		return ""
	}
	b := (*k.key).Bytes()
	defer Zero(b)
	return bech32Encode(privateKeyPrefix, b)
}

// UnmarshalText reads the text form, for files of settings. There is no MarshalText on purpose:
// encoders and loggers would find it and write the secret.
func (k *PrivateKey) UnmarshalText(text []byte) (err error) {
	*k, err = ParsePrivateKey(string(text))
	return err
}

// String returns a note that says the kind of key and no more.
func (k PrivateKey) String() string { return redacted(privateKeyPrefix, k.IsZero()) }

// Format writes the same note as String for every verb of package fmt.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// redacted is what a secret prints as.
func redacted(prefix string, unset bool) string {
	if unset {
		return prefix + "1(not set)"
	}
	return prefix + "1(secret)"
}

// PublicKey is the X25519 public key of an endpoint. The zero value means "not set" or, where a peer
// is named, "anonymous". It is comparable with == and a good map key.
type PublicKey struct{ b [KeySize]byte }

// PublicKeyFromBytes returns the public key with the given bytes. Every value is accepted; ECDH
// refuses the points of low order.
func PublicKeyFromBytes(b [KeySize]byte) PublicKey { return PublicKey{b} }

// ParsePublicKey reads the text form "gwpub1…". The error says in words what is wrong with it.
func ParsePublicKey(text string) (PublicKey, error) {
	b, err := parseKeyText(publicKeyPrefix, text)
	if err != nil {
		return PublicKey{}, err
	}
	return PublicKey{b}, nil
}

// IsZero reports whether k is not set.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// Bytes returns the 32 bytes of k as RFC 7748 encodes them.
func (k PublicKey) Bytes() [KeySize]byte { return k.b }

// String returns the text form "gwpub1…", 64 characters, or "" when k is not set.
func (k PublicKey) String() string {
	if k.IsZero() {
		return ""
	}
	return bech32Encode(publicKeyPrefix, k.b[:])
}

// MarshalText returns the same as String.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the text form; an empty text leaves k not set.
func (k *PublicKey) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*k = PublicKey{}
		return nil
	}
	*k, err = ParsePublicKey(string(text))
	return err
}
