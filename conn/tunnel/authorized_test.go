package tunnel

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
)

func testKey(seed byte) crypto.PublicKey {
	var b [crypto.KeySize]byte
	b[0], b[31] = seed, 1
	return crypto.PublicKeyFromBytes(b)
}

func TestAnAuthorizedFileNamesItsKeys(t *testing.T) {
	laptop, unnamed := testKey(1), testKey(2)
	path := filepath.Join(t.TempDir(), "clients")
	text := fmt.Sprintf("# who may come\n\n%v laptop  the one on the desk\r\n\t%v\n", laptop, unnamed)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))

	a, err := ReadAuthorized(path)
	require.NoError(t, err)
	require.Equal(t, 2, a.Len())
	name, ok := a.Name(laptop)
	require.True(t, ok)
	require.Equal(t, "laptop", name)
	name, ok = a.Name(unnamed)
	require.True(t, ok)
	require.Equal(t, unnamed.String(), name, "without a name the key stands for it")
}

func TestStrangersAndAnonymousClientsAreNotInTheFile(t *testing.T) {
	// spec: TUN-21
	a, err := ParseAuthorized("f", strings.NewReader(testKey(1).String()))
	require.NoError(t, err)
	_, ok := a.Name(testKey(2))
	require.False(t, ok)
	_, ok = a.Name(crypto.PublicKey{})
	require.False(t, ok)
}

func TestBadAuthorizedFilesAreRefusedWithLineAndFix(t *testing.T) {
	key := testKey(1).String()
	for text, want := range map[string]string{
		"":                               "clients: holds no key",
		"# only words\n":                 "clients: holds no key",
		"\nhello\n":                      "clients line 2: ",
		key + "\n" + key + " again":      "clients line 2: this key stands in the list twice",
		key + " na\x1bme":                "clients line 1: the name has characters",
		key[:len(key)-1] + "q":           "clients line 1: ",
		"#\n" + strings.Repeat("x", 1e5): "clients line 2: the line is too long",
	} {
		_, err := ParseAuthorized("clients", strings.NewReader(text))
		require.ErrorContains(t, err, want, "%.40q", text)
		require.NotContains(t, err.Error(), "\n")
	}
	_, err := ReadAuthorized(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzParseAuthorized(f *testing.F) {
	f.Add("# x\n" + testKey(1).String() + " name comment\n")
	f.Add("gwpub1qqqq\n")
	f.Add("\xff\n\x00")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAuthorized("f", strings.NewReader(s))
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.Positive(t, a.Len())
	})
}
