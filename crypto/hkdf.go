package crypto

import (
	"crypto/sha256"
	"crypto/subtle"
)

// maxHMACInput is the longest input of hmacSum: a block that came before, and the longest info of ExpandLabel.
const maxHMACInput = sha256.Size + 4 + 2*maxLabel + 1

// hmacSum is HMAC-SHA256 of the parts, at most maxHMACInput bytes together, under a key of at most one block. A
// handshake and the keys behind it need a hundred of these, and the library allocates seven times for each,
// so the construction of RFC 2104 is laid out on the stack here.
func hmacSum(key []byte, parts ...[]byte) (sum [sha256.Size]byte) {
	if len(key) > sha256.BlockSize {
		panic("BUG: crypto: the key of an HMAC is longer than a block")
	}
	var inner [sha256.BlockSize + maxHMACInput]byte
	var outer [sha256.BlockSize + sha256.Size]byte
	copy(inner[:], key)
	copy(outer[:], key)
	subtle.XORBytes(inner[:sha256.BlockSize], inner[:sha256.BlockSize], innerPad[:])
	subtle.XORBytes(outer[:sha256.BlockSize], outer[:sha256.BlockSize], outerPad[:])
	n := sha256.BlockSize
	for _, p := range parts {
		if len(p) > len(inner)-n {
			panic("BUG: crypto: the input of an HMAC is too long")
		}
		n += copy(inner[n:], p)
	}
	sum = sha256.Sum256(inner[:n])
	copy(outer[sha256.BlockSize:], sum[:])
	sum = sha256.Sum256(outer[:])
	Zero(inner[:])
	Zero(outer[:])
	return sum
}

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

// HKDF fills out, at most 8,160 bytes, with HKDF-SHA256 (RFC 5869) of a salt of at most 64 bytes and an input, with
// no info. It allocates nothing.
func HKDF(out, salt, input []byte) {
	secret := hmacSum(salt, input)
	expand(out, secret[:], nil)
	Zero(secret[:])
}

// expand fills out with HKDF-Expand of a secret and an info.
func expand(out, secret, info []byte) {
	if len(out) > 255*sha256.Size {
		panic("BUG: crypto: HKDF refused the length")
	}
	var block [sha256.Size]byte
	before := block[:0]
	for i := byte(1); len(out) > 0; i++ {
		block = hmacSum(secret, before, info, []byte{i})
		before = block[:]
		out = out[copy(out, block[:]):]
	}
	Zero(block[:])
}
