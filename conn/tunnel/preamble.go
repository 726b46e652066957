package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"unicode"
)

// version is the preamble version of this package, the first octet of requests and replies.
const version = 1

// Forms of a host in a request.
const (
	formIPv4 = 1
	formIPv6 = 2
	formName = 3
)

// Code is the server's answer to a request. The numbers travel in replies (spec/12-tunnel.md).
type Code uint8

// The reply codes of version 1. A client takes a code that it does not know as CodeFailed.
const (
	CodeConnected   Code = 0  // the target accepted the connection
	CodeMalformed   Code = 1  // the request could not be read
	CodeVersion     Code = 2  // the server does not speak the version of the request
	CodeUnsupported Code = 3  // the server does not carry this network
	CodeNotAllowed  Code = 4  // no rule of the server allows the target
	CodeNameUnknown Code = 5  // the host name could not be resolved
	CodeRefused     Code = 6  // the target refused the connection
	CodeUnreachable Code = 7  // no route to the target
	CodeTimeout     Code = 8  // the target did not answer in time
	CodeBusy        Code = 9  // the server carries as many connections as it may
	CodeStopping    Code = 10 // the server is about to stop
	CodeFailed      Code = 11 // anything else
	CodeInUse       Code = 12 // somebody else listens there
)

var codeText = [...]string{
	"connected", "malformed request", "preamble version not supported", "network not supported",
	"target not allowed", "host name unknown", "connection refused by the target",
	"target unreachable", "target did not answer", "server busy", "server stopping", "failed",
	"address in use at the server",
}

func (c Code) String() string {
	if int(c) < len(codeText) {
		return codeText[c]
	}
	return fmt.Sprintf("failed with the unknown code %d", uint8(c))
}

// RefusedError is the server's refusal of one connection.
type RefusedError struct {
	Target Target
	Code   Code
	Reason string // for people; printable, at most 200 octets; may be empty
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("%v: %v", e.Target, e.Code)
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// Reasons why a request or a reply cannot be read.
var (
	errVersion   = errors.New("preamble version not supported")
	errNetwork   = errors.New("network not supported")
	errMalformed = errors.New("malformed preamble")
)

// appendRequest appends the request for a target, which must be valid.
func appendRequest(b []byte, t Target) []byte {
	b = append(b, version, byte(t.Network))
	switch {
	case t.Addr.Is4():
		a := t.Addr.As4()
		b = append(append(b, formIPv4), a[:]...)
	case t.Addr.Is6():
		a := t.Addr.As16()
		b = append(append(b, formIPv6), a[:]...)
	default:
		b = append(append(b, formName, byte(len(t.Name))), t.Name...)
	}
	b = binary.BigEndian.AppendUint16(b, t.Port)
	return binary.BigEndian.AppendUint16(b, 0) // no options
}

// readRequest reads one request and not an octet more, since the payload follows it.
// It returns errVersion, errNetwork or errMalformed for what it cannot accept, else the error of
// the reader.
func readRequest(r io.Reader) (Target, error) {
	var buf [maxRequest]byte
	head := buf[:3]
	if _, err := io.ReadFull(r, head); err != nil {
		return Target{}, truncated(err)
	}
	if head[0] != version { // spec: TUN-3
		return Target{}, errVersion
	}
	t := Target{Network: Network(head[1])}
	if err := readHost(r, buf[3:], head[2], &t); err != nil {
		return Target{}, err
	}
	tail := buf[:4]
	if _, err := io.ReadFull(r, tail); err != nil {
		return Target{}, truncated(err)
	}
	t.Port = binary.BigEndian.Uint16(tail)
	if t.Port == 0 { // spec: TUN-7
		return Target{}, errMalformed
	}
	if err := skipOptions(r, buf[:], int(binary.BigEndian.Uint16(tail[2:]))); err != nil {
		return Target{}, err
	}
	if t.Network != NetworkTCP && t.Network != networkListenTCP { // spec: TUN-10
		return Target{}, errNetwork
	}
	return t, nil
}

// readHost reads the host of a request in the given form into t, with b as scratch space.
func readHost(r io.Reader, b []byte, form byte, t *Target) error {
	n := 0
	switch form {
	case formIPv4:
		n = 4
	case formIPv6:
		n = 16
	case formName:
		if _, err := io.ReadFull(r, b[:1]); err != nil {
			return truncated(err)
		}
		n = int(b[0])
	}
	if n == 0 || n > maxName { // spec: TUN-4
		return errMalformed
	}
	b = b[:n]
	if _, err := io.ReadFull(r, b); err != nil {
		return truncated(err)
	}
	if form != formName {
		addr, _ := netip.AddrFromSlice(b)
		t.Addr = addr.Unmap() // spec: TUN-9
		return nil
	}
	name, err := canonicalName(string(b))
	if err != nil {
		return errMalformed
	}
	t.Name = name
	return nil
}

// skipOptions reads n octets of options and checks that they are whole. Version 1 knows no option,
// so that all of them are skipped.
func skipOptions(r io.Reader, b []byte, n int) error {
	if n > maxOptions { // spec: TUN-4
		return errMalformed
	}
	b = b[:n]
	if _, err := io.ReadFull(r, b); err != nil {
		return truncated(err)
	}
	for len(b) > 0 { // spec: TUN-5
		if len(b) < 4 {
			return errMalformed
		}
		size := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if size > len(b) {
			return errMalformed
		}
		b = b[size:]
	}
	return nil
}

// truncated turns the end of the stream inside a preamble into errMalformed.
func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errMalformed
	}
	return err
}

// appendReply appends a reply. The reason is made printable and cut to its limit.
func appendReply(b []byte, c Code, reason string) []byte {
	reason = printable(reason)
	b = append(b, version, byte(c), byte(len(reason)))
	return append(b, reason...)
}

// readReply reads one reply and not an octet more.
func readReply(r io.Reader) (Code, string, error) {
	var buf [maxReply]byte
	if _, err := io.ReadFull(r, buf[:3]); err != nil {
		return 0, "", truncated(err)
	}
	code, n := Code(buf[1]), int(buf[2])
	if n > maxReason { // spec: TUN-11
		return 0, "", errMalformed
	}
	if buf[0] != version && code != CodeVersion {
		return 0, "", errVersion
	}
	reason := buf[3 : 3+n]
	if _, err := io.ReadFull(r, reason); err != nil {
		return 0, "", truncated(err)
	}
	return code, printable(string(reason)), nil
}

// printable makes text from anywhere fit for a log line: valid UTF-8, no control or format
// characters, at most maxReason octets.
func printable(s string) string { // spec: TUN-11
	if len(s) > maxReason {
		s = s[:maxReason]
	}
	s = strings.ToValidUTF8(s, "?")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
