package handshake

import (
	"encoding/binary"
	"net/netip"
	"unicode/utf8"

	"github.com/godwit-net/godwit/crypto"
)

// Hello is what a client says in its INIT. Slices and strings are copies.
type Hello struct {
	Versions     []uint32       // all that the client speaks, best first, grease left in
	Original     uint32         // the version of the client's first INIT
	Suites       []crypto.Suite // packet ciphers, best first; unknown ones left in
	AppProtocols []string       // best first; none: the client does not name any
	Params       []byte         // transport parameters, not looked at here
	EarlyData    bool           // the client sent early data, which version 1 refuses
	PSKID        [8]byte        // the pre-shared key in use, zero without one
}

// Response is what a server says in its RESP.
type Response struct {
	Suite       crypto.Suite
	AppProtocol string // empty when the client named none
	Params      []byte // transport parameters, not looked at here
	ResetToken  [ResetTokenSize]byte
	Observed    netip.AddrPort // the client's address as the server saw it; may be invalid: not told
	Versions    []uint32       // all that the server speaks, grease left in
}

const (
	helloEarlyData = 1 << 0 // flag of an INIT payload
	observedSize   = 19     // family 1, address 16, port 2
)

// appendHello appends the payload of an INIT and pads it to size bytes.
// Unused flag bits are taken from grease.
//
// The layout: flags 1, original version 4, version count 1, versions 4 each,
// suite count 1, suites 1 each, protocol count 1, protocols of length 1 and
// name, parameters of length 2 and bytes, padding.
func appendHello(b []byte, h *Hello, size int, grease byte) ([]byte, error) {
	start := len(b)
	b = append(b, grease&^helloEarlyData)
	b = binary.BigEndian.AppendUint32(b, h.Original)
	b = appendVersions(b, h.Versions)
	b = append(b, byte(len(h.Suites)))
	for _, s := range h.Suites {
		b = append(b, byte(s))
	}
	b = append(b, byte(len(h.AppProtocols)))
	for _, p := range h.AppProtocols {
		b = append(b, byte(len(p)))
		b = append(b, p...)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.Params)))
	b = append(b, h.Params...)
	return pad(b, start, size)
}

// pad appends zeros until b is size bytes longer than start.
func pad(b []byte, start, size int) ([]byte, error) {
	n := start + size - len(b)
	if n < 0 {
		return nil, errTooLong
	}
	return append(b, make([]byte, n)...), nil
}

func appendVersions(b []byte, list []uint32) []byte {
	b = append(b, byte(len(list)))
	for _, v := range list {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// parseHello reads the payload of an INIT. What follows the parameters is
// padding, or an addition of a later version, and is not looked at.
//
// spec: HS-16
func parseHello(b []byte) (*Hello, error) {
	r := reader{b: b}
	h := &Hello{}
	flags := r.uint8()
	h.EarlyData = flags&helloEarlyData != 0
	h.Original = r.uint32()
	h.Versions = r.versions()
	n := int(r.uint8())
	if n == 0 || n > MaxSuites {
		return nil, ErrMalformed
	}
	for _, s := range r.take(n) {
		h.Suites = append(h.Suites, crypto.Suite(s))
	}
	n = int(r.uint8())
	if n > MaxAppProtocols {
		return nil, ErrMalformed
	}
	for range n {
		h.AppProtocols = append(h.AppProtocols, r.name())
	}
	h.Params = r.bytes16()
	if r.bad || hasEmpty(h.AppProtocols) {
		return nil, ErrMalformed
	}
	return h, nil
}

func hasEmpty(names []string) bool {
	for _, n := range names {
		if n == "" {
			return true
		}
	}
	return false
}

// appendResponse appends the payload of a RESP, padded to the smallest of
// MinPayload and the multiples of 32 above it that holds it.
//
// The layout: flags 1, suite 1, version count 1, versions 4 each, protocol of
// length 1 and name, reset token 16, observed address 19, parameters of length
// 2 and bytes, padding.
func appendResponse(b []byte, r *Response, grease byte) ([]byte, error) {
	start := len(b)
	b = append(b, grease&^helloEarlyData, byte(r.Suite)) // spec: HS-20
	b = appendVersions(b, r.Versions)
	b = append(b, byte(len(r.AppProtocol)))
	b = append(b, r.AppProtocol...)
	b = append(b, r.ResetToken[:]...)
	b = appendObserved(b, r.Observed)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Params)))
	b = append(b, r.Params...)

	const step = 32
	size := MinPayload
	if n := len(b) - start; n > MinPayload {
		size = (n + step - 1) / step * step
	}
	// spec: HS-22
	if size > MaxPayload || len(r.Params) > MaxPayload {
		return nil, errTooLong
	}
	return pad(b, start, size)
}

func parseResponse(b []byte) (*Response, error) {
	r := reader{b: b}
	p := &Response{}
	r.uint8() // flags: bit 0 would accept early data, which version 1 does not send
	p.Suite = crypto.Suite(r.uint8())
	p.Versions = r.versions()
	p.AppProtocol = r.name()
	copy(p.ResetToken[:], r.take(ResetTokenSize))
	p.Observed = parseObserved(r.take(observedSize))
	p.Params = r.bytes16()
	if r.bad {
		return nil, ErrMalformed
	}
	return p, nil
}

// appendObserved appends family 1 (4, 6, or 0 for not told), address 16 (IPv4
// in the first four bytes, zeros behind), port 2.
func appendObserved(b []byte, a netip.AddrPort) []byte {
	var out [observedSize]byte
	ip := a.Addr().Unmap()
	switch {
	case ip.Is4():
		v := ip.As4()
		out[0] = 4
		copy(out[1:], v[:])
	case ip.Is6():
		v := ip.As16()
		out[0] = 6
		copy(out[1:], v[:])
	default:
		return append(b, out[:]...)
	}
	binary.BigEndian.PutUint16(out[17:], a.Port())
	return append(b, out[:]...)
}

func parseObserved(b []byte) netip.AddrPort {
	if len(b) != observedSize {
		return netip.AddrPort{}
	}
	port := binary.BigEndian.Uint16(b[17:])
	switch b[0] {
	case 4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[1:5])), port)
	case 6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[1:17])), port)
	}
	return netip.AddrPort{}
}

// reader takes fields off the front of a payload. After the first that is not
// there it is bad, and gives zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) uint8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// versions reads a list of 1 to MaxVersions versions.
func (r *reader) versions() []uint32 {
	n := int(r.uint8())
	if n == 0 || n > MaxVersions {
		r.bad = true
		return nil
	}
	list := make([]uint32, n)
	for i := range list {
		list[i] = r.uint32()
	}
	return list
}

// name reads the name of an application protocol: a length octet and UTF-8.
func (r *reader) name() string {
	b := r.take(int(r.uint8()))
	if !utf8.Valid(b) {
		r.bad = true
		return ""
	}
	return string(b)
}

// bytes16 reads a length of two octets and a copy of that many bytes.
func (r *reader) bytes16() []byte {
	return append([]byte(nil), r.take(int(r.uint16()))...)
}
