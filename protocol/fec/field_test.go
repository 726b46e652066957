package fec

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBothKernelsMultiplyAsTheFieldSays(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 129, 256, 1250, MaxSymbol} {
		in, before := randomBytes(rng, n), randomBytes(rng, n+3)
		for c := range 256 {
			want := append([]byte(nil), before...)
			for i, x := range in {
				want[i] ^= refMul(byte(c), x)
			}
			for name, kernel := range map[string]func(byte, []byte, []byte){"used": mulAdd, "tables": mulAddTables} {
				got := append([]byte(nil), before...)
				kernel(byte(c), in, got)
				require.Equal(t, want, got, "%s: %d times %d bytes", name, c, n)
			}
		}
	}
}

// TestACoefficientIsAnEntryOfACauchyMatrix holds all coefficients against the text of chapter 9.
//
// spec: FEC-3
func TestACoefficientIsAnEntryOfACauchyMatrix(t *testing.T) {
	for seed := range Seeds {
		for s := range 3 * Window {
			require.Equal(t, refCoefficient(seed, s), coefficient(uint8(seed), uint16(s)), "seed %d, sequence %d", seed, s)
		}
	}
	require.Equal(t, coefficient(7, 0), coefficient(7, 65472), "columns repeat every 64 sequences, over the wrap too")
	require.Equal(t, coefficient(7, 63), coefficient(7, 65535))
}

// TestTwoSymbolsRepairAnyTwoLosses looks at every pair of seeds and every pair of columns.
func TestTwoSymbolsRepairAnyTwoLosses(t *testing.T) {
	for p := range Seeds {
		for q := range p {
			for i := range uint16(Window) {
				a, c := &refProducts[coefficient(uint8(p), i)], &refProducts[coefficient(uint8(q), i)]
				for j := range i {
					if a[coefficient(uint8(q), j)] == c[coefficient(uint8(p), j)] {
						t.Fatalf("seeds %d and %d do not tell %d from %d", p, q, i, j)
					}
				}
			}
		}
	}
}

// TestAsManySymbolsAsLosses is the property that the code is chosen for (maximum distance separable):
// with windows of up to 6 every set of losses and every choice of as many of 8 symbols.
func TestAsManySymbolsAsLosses(t *testing.T) {
	const symbols = 8
	for window := 1; window <= 6; window++ {
		var e Encoder
		contents := numbered(&e, window)
		first, _ := e.Held()
		var coded [symbols][]byte
		for s := range coded {
			coded[s] = e.AppendSymbol(nil, first, uint8(window), uint8(31*s%Seeds))
		}
		for lost := 1; lost < 1<<window; lost++ {
			for chosen := range 1 << symbols {
				if ones(chosen) != ones(lost) {
					continue
				}
				var d Decoder
				for i, c := range contents {
					if lost>>i&1 == 0 {
						d.AddSource(first+uint16(i), c, nil)
					}
				}
				for s := range coded {
					if chosen>>s&1 != 0 {
						require.Equal(t, Taken, d.AddSymbol(first, uint8(window), uint8(31*s%Seeds), coded[s]))
					}
				}
				for i, c := range contents {
					if lost>>i&1 != 0 {
						requireNext(t, &d, first+uint16(i), c)
					}
				}
				requireNoNext(t, &d)
			}
		}
	}
}

// TestAsManySymbolsAsLossesInLargeWindows does the same at random, with symbols over different ranges:
// it is enough that each covers all losses.
func TestAsManySymbolsAsLossesInLargeWindows(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for run := range 400 {
		var e Encoder
		e.next = uint16(rng.Uint32())
		window := 1 + rng.IntN(Window)
		contents := numbered(&e, window)
		first, _ := e.Held()
		losses := 1 + rng.IntN(window)
		lost := rng.Perm(window)[:losses]
		if run%2 == 0 { // in the middle, so that ranges can differ
			at := rng.IntN(window - losses + 1)
			for i := range lost {
				lost[i] = at + i
			}
		}
		oldest, newest := window, 0
		missing := make(map[int]bool)
		for _, i := range lost {
			oldest, newest, missing[i] = min(oldest, i), max(newest, i), true
		}
		var d Decoder
		for i, c := range contents {
			if !missing[i] {
				d.AddSource(first+uint16(i), c, nil)
			}
		}
		for n, seed := range rng.Perm(Seeds)[:losses] {
			requireNoNext(t, &d)
			from := rng.IntN(oldest + 1)
			count := newest + 1 + rng.IntN(window-newest) - from
			symbol := e.AppendSymbol(nil, first+uint16(from), uint8(count), uint8(seed))
			require.Equal(t, Taken, d.AddSymbol(first+uint16(from), uint8(count), uint8(seed), symbol), "symbol %d of %d", n, losses)
		}
		for i := range window {
			if missing[i] {
				requireNext(t, &d, first+uint16(i), contents[i])
			}
		}
		requireNoNext(t, &d)
	}
}

// numbered adds contents of different lengths and returns them.
func numbered(e *Encoder, n int) [][]byte {
	contents := make([][]byte, n)
	for i := range contents {
		contents[i] = fmt.Appendf(nil, "content %d of sequence %d%*s", i, e.Next(), i*7%23, "")
		e.Add(contents[i][:3], contents[i][3:])
	}
	return contents
}

func requireNext(t *testing.T, d *Decoder, sequence uint16, content []byte) {
	t.Helper()
	s, c, ok := d.Next()
	require.True(t, ok, "%d comes back", sequence)
	require.Equal(t, sequence, s)
	require.Equal(t, string(content), string(c))
}

func requireNoNext(t *testing.T, d *Decoder) {
	t.Helper()
	s, _, ok := d.Next()
	require.False(t, ok, "nothing more comes back, but %d does", s)
}

func ones(x int) (n int) {
	for ; x != 0; x &= x - 1 {
		n++
	}
	return n
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}
