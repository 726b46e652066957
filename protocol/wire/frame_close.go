package wire

import "unicode/utf8"

// MaxReason is the longest reason of a CLOSE frame in bytes. It is for people who read logs; one
// line is enough, and the frame always fits a packet.
const MaxReason = 256

// Close ends the session: CLOSE for a reason of the transport, CLOSE_APP for one of the application.
type Close struct {
	App    bool      // the application closed the session
	Code   uint64    // an [ErrorCode], or with App a code of the application
	Frame  FrameType // the frame that provoked it, 0 if none did; not with App
	Reason []byte    // a view, at most MaxReason bytes, UTF-8 by convention, not trusted
}

// ParseClose parses a CLOSE or CLOSE_APP frame of type t.
func ParseClose(t FrameType, b []byte) (Close, int) {
	c := newCursor(b)
	f := Close{App: t == FrameCloseApp, Code: c.varint()}
	if !f.App {
		f.Frame = FrameType(c.varint())
	}
	f.Reason = c.counted(MaxReason) // spec: WIRE-29
	return f, c.consumed()
}

// Append appends the frame. A reason that is too long is cut between two characters.
func (f Close) Append(b []byte) []byte {
	if f.App {
		return appendReason(appendFrame(b, FrameCloseApp, f.Code), f.Reason)
	}
	return appendReason(appendFrame(b, FrameClose, f.Code, uint64(f.Frame)), f.Reason)
}

func appendReason(b, reason []byte) []byte {
	reason = cutReason(reason)
	return append(AppendVarint(b, uint64(len(reason))), reason...)
}

// cutReason shortens a reason to MaxReason bytes or, where that would split a character, to up to
// three bytes less.
func cutReason(reason []byte) []byte {
	if len(reason) <= MaxReason {
		return reason
	}
	n := MaxReason
	for n > MaxReason-utf8.UTFMax+1 && !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}
