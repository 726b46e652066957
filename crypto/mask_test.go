package crypto

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20"
)

func xcryptoMask(key *[32]byte, sample *[16]byte) (mask [5]byte) {
	c, err := chacha20.NewUnauthenticatedCipher(key[:], sample[4:])
	if err != nil {
		panic(err)
	}
	c.SetCounter(binary.LittleEndian.Uint32(sample[:4]))
	c.XORKeyStream(mask[:], mask[:])
	return mask
}

func TestOurMaskIsTheOne(t *testing.T) {
	r := rand.NewChaCha8([32]byte{1})
	for range 1000 {
		var key [32]byte
		var sample [16]byte
		r.Read(key[:])
		r.Read(sample[:])
		var words [8]uint32
		for i := range words {
			words[i] = binary.LittleEndian.Uint32(key[4*i:])
		}
		require.Equal(t, xcryptoMask(&key, &sample), chachaMask(&words, &sample))
	}
}
func BenchmarkMaskX(b *testing.B) {
	var key [32]byte
	var sample [16]byte
	b.ReportAllocs()
	for b.Loop() {
		m := xcryptoMask(&key, &sample)
		sample[3] = m[3]
	}
}
func BenchmarkMaskOwn(b *testing.B) {
	var key [8]uint32
	var sample [16]byte
	b.ReportAllocs()
	for b.Loop() {
		m := chachaMask(&key, &sample)
		sample[3] = m[3]
	}
}
