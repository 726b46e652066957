package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const traces = `File: profile
Type: cpu
Duration: 1.13s, Total samples = 60ms ( 5.31%)
-----------+-------------------------------------------------------
      40ms   crypto/internal/fips140/aes/gcm.gcmAesEnc
             crypto/internal/fips140/aes/gcm.seal
             github.com/godwit-net/godwit/crypto.(*PacketKey).SealFrom
             github.com/godwit-net/godwit/protocol.(*Session).AppendMore
             github.com/godwit-net/godwit/conn.(*batch).fill (inline)
-----------+-------------------------------------------------------
      key:   [label]
      10ms   runtime.futex
             runtime.mcall
-----------+-------------------------------------------------------
   1.50s   main.work
             main.main
-----------+-------------------------------------------------------
`

func TestTimeIsDividedByTheInnermostLayerThatFits(t *testing.T) {
	got, err := parseTraces(strings.NewReader(traces))
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.Len(t, got[0].stack, 5)
	d := divide("bulk", got)
	require.Equal(t, 1550*time.Millisecond, d.total)
	require.Equal(t, map[string]time.Duration{
		"AEAD: seal":                     40 * time.Millisecond,
		"goroutines: wake, wait, switch": 10 * time.Millisecond,
		rest:                             1500 * time.Millisecond,
	}, d.layers)

	var table strings.Builder
	require.NoError(t, writeLayers(&table, []divided{d}))
	require.Regexp(t, `AEAD: seal +2\.6\n`, table.String())
	require.Regexp(t, `CPU s +1\.6\n`, table.String())
}

func TestTracesThatMakeNoSenseAreRefused(t *testing.T) {
	_, err := parseTraces(strings.NewReader("-----------+---\n  never main.work\n"))
	require.Error(t, err)
}

func TestEveryStandardWorkloadIsValid(t *testing.T) {
	for _, w := range standard {
		require.NoError(t, w.options.Validate(), w.name)
		found, err := find(w.name)
		require.NoError(t, err)
		require.Equal(t, w, found)
	}
	_, err := find("none")
	require.Error(t, err)
}
