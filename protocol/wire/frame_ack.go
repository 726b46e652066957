package wire

import (
	"math"
	"time"
)

const (
	// MaxAckRanges is the most ranges of one ACK frame. A receiver keeps no more, so that a peer that
	// sends every second number cannot make it grow; the oldest are forgotten first.
	MaxAckRanges = 64
	// MaxPathID is the largest path ID: 32 bits, because the nonce has room for no more.
	MaxPathID = math.MaxUint32
	// MaxStamp is the largest arrival stamp in microseconds. A stamp is a clock reading modulo 2^30,
	// which always fits 4 bytes and wraps after 17.9 minutes; only differences are used.
	MaxStamp = maxVarint4
)

// Flags in the type of an ACK frame, counted from FrameAck.
const (
	ackFlagECN   = 1
	ackFlagStamp = 2
)

// Range is a run of packet numbers: Start, Start+1, … End-1.
type Range struct {
	Start uint64 // first
	End   uint64 // one after the last
}

// Size returns how many numbers the range holds.
func (r Range) Size() uint64 { return r.End - r.Start }

// ECNCounts says how many packets of a path arrived with each mark so far.
type ECNCounts struct {
	ECT0, ECT1, CE uint64
}

// AckExtras are the optional fields of an ACK frame.
type AckExtras struct {
	HasECN   bool
	ECN      ECNCounts
	HasStamp bool
	Stamp    uint64 // arrival of the largest number on the receiver's clock, in µs, modulo 2^30
}

// Ack acknowledges packets of one path. Its ranges are checked when it is parsed, so walking them with
// Ranges cannot fail.
type Ack struct {
	Path        uint64 // at most MaxPathID
	Largest     uint64 // largest packet number acknowledged
	DelayMicros uint64 // µs from the arrival of Largest to the sending of the frame
	FirstRange  uint64 // how many numbers directly below Largest are acknowledged too
	Count       int    // ranges after the first, at most MaxAckRanges-1
	AckExtras

	ranges []byte // Count pairs of gap and length
}

// ParseAck parses an ACK frame of type t.
func ParseAck(t FrameType, b []byte) (Ack, int) {
	c := newCursor(b)
	a := Ack{
		Path:        c.varintMax(MaxPathID),
		Largest:     c.varint(),
		DelayMicros: c.varint(),
	}
	a.Count = int(c.varintMax(MaxAckRanges - 1)) // spec: WIRE-17
	a.FirstRange = c.varintMax(a.Largest)        // spec: WIRE-18
	a.ranges = c.ackRanges(a.Count, a.Largest-a.FirstRange)
	flags := t - FrameAck
	if flags&ackFlagECN != 0 {
		a.HasECN = true
		a.ECN = ECNCounts{ECT0: c.varint(), ECT1: c.varint(), CE: c.varint()}
	}
	if flags&ackFlagStamp != 0 {
		a.HasStamp = true
		a.Stamp = c.varintMax(MaxStamp) // spec: WIRE-19
	}
	if c.bad {
		return Ack{}, -1
	}
	return a, c.consumed()
}

// ackRanges checks n pairs of gap and length below the number smallest and returns a view of them.
func (c *cursor) ackRanges(n int, smallest uint64) []byte {
	b := c.b
	for range n {
		gap, i := ConsumeVarint(b)
		if i < 0 || smallest < 2 || gap > smallest-2 {
			c.fail()
			return nil
		}
		largest := smallest - gap - 2
		length, j := ConsumeVarint(b[i:])
		if j < 0 || length > largest {
			c.fail()
			return nil
		}
		smallest = largest - length
		b = b[i+j:]
	}
	return c.bytes(len(c.b) - len(b))
}

// Type returns the frame type, flags included.
func (a Ack) Type() FrameType { return a.AckExtras.frameType() }

func (x *AckExtras) frameType() FrameType {
	t := FrameAck
	if x.HasECN {
		t += ackFlagECN
	}
	if x.HasStamp {
		t += ackFlagStamp
	}
	return t
}

// Delay returns DelayMicros as a duration, limited to 2^62 ns.
func (a *Ack) Delay() time.Duration {
	return time.Duration(min(a.DelayMicros, (1<<62)/uint64(time.Microsecond))) * time.Microsecond
}

// Smallest returns the smallest number of the first range.
func (a *Ack) Smallest() uint64 { return a.Largest - a.FirstRange }

// Ranges returns a cursor over the ranges, the largest numbers first.
func (a *Ack) Ranges() AckRanges {
	return AckRanges{
		rest: a.ranges,
		next: Range{Start: a.Largest - a.FirstRange, End: a.Largest + 1},
		more: true,
	}
}

// AckRanges walks the ranges of an [Ack].
type AckRanges struct {
	rest []byte
	next Range
	more bool
}

// Next returns the next range, or false after the last.
func (r *AckRanges) Next() (Range, bool) {
	if !r.more {
		return Range{}, false
	}
	current := r.next
	r.advance()
	return current, true
}

func (r *AckRanges) advance() {
	gap, n := ConsumeVarint(r.rest)
	if n < 0 {
		r.more = false
		return
	}
	length, m := ConsumeVarint(r.rest[n:])
	if m < 0 {
		r.more = false
		return
	}
	r.rest = r.rest[n+m:]
	end := r.next.Start - gap - 1
	r.next = Range{Start: end - 1 - length, End: end}
}

// Append appends the frame.
func (a Ack) Append(b []byte) []byte {
	b = AppendVarint(b, uint64(a.Type()))
	b = AppendVarint(b, a.Path)
	b = AppendVarint(b, a.Largest)
	b = AppendVarint(b, a.DelayMicros)
	b = AppendVarint(b, uint64(a.Count))
	b = AppendVarint(b, a.FirstRange)
	b = append(b, a.ranges...)
	return a.AckExtras.append(b)
}

// NewAck returns an Ack with the given ranges, which are as AppendAck wants them. It allocates: it is
// meant for tests and tools.
func NewAck(path, delayMicros uint64, ranges []Range, extras AckExtras) Ack {
	b := AppendAck(nil, path, delayMicros, ranges, extras)
	a, _ := ParseAck(extras.frameType(), b[1:])
	return a
}

// AppendAck appends an ACK frame. ranges are ascending, disjoint, not adjacent and not empty; the last
// MaxAckRanges of them are used. delayMicros is in µs.
func AppendAck(b []byte, path, delayMicros uint64, ranges []Range, extras AckExtras) []byte {
	b, _ = AppendAckWithin(b, math.MaxInt, path, delayMicros, ranges, extras)
	return b
}

// AppendAckWithin is AppendAck for a frame of at most size bytes: it leaves out as many of the smallest
// ranges as it must. When not even one range fits it returns b unchanged and false.
func AppendAckWithin(b []byte, size int, path, delayMicros uint64, ranges []Range, extras AckExtras) ([]byte, bool) {
	last := len(ranges) - 1
	if last < 0 {
		panic("BUG: ACK frame without a range")
	}
	top := ranges[last]
	first := top.Size() - 1
	fixed := 1 + SizeVarint(path) + SizeVarint(top.End-1) + SizeVarint(delayMicros) + 1 +
		SizeVarint(first) + extras.size()
	if fixed > size {
		return b, false
	}
	keep := ackRangesWithin(ranges, size-fixed)
	b = AppendVarint(b, uint64(extras.frameType()))
	b = AppendVarint(b, path)
	b = AppendVarint(b, top.End-1)
	b = AppendVarint(b, delayMicros)
	b = AppendVarint(b, uint64(last-keep))
	b = AppendVarint(b, first)
	for i := last - 1; i >= keep; i-- {
		b = AppendVarint(b, ranges[i+1].Start-ranges[i].End-1)
		b = AppendVarint(b, ranges[i].Size()-1)
	}
	return extras.append(b), true
}

// ackRangesWithin returns the index of the first range such that it and its successors, without the
// last, take at most size bytes, MaxAckRanges in all at most.
func ackRangesWithin(ranges []Range, size int) int {
	lowest := max(0, len(ranges)-MaxAckRanges) // spec: WIRE-20
	for i := len(ranges) - 2; i >= lowest; i-- {
		size -= SizeVarint(ranges[i+1].Start-ranges[i].End-1) + SizeVarint(ranges[i].Size()-1)
		if size < 0 {
			return i + 1
		}
	}
	return lowest
}

func (x *AckExtras) size() int {
	n := 0
	if x.HasECN {
		n += SizeVarint(x.ECN.ECT0) + SizeVarint(x.ECN.ECT1) + SizeVarint(x.ECN.CE)
	}
	if x.HasStamp {
		n += SizeVarint(x.Stamp & MaxStamp)
	}
	return n
}

func (x *AckExtras) append(b []byte) []byte {
	if x.HasECN {
		b = AppendVarint(b, x.ECN.ECT0)
		b = AppendVarint(b, x.ECN.ECT1)
		b = AppendVarint(b, x.ECN.CE)
	}
	if x.HasStamp {
		b = AppendVarint(b, x.Stamp&MaxStamp)
	}
	return b
}

// ImmediateAck asks for an acknowledgement of its packet without delay.
type ImmediateAck struct{}

// Append appends the frame.
func (ImmediateAck) Append(b []byte) []byte { return append(b, byte(FrameImmediateAck)) }

const (
	// MaxAckPackets is the largest packet count of an ACK_FREQUENCY frame; larger delays of
	// acknowledgement would starve any congestion controller.
	MaxAckPackets = 1024
	// MaxAckDelayMicros is the largest delay of an ACK_FREQUENCY frame in µs, the same second that
	// bounds the max ack delay parameter.
	MaxAckDelayMicros = 1000 * MaxAckDelayMillis
)

// AckFrequency asks the receiver to acknowledge after that many packets or that much time.
type AckFrequency struct {
	Sequence    uint64 // of the requests of this sender; the largest counts
	Packets     uint64 // ack-eliciting packets, 1 to MaxAckPackets
	DelayMicros uint64 // µs, at most MaxAckDelayMicros
}

// ParseAckFrequency parses an ACK_FREQUENCY frame.
func ParseAckFrequency(b []byte) (AckFrequency, int) {
	c := newCursor(b)
	f := AckFrequency{
		Sequence:    c.varint(),
		Packets:     c.varintMax(MaxAckPackets),
		DelayMicros: c.varintMax(MaxAckDelayMicros),
	}
	c.require(f.Packets > 0) // spec: WIRE-22
	return f, c.consumed()
}

// Append appends the frame.
func (f AckFrequency) Append(b []byte) []byte {
	return appendFrame(b, FrameAckFrequency, f.Sequence, f.Packets, f.DelayMicros)
}
