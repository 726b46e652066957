package wire

// Flags in the type of a STREAM frame.
const (
	streamFlagFin = 1 // the stream ends where the data of the frame ends
	streamFlagLen = 2 // a length precedes the data; else the data fills the packet
	streamFlagOff = 4 // an offset is given; else it is 0
)

// MaxStreamCount is the largest number of streams of one kind that a limit can allow: stream IDs are
// variable-length integers and two of their bits say the kind.
const MaxStreamCount = 1 << 60

// StreamFrame carries bytes of a stream. (Stream is the handle in package protocol.)
type StreamFrame struct {
	ID     uint64
	Offset uint64 // of Data[0] in the stream; Offset + len(Data) is at most MaxVarint
	Data   []byte // a view
	Fin    bool   // the stream ends after Data
	ToEnd  bool   // the frame has no length: it is the last of its packet
}

// ParseStream parses a STREAM frame of type t.
func ParseStream(t FrameType, b []byte) (StreamFrame, int) {
	// Single values, not the fields of a struct: those would be written one by one and read in pieces of
	// another size, for which the processor waits.
	id, n := ConsumeVarint(b)
	if n < 0 {
		return StreamFrame{}, -1
	}
	var offset uint64
	if t&streamFlagOff != 0 {
		off, m := ConsumeVarint(b[n:])
		if m < 0 {
			return StreamFrame{}, -1
		}
		offset = off
		n += m
	}
	length := uint64(len(b) - n)
	toEnd := t&streamFlagLen == 0
	if !toEnd {
		v, m := ConsumeVarint(b[n:])
		if m < 0 || v > uint64(len(b)-n-m) {
			return StreamFrame{}, -1
		}
		length = v
		n += m
	}
	if offset+length > MaxVarint { // spec: WIRE-26
		return StreamFrame{}, -1
	}
	end := n + int(length)
	return StreamFrame{ID: id, Offset: offset, Data: b[n:end:end], Fin: t&streamFlagFin != 0, ToEnd: toEnd}, end
}

// AppendStreamHeader appends a STREAM frame up to its data; the caller appends exactly n bytes of data
// next. Without a length (withLen false) nothing may follow the data in the packet.
func AppendStreamHeader(b []byte, id, off uint64, n int, fin, withLen bool) []byte {
	t := FrameStream
	if fin {
		t |= streamFlagFin
	}
	if withLen {
		t |= streamFlagLen
	}
	if off > 0 {
		t |= streamFlagOff
	}
	b = append(b, byte(t))
	b = AppendVarint(b, id)
	if off > 0 {
		b = AppendVarint(b, off)
	}
	if withLen {
		b = AppendVarint(b, uint64(n))
	}
	return b
}

// SizeStreamHeader returns the number of bytes that AppendStreamHeader writes.
func SizeStreamHeader(id, off uint64, n int, withLen bool) int {
	size := 1 + SizeVarint(id)
	if off > 0 {
		size += SizeVarint(off)
	}
	if withLen {
		size += SizeVarint(uint64(n))
	}
	return size
}

// Append appends the frame, data included.
func (f StreamFrame) Append(b []byte) []byte {
	b = AppendStreamHeader(b, f.ID, f.Offset, len(f.Data), f.Fin, !f.ToEnd)
	return append(b, f.Data...)
}

// Stream IDs. Bit 0 says who opened the stream, bit 1 whether it has one direction.
const (
	streamServer = 1
	streamUni    = 2
)

// StreamID returns the ID of the n-th stream, counted from 0, of one opener and kind. Stream 0, which
// exists from the start, is the client's first bidirectional one.
func StreamID(n uint64, server, uni bool) uint64 {
	id := n << 2
	if server {
		id |= streamServer
	}
	if uni {
		id |= streamUni
	}
	return id
}

// IsServerStream reports whether the server opens the stream id.
func IsServerStream(id uint64) bool { return id&streamServer != 0 }

// IsUniStream reports whether the stream id has one direction only.
func IsUniStream(id uint64) bool { return id&streamUni != 0 }

// ResetStream abandons the sending side of a stream.
type ResetStream struct {
	ID        uint64
	Code      uint64 // of the application
	FinalSize uint64 // bytes sent on the stream in all
	Delivered uint64 // bytes at the start that are still delivered reliably, at most FinalSize
}

// ParseResetStream parses a RESET_STREAM frame.
func ParseResetStream(b []byte) (ResetStream, int) {
	c := newCursor(b)
	f := ResetStream{ID: c.varint(), Code: c.varint(), FinalSize: c.varint()}
	f.Delivered = c.varintMax(f.FinalSize) // spec: WIRE-27
	return f, c.consumed()
}

// Append appends the frame.
func (f ResetStream) Append(b []byte) []byte {
	return appendFrame(b, FrameResetStream, f.ID, f.Code, f.FinalSize, f.Delivered)
}

// StopSending asks the peer to abandon the sending side of a stream.
type StopSending struct {
	ID   uint64
	Code uint64 // of the application
}

// ParseStopSending parses a STOP_SENDING frame.
func ParseStopSending(b []byte) (StopSending, int) {
	c := newCursor(b)
	f := StopSending{ID: c.varint(), Code: c.varint()}
	return f, c.consumed()
}

// Append appends the frame.
func (f StopSending) Append(b []byte) []byte {
	return appendFrame(b, FrameStopSending, f.ID, f.Code)
}

// MaxData raises the limit on the bytes of all streams together.
type MaxData struct{ Max uint64 }

// ParseMaxData parses a MAX_DATA frame.
func ParseMaxData(b []byte) (MaxData, int) {
	v, n := ConsumeVarint(b)
	return MaxData{Max: v}, n
}

// Append appends the frame.
func (f MaxData) Append(b []byte) []byte { return appendFrame(b, FrameMaxData, f.Max) }

// MaxStreamData raises the limit on the bytes of one stream.
type MaxStreamData struct{ ID, Max uint64 }

// ParseMaxStreamData parses a MAX_STREAM_DATA frame.
func ParseMaxStreamData(b []byte) (MaxStreamData, int) {
	c := newCursor(b)
	f := MaxStreamData{ID: c.varint(), Max: c.varint()}
	return f, c.consumed()
}

// Append appends the frame.
func (f MaxStreamData) Append(b []byte) []byte {
	return appendFrame(b, FrameMaxStreamData, f.ID, f.Max)
}

// MaxStreams raises the limit on the number of streams that the peer opens, all together.
type MaxStreams struct {
	Max uint64 // at most MaxStreamCount
	Uni bool   // kind of the streams
}

// ParseMaxStreams parses a MAX_STREAMS_BIDI or MAX_STREAMS_UNI frame of type t.
func ParseMaxStreams(t FrameType, b []byte) (MaxStreams, int) {
	c := newCursor(b)
	f := MaxStreams{Max: c.varintMax(MaxStreamCount), Uni: t == FrameMaxStreamsUni} // spec: WIRE-28
	return f, c.consumed()
}

// Append appends the frame.
func (f MaxStreams) Append(b []byte) []byte {
	if f.Uni {
		return appendFrame(b, FrameMaxStreamsUni, f.Max)
	}
	return appendFrame(b, FrameMaxStreamsBidi, f.Max)
}

// DataBlocked says that the sender would send more but for the session's limit.
type DataBlocked struct{ Limit uint64 }

// ParseDataBlocked parses a DATA_BLOCKED frame.
func ParseDataBlocked(b []byte) (DataBlocked, int) {
	v, n := ConsumeVarint(b)
	return DataBlocked{Limit: v}, n
}

// Append appends the frame.
func (f DataBlocked) Append(b []byte) []byte { return appendFrame(b, FrameDataBlocked, f.Limit) }

// StreamDataBlocked says that the sender would send more but for the stream's limit.
type StreamDataBlocked struct{ ID, Limit uint64 }

// ParseStreamDataBlocked parses a STREAM_DATA_BLOCKED frame.
func ParseStreamDataBlocked(b []byte) (StreamDataBlocked, int) {
	c := newCursor(b)
	f := StreamDataBlocked{ID: c.varint(), Limit: c.varint()}
	return f, c.consumed()
}

// Append appends the frame.
func (f StreamDataBlocked) Append(b []byte) []byte {
	return appendFrame(b, FrameStreamDataBlocked, f.ID, f.Limit)
}

// StreamsBlocked says that the sender would open a stream but for the limit on their number.
type StreamsBlocked struct {
	Limit uint64 // at most MaxStreamCount
	Uni   bool   // kind of the streams
}

// ParseStreamsBlocked parses a STREAMS_BLOCKED_BIDI or STREAMS_BLOCKED_UNI frame of type t.
func ParseStreamsBlocked(t FrameType, b []byte) (StreamsBlocked, int) {
	c := newCursor(b)
	f := StreamsBlocked{Limit: c.varintMax(MaxStreamCount), Uni: t == FrameStreamsBlockedUni}
	return f, c.consumed()
}

// Append appends the frame.
func (f StreamsBlocked) Append(b []byte) []byte {
	if f.Uni {
		return appendFrame(b, FrameStreamsBlockedUni, f.Limit)
	}
	return appendFrame(b, FrameStreamsBlockedBidi, f.Limit)
}
