package crypto

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
)

// groupKeyLabel is the HKDF info under which the listener key of a pre-shared key is made.
const groupKeyLabel = "godwit group key"

// PresharedKey is 32 random bytes that a group of endpoints shares. Passwords are not keys: an
// observer can test guesses against the first packet, so text is only read in the checked form.
// The zero value means "not set". Printing it shows no key material. Go's == asks whether both are
// the same object; use Equal.
type PresharedKey struct {
	key **[KeySize]byte // behind two pointers for the reason that PrivateKey's is
}

// GeneratePresharedKey returns a new key from the operating system's random source.
func GeneratePresharedKey() PresharedKey {
	key, err := PresharedKeyFromSeed(rand.Reader)
	if err != nil {
		panic("crypto: the operating system has no randomness: " + err.Error())
	}
	return key
}

// PresharedKeyFromSeed reads 32 bytes and returns the key that they are. The error is the reader's,
// or that the bytes are all zero.
func PresharedKeyFromSeed(random io.Reader) (PresharedKey, error) {
	b := new([KeySize]byte)
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return PresharedKey{}, fmt.Errorf("crypto: reading a pre-shared key: %w", err)
	}
	if isZero(b) {
		return PresharedKey{}, fmt.Errorf("crypto: reading a pre-shared key: %w", errZeroKey)
	}
	return PresharedKey{&b}, nil
}

// ParsePresharedKey reads the text form "gwpsk1…". The error says in words what is wrong with the
// text and never quotes it.
func ParsePresharedKey(text string) (PresharedKey, error) {
	b, err := parseKeyText(presharedKeyPrefix, text)
	if err != nil {
		return PresharedKey{}, err
	}
	held := &b
	return PresharedKey{&held}, nil
}

// IsZero reports whether k is not set.
func (k PresharedKey) IsZero() bool { return k.key == nil }

// Equal reports, in constant time, whether both keys are the same. A key that is not set equals none.
func (k PresharedKey) Equal(other PresharedKey) bool {
	return k.key != nil && other.key != nil && subtle.ConstantTimeCompare((*k.key)[:], (*other.key)[:]) == 1
}

// Bytes returns the 32 secret bytes; all zero when k is not set, which is what the handshake mixes
// in for "no pre-shared key".
func (k PresharedKey) Bytes() (b [KeySize]byte) {
	if k.key != nil {
		b = **k.key
	}
	return b
}

// ID returns the name of the key on the wire, SHA-256("pskid" ‖ key)[:8]; all zero when k is not set.
//
// spec: PROT-3
func (k PresharedKey) ID() (id [8]byte) {
	if k.key == nil {
		return id
	}
	h := sha256.New()
	h.Write([]byte("pskid"))
	h.Write((*k.key)[:])
	copy(id[:], h.Sum(nil))
	return id
}

// GroupKey returns the listener key that all holders of the pre-shared key can make, for clients
// that pin no public key; not set when k is not set. It costs a scalar multiplication (about 75 µs):
// keep it.
//
// spec: PROT-4
func (k PresharedKey) GroupKey() PrivateKey {
	if k.key == nil {
		return PrivateKey{}
	}
	b, err := hkdf.Key(sha256.New, (*k.key)[:], nil, groupKeyLabel, KeySize)
	if err != nil {
		panic("BUG: crypto: HKDF refused 32 bytes: " + err.Error())
	}
	defer Zero(b)
	return newPrivateKey((*[KeySize]byte)(b))
}

// Text returns the secret text form "gwpsk1…", 64 characters, or "" when k is not set.
func (k PresharedKey) Text() string {
	if k.key == nil {
		return ""
	}
	return bech32Encode(presharedKeyPrefix, (*k.key)[:])
}

// UnmarshalText reads the text form, for files of settings. There is no MarshalText on purpose:
// encoders and loggers would find it and write the secret.
func (k *PresharedKey) UnmarshalText(text []byte) (err error) {
	*k, err = ParsePresharedKey(string(text))
	return err
}

// String returns a note that says the kind of key and no more.
func (k PresharedKey) String() string { return redacted(presharedKeyPrefix, k.IsZero()) }

// Format writes the same note as String for every verb of package fmt.
func (k PresharedKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }
