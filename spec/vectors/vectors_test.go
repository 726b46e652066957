package vectors_test

import (
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/spec/vectors"
)

func TestEveryFileIsAnObjectWithANote(t *testing.T) {
	names, err := fs.Glob(vectors.Files, "*.json")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		b, err := vectors.Files.ReadFile(name)
		require.NoError(t, err)
		var v struct{ Note string }
		require.NoError(t, json.Unmarshal(b, &v), name)
		require.NotEmpty(t, v.Note, name)
	}
}

func TestHexIsReadBackAsWritten(t *testing.T) {
	b, err := vectors.Encode(vectors.Hex{0, 0xab, 0xff})
	require.NoError(t, err)
	require.Equal(t, "\"00abff\"\n", string(b))
	var h vectors.Hex
	require.NoError(t, json.Unmarshal(b, &h))
	require.Equal(t, vectors.Hex{0, 0xab, 0xff}, h)
	require.Error(t, json.Unmarshal([]byte(`"0"`), &h), "half an octet is no octet")
}

func TestLoadRefusesWhatItCannotRead(t *testing.T) {
	require.Error(t, vectors.Load("absent.json", &struct{}{}))
}
