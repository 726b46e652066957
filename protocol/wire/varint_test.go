package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// varintCase is an encoding and its value; the first four are the examples of RFC 9000, appendix A.1.
type varintCase struct {
	hex      string
	value    uint64
	shortest bool
}

var varintCases = []varintCase{
	{"c2197c5eff14e88c", 151288809941952652, true},
	{"9d7f3e7d", 494878333, true},
	{"7bbd", 15293, true},
	{"25", 37, true},
	{"4025", 37, false},
	{"00", 0, true},
	{"3f", 63, true},
	{"4040", 64, true},
	{"7fff", 16383, true},
	{"80004000", 16384, true},
	{"bfffffff", 1<<30 - 1, true},
	{"c000000040000000", 1 << 30, true},
	{"ffffffffffffffff", MaxVarint, true},
	{"80000000", 0, false},
	{"c000000000000000", 0, false},
}

func TestVarintsHaveTheBytesOfTheSpecification(t *testing.T) {
	// spec: WIRE-1
	// spec: WIRE-2
	for _, c := range varintCases {
		b := unhex(t, c.hex)
		v, n := ConsumeVarint(append(b, 0xff))
		require.Equal(t, c.value, v, c.hex)
		require.Equal(t, len(b), n, c.hex)
		if c.shortest {
			require.Equal(t, b, AppendVarint(nil, c.value))
			require.Equal(t, len(b), SizeVarint(c.value))
		}
		for i := range b {
			_, n := ConsumeVarint(b[:i])
			require.Equal(t, -1, n, "%s cut to %d bytes", c.hex, i)
		}
	}
}

func TestVarintsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Uint64Range(0, MaxVarint).Draw(t, "v") >> rapid.IntRange(0, 61).Draw(t, "shift")
		b := AppendVarint(nil, v)
		require.Len(t, b, SizeVarint(v))
		got, n := ConsumeVarint(b)
		require.Equal(t, len(b), n)
		require.Equal(t, v, got)
	})
}

func TestAVarintOfOurOwnThatIsTooLargeIsABug(t *testing.T) {
	require.PanicsWithValue(t, "BUG: varint above 2^62-1", func() { AppendVarint(nil, MaxVarint+1) })
	require.Equal(t, 8, SizeVarint(MaxVarint+1))
}

func FuzzVarint(f *testing.F) {
	for _, c := range varintCases {
		f.Add(unhex(f, c.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, n := ConsumeVarint(b)
		if n < 0 {
			require.True(t, len(b) == 0 || len(b) < 1<<(b[0]>>6))
			return
		}
		require.LessOrEqual(t, v, uint64(MaxVarint))
		require.LessOrEqual(t, SizeVarint(v), n)
		got, _ := ConsumeVarint(AppendVarint(nil, v))
		require.Equal(t, v, got)
	})
}
