package wire

import "encoding/binary"

// Flags in the type of a MESSAGE frame, counted from FrameMessage.
const (
	messageFlagLen      = 1 // a length precedes the data; else the data fills the packet
	messageFlagFragment = 2 // the data is a part: its offset and the size of the message are given
	messageFlagStamp    = 4 // the time of sending is given
)

// messageWide is the lowest bit of the field that names the channel of a message: its number has two
// bytes, else one. It is there and not in the type because with it the field still fits one byte for the
// first 32 channels, and types are few.
const messageWide = 1

const (
	// MaxChannel is the largest channel number: 16 bits, as in the interface to applications.
	MaxChannel = 1<<16 - 1
	// MaxMessageSize is the largest message in bytes. A message is held whole by both ends, so it is a
	// unit of memory; what is larger belongs into a stream.
	MaxMessageSize = 1 << 20
	// MaxDeadlineMillis is the longest deadline or playout delay of a channel, in ms. Stamps are 16
	// bits of ms and tell times apart that are less than 32.8 s from each other.
	MaxDeadlineMillis = 30000
)

// Mode is the reliability class of the messages of a channel.
type Mode uint8

// The modes.
const (
	Unreliable        Mode = 0
	Sequenced         Mode = 1 // what is older than the newest is dropped
	ReliableUnordered Mode = 2
	ReliableOrdered   Mode = 3

	lastMode = ReliableOrdered
)

// String returns the name of the mode.
func (m Mode) String() string {
	switch m {
	case Unreliable:
		return "unreliable"
	case Sequenced:
		return "sequenced"
	case ReliableUnordered:
		return "reliable-unordered"
	case ReliableOrdered:
		return "reliable-ordered"
	default:
		return "mode-unknown"
	}
}

// Channel describes a channel before its first message.
type Channel struct {
	Channel        uint64 // at most MaxChannel
	Mode           Mode
	Priority       uint8  // higher first
	DeadlineMillis uint64 // budget beyond the one-way delay in ms, at most MaxDeadlineMillis, 0 for none
	PlayoutMillis  uint64 // fixed delay of delivery in ms, at most MaxDeadlineMillis, 0 for none
}

// ParseChannel parses a CHANNEL frame.
func ParseChannel(b []byte) (Channel, int) {
	c := newCursor(b)
	f := Channel{Channel: c.varintMax(MaxChannel)} // spec: WIRE-30
	f.Mode = Mode(c.byte())
	c.require(f.Mode <= lastMode) // spec: WIRE-31
	f.Priority = c.byte()
	f.DeadlineMillis = c.varintMax(MaxDeadlineMillis) // spec: WIRE-32
	f.PlayoutMillis = c.varintMax(MaxDeadlineMillis)
	return f, c.consumed()
}

// Append appends the frame.
func (f Channel) Append(b []byte) []byte {
	b = appendFrame(b, FrameChannel, f.Channel)
	b = append(b, byte(f.Mode), f.Priority)
	b = AppendVarint(b, f.DeadlineMillis)
	return AppendVarint(b, f.PlayoutMillis)
}

// Message carries a message or a part of one.
type Message struct {
	Channel  uint64 // at most MaxChannel
	Wide     bool   // Number has 16 bits on the wire, else 8
	Number   uint16 // lowest 8 or 16 bits of the number of the message in its channel
	HasStamp bool
	Stamp    uint16 // time of sending in ms, modulo 2^16
	Fragment bool   // Data is a part
	Offset   uint64 // of Data in the message
	Total    uint64 // size of the message in bytes, at most MaxMessageSize
	Data     []byte // a view
	ToEnd    bool   // the frame has no length: it is the last of its packet
}

// ParseMessage parses a MESSAGE frame of type t.
func ParseMessage(t FrameType, b []byte) (Message, int) {
	flags := t - FrameMessage
	c := newCursor(b)
	lane := c.varintMax(MaxChannel<<1 | messageWide) // spec: WIRE-30
	f := Message{
		Channel:  lane >> 1,
		Wide:     lane&messageWide != 0,
		HasStamp: flags&messageFlagStamp != 0,
		Fragment: flags&messageFlagFragment != 0,
		ToEnd:    flags&messageFlagLen == 0,
	}
	if f.Wide {
		f.Number = c.uint16()
	} else {
		f.Number = uint16(c.byte())
	}
	if f.HasStamp {
		f.Stamp = c.uint16()
	}
	if f.Fragment {
		f.Offset = c.varint()
		f.Total = c.varintMax(MaxMessageSize) // spec: WIRE-33
	}
	if f.ToEnd {
		f.Data = c.rest()
	} else {
		f.Data = c.counted(MaxMessageSize)
	}
	c.require(!f.Fragment || f.fragmentFits())
	return f, c.consumed()
}

// fragmentFits reports whether a part lies inside its message and brings something.
func (f *Message) fragmentFits() bool {
	n := uint64(len(f.Data))
	return n > 0 && f.Offset <= f.Total && n <= f.Total-f.Offset // spec: WIRE-34
}

// Type returns the frame type, flags included.
func (f Message) Type() FrameType {
	t := FrameMessage
	if !f.ToEnd {
		t += messageFlagLen
	}
	if f.Fragment {
		t += messageFlagFragment
	}
	if f.HasStamp {
		t += messageFlagStamp
	}
	return t
}

// HeaderSize returns the size in bytes of the frame without its length and data.
func (f *Message) HeaderSize() int {
	n := 1 + SizeVarint(f.Channel<<1|messageWide) + 1
	if f.Wide {
		n++
	}
	if f.HasStamp {
		n += 2
	}
	if f.Fragment {
		n += SizeVarint(f.Offset) + SizeVarint(f.Total)
	}
	return n
}

// WithoutLength turns the type of a MESSAGE frame that has a length into that of one without.
func WithoutLength(t byte) byte { return t &^ messageFlagLen }

// Append appends the frame, data included.
func (f Message) Append(b []byte) []byte { return append(f.AppendHeader(b, len(f.Data)), f.Data...) }

// AppendHeader appends the frame without its data, of which there are n bytes. Without Wide it writes the
// lowest 8 bits of Number: the sender chooses how many a receiver needs, as it does for packet numbers.
func (f *Message) AppendHeader(b []byte, n int) []byte {
	if f.Wide {
		b = appendFrame(b, f.Type(), f.Channel<<1|messageWide)
		b = binary.BigEndian.AppendUint16(b, f.Number)
	} else {
		b = appendFrame(b, f.Type(), f.Channel<<1)
		b = append(b, byte(f.Number))
	}
	if f.HasStamp {
		b = binary.BigEndian.AppendUint16(b, f.Stamp)
	}
	if f.Fragment {
		b = AppendVarint(b, f.Offset)
		b = AppendVarint(b, f.Total)
	}
	if !f.ToEnd {
		b = AppendVarint(b, uint64(n))
	}
	return b
}

// Skip says that the messages of a channel below a number will not come any more.
type Skip struct {
	Channel uint64 // at most MaxChannel
	Next    uint64 // full number of the next message that may come
	Used    uint64 // bytes of the session's limit that the messages below Next have used
}

// ParseSkip parses a SKIP frame.
func ParseSkip(b []byte) (Skip, int) {
	c := newCursor(b)
	f := Skip{Channel: c.varintMax(MaxChannel), Next: c.varint(), Used: c.varint()}
	return f, c.consumed()
}

// Append appends the frame.
func (f Skip) Append(b []byte) []byte { return appendFrame(b, FrameSkip, f.Channel, f.Next, f.Used) }
