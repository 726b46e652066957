package protocol

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSentValTellsTheNewestValueUntilItArrives(t *testing.T) {
	var v sentVal
	require.False(t, v.queued())
	v.set(1)
	require.True(t, v.queued())
	v.sent()
	require.False(t, v.queued())
	v.set(1)
	require.False(t, v.queued(), "it is on its way")
	v.lost(1)
	require.True(t, v.queued(), "it was lost")
	v.sent()
	v.set(2)
	require.True(t, v.queued(), "a newer value")
	v.sent()
	v.lost(1)
	require.False(t, v.queued(), "nobody needs the old one")
	v.acked(1)
	v.lost(2)
	require.True(t, v.queued(), "the old one arrived, not the new one")
	v.acked(2)
	require.False(t, v.queued(), "it arrived late")
	v.lost(2)
	require.False(t, v.queued(), "and cannot be lost any more")
	v.set(3)
	v.clear()
	v.lost(3)
	v.acked(3)
	require.False(t, v.queued(), "taken back")
	require.False(t, v.state.isSet())
}

func TestSentStateThatWasNeverSetStaysSo(t *testing.T) {
	var s sentState
	s.acked()
	require.False(t, s.lost())
	require.False(t, s.isSet())
}
