package crypto

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Ours is the library's, for every length that can be.
func TestHKDFIsThatOfTheLibrary(t *testing.T) {
	b := make([]byte, maxHMACInput)
	for i := range b {
		b[i] = byte(i*i + 1)
	}
	for n := range maxHMACInput + 1 {
		key := b[:n%(sha256.BlockSize+1)]
		h := hmac.New(sha256.New, key)
		h.Write(b[:n])
		got := hmacSum(key, b[:n/3], b[n/3:n])
		require.Equal(t, h.Sum(nil), got[:], "HMAC of %d bytes", n)
	}
	for _, n := range []int{0, 1, 31, 32, 33, 64, 96, 255 * 32} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			want, err := hkdf.Key(sha256.New, b[:40], b[:32], "", n)
			require.NoError(t, err)
			got := make([]byte, n)
			HKDF(got, b[:32], b[:40])
			require.Equal(t, want, got)
			want, err = hkdf.Expand(sha256.New, b[:32], string(b[:4+2*maxLabel]), n)
			require.NoError(t, err)
			expand(got, b[:32], b[:4+2*maxLabel])
			require.Equal(t, want, got)
		})
	}
}

func TestHKDFRefusesWhatIsTooLong(t *testing.T) {
	b := make([]byte, maxHMACInput+1)
	require.Panics(t, func() { hmacSum(b[:sha256.BlockSize+1]) })
	require.Panics(t, func() { hmacSum(nil, b[:1], b[1:]) })
	require.Panics(t, func() { HKDF(make([]byte, 255*32+1), nil, nil) })
}

func TestTheKeyScheduleDoesNotAllocate(t *testing.T) {
	var out [96]byte
	require.Zero(t, testing.AllocsPerRun(100, func() {
		HKDF(out[:], out[:32], out[:32])
		expandLabel(out[:], LabelPrefix, out[:32], "a label", out[:32])
		s := Secret(ExpandLabel(LabelPrefix, out[:32], "a label", out[:32], 32))
		_ = NextSecret(&s)
	}))
}
