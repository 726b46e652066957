package wire

import "encoding/binary"

const (
	// CookieSize is the length of an address token in bytes: it takes the place of the cookie in
	// the next INIT.
	CookieSize = 32
	// MaxTicketLen is the longest ticket in bytes. Tickets of version 1 have 158 to 222 bytes; the
	// limit is what fits INIT beside the rest of its payload, with room to grow.
	MaxTicketLen = 512
	// MaxKeyPaceMillis is the longest pace that a peer may ask for, in ms: keys are replaced after
	// 15 minutes at the latest, whatever the peer wishes.
	MaxKeyPaceMillis = 15 * 60 * 1000
)

// appendFrame appends a frame whose fields are all variable-length integers.
func appendFrame(b []byte, t FrameType, fields ...uint64) []byte {
	b = AppendVarint(b, uint64(t))
	for _, v := range fields {
		b = AppendVarint(b, v)
	}
	return b
}

// Padding is a run of PADDING frames, one byte each.
type Padding struct{ N int }

// SkipPadding returns how many zero bytes b starts with: the size of a run of PADDING frames.
func SkipPadding(b []byte) int {
	n := 0
	for len(b)-n >= 8 && binary.NativeEndian.Uint64(b[n:]) == 0 { // probes of path sizes are full of it
		n += 8
	}
	for n < len(b) && b[n] == 0 {
		n++
	}
	return n
}

// AppendPadding appends n bytes of padding. A negative n appends nothing.
func AppendPadding(b []byte, n int) []byte {
	for range n {
		b = append(b, byte(FramePadding))
	}
	return b
}

// Append appends the frames.
func (f Padding) Append(b []byte) []byte { return AppendPadding(b, f.N) }

// Ping asks for an acknowledgement and does nothing else.
type Ping struct{}

// Append appends the frame.
func (Ping) Append(b []byte) []byte { return append(b, byte(FramePing)) }

// Done tells the client that the server has completed the handshake.
type Done struct{}

// Append appends the frame.
func (Done) Append(b []byte) []byte { return append(b, byte(FrameDone)) }

// AddressToken is a proof of address for the client's next handshake with this server or its fleet.
type AddressToken struct{ Token [CookieSize]byte }

// ParseAddressToken parses an ADDRESS_TOKEN frame.
func ParseAddressToken(b []byte) (AddressToken, int) {
	c := newCursor(b)
	var f AddressToken
	copy(f.Token[:], c.bytes(CookieSize))
	return f, c.consumed()
}

// Append appends the frame.
func (f AddressToken) Append(b []byte) []byte {
	return append(append(b, byte(FrameAddressToken)), f.Token[:]...)
}

// Ticket is what the client needs to resume later. Its content is the server's secret.
type Ticket struct{ Data []byte } // a view, 1 to MaxTicketLen bytes

// ParseTicket parses a TICKET frame.
func ParseTicket(b []byte) (Ticket, int) {
	c := newCursor(b)
	f := Ticket{Data: c.counted(MaxTicketLen)}
	c.require(len(f.Data) > 0) // spec: WIRE-24
	return f, c.consumed()
}

// Append appends the frame.
func (f Ticket) Append(b []byte) []byte {
	return append(appendFrame(b, FrameTicket, uint64(len(f.Data))), f.Data...)
}

// KeyPace asks the peer to leave at least that long between its key updates.
type KeyPace struct {
	MinMillis uint64 // ms, at most MaxKeyPaceMillis
}

// ParseKeyPace parses a KEY_PACE frame.
func ParseKeyPace(b []byte) (KeyPace, int) {
	c := newCursor(b)
	f := KeyPace{MinMillis: c.varintMax(MaxKeyPaceMillis)} // spec: WIRE-25
	return f, c.consumed()
}

// Append appends the frame.
func (f KeyPace) Append(b []byte) []byte { return appendFrame(b, FrameKeyPace, f.MinMillis) }
