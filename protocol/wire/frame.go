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
	case t < TypeStream:
		return parseSessionFrame(t, b)
	case t <= TypeStreamsBlockedUni:
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
	case TypePadding:
		n := SkipPadding(b)
		return Padding{N: 1 + n}, n
	case TypePing:
		return Ping{}, 0
	case TypeImmediateAck:
		return ImmediateAck{}, 0
	case TypeAckFrequency:
		return boxed(ParseAckFrequency(b))
	case TypeNewSessionID:
		return boxed(ParseNewSessionID(b))
	case TypeRetireSessionID:
		return boxed(ParseRetireSessionID(b))
	case TypePathChallenge:
		return boxed(ParsePathChallenge(b))
	case TypePathResponse:
		return boxed(ParsePathResponse(b))
	case TypeAddressToken:
		return boxed(ParseAddressToken(b))
	case TypeTicket:
		return boxed(ParseTicket(b))
	case TypeKeyPace:
		return boxed(ParseKeyPace(b))
	default:
		return nil, -1
	}
}

func parseStreamControl(t FrameType, b []byte) (Frame, int) {
	switch t {
	case TypeResetStream:
		return boxed(ParseResetStream(b))
	case TypeStopSending:
		return boxed(ParseStopSending(b))
	case TypeMaxData:
		return boxed(ParseMaxData(b))
	case TypeMaxStreamData:
		return boxed(ParseMaxStreamData(b))
	case TypeMaxStreamsBidi, TypeMaxStreamsUni:
		return boxed(ParseMaxStreams(t, b))
	case TypeDataBlocked:
		return boxed(ParseDataBlocked(b))
	case TypeStreamDataBlocked:
		return boxed(ParseStreamDataBlocked(b))
	case TypeStreamsBlockedBidi, TypeStreamsBlockedUni:
		return boxed(ParseStreamsBlocked(t, b))
	default:
		return nil, -1
	}
}

func parseLateFrame(t FrameType, b []byte) (Frame, int) {
	switch t {
	case TypeChannel:
		return boxed(ParseChannel(b))
	case TypeSkip:
		return boxed(ParseSkip(b))
	case TypeSource:
		return boxed(ParseSource(b))
	case TypeRepair:
		return boxed(ParseRepair(b))
	case TypeRepairReport:
		return boxed(ParseRepairReport(b))
	case TypeDone:
		return Done{}, 0
	case TypeClose:
		return boxed(ParseClose(b))
	case TypeCloseApp:
		return boxed(ParseCloseApp(b))
	default:
		return nil, -1
	}
}
