package crypto

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20"
)

// RFC 8439 §2.3.2: the block function's vector, of which a mask is the first five bytes.
//
// spec: PROT-9
func TestChaChaMaskIsTheStartOfTheBlock(t *testing.T) {
	key := newRawHeaderKey(ChaCha20Poly1305, unhex(t, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
	mask := key.Mask(unhex(t, "01000000 000000090000004a00000000"))
	require.Equal(t, "10f1e7e4d1", hex.EncodeToString(mask[:]))
}

// spec: PROT-9
func TestChaChaMaskAgreesWithAnotherImplementation(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	for range 2000 {
		var key [32]byte
		var sample [sampleSize]byte
		random.Read(key[:])
		random.Read(sample[:])
		cipher, err := chacha20.NewUnauthenticatedCipher(key[:], sample[4:])
		require.NoError(t, err)
		cipher.SetCounter(binary.LittleEndian.Uint32(sample[:]))
		var want [5]byte
		cipher.XORKeyStream(want[:], want[:])
		require.Equal(t, want, newRawHeaderKey(ChaCha20Poly1305, key[:]).Mask(sample[:]))
	}
}

// FIPS 197 appendix C.3, with the cipher and without.
//
// spec: PROT-9
func TestAESMaskIsTheStartOfTheBlock(t *testing.T) {
	key := newRawHeaderKey(AES256GCM, unhex(t, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
	sample := unhex(t, "00112233445566778899aabbccddeeff")
	for _, mask := range [][5]byte{key.Mask(sample), aesMask(&key.words, (*[sampleSize]byte)(sample))} {
		require.Equal(t, "8ea2b7ca51", hex.EncodeToString(mask[:]))
	}
}

// What keeps a session alive needs no memory for its header, traffic soon has a cipher, and the masks are the same.
//
// spec: PROT-9
func TestAFewMasksAfterADozeNeedNoCipher(t *testing.T) {
	for _, suite := range bothSuites {
		h := NewHeaderKey(suite, testSecret(1))
		sample := make([]byte, sampleSize)
		want := h.Mask(sample)
		require.Zero(t, testing.AllocsPerRun(20, func() {
			h.Doze()
			for range leanMasks {
				if h.Mask(sample) != want {
					panic("another mask")
				}
			}
		}))
		require.Nil(t, h.block)
		require.Equal(t, want, h.Mask(sample))
		require.Equal(t, suite == AES256GCM, h.block != nil)
		h.Doze()
		h.Rest()
		require.Equal(t, want, h.Mask(sample))
		require.Equal(t, suite == AES256GCM, h.block != nil, "at rest is at rest")
	}
}

// spec: PROT-10
func TestOnlyPhaseLengthAndNumberAreMasked(t *testing.T) {
	for _, suite := range bothSuites {
		for pnLen := 1; pnLen <= 4; pnLen++ {
			p := newPair(t, suite)
			seen := make(map[byte]bool)
			for pn := uint64(0); pn < 200; pn++ {
				clearText := append(header(false, pnLen, pn), "some frames"...)
				packet := p.send.SealPacket(append(make([]byte, 0, 100), clearText...), testPNOff, pnLen, 0, pn)
				require.Equal(t, clearText[1:testPNOff], packet[1:testPNOff], "the ID stays in the clear")
				require.Equal(t, byte(0b1000), packet[0]&^maskedBits)
				seen[packet[0]] = true

				gotLen, truncated, phase, err := p.recv.Unmask(packet, testPNOff)
				require.NoError(t, err)
				require.Equal(t, pnLen, gotLen)
				require.Equal(t, uint32(pn), truncated&0xff)
				require.False(t, phase)
				require.Equal(t, clearText[:testPNOff+pnLen], packet[:testPNOff+pnLen])
			}
			require.Len(t, seen, 8, "all values of the masked bits are seen")
		}
	}
}

// spec: PROT-10 PROT-11
func TestUnmaskRefusesWhatHoldsNoSample(t *testing.T) {
	p := newPair(t, AES256GCM)
	for n := range testPNOff + MinAfterPacketNumber {
		b := make([]byte, n)
		_, _, _, err := p.recv.Unmask(b, testPNOff)
		require.ErrorIs(t, err, ErrPacketTooShort, "%d bytes", n)
		require.Equal(t, make([]byte, n), b, "the datagram is untouched")
	}
	_, _, _, err := p.recv.Unmask(make([]byte, testPNOff+MinAfterPacketNumber), testPNOff)
	require.NoError(t, err)
}

// spec: PROT-9
func TestAESMaskOfAnUnexpandedKeyAgreesWithTheStandardLibrary(t *testing.T) {
	random := rand.NewChaCha8([32]byte{2})
	for range 20_000 {
		var key [32]byte
		var sample [sampleSize]byte
		random.Read(key[:])
		random.Read(sample[:])
		h := newRawHeaderKey(AES256GCM, key[:])
		require.Equal(t, h.Mask(sample[:]), aesMask(&h.words, &sample))
	}
}
