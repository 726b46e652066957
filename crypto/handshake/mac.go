package handshake

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
)

// maxMAC is the longest input of mac: a RESP fragment up to its own MAC.
const maxMAC = FragmentSize

// The pads of RFC 2104, a block each.
var (
	innerPad = padBlock(0x36)
	outerPad = padBlock(0x5c)
)

func padBlock(v byte) (b [sha256.BlockSize]byte) {
	for i := range b {
		b[i] = v
	}
	return b
}

// mac is HMAC-SHA256 cut to 16 bytes. crypto/hmac allocates its state, and
// servers check these before they know anything about the sender, so the
// construction of RFC 2104 is laid out on the stack here: a key of 32 bytes is
// shorter than a block and is padded with zeros. The parts are at most maxMAC
// bytes together; callers have checked that.
func mac(key *[keySize]byte, parts ...[]byte) (out [tagSize]byte) {
	var inner [sha256.BlockSize + maxMAC]byte
	n := copy(inner[:], innerPad[:])
	subtle.XORBytes(inner[:keySize], innerPad[:], key[:])
	for _, p := range parts {
		if len(p) > len(inner)-n {
			panic("BUG: input of a MAC is too long")
		}
		n += copy(inner[n:], p)
	}
	sum := sha256.Sum256(inner[:n])

	var outer [sha256.BlockSize + sha256.Size]byte
	copy(outer[:], outerPad[:])
	subtle.XORBytes(outer[:keySize], outerPad[:], key[:])
	copy(outer[sha256.BlockSize:], sum[:])
	sum = sha256.Sum256(outer[:])
	copy(out[:], sum[:])
	return out
}

// verify reports whether got is the MAC of the parts, in constant time.
func verify(got []byte, key *[keySize]byte, parts ...[]byte) bool {
	want := mac(key, parts...)
	return hmac.Equal(want[:], got)
}

// mac1Key is the key of mac1 for a server key, and a pre-shared key where the
// client names one.
func mac1Key(static *[keySize]byte, psk []byte) [keySize]byte {
	var b [4 + keySize + keySize]byte
	n := copy(b[:], "mac1")
	n += copy(b[n:], static[:])
	n += copy(b[n:], psk)
	return sha256.Sum256(b[:n])
}

// retryKey is the key of a RETRY's tag.
func retryKey(static *[keySize]byte) [keySize]byte {
	var b [5 + keySize]byte
	n := copy(b[:], "retry")
	copy(b[n:], static[:])
	return sha256.Sum256(b[:])
}
