package fec

import (
	"bytes"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestASymbolIsTheSumOfVectorsTimesCoefficients: contents of different lengths, over the wrap of the
// sequence, made once more from the text of chapter 9.
//
// spec: FEC-1 FEC-2 FEC-4
func TestASymbolIsTheSumOfVectorsTimesCoefficients(t *testing.T) {
	e := Encoder{next: 65500}
	contents := numbered(&e, Window)
	first, count := e.Held()
	require.Equal(t, uint16(65500), first)
	require.Equal(t, Window, count)
	for seed := range Seeds {
		for _, r := range []struct{ from, count int }{{0, 1}, {0, Window}, {30, 20}, {63, 1}, {10, 54}} {
			from := first + uint16(r.from)
			want := refSymbol(contents[r.from:r.from+r.count], 65500+r.from, seed)
			require.Equal(t, len(want), e.Size(from, uint8(r.count)))
			got := e.AppendSymbol([]byte("before"), from, uint8(r.count), uint8(seed))
			require.Equal(t, append([]byte("before"), want...), got)
		}
	}
}

func TestASymbolIsTheSameEarlyAndLate(t *testing.T) {
	var e Encoder
	numbered(&e, 10)
	early := e.AppendSymbol(nil, 2, 5, 9)
	numbered(&e, Window-10)
	require.Equal(t, early, e.AppendSymbol(nil, 2, 5, 9))
}

func TestTheEncoderHoldsTheNewestWindow(t *testing.T) {
	var e Encoder
	first, count := e.Held()
	require.Zero(t, first)
	require.Zero(t, count)
	for i := range 3 * Window {
		require.Equal(t, uint16(i), e.Next())
		require.Equal(t, uint16(i), e.Add([]byte{1}, nil))
	}
	first, count = e.Held()
	require.Equal(t, uint16(2*Window), first)
	require.Equal(t, Window, count)
	for _, r := range []struct {
		first uint16
		count uint8
	}{{2*Window - 1, 1}, {2 * Window, Window + 1}, {3 * Window, 1}, {3*Window - 1, 2}, {2 * Window, 0}, {60000, 1}} {
		require.Panics(t, func() { e.Size(r.first, r.count) }, "%d from %d", r.count, r.first)
	}
}

// TestSeedsComeInTurn: a seed comes back after all others, when windows have long moved on.
//
// spec: FEC-5
func TestSeedsComeInTurn(t *testing.T) {
	var e Encoder
	last := make(map[uint8]int)
	for i := range 3 * Seeds {
		s := e.NextSeed()
		require.Less(t, int(s), Seeds)
		if before, again := last[s]; again {
			require.Equal(t, Seeds, i-before)
		}
		last[s] = i
	}
	require.Len(t, last, Seeds)
}

func TestTheEncoderRefusesWhatItCannotCode(t *testing.T) {
	var e Encoder
	require.Panics(t, func() { e.Add(nil, nil) })
	require.Panics(t, func() { e.Add(make([]byte, 1), make([]byte, MaxContent)) })
	e.Add(make([]byte, 1), make([]byte, MaxContent-1))
	require.Equal(t, MaxSymbol, e.Size(0, 1))
	require.Equal(t, MaxSymbol, SymbolSize(MaxContent))
	require.Panics(t, func() { e.AppendSymbol(nil, 0, 1, Seeds) })
}

func TestTheEncoderAllocatesNothingAndKeepsToItsBound(t *testing.T) {
	var e Encoder
	content := bytes.Repeat([]byte{7}, MaxContent)
	for range Window {
		e.Add(content, nil)
	}
	out := make([]byte, 0, MaxSymbol)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		e.Add(content[:10], content[10:1250])
		first, count := e.Held()
		e.AppendSymbol(out, first, uint8(count), e.NextSeed())
	}))
	held := 0
	for _, v := range e.vectors {
		held += cap(v)
	}
	require.LessOrEqual(t, held, 96<<10)
	require.Less(t, int(unsafe.Sizeof(e)), 2<<10)
}
