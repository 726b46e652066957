package protocol

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godwit-net/godwit/protocol/wire"
)

func ranges(pairs ...uint64) rangeset {
	var s rangeset
	for i := 0; i < len(pairs); i += 2 {
		s = append(s, wire.Range{Start: pairs[i], End: pairs[i+1]})
	}
	return s
}

func TestAddingARangeJoinsWhatItTouches(t *testing.T) {
	for _, test := range []struct {
		before     rangeset
		start, end uint64
		after      rangeset
	}{
		{ranges(), 3, 5, ranges(3, 5)},
		{ranges(3, 5), 5, 5, ranges(3, 5)},
		{ranges(3, 5), 5, 6, ranges(3, 6)},
		{ranges(3, 5), 2, 3, ranges(2, 5)},
		{ranges(3, 5), 6, 7, ranges(3, 5, 6, 7)},
		{ranges(3, 5), 0, 1, ranges(0, 1, 3, 5)},
		{ranges(3, 5, 7, 9), 5, 7, ranges(3, 9)},
		{ranges(3, 5, 7, 9), 4, 8, ranges(3, 9)},
		{ranges(3, 5, 7, 9, 11, 13), 0, 20, ranges(0, 20)},
		{ranges(3, 5, 7, 9, 11, 13), 4, 11, ranges(3, 13)},
		{ranges(3, 9), 4, 5, ranges(3, 9)},
	} {
		got := append(rangeset(nil), test.before...)
		got.add(test.start, test.end)
		require.Equal(t, test.after, got, "%v + [%d,%d)", test.before, test.start, test.end)
	}
}

func TestTakingARangeOutSplitsAndCuts(t *testing.T) {
	for _, test := range []struct {
		before     rangeset
		start, end uint64
		after      rangeset
	}{
		{ranges(3, 9), 5, 5, ranges(3, 9)},
		{ranges(3, 9), 5, 6, ranges(3, 5, 6, 9)},
		{ranges(3, 9), 3, 5, ranges(5, 9)},
		{ranges(3, 9), 7, 9, ranges(3, 7)},
		{ranges(3, 9), 0, 3, ranges(3, 9)},
		{ranges(3, 9), 9, 12, ranges(3, 9)},
		{ranges(3, 9), 0, 20, ranges()},
		{ranges(3, 5, 7, 9, 11, 13), 4, 12, ranges(3, 4, 12, 13)},
		{ranges(3, 5, 7, 9, 11, 13), 5, 11, ranges(3, 5, 11, 13)},
	} {
		got := append(rangeset(nil), test.before...)
		got.sub(test.start, test.end)
		require.ElementsMatch(t, test.after, got, "%v - [%d,%d)", test.before, test.start, test.end)
	}
}

// A rangeset behaves like a set of numbers, whatever is done to it.
func TestRangesetAgreesWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s rangeset
		model := map[uint64]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "operations") {
			start := rapid.Uint64Range(0, 50).Draw(t, "start")
			end := start + rapid.Uint64Range(0, 10).Draw(t, "size")
			remove := rapid.Bool().Draw(t, "remove")
			if remove {
				s.sub(start, end)
			} else {
				s.add(start, end)
			}
			for v := start; v < end; v++ {
				model[v] = !remove
			}
			checkAgainst(t, s, model)
		}
	})
}

func checkAgainst(t *rapid.T, s rangeset, model map[uint64]bool) {
	var n uint64
	for v := range uint64(70) {
		require.Equal(t, model[v], s.contains(v), "%d in %v", v, s)
		r := s.rangeContaining(v)
		require.Equal(t, model[v], r.Start <= v && v < r.End)
		if model[v] {
			n++
		}
	}
	require.Equal(t, n, s.size())
	for i, r := range s {
		require.Less(t, r.Start, r.End, "no range is empty")
		if i > 0 {
			require.Less(t, s[i-1].End, r.Start, "ranges are ascending and apart")
		}
	}
}

func TestTheEndsOfARangeset(t *testing.T) {
	var empty rangeset
	require.Zero(t, empty.min())
	require.Zero(t, empty.max())
	require.Zero(t, empty.end())
	require.True(t, empty.isEmpty())
	s := ranges(3, 5, 7, 9)
	require.Equal(t, uint64(3), s.min())
	require.Equal(t, uint64(8), s.max())
	require.Equal(t, uint64(9), s.end())
	require.Equal(t, 2, s.numRanges())
	s.dropOldest(1)
	require.Equal(t, ranges(7, 9), s)
	s.release(1)
	require.Equal(t, 1, cap(s))
	s.sub(0, 100)
	s.release(0)
	require.Nil(t, s)
}
