package handshake

import (
	"errors"
	"fmt"
)

// Errors for datagrams that are dropped in silence. The state is as it was
// before the datagram came; callers count them and go on.
var (
	// ErrMalformed says that a message does not have the shape of its type.
	ErrMalformed = errors.New("handshake: malformed message")
	// ErrVersion says that an INIT names a version that is not served.
	ErrVersion = errors.New("handshake: version not served")
	// ErrTicket says that an INIT carries a ticket, reserved in version 1.
	ErrTicket = errors.New("handshake: tickets are reserved, not served")
	// ErrConnectToken says that an INIT carries a connect token, reserved in
	// version 1.
	ErrConnectToken = errors.New("handshake: connect tokens are reserved, not served")
	// ErrTokenKind says that an INIT carries a token of an unknown kind.
	ErrTokenKind = errors.New("handshake: unknown token kind")
	// ErrNoPSK says that an INIT without a pre-shared key reached a server
	// that demands one.
	ErrNoPSK = errors.New("handshake: pre-shared key required")
	// ErrUnknownPSK says that an INIT names a pre-shared key that the server
	// does not have.
	ErrUnknownPSK = errors.New("handshake: unknown pre-shared key")
	// ErrAuth says that a MAC, a tag or an AEAD did not verify.
	ErrAuth = errors.New("handshake: authentication failed")
	// ErrWeakKey says that an X25519 exchange gave zero, or that a KEM key is
	// not a valid one.
	ErrWeakKey = errors.New("handshake: weak key")
	// ErrUnexpected says that a message does not belong to the present state:
	// a second RETRY for one INIT, a RESP when one was accepted.
	ErrUnexpected = errors.New("handshake: message not expected now")
	// ErrRetries says that more than [MaxRetries] RETRY datagrams came.
	ErrRetries = errors.New("handshake: too many retries")
)

// errTooLong is the error of a configuration that does not fit a message.
var errTooLong = errors.New("handshake: payload too long")

// Codes that a REJECT carries, registered in chapter 13 of the specification.
const (
	RejectVersion       uint16 = 1
	RejectAppProtocol   uint16 = 2
	RejectFull          uint16 = 3
	RejectTokenExpired  uint16 = 4
	RejectNotAuthorized uint16 = 5
	RejectStopping      uint16 = 6
)

// RejectError is the authentic refusal of a server. It is not final while a
// RESP may still come: an INIT can be replayed to another server, which may
// refuse it.
type RejectError struct {
	Code uint16
	Hint string // at most [MaxHint] bytes of UTF-8, chosen by the server
}

func (e *RejectError) Error() string {
	if e.Hint == "" {
		return "handshake: rejected by the server: " + rejectName(e.Code)
	}
	return fmt.Sprintf("handshake: rejected by the server: %s (%q)", rejectName(e.Code), e.Hint)
}

func rejectName(code uint16) string {
	switch code {
	case RejectVersion:
		return "version"
	case RejectAppProtocol:
		return "wrong application protocol"
	case RejectFull:
		return "full"
	case RejectTokenExpired:
		return "token expired"
	case RejectNotAuthorized:
		return "not authorized"
	case RejectStopping:
		return "stopping"
	}
	return fmt.Sprintf("code %d", code)
}

// AbortError ends a handshake: the peer is authentic, and what it said is not
// acceptable. Code is the REJECT code that a server answers with; it has no
// meaning at a client.
type AbortError struct {
	Code   uint16
	Reason string
}

func (e *AbortError) Error() string { return "handshake: " + e.Reason }
