package wire

import "encoding/binary"

const (
	// MaxRepairWindow is the most source packets that one repair symbol covers. Receivers keep no more
	// than that many, and coefficients are bytes, of which there are enough.
	MaxRepairWindow = 64
	// MaxRepairRanges is the most ranges of recovered numbers in one report.
	MaxRepairRanges = 32
	// BurstBuckets is the number of counters of a burst histogram: losses in a row of 1, 2, 3, 4, 5–8,
	// 9–16, 17–32, and more.
	BurstBuckets = 8
)

// Source opens a packet that repair symbols cover, and numbers it.
type Source struct{ Sequence uint16 }

// ParseSource parses a SOURCE frame.
func ParseSource(b []byte) (Source, int) {
	c := newCursor(b)
	f := Source{Sequence: c.uint16()}
	return f, c.consumed()
}

// Append appends the frame.
func (f Source) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint16(append(b, byte(FrameSource)), f.Sequence)
}

// Repair is one coded symbol over the source packets First, First+1, … First+Count-1, modulo 2^16.
type Repair struct {
	First uint16
	Count uint8  // 1 to MaxRepairWindow
	Seed  uint8  // selects the coefficients
	Data  []byte // the coded bytes, a view, not empty
}

// ParseRepair parses a REPAIR frame.
func ParseRepair(b []byte) (Repair, int) {
	c := newCursor(b)
	f := Repair{First: c.uint16(), Count: c.byte(), Seed: c.byte()}
	f.Data = c.counted(MaxDatagramSize)
	c.require(f.Count >= 1 && f.Count <= MaxRepairWindow) // spec: WIRE-35
	c.require(len(f.Data) > 0)                            // spec: WIRE-36
	return f, c.consumed()
}

// Append appends the frame.
func (f Repair) Append(b []byte) []byte {
	return append(f.AppendHeader(b, len(f.Data)), f.Data...)
}

// AppendHeader appends the frame up to its data, of which there will be n bytes.
func (f Repair) AppendHeader(b []byte, n int) []byte {
	b = binary.BigEndian.AppendUint16(append(b, byte(FrameRepair)), f.First)
	b = append(b, f.Count, f.Seed)
	return AppendVarint(b, uint64(n))
}

// RepairReport tells the sender of repair symbols what they achieved on a path.
type RepairReport struct {
	Path      uint64 // at most MaxPathID
	Recovered uint64 // packets recovered on the path so far
	Count     int    // ranges of recovered numbers that follow, at most MaxRepairRanges
	Bursts    [BurstBuckets]uint64

	largest, first uint64 // of the first range
	ranges         []byte // Count-1 pairs of gap and length
}

// ParseRepairReport parses a REPAIR_REPORT frame.
func ParseRepairReport(b []byte) (RepairReport, int) {
	c := newCursor(b)
	f := RepairReport{Path: c.varintMax(MaxPathID), Recovered: c.varint()}
	f.Count = int(c.varintMax(MaxRepairRanges)) // spec: WIRE-37
	if f.Count > 0 {
		f.largest = c.varint()
		f.first = c.varintMax(f.largest)
		f.ranges = c.ackRanges(f.Count-1, f.largest-f.first)
	}
	for i := range f.Bursts {
		f.Bursts[i] = c.varint()
	}
	return f, c.consumed()
}

// Ranges returns a cursor over the recovered packet numbers, the largest first.
func (f *RepairReport) Ranges() AckRanges {
	if f.Count == 0 {
		return AckRanges{}
	}
	return AckRanges{
		rest: f.ranges,
		next: Range{Start: f.largest - f.first, End: f.largest + 1},
		more: true,
	}
}

// AppendRepairReport appends a REPAIR_REPORT frame. ranges are as in AppendAck, but may be empty; the
// last MaxRepairRanges of them are used.
func AppendRepairReport(b []byte, path, recovered uint64, ranges []Range, bursts [BurstBuckets]uint64) []byte {
	ranges = ranges[max(0, len(ranges)-MaxRepairRanges):]
	b = appendFrame(b, FrameRepairReport, path, recovered, uint64(len(ranges)))
	for i := len(ranges) - 1; i >= 0; i-- {
		if i == len(ranges)-1 {
			b = AppendVarint(b, ranges[i].End-1)
		} else {
			b = AppendVarint(b, ranges[i+1].Start-ranges[i].End-1)
		}
		b = AppendVarint(b, ranges[i].Size()-1)
	}
	return appendBursts(b, &bursts)
}

func appendBursts(b []byte, bursts *[BurstBuckets]uint64) []byte {
	for _, v := range bursts {
		b = AppendVarint(b, v)
	}
	return b
}

// Append appends the frame.
func (f RepairReport) Append(b []byte) []byte {
	b = appendFrame(b, FrameRepairReport, f.Path, f.Recovered, uint64(f.Count))
	if f.Count > 0 {
		b = AppendVarint(b, f.largest)
		b = AppendVarint(b, f.first)
		b = append(b, f.ranges...)
	}
	return appendBursts(b, &f.Bursts)
}
