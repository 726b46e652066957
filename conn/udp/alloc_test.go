//go:build !race

package udp // not with the race detector: it empties pools at random

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBatchesDoNotAllocate(t *testing.T) {
	eachFeatureSet(t, batchesDoNotAllocate)
}

func batchesDoNotAllocate(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, ":0")
	msgs := []Message{{Data: make([]byte, 1200), Remote: target(b, "127.0.0.1"), ECN: ECT0}}
	back := []Message{{Data: make([]byte, 1200), Remote: a.AddrPort(), Local: target(b, "127.0.0.1"), ECN: ECT0}}
	turn := func() {
		_, err := a.WriteBatch(msgs)
		require.NoError(t, err)
		_, err = b.ReadBatch(b.in)
		require.NoError(t, err)
		_, err = b.WriteBatch(back)
		require.NoError(t, err)
		_, err = a.ReadBatch(a.in)
		require.NoError(t, err)
	}
	require.Zero(t, testing.AllocsPerRun(100, turn))
}
