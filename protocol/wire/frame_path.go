package wire

// NewSessionID hands out a session ID that the peer may put into packets on a path.
type NewSessionID struct {
	Path     uint64 // at most MaxPathID
	Sequence uint64 // counts the IDs of a path from 0, which is the ID of the handshake on path 0
	ID       ID     // 4 or 8 bytes
	Token    ResetToken
}

// ParseNewSessionID parses a NEW_SESSION_ID frame.
func ParseNewSessionID(b []byte) (NewSessionID, int) {
	c := newCursor(b)
	f := NewSessionID{Path: c.varintMax(MaxPathID), Sequence: c.varint()} // spec: WIRE-21
	n := int(c.byte())
	c.require(n != 0 && ValidIDLen(n)) // spec: WIRE-23
	if id := c.bytes(n); !c.bad {
		f.ID = MakeID(id)
	}
	copy(f.Token[:], c.bytes(ResetTokenLen))
	return f, c.consumed()
}

// Append appends the frame.
func (f NewSessionID) Append(b []byte) []byte {
	b = appendFrame(b, FrameNewSessionID, f.Path, f.Sequence)
	b = append(b, byte(f.ID.Len()))
	b = f.ID.Append(b)
	return append(b, f.Token[:]...)
}

// RetireSessionID says that the sender will not use one of the receiver's IDs any more.
type RetireSessionID struct {
	Path     uint64 // at most MaxPathID
	Sequence uint64
}

// ParseRetireSessionID parses a RETIRE_SESSION_ID frame.
func ParseRetireSessionID(b []byte) (RetireSessionID, int) {
	c := newCursor(b)
	f := RetireSessionID{Path: c.varintMax(MaxPathID), Sequence: c.varint()}
	return f, c.consumed()
}

// Append appends the frame.
func (f RetireSessionID) Append(b []byte) []byte {
	return appendFrame(b, FrameRetireSessionID, f.Path, f.Sequence)
}

// PathDataLen is the length of the random content of a path challenge in bytes: 64 bits, as many as
// an attacker off the path would have to guess.
const PathDataLen = 8

// PathChallenge asks for the same bytes back over the path that it came on.
type PathChallenge struct{ Data [PathDataLen]byte }

// ParsePathChallenge parses a PATH_CHALLENGE frame.
func ParsePathChallenge(b []byte) (PathChallenge, int) {
	data, n := consumePathData(b)
	return PathChallenge{Data: data}, n
}

// Append appends the frame.
func (f PathChallenge) Append(b []byte) []byte {
	return append(append(b, byte(FramePathChallenge)), f.Data[:]...)
}

// PathResponse answers a path challenge.
type PathResponse struct{ Data [PathDataLen]byte }

// ParsePathResponse parses a PATH_RESPONSE frame.
func ParsePathResponse(b []byte) (PathResponse, int) {
	data, n := consumePathData(b)
	return PathResponse{Data: data}, n
}

// Append appends the frame.
func (f PathResponse) Append(b []byte) []byte {
	return append(append(b, byte(FramePathResponse)), f.Data[:]...)
}

func consumePathData(b []byte) (data [PathDataLen]byte, n int) {
	c := newCursor(b)
	copy(data[:], c.bytes(PathDataLen))
	return data, c.consumed()
}
