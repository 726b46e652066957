package wire

import (
	"encoding/binary"
	"errors"
)

// First octets. Godwit uses 4 to 15 only; STUN, TURN, DTLS, RTP and QUIC leave them free (RFC 9443).
const (
	longBits      = 0b0000_0100 // 0b000001tt
	longFixedMask = 0b1111_1100
	longTypeMask  = 0b0000_0011

	shortBits      = 0b0000_1000 // 0b00001kpp
	shortFixedMask = 0b1111_1000
	phaseBit       = 0b0000_0100
	pnLenMask      = 0b0000_0011
)

// What a program outside Godwit, such as a filter in the kernel, needs to find the ID of the server that a
// datagram is addressed to. It is the same in every version.
const (
	// ShortOctet is what the bits under ShortMask are in the first octet of a short header; the ID follows it.
	ShortOctet, ShortMask = shortBits, shortFixedMask
	// FinOctet is the first octet of a FIN.
	FinOctet = longBits | longFin
	// LongIDLenOffset is where the length of the destination ID stands in a long header; the ID follows it.
	LongIDLenOffset = 1 + 4
)

// Long header types: the lowest two bits of the first octet.
const (
	longInit = iota
	longResp
	longFin
	longOther // the kind is in the subtype octet
)

// Subtype octets of the fourth long header type.
const (
	subtypeRetry  = 1
	subtypeReject = 2
	subtypeVneg   = 3
)

const (
	// MinInitSize is the size of every INIT and FIN datagram in bytes. It is the smallest datagram size
	// that Godwit needs a path to carry, and it bounds amplification.
	MinInitSize = 1200
	// MaxDatagramSize is the largest payload that the length field of UDP can state, in bytes, and the
	// default of the parameter that limits it.
	MaxDatagramSize = 65527
	// MaxVersions is the most entries of a version negotiation list: 24 + 29×4 = 140 bytes at most,
	// far below the 1,200 that asked for it.
	MaxVersions = 29
	// MaxLongSize is the largest long header in bytes: both IDs of 8 bytes, and a subtype.
	MaxLongSize = 1 + 4 + 1 + MaxIDLen + 1 + MaxIDLen + 1
	// TagSize is the size of the authentication tag at the end of a short packet, in bytes.
	TagSize = 16
	// SampleSize is the size of the ciphertext sample that masks the header, in bytes.
	SampleSize = 16
	// MinAfterShortID is the least number of bytes that follow the destination ID of a short packet:
	// the sample starts 4 bytes after the packet number does, whatever its length.
	MinAfterShortID = MaxPacketNumberLen + SampleSize
)

// Kind says what a datagram is.
type Kind uint8

// The kinds of datagram. The zero value is none of ours.
const (
	KindUnknown Kind = iota
	KindShort        // one protected packet
	KindInit         // first handshake message, client to server
	KindResp         // fragment of the second handshake message, server to client
	KindFin          // third handshake message, client to server
	KindRetry        // "come back with this cookie", server to client
	KindReject       // "no, and this is why", server to client
	KindVersionNegotiation
)

// Errors of the header parsers. A datagram with any of them is dropped and counted, never answered.
var (
	ErrNotGodwit     = errors.New("wire: first octet is not one of Godwit's")
	ErrTruncated     = errors.New("wire: datagram ends inside its header")
	ErrIDLength      = errors.New("wire: session ID length not allowed here")
	ErrSubtype       = errors.New("wire: unknown subtype of long header")
	ErrHeaderVersion = errors.New("wire: version does not go with the kind of packet")
	ErrVersionList   = errors.New("wire: malformed version list")
)

// IsLong reports whether a datagram with this first octet has a long header.
func IsLong(first byte) bool { return first&longFixedMask == longBits }

// IsShort reports whether a datagram with this first octet is a protected packet. The three bits below
// are masked, so all of their values are possible.
func IsShort(first byte) bool { return first&shortFixedMask == shortBits }

// Long is a long header. The layout and the lengths of the IDs are the same in every version, so that
// a server can answer an INIT of a version it does not know.
type Long struct {
	Kind       Kind
	Version    uint32 // 0 for version negotiation
	DCID       ID     // the receiver's ID
	SCID       ID     // the sender's ID; FIN has none
	BodyOffset int    // where the body begins; set by ParseLong, ignored by Append
}

// ParseLong parses the long header at the start of a datagram. It does not judge the version.
func ParseLong(b []byte) (Long, error) {
	if len(b) == 0 || !IsLong(b[0]) {
		return Long{}, ErrNotGodwit // spec: WIRE-3
	}
	if len(b) < 5 {
		return Long{}, ErrTruncated
	}
	typ := b[0] & longTypeMask
	l := Long{Version: binary.BigEndian.Uint32(b[1:])}
	n, err := consumeIDs(b[5:], &l, typ != longFin)
	if err != nil {
		return Long{}, err
	}
	l.BodyOffset = 5 + n
	if typ == longOther {
		if len(b) == l.BodyOffset {
			return Long{}, ErrTruncated
		}
		l.Kind = kindOfSubtype(b[l.BodyOffset])
		l.BodyOffset++
	} else {
		l.Kind = KindInit + Kind(typ)
	}
	if err := l.check(); err != nil {
		return Long{}, err
	}
	return l, nil
}

func consumeIDs(b []byte, l *Long, withSource bool) (n int, err error) {
	l.DCID, n, err = consumeID(b)
	if err != nil || !withSource {
		return n, err
	}
	var m int
	l.SCID, m, err = consumeID(b[n:])
	return n + m, err
}

func consumeID(b []byte) (ID, int, error) {
	if len(b) == 0 {
		return ID{}, 0, ErrTruncated // spec: WIRE-5
	}
	n := int(b[0])
	if !ValidIDLen(n) {
		return ID{}, 0, ErrIDLength
	}
	if len(b) < 1+n {
		return ID{}, 0, ErrTruncated
	}
	return MakeID(b[1 : 1+n]), 1 + n, nil
}

func kindOfSubtype(subtype byte) Kind {
	switch subtype {
	case subtypeRetry:
		return KindRetry
	case subtypeReject:
		return KindReject
	case subtypeVneg:
		return KindVersionNegotiation
	default:
		return KindUnknown
	}
}

// check applies the rules between fields.
func (l *Long) check() error {
	if l.Kind == KindUnknown {
		return ErrSubtype // spec: WIRE-6
	}
	if (l.Version == 0) != (l.Kind == KindVersionNegotiation) {
		return ErrHeaderVersion // spec: WIRE-7
	}
	if l.serverID().Len() != ServerIDLen {
		return ErrIDLength // spec: WIRE-8
	}
	return nil
}

// serverID returns the ID that the server chose, or that stands for it before it chose one.
func (l *Long) serverID() ID {
	if l.Kind == KindInit || l.Kind == KindFin {
		return l.DCID
	}
	return l.SCID
}

// Size returns the size in bytes of what Append writes.
func (l Long) Size() int {
	n := 1 + 4 + 1 + l.DCID.Len()
	if l.Kind != KindFin {
		n += 1 + l.SCID.Len()
	}
	if l.Kind >= KindRetry {
		n++
	}
	return n
}

// Append appends the header, subtype octet included. A header that no peer would accept is a bug of
// the caller and panics.
func (l Long) Append(b []byte) []byte {
	if l.Kind == KindShort || l.check() != nil {
		panic("BUG: long header " + l.String())
	}
	b = append(b, l.firstOctet())
	b = binary.BigEndian.AppendUint32(b, l.Version)
	b = append(b, byte(l.DCID.Len()))
	b = l.DCID.Append(b)
	if l.Kind != KindFin {
		b = append(b, byte(l.SCID.Len()))
		b = l.SCID.Append(b)
	}
	if l.Kind >= KindRetry {
		b = append(b, byte(l.Kind-KindRetry)+subtypeRetry)
	}
	return b
}

func (l *Long) firstOctet() byte {
	if l.Kind >= KindRetry {
		return longBits | longOther
	}
	return longBits | byte(l.Kind-KindInit)
}

// AppendShort appends the unmasked header of a protected packet: first octet, destination ID and the
// lowest pnLen bytes (1 to 4) of the packet number pn. phase is the key phase bit.
func AppendShort(b []byte, id ID, pn uint64, pnLen int, phase bool) []byte {
	first := byte(shortBits) | byte(pnLen-1)&pnLenMask
	if phase {
		first |= phaseBit
	}
	b = append(b, first)
	b = id.Append(b)
	return AppendPacketNumber(b, pn, pnLen)
}

// Short is the part of a protected packet that can be read before its mask is removed.
type Short struct {
	DCID     ID  // the receiver's ID
	PNOffset int // where the packet number begins
}

// ParseShort parses the clear part of a protected packet whose destination ID has idLen bytes: the
// receiver knows the length of the IDs that it hands out. Packets too small to hold a sample are refused.
func ParseShort(b []byte, idLen int) (Short, error) {
	if len(b) == 0 || !IsShort(b[0]) {
		return Short{}, ErrNotGodwit
	}
	if len(b) < 1+idLen+MinAfterShortID {
		return Short{}, ErrTruncated // spec: WIRE-10
	}
	return Short{DCID: MakeID(b[1 : 1+idLen]), PNOffset: 1 + idLen}, nil
}

// HasDestination reports whether the protected packet b is addressed to id.
func HasDestination(b []byte, id ID) bool {
	n := id.Len()
	return len(b) > n && IsShort(b[0]) && string(b[1:1+n]) == string(id.b[:n])
}

// MinReset is the size of the smallest stateless reset in bytes. It looks like a protected packet with
// the longest header and a few bytes of content, so that nobody can tell it by its size.
const MinReset = 41

// AppendReset appends a stateless reset: the bytes of random, of which the first becomes the first
// octet of a protected packet, and the token. Fewer random bytes than MinReset needs are a bug of the
// caller and panic.
func AppendReset(b, random []byte, token ResetToken) []byte {
	if len(random)+ResetTokenLen < MinReset {
		panic("BUG: stateless reset too small")
	}
	b = append(b, shortBits|random[0]&^shortFixedMask)
	b = append(b, random[1:]...)
	return append(b, token[:]...)
}

// TrailingToken returns the last bytes of a datagram as the reset token that they may be, or false for
// a datagram that cannot be a stateless reset.
func TrailingToken(b []byte) (ResetToken, bool) {
	if len(b) < MinReset || !IsShort(b[0]) {
		return ResetToken{}, false // spec: WIRE-14
	}
	return ResetToken(b[len(b)-ResetTokenLen:]), true
}

// ShortBits splits an unmasked first octet into the key phase and the length of the packet number.
func ShortBits(first byte) (phase bool, pnLen int) {
	return first&phaseBit != 0, int(first&pnLenMask) + 1
}

// MinPayload returns the least number of frame bytes in a packet with a packet number of pnLen bytes:
// one, because an empty packet is a protocol violation, and as many as the header sample needs.
// Shorter payloads are filled up with PADDING.
func MinPayload(pnLen int) int {
	return max(1, MaxPacketNumberLen-pnLen) // spec: WIRE-11
}

// VersionList is the body of a version negotiation packet: 1 to 29 versions of 4 bytes. It is a view.
type VersionList []byte

// ParseVersions checks the body of a version negotiation packet.
func ParseVersions(body []byte) (VersionList, error) {
	if len(body) == 0 || len(body)%4 != 0 || len(body) > 4*MaxVersions {
		return nil, ErrVersionList // spec: WIRE-9
	}
	return VersionList(body), nil
}

// Len returns the number of versions.
func (v VersionList) Len() int { return len(v) / 4 }

// At returns the i-th version, counted from 0.
func (v VersionList) At(i int) uint32 { return binary.BigEndian.Uint32(v[4*i:]) }

// Contains reports whether the list names version.
func (v VersionList) Contains(version uint32) bool {
	for i := range v.Len() {
		if v.At(i) == version {
			return true
		}
	}
	return false
}

// AppendVersions appends the body of a version negotiation packet. More than [MaxVersions] versions,
// or none, are a bug of the caller and panic.
func AppendVersions(b []byte, versions ...uint32) []byte {
	if len(versions) == 0 || len(versions) > MaxVersions {
		panic("BUG: version list length")
	}
	for _, v := range versions {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}
