package crypto

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// hexBytes is a byte string that JSON holds in hexadecimal.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// wycheproof is a file of C2SP/wycheproof, with the fields of all the schemas that are used here.
type wycheproof struct {
	Groups []struct {
		KeySize, IVSize, TagSize int
		Tests                    []struct {
			TcID                       int
			Comment, Result            string
			Key, IV, AAD, Msg, Ct, Tag hexBytes
			IKM, Salt, Info, OKM       hexBytes
			Size                       int
			Public, Private, Shared    hexBytes
		}
	} `json:"testGroups"`
}

func readWycheproof(t *testing.T, name string) (w wycheproof) {
	data, err := os.ReadFile("testdata/wycheproof_" + name + "_test.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &w))
	return w
}

// spec: PROT-8
func TestWycheproofPacketKeys(t *testing.T) {
	testAEAD(t, "aes_gcm", AES256GCM, 66)
	testAEAD(t, "chacha20_poly1305", ChaCha20Poly1305, 300)
}

// testAEAD drives our packet keys with the vectors of their nonce size; path and number are 0, so that
// the nonce is the IV.
func testAEAD(t *testing.T, file string, suite Suite, atLeast int) {
	ran := 0
	for _, g := range readWycheproof(t, file).Groups {
		if g.IVSize != nonceSize*8 || g.KeySize == 192 {
			continue
		}
		for _, v := range g.Tests {
			ran++
			key := newRawPacketKey(suite, v.Key, v.IV)
			packet := append(append(bytes.Clone(v.AAD), v.Ct...), v.Tag...)
			plain, err := key.Open(packet, len(v.AAD), 0, 0)
			if v.Result != "valid" {
				require.ErrorIs(t, err, ErrOpen, "%s %d: %s", file, v.TcID, v.Comment)
				continue
			}
			require.NoError(t, err, "%s %d", file, v.TcID)
			require.Equal(t, []byte(v.Msg), append([]byte{}, plain...), "%s %d", file, v.TcID)
			sealed := key.Seal(append(bytes.Clone(v.AAD), v.Msg...), len(v.AAD), 0, 0)
			require.Equal(t, append(append(bytes.Clone(v.AAD), v.Ct...), v.Tag...), sealed, "%s %d", file, v.TcID)
		}
	}
	require.Greater(t, ran, atLeast, file)
}

// Our expand step and the derivations from identities call crypto/hkdf; this is what they rely on.
func TestWycheproofHKDF(t *testing.T) {
	ran := 0
	for _, g := range readWycheproof(t, "hkdf_sha256").Groups {
		for _, v := range g.Tests {
			ran++
			okm, err := hkdf.Key(sha256.New, v.IKM, v.Salt, string(v.Info), v.Size)
			if v.Result != "valid" {
				require.Error(t, err, v.TcID)
				continue
			}
			require.NoError(t, err, v.TcID)
			require.Equal(t, []byte(v.OKM), okm, v.TcID)
		}
	}
	require.Greater(t, ran, 80)
}

// spec: PROT-2
func TestAttack32WycheproofX25519(t *testing.T) {
	var zero [32]byte
	ran, refused := 0, 0
	for _, g := range readWycheproof(t, "x25519").Groups {
		for _, v := range g.Tests {
			ran++
			private, err := PrivateKeyFromSeed(bytes.NewReader(v.Private))
			require.NoError(t, err, v.TcID)
			shared, err := private.ECDH(PublicKeyFromBytes([32]byte(v.Public)))
			if bytes.Equal(v.Shared, zero[:]) {
				refused++
				require.ErrorIs(t, err, ErrLowOrder, v.TcID)
				require.Zero(t, shared)
				continue
			}
			require.NoError(t, err, v.TcID)
			require.Equal(t, []byte(v.Shared), shared[:], v.TcID)
		}
	}
	require.Greater(t, ran, 500)
	require.Greater(t, refused, 20, "the file has low-order points")
}
