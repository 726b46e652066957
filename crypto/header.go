package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

const (
	// sampleSize is how many bytes of ciphertext a mask is made from: one block of AES.
	sampleSize = 16
	// sampleOffset is where the sample begins, counted from the packet number: behind the longest one,
	// so that both sides find it before they know the real length.
	sampleOffset = 4
	// MinAfterPacketNumber is the least number of bytes from the start of the packet number to the end
	// of the datagram, tag included.
	MinAfterPacketNumber = sampleOffset + sampleSize

	// leanMasks is how many masks of AES are made without a cipher after Doze, at 2 µs rather than 30 ns each: a packet that
	// keeps a session alive, and its answer. Traffic is soon beyond that.
	leanMasks = 4

	maskedBits = 0b0000_0111 // of the first octet: key phase and packet number length
	phaseBit   = 0b0000_0100
	pnLenBits  = 0b0000_0011
)

// HeaderKey makes the masks that hide key phase, packet number length and packet number. One key
// lasts for the whole session in each direction. It has scratch space: one caller at a time. Like a
// PacketKey it keeps the key itself, so that its cipher can rest.
type HeaderKey struct {
	block   cipher.Block // AES; nil: at rest, or ChaCha20
	suite   Suite
	size    uint8     // of the key in bytes
	lean    uint8     // masks of AES that are still made without a cipher
	words   [8]uint32 // the key, little-endian
	scratch [aes.BlockSize]byte
}

// NewHeaderKey returns the header key that belongs to the first secret of a direction. Later
// generations keep it. A suite that is not Valid is a bug and panics.
//
// spec: PROT-9
func NewHeaderKey(suite Suite, secret *Secret) *HeaderKey {
	return newHeaderKey(suite, secret, &ourLabels)
}

func newHeaderKey(suite Suite, secret *Secret, l *labels) *HeaderKey {
	var key [KeySize]byte
	expandLabel(key[:], l.prefix, secret[:], l.hp, nil)
	defer Zero(key[:])
	return newRawHeaderKey(suite, key[:])
}

// newRawHeaderKey takes the key itself; 16 bytes are AES-128, which only vectors use.
func newRawHeaderKey(suite Suite, key []byte) *HeaderKey {
	if suite != AES256GCM && suite != ChaCha20Poly1305 {
		panic("BUG: crypto: header key for " + suite.String())
	}
	h := &HeaderKey{suite: suite, size: uint8(len(key))}
	for i := range len(key) / 4 {
		h.words[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	return h
}

// wake makes the cipher of AES.
func (h *HeaderKey) wake() {
	var key [KeySize]byte
	defer Zero(key[:])
	for i, w := range h.words {
		binary.LittleEndian.PutUint32(key[4*i:], w)
	}
	h.block = newAES(key[:h.size])
}

// Rest gives back the memory of the cipher, some 500 bytes, until the next mask.
func (h *HeaderKey) Rest() { h.block, h.lean = nil, 0 }

// Doze is Rest until a few masks later: those are made without memory.
func (h *HeaderKey) Doze() {
	h.Rest()
	if h.size == KeySize {
		h.lean = leanMasks
	}
}

// Mask returns the mask for a sample of 16 bytes: the first byte is for the first octet of the
// header, the others for the packet number.
//
// spec: PROT-9
func (h *HeaderKey) Mask(sample []byte) (mask [5]byte) {
	if h.suite == ChaCha20Poly1305 {
		h.scratch = [sampleSize]byte(sample)
		return chachaMask(&h.words, &h.scratch)
	}
	if h.block == nil {
		if h.lean > 0 {
			h.lean--
			return aesMask(&h.words, (*[sampleSize]byte)(sample))
		}
		h.wake()
	}
	h.block.Encrypt(h.scratch[:], sample[:sampleSize])
	return [5]byte(h.scratch[:])
}

// apply masks or unmasks the header of a packet. It returns the length of the packet number, which
// is read from the side on which it is in the clear.
func (h *HeaderKey) apply(buf []byte, pnOff int, masking bool) (pnLen int) {
	mask := h.Mask(buf[pnOff+sampleOffset : pnOff+sampleOffset+sampleSize])
	clearOctet := buf[0]
	buf[0] ^= mask[0] & maskedBits
	if !masking {
		clearOctet = buf[0]
	}
	pnLen = int(clearOctet&pnLenBits) + 1
	for i := range pnLen {
		buf[pnOff+i] ^= mask[1+i]
	}
	return pnLen
}

// Zero wipes the key and drops the cipher. The key cannot be used afterwards.
func (h *HeaderKey) Zero() { *h = HeaderKey{} }

// newAES returns AES for a key of 16 or 32 bytes.
func newAES(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("BUG: crypto: AES refused its key: " + err.Error())
	}
	return block
}
