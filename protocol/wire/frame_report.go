package wire

// TimeBuckets is how many entries a distribution of times has at most: of those below 1 ms, then of each power
// of two of a ms, up to the longest deadline.
const TimeBuckets = 16

// ChannelReport tells the sender of a channel what only its receiver knows. All counters are of messages, since
// the beginning of the channel.
type ChannelReport struct {
	Channel      uint64 // at most MaxChannel
	Arrived      uint64 // complete
	Skipped      uint64 // the receiver went on without them
	Late         uint64 // came after that
	Dropped      uint64 // came after a newer one, or while the application took none
	Duplicate    uint64 // copies of what had come
	JitterMicros uint64 // mean change of the one-way delay from one message to the next, in µs
	DelayMicros  uint64 // mean of the one-way delay, above the smallest, in µs
	Margin       [TimeBuckets]uint64
	Lateness     [TimeBuckets]uint64
}

// counters returns the fields in their order on the wire.
func (f *ChannelReport) counters() [8]*uint64 {
	return [8]*uint64{
		&f.Channel, &f.Arrived, &f.Skipped, &f.Late, &f.Dropped, &f.Duplicate, &f.JitterMicros, &f.DelayMicros,
	}
}

// ParseChannelReport parses a CHANNEL_REPORT frame.
func ParseChannelReport(b []byte) (f ChannelReport, n int) {
	c := newCursor(b)
	for _, v := range f.counters() {
		*v = c.varint()
	}
	c.require(f.Channel <= MaxChannel) // spec: WIRE-30
	c.times(&f.Margin)
	c.times(&f.Lateness)
	return f, c.consumed()
}

func (c *cursor) times(h *[TimeBuckets]uint64) {
	n := c.varintMax(TimeBuckets) // spec: WIRE-42
	for i := range h[:n] {
		h[i] = c.varint()
	}
}

// Append appends the frame.
func (f ChannelReport) Append(b []byte) []byte {
	b = AppendVarint(b, uint64(FrameChannelReport))
	for _, v := range f.counters() {
		b = AppendVarint(b, *v)
	}
	return appendTimes(appendTimes(b, &f.Margin), &f.Lateness)
}

// appendTimes appends a distribution without the zeros at its end.
func appendTimes(b []byte, h *[TimeBuckets]uint64) []byte {
	n := TimeBuckets
	for n > 0 && h[n-1] == 0 {
		n--
	}
	b = append(b, byte(n))
	for _, v := range h[:n] {
		b = AppendVarint(b, v)
	}
	return b
}
