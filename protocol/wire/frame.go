package wire

// Frame is any frame, for tools and tests that handle all kinds alike. Sessions parse each kind with
// its own function, which does not allocate.
type Frame interface {
	// Append appends the frame, type included.
	Append(b []byte) []byte
	// String returns the frame as one line of text.
	String() string
}

// Grease is a frame that carries nothing and is skipped.
type Grease struct {
	Type FrameType
	Data []byte // a view
}

// Append appends the frame.
func (f Grease) Append(b []byte) []byte {
	return append(appendFrame(b, f.Type, uint64(len(f.Data))), f.Data...)
}

// ParseFrame parses the frame at the start of b, type included, and returns it with its size, or -1
// when it is malformed or of a type that version 1 does not define. Padding is taken as a run. It
// allocates.
func ParseFrame(b []byte) (Frame, int) {
	t, n := ConsumeFrameType(b)
	if n < 0 {
		return nil, -1
	}
	f, m := parseBody(t, b[n:])
	if m < 0 {
		return nil, -1
	}
	return f, n + m
}

func parseBody(t FrameType, b []byte) (Frame, int) {
	switch {
	case t.IsAck():
		return boxed(ParseAck(t, b))
	case t.IsStream():
		return boxed(ParseStream(t, b))
	case t.IsMessage():
		return boxed(ParseMessage(t, b))
	case IsGrease(t):
		return parseGrease(t, b)
	case t < FrameStream:
		return parseSessionFrame(t, b)
	case t <= FrameStreamsBlockedUni:
		return parseStreamControl(t, b)
	default:
		return parseLateFrame(t, b)
	}
}

// boxed turns what a parser returned into a Frame.
func boxed[F Frame](f F, n int) (Frame, int) { return f, n }

func parseGrease(t FrameType, b []byte) (Frame, int) {
	c := newCursor(b)
	f := Grease{Type: t, Data: c.counted(MaxVarint)}
	return f, c.consumed()
}

func parseSessionFrame(t FrameType, b []byte) (Frame, int) {
	switch t {
	case FramePadding:
		n := SkipPadding(b)
		return Padding{N: 1 + n}, n
	case FramePing:
		return Ping{}, 0
	case FrameImmediateAck:
		return ImmediateAck{}, 0
	case FrameAckFrequency:
		return boxed(ParseAckFrequency(b))
	case FrameNewSessionID:
		return boxed(ParseNewSessionID(b))
	case FrameRetireSessionID:
		return boxed(ParseRetireSessionID(b))
	case FramePathChallenge:
		return boxed(ParsePathChallenge(b))
	case FramePathResponse:
		return boxed(ParsePathResponse(b))
	case FrameAddressToken:
		return boxed(ParseAddressToken(b))
	case FrameTicket:
		return boxed(ParseTicket(b))
	case FrameKeyPace:
		return boxed(ParseKeyPace(b))
	default:
		return nil, -1
	}
}

func parseStreamControl(t FrameType, b []byte) (Frame, int) {
	switch t {
	case FrameResetStream:
		return boxed(ParseResetStream(b))
	case FrameStopSending:
		return boxed(ParseStopSending(b))
	case FrameMaxData:
		return boxed(ParseMaxData(b))
	case FrameMaxStreamData:
		return boxed(ParseMaxStreamData(b))
	case FrameMaxStreamsBidi, FrameMaxStreamsUni:
		return boxed(ParseMaxStreams(t, b))
	case FrameDataBlocked:
		return boxed(ParseDataBlocked(b))
	case FrameStreamDataBlocked:
		return boxed(ParseStreamDataBlocked(b))
	case FrameStreamsBlockedBidi, FrameStreamsBlockedUni:
		return boxed(ParseStreamsBlocked(t, b))
	default:
		return nil, -1
	}
}

func parseLateFrame(t FrameType, b []byte) (Frame, int) {
	switch t {
	case FrameChannel:
		return boxed(ParseChannel(b))
	case FrameChannelReport:
		return boxed(ParseChannelReport(b))
	case FrameSkip:
		return boxed(ParseSkip(b))
	case FrameSource:
		return boxed(ParseSource(b))
	case FrameRepair:
		return boxed(ParseRepair(b))
	case FrameRepairReport:
		return boxed(ParseRepairReport(b))
	case FrameDone:
		return Done{}, 0
	case FrameClose, FrameCloseApp:
		return boxed(ParseClose(t, b))
	default:
		return nil, -1 // spec: REG-1
	}
}
