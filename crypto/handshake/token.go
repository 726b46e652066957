package handshake

import "encoding/binary"

// TokenKind says what an INIT's token field holds.
type TokenKind uint8

// Kinds of tokens. Tickets and connect tokens have their places on the wire
// and are refused by name in version 1.
const (
	TokenNone    TokenKind = 0
	TokenPSK     TokenKind = 1 // the ID of a pre-shared key, 8 bytes
	TokenTicket  TokenKind = 2 // see [ParseTicket]
	TokenConnect TokenKind = 3 // see [ParseConnectToken]
)

func (k TokenKind) String() string {
	switch k {
	case TokenNone:
		return "none"
	case TokenPSK:
		return "psk"
	case TokenTicket:
		return "ticket"
	case TokenConnect:
		return "connect token"
	}
	return "unknown"
}

// Sizes of tokens, in bytes.
const (
	minTicket = 158
	maxTicket = 222

	minConnectToken = 122
	maxConnectToken = 395

	tokenNonceSize = 24 // XChaCha20-Poly1305
)

// Ticket is a resumption ticket as it travels: sealed by a server for itself.
// Slices are views of the parsed bytes.
type Ticket struct {
	KeyID  uint32
	Nonce  []byte // 24 bytes
	Sealed []byte // contents and tag
}

// ParseTicket reads the structure of a ticket. It returns ErrMalformed for
// anything that is not one; what is sealed is not looked at.
func ParseTicket(b []byte) (Ticket, error) {
	if len(b) < minTicket || len(b) > maxTicket {
		return Ticket{}, ErrMalformed
	}
	return Ticket{
		KeyID:  binary.BigEndian.Uint32(b),
		Nonce:  b[4 : 4+tokenNonceSize],
		Sealed: b[4+tokenNonceSize:],
	}, nil
}

// ConnectToken is a connect token as it travels: sealed by a backend for a
// group of servers. Slices are views of the parsed bytes.
type ConnectToken struct {
	Version uint8  // 1
	Kind    uint8  // 1: sealed under a key that backend and servers share
	KeyID   uint32 // which key
	Expiry  uint64 // seconds since 1970
	Nonce   []byte // 24 bytes
	Sealed  []byte // contents and tag
}

const connectTokenClear = 14 // version, kind, key ID, expiry: the AAD

// ParseConnectToken reads the structure of a connect token. It returns
// ErrMalformed for anything that is not one, other versions and kinds
// included; what is sealed is not looked at, nor is the expiry.
func ParseConnectToken(b []byte) (ConnectToken, error) {
	if len(b) < minConnectToken || len(b) > maxConnectToken {
		return ConnectToken{}, ErrMalformed
	}
	t := ConnectToken{
		Version: b[0],
		Kind:    b[1],
		KeyID:   binary.BigEndian.Uint32(b[2:]),
		Expiry:  binary.BigEndian.Uint64(b[6:]),
		Nonce:   b[connectTokenClear : connectTokenClear+tokenNonceSize],
		Sealed:  b[connectTokenClear+tokenNonceSize:],
	}
	if t.Version != 1 || t.Kind != 1 {
		return ConnectToken{}, ErrMalformed
	}
	return t, nil
}

// checkToken says whether a token may go on: only an absent one and a
// pre-shared key's ID do.
//
// spec: HS-2 HS-3
func checkToken(kind TokenKind, token []byte) error {
	var err error
	switch kind {
	case TokenNone:
		if len(token) != 0 {
			return ErrMalformed
		}
		return nil
	case TokenPSK:
		if len(token) != pskIDSize {
			return ErrMalformed
		}
		return nil
	case TokenTicket:
		if _, err = ParseTicket(token); err == nil {
			err = ErrTicket
		}
	case TokenConnect:
		if _, err = ParseConnectToken(token); err == nil {
			err = ErrConnectToken
		}
	default:
		err = ErrTokenKind
	}
	return err
}
