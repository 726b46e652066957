package wire

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawRanges draws n ascending ranges with at least one number between them.
func drawRanges(t *rapid.T, n int) []Range {
	ranges := make([]Range, n)
	next := uint64(0)
	for i := range ranges {
		start := next + rapid.Uint64Range(0, 1<<rapid.IntRange(0, 40).Draw(t, "bits")).Draw(t, "gap")
		end := start + rapid.Uint64Range(1, 1<<rapid.IntRange(0, 40).Draw(t, "bits")).Draw(t, "length")
		ranges[i] = Range{start, end}
		next = end + 1
	}
	return ranges
}

// collect returns the ranges of a cursor in ascending order.
func collect(r AckRanges) []Range {
	var ranges []Range
	for next, ok := r.Next(); ok; next, ok = r.Next() {
		ranges = append([]Range{next}, ranges...)
	}
	return ranges
}

func TestAckRangesComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ranges := drawRanges(t, rapid.IntRange(1, MaxAckRanges).Draw(t, "ranges"))
		extras := AckExtras{HasECN: rapid.Bool().Draw(t, "ecn"), HasStamp: rapid.Bool().Draw(t, "stamp")}
		b := AppendAck(nil, 3, 1234, ranges, extras)
		typ, n := ConsumeFrameType(b)
		a, m := ParseAck(typ, b[n:])
		require.Equal(t, len(b)-n, m)
		require.Equal(t, extras, a.AckExtras)
		require.Equal(t, ranges, collect(a.Ranges()))
		require.Equal(t, ranges[len(ranges)-1], Range{a.Smallest(), a.Largest + 1})
		require.Equal(t, b, a.Append(nil))
	})
}

func TestAnAckKeepsToItsSizeAndLeavesOutTheSmallestNumbers(t *testing.T) {
	// spec: WIRE-20
	rapid.Check(t, func(t *rapid.T) {
		ranges := drawRanges(t, rapid.IntRange(1, 2*MaxAckRanges).Draw(t, "ranges"))
		size := rapid.IntRange(0, 1200).Draw(t, "size")
		extras := AckExtras{HasStamp: rapid.Bool().Draw(t, "stamp")}
		b, ok := AppendAckWithin([]byte("x"), size, 0, 0, ranges, extras)
		if !ok {
			require.Equal(t, "x", string(b))
			require.Less(t, size, len(AppendAck(nil, 0, 0, ranges[len(ranges)-1:], extras)))
			return
		}
		require.LessOrEqual(t, len(b)-1, size)
		a, _ := ParseAck(extras.frameType(), b[2:])
		got := collect(a.Ranges())
		require.Equal(t, ranges[len(ranges)-len(got):], got)
		if len(got) < min(len(ranges), MaxAckRanges) {
			oneMore := AppendAck(nil, 0, 0, ranges[len(ranges)-len(got)-1:], extras)
			require.Greater(t, len(oneMore), size, "one more range would have fitted")
		}
	})
}

// TestAttack12AckRangesBeyondTheLimitCostNothing is the half of the attack that meets the parser: a
// frame full of ranges is refused by its count.
func TestAttack12AckRangesBeyondTheLimitCostNothing(t *testing.T) {
	// spec: WIRE-17
	many := make([]Range, 500)
	for i := range many {
		many[i] = Range{uint64(2 * i), uint64(2*i + 1)}
	}
	b := AppendAck(nil, 0, 0, many, AckExtras{})
	a, n := ParseAck(FrameAck, b[1:])
	require.Positive(t, n, "an ACK of our own keeps to the limit")
	require.Equal(t, many[len(many)-MaxAckRanges:], collect(a.Ranges()))

	bad := []byte{0x00, 0x7f, 0xff, 0x00, 0x40, MaxAckRanges, 0x00} // path, largest, delay, count, first
	bad = append(bad, make([]byte, 2*MaxAckRanges)...)
	_, n = ParseAck(FrameAck, bad)
	require.Equal(t, -1, n)
	require.Zero(t, testing.AllocsPerRun(10, func() { ParseAck(FrameAck, bad) }))

	bad[5]--
	_, n = ParseAck(FrameAck, bad)
	require.Equal(t, len(bad)-2, n, "64 ranges are fine")
}

func TestTheLargestAckFitsTheSmallestPacket(t *testing.T) {
	worst := make([]Range, MaxAckRanges)
	for i := range worst {
		start := uint64(1)<<61 + uint64(i)<<32
		worst[i] = Range{start, start + 1<<31}
	}
	all := AckExtras{HasECN: true, ECN: ECNCounts{MaxVarint, MaxVarint, MaxVarint}, HasStamp: true, Stamp: MaxStamp}
	b := AppendAck(nil, MaxPathID, MaxVarint, worst, all)
	header := 1 + MaxIDLen + MaxPacketNumberLen
	require.LessOrEqual(t, header+len(b)+TagSize, MinInitSize)
}

func TestStampsAreReducedWhenTheyAreSent(t *testing.T) {
	// spec: WIRE-19
	a := NewAck(0, 0, []Range{{0, 1}}, AckExtras{HasStamp: true, Stamp: MaxStamp + 5})
	require.Equal(t, uint64(4), a.Stamp)
}

func TestAHugeAckDelayIsLimited(t *testing.T) {
	a := Ack{DelayMicros: MaxVarint}
	require.Positive(t, a.Delay())
	require.Equal(t, 25*time.Microsecond, (&Ack{DelayMicros: 25}).Delay())
}

func TestRangesOfOurOwnThatTouchAreABug(t *testing.T) {
	require.Panics(t, func() { AppendAck(nil, 0, 0, []Range{{0, 5}, {5, 7}}, AckExtras{}) })
	require.Panics(t, func() { AppendAck(nil, 0, 0, nil, AckExtras{}) })
	b, ok := AppendAckWithin(nil, math.MaxInt, 0, 0, []Range{{0, 5}, {6, 7}}, AckExtras{})
	require.True(t, ok)
	require.NotEmpty(t, b)
}

func TestARepairReportKeepsTheNewestRanges(t *testing.T) {
	// spec: WIRE-37
	many := make([]Range, 100)
	for i := range many {
		many[i] = Range{uint64(3 * i), uint64(3*i + 2)}
	}
	b := AppendRepairReport(nil, 0, 200, many, [BurstBuckets]uint64{})
	f, n := ParseRepairReport(b[1:])
	require.Equal(t, len(b)-1, n)
	require.Equal(t, many[len(many)-MaxRepairRanges:], collect(f.Ranges()))
	require.Equal(t, b, f.Append(nil))
}
