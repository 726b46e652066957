package protocol

import (
	"errors"
	"fmt"

	"github.com/godwit-net/godwit/protocol/wire"
)

// TransportError ends a session because one end broke the protocol or gave up on it.
// Its code is one of the registry of transport codes and travels in a CLOSE frame.
type TransportError struct {
	Code   wire.ErrorCode // transport code
	Frame  wire.FrameType // the frame that provoked it, 0 when no frame did
	Reason string         // for people, at most wire.MaxReason bytes on the wire
	Remote bool           // true when the peer closed, false when this end did
}

func (e *TransportError) Error() string {
	owner := "closed by this end"
	if e.Remote {
		owner = "closed by the peer"
	}
	if e.Reason == "" {
		return fmt.Sprintf("%s: %v", owner, e.Code)
	}
	return fmt.Sprintf("%s: %v: %s", owner, e.Code, e.Reason)
}

// ApplicationError ends a session because an application said so. Code and reason are the
// application's own. Code 0 with an empty reason is the ordinary end.
type ApplicationError struct {
	Code   uint64
	Reason string
	Remote bool // true when the peer's application closed
}

func (e *ApplicationError) Error() string {
	owner := "this end"
	if e.Remote {
		owner = "the peer"
	}
	if e.Reason == "" {
		return fmt.Sprintf("application at %s closed with code %d", owner, e.Code)
	}
	return fmt.Sprintf("application at %s closed with code %d: %s", owner, e.Code, e.Reason)
}

// StreamError reports that one direction of a stream was ended early: by RESET_STREAM from the
// peer (reading fails), by STOP_SENDING from the peer or by Reset here (writing fails).
type StreamError struct {
	Code   uint64
	Remote bool // true when the peer reset or stopped the stream
}

func (e *StreamError) Error() string {
	owner := "this end"
	if e.Remote {
		owner = "the peer"
	}
	return fmt.Sprintf("stream ended early by %s with code %d", owner, e.Code)
}

// RejectError is the authentic refusal of a handshake by the server.
type RejectError struct {
	Code wire.RejectCode
	Hint string // for people, at most 32 bytes
}

func (e *RejectError) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("server refused the session: %v", e.Code)
	}
	return fmt.Sprintf("server refused the session: %v: %s", e.Code, e.Hint)
}

// Local ends of a session and local refusals. They never travel on the wire.
var (
	// ErrNoAnswer is the end of a handshake that nobody answered. One message for all causes:
	// a server is silent towards whoever does not hold its key.
	ErrNoAnswer = errors.New("no answer: server down, address wrong, or key does not match")
	// ErrIdleTimeout ends a session whose peer was silent for the agreed idle timeout.
	ErrIdleTimeout = errors.New("the peer has been silent for the idle timeout: it is gone or unreachable")
	// ErrStatelessReset ends a session that the peer no longer knows, after a restart for example.
	ErrStatelessReset = errors.New("the peer has forgotten this session: it was restarted")
	// ErrStreamLimit says that the peer allows no further stream of this kind at the moment.
	ErrStreamLimit = errors.New("the peer's limit of open streams is reached: close some or wait")
	// ErrSessionClosed is returned by operations on a session that this end has closed.
	ErrSessionClosed = errors.New("session closed")
	// ErrWriteClosed is returned by writes after CloseWrite or Reset.
	ErrWriteClosed = errors.New("stream closed for writing")
	// ErrReadCanceled is returned by reads after CancelRead.
	ErrReadCanceled = errors.New("stream canceled for reading")
	// ErrVersion ends a handshake with a server that speaks no version of ours.
	ErrVersion = errors.New("the server speaks none of our protocol versions: update the older end")
	// ErrNoSpareID refuses a migration for which the peer has given no unused session ID.
	ErrNoSpareID = errors.New("no unused session ID from the peer: the address cannot change yet")
)

// transportErrorf builds the error with which this end closes a session.
func transportErrorf(code wire.ErrorCode, frame wire.FrameType, format string, args ...any) *TransportError {
	return &TransportError{Code: code, Frame: frame, Reason: fmt.Sprintf(format, args...)}
}
