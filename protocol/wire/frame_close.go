package wire

import "unicode/utf8"

// MaxReasonLen is the longest reason of a CLOSE frame in bytes. It is for people who read logs; one
// line is enough, and the frame always fits a packet.
const MaxReasonLen = 256

// Close ends the session for a reason of the transport.
type Close struct {
	Code   ErrorCode
	Frame  FrameType // of the frame that caused it, 0 if none did
	Reason []byte    // a view, at most MaxReasonLen bytes, UTF-8 by convention, not trusted
}

// ParseClose parses a CLOSE frame.
func ParseClose(b []byte) (Close, int) {
	c := newCursor(b)
	f := Close{
		Code:   ErrorCode(c.varint()),
		Frame:  FrameType(c.varint()),
		Reason: c.counted(MaxReasonLen), // spec: WIRE-48
	}
	return f, c.consumed()
}

// Append appends the frame. A reason that is too long is cut between two characters.
func (f Close) Append(b []byte) []byte {
	b = appendFrame(b, TypeClose, uint64(f.Code), uint64(f.Frame))
	return appendReason(b, f.Reason)
}

// CloseApp ends the session for a reason of the application.
type CloseApp struct {
	Code   uint64
	Reason []byte // a view, at most MaxReasonLen bytes, UTF-8 by convention, not trusted
}

// ParseCloseApp parses a CLOSE_APP frame.
func ParseCloseApp(b []byte) (CloseApp, int) {
	c := newCursor(b)
	f := CloseApp{Code: c.varint(), Reason: c.counted(MaxReasonLen)}
	return f, c.consumed()
}

// Append appends the frame. A reason that is too long is cut between two characters.
func (f CloseApp) Append(b []byte) []byte {
	return appendReason(appendFrame(b, TypeCloseApp, f.Code), f.Reason)
}

func appendReason(b, reason []byte) []byte {
	reason = cutReason(reason)
	return append(AppendVarint(b, uint64(len(reason))), reason...)
}

// cutReason shortens a reason to MaxReasonLen bytes or, where that would split a character, to up to
// three bytes less.
func cutReason(reason []byte) []byte {
	if len(reason) <= MaxReasonLen {
		return reason
	}
	n := MaxReasonLen
	for n > MaxReasonLen-utf8.UTFMax+1 && !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}
