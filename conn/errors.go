package conn

import (
	"errors"
	"io"
	"net"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/wire"
)

// Owner says whose decision the end of a session was.
type Owner uint8

// The owners. Each has codes of its own.
const (
	Local       Owner = iota // nobody said anything: silence, a socket that failed. There is no code
	Transport                // the protocol: a rule was broken, a server refused. The codes are those of the specification
	Application              // an application. The codes are its own; 0 is the ordinary end
)

// String returns the owner's name in lower case.
func (o Owner) String() string {
	switch o {
	case Transport:
		return "transport"
	case Application:
		return "application"
	}
	return "local"
}

// Error is why a session ended. The session keeps it and returns it from every later call.
//
// errors.Is(err, net.ErrClosed) holds when this end's application closed the session or its endpoint, and
// errors.Is(err, io.EOF) when the peer's did so in good order (code 0). errors.Is works for ErrNoAnswer,
// ErrIdleTimeout and ErrReset too.
type Error struct {
	Owner  Owner
	Remote bool   // the peer said so
	Code   uint64 // 0 for Local
	Reason string // for people; from the peer: at most 256 bytes of whatever it likes
	cause  error
}

// Causes of a Local end.
var (
	// ErrNoAnswer is what Dial returns when nobody answers. A server is silent towards whoever does not
	// hold its key, so that there is one error for all reasons.
	ErrNoAnswer = protocol.ErrNoAnswer
	// ErrIdleTimeout ends a session whose peer was silent for the idle timeout.
	ErrIdleTimeout = protocol.ErrIdleTimeout
	// ErrReset ends a session that the peer no longer knows, after a restart for example.
	ErrReset = protocol.ErrStatelessReset
)

// StreamError is returned by reads of a stream that the peer reset, and by writes to one that the peer
// wants no more of. The code is the peer application's.
type StreamError = protocol.StreamError

// Error says what happened in words, with the peer's reason if there is one.
func (e *Error) Error() string { return e.cause.Error() }

// Unwrap returns the error of package protocol from which e was made.
func (e *Error) Unwrap() error { return e.cause }

// Is makes ends in good order match what TCP returns for them.
func (e *Error) Is(target error) bool {
	switch target {
	case net.ErrClosed:
		return !e.Remote && (e.Owner == Application || e.Owner == Transport && e.Code == uint64(wire.ServerStopping))
	case io.EOF:
		return e.Owner == Application && e.Remote && e.Code == 0
	}
	return false
}

// Timeout reports whether the peer's silence ended the session. It makes Error a net.Error.
func (e *Error) Timeout() bool {
	return errors.Is(e.cause, ErrNoAnswer) || errors.Is(e.cause, ErrIdleTimeout)
}

// Temporary is false: a session that has ended stays so.
func (e *Error) Temporary() bool { return false }

// newError makes the error that a session keeps from the core's.
func newError(cause error) *Error {
	e := &Error{cause: cause}
	var transport *protocol.TransportError
	var application *protocol.ApplicationError
	var reject *protocol.RejectError
	switch {
	case errors.As(cause, &transport):
		e.Owner, e.Remote, e.Code, e.Reason = Transport, transport.Remote, uint64(transport.Code), transport.Reason
	case errors.As(cause, &application):
		e.Owner, e.Remote, e.Code, e.Reason = Application, application.Remote, application.Code, application.Reason
	case errors.As(cause, &reject):
		e.Owner, e.Remote, e.Code, e.Reason = Transport, true, uint64(reject.Code), reject.Hint
	case errors.Is(cause, protocol.ErrSessionClosed):
		e.Owner = Application
	}
	return e
}

// refusal is an error of Authorize that has chosen its code.
type refusal struct {
	code   uint64
	reason string
}

func (r *refusal) Error() string { return r.reason }

// Refuse returns an error with which Config.Authorize turns a client away: the client's calls fail with an
// *Error of the application that has this code (0 to 2^62-1) and reason (at most 256 bytes).
func Refuse(code uint64, reason string) error { return &refusal{code: code, reason: reason} }

// endedError is what is wrong with one direction of a stream at this end.
type endedError string

func (e endedError) Error() string { return string(e) }

// Is makes calls after the end of a direction match those on a closed TCP connection.
func (e endedError) Is(target error) bool { return target == net.ErrClosed }

const (
	errWriteClosed = endedError("write on a stream closed for writing")
	errReadClosed  = endedError("read on a stream closed for reading")
)
