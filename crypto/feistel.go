package crypto

import (
	"crypto/aes"
	"crypto/cipher"
)

// feistel is the four-round Feistel network over AES-128 of draft-ietf-quic-load-balancers: a
// permutation of short strings, made so that a load balancer can undo it without state. The string is
// cut into a left and a right half; where its length is odd, the middle octet is shared, four bits
// each. It has scratch space: one caller at a time.
type feistel struct {
	block       cipher.Block
	in, out     [aes.BlockSize]byte
	left, right [maxFeistelHalf]byte
}

const (
	feistelRounds = 4
	// maxFeistelHalf leaves room for the length and the round number in the cipher's block.
	maxFeistelHalf = aes.BlockSize - 2
)

func newFeistel(key []byte) *feistel { return &feistel{block: newAES(key)} }

// encrypt permutes text, 2 to 28 bytes, where it lies.
func (f *feistel) encrypt(text []byte) {
	f.split(text)
	for round := byte(1); round <= feistelRounds; round++ {
		f.round(len(text), round)
	}
	f.join(text)
}

// decrypt undoes encrypt. stopAfter is 4, or 3 where only the left half is wanted: the last round
// changes only the right one.
func (f *feistel) decrypt(text []byte, stopAfter byte) {
	f.split(text)
	for i := range stopAfter {
		f.round(len(text), feistelRounds-i)
	}
	f.join(text)
}

// round changes one half by a block cipher call on the other: the right one in odd rounds.
func (f *feistel) round(length int, number byte) {
	half := (length + 1) / 2
	from, to := &f.left, &f.right
	if number%2 == 0 {
		from, to = to, from
	}
	clear(f.in[:])
	copy(f.in[:], from[:half])
	f.in[aes.BlockSize-2], f.in[aes.BlockSize-1] = byte(length), number
	f.block.Encrypt(f.out[:], f.in[:])
	for i := range half {
		to[i] ^= f.out[i]
	}
	f.trim(length)
}

// trim keeps the halves to their own four bits of a shared middle octet.
func (f *feistel) trim(length int) {
	if length%2 == 1 {
		f.left[(length+1)/2-1] &= 0xf0
		f.right[0] &= 0x0f
	}
}

func (f *feistel) split(text []byte) {
	half := (len(text) + 1) / 2
	copy(f.left[:half], text)
	copy(f.right[:half], text[len(text)-half:])
	f.trim(len(text))
}

func (f *feistel) join(text []byte) {
	half := (len(text) + 1) / 2
	copy(text[len(text)-half:], f.right[:half])
	if len(text)%2 == 1 {
		text[half-1] |= f.left[half-1]
		half--
	}
	copy(text, f.left[:half])
}
