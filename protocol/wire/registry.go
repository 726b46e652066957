package wire

// Versions. Version 1 reads "GW", 0, 1.
const (
	Version1 uint32 = 0x47570001

	greaseVersionMask  = 0x0f0f0f0f
	greaseVersionValue = 0x0a0a0a0a
)

// IsGreaseVersion reports whether v has the form 0x?a?a?a?a. No endpoint implements such a version;
// endpoints put one into each version list so that nobody comes to rely on lists being short.
func IsGreaseVersion(v uint32) bool {
	return v&greaseVersionMask == greaseVersionValue // spec: REG-2
}

// GreaseVersion returns a version of the form 0x?a?a?a?a made from the random number r.
func GreaseVersion(r uint32) uint32 { return r&^greaseVersionMask | greaseVersionValue }

// FrameType is the number that opens a frame.
type FrameType uint64

// The frame types of version 1. Types that come in groups carry flags in their lowest bits.
const (
	TypePadding            FrameType = 0x00
	TypePing               FrameType = 0x01
	TypeAck                FrameType = 0x02
	TypeAckECN             FrameType = 0x03 // with ECN counts
	TypeAckStamp           FrameType = 0x04 // with an arrival stamp
	TypeAckECNStamp        FrameType = 0x05 // with both
	TypeImmediateAck       FrameType = 0x06
	TypeAckFrequency       FrameType = 0x07
	TypeNewSessionID       FrameType = 0x08
	TypeRetireSessionID    FrameType = 0x09
	TypePathChallenge      FrameType = 0x0a
	TypePathResponse       FrameType = 0x0b
	TypeAddressToken       FrameType = 0x0c
	TypeTicket             FrameType = 0x0d
	TypeKeyPace            FrameType = 0x0e
	TypeStream             FrameType = 0x10 // 0x10 to 0x17, see streamFlagFin and its neighbours
	TypeStreamMax          FrameType = 0x17
	TypeResetStream        FrameType = 0x18
	TypeStopSending        FrameType = 0x19
	TypeMaxData            FrameType = 0x1a
	TypeMaxStreamData      FrameType = 0x1b
	TypeMaxStreamsBidi     FrameType = 0x1c
	TypeMaxStreamsUni      FrameType = 0x1d
	TypeDataBlocked        FrameType = 0x1e
	TypeStreamDataBlocked  FrameType = 0x1f
	TypeStreamsBlockedBidi FrameType = 0x20
	TypeStreamsBlockedUni  FrameType = 0x21
	TypeChannel            FrameType = 0x22
	TypeMessage            FrameType = 0x24 // 0x24 to 0x2b, see messageFlagLen and its neighbours
	TypeMessageMax         FrameType = 0x2b
	TypeSkip               FrameType = 0x2c
	TypeSource             FrameType = 0x2d
	TypeRepair             FrameType = 0x2e
	TypeRepairReport       FrameType = 0x2f
	TypeDone               FrameType = 0x30
	TypeClose              FrameType = 0x31
	TypeCloseApp           FrameType = 0x32

	// Experiments: two ends that agreed on one outside this specification may use these; to everybody
	// else they are unknown types.
	TypeExperimentFirst FrameType = 0x1000
	TypeExperimentLast  FrameType = 0x1fff
)

const (
	greaseStep   = 31
	greaseOffset = 27
	// firstGreaseType is where the frame types that receivers skip begin, so that no type below,
	// experiments included, is ever skipped.
	firstGreaseType = 0x2000
)

// ConsumeFrameType reads the frame type at the start of b and returns it with its size, or -1 when b
// is too short.
func ConsumeFrameType(b []byte) (FrameType, int) {
	v, n := ConsumeVarint(b)
	return FrameType(v), n
}

// IsGrease reports whether t is one of the types that carry nothing and are skipped: 31×n + 27, from
// 0x2000 on.
func IsGrease(t FrameType) bool {
	return t >= firstGreaseType && t%greaseStep == greaseOffset // spec: REG-4
}

// SkipGrease returns the size of what follows the type of a grease frame, a length and that many
// bytes, or -1 when b is too short.
func SkipGrease(b []byte) int {
	c := newCursor(b)
	c.counted(MaxVarint)
	return c.consumed() // spec: WIRE-49
}

// maxGreaseLen is the most content AppendGreaseFrame writes, in bytes: enough to notice a receiver
// that does not skip it, too little to matter.
const maxGreaseLen = 7

// AppendGreaseFrame appends a frame that every receiver skips, of at most 12 bytes, whose type, length
// and content are made from the random number r.
func AppendGreaseFrame(b []byte, r uint64) []byte {
	const first = (firstGreaseType - greaseOffset + greaseStep - 1) / greaseStep
	const types = (maxVarint4 - greaseOffset) / greaseStep
	b = AppendVarint(b, (first+r%(types-first))*greaseStep+greaseOffset)
	n := int(r>>32) & maxGreaseLen
	b = append(b, byte(n))
	for i := range n {
		b = append(b, byte(r>>(8*i)))
	}
	return b
}

// IsAck reports whether t is one of the four ACK types.
func (t FrameType) IsAck() bool { return t >= TypeAck && t <= TypeAckECNStamp }

// IsStream reports whether t is one of the eight STREAM types.
func (t FrameType) IsStream() bool { return t >= TypeStream && t <= TypeStreamMax }

// IsMessage reports whether t is one of the eight MESSAGE types.
func (t FrameType) IsMessage() bool { return t >= TypeMessage && t <= TypeMessageMax }

// IsMessageFrame reports whether t belongs to messages and their repair, which version 1 reserves: the
// session closes with [Unsupported] when it did not offer channels.
func IsMessageFrame(t FrameType) bool {
	return t == TypeChannel || t.IsMessage() || t >= TypeSkip && t <= TypeRepairReport
}

// IsExperiment reports whether t lies in the range for experiments.
func (t FrameType) IsExperiment() bool { return t >= TypeExperimentFirst && t <= TypeExperimentLast }

// Known reports whether version 1 defines t. Grease and experiments are not known.
func (t FrameType) Known() bool { return t.name() != "" }

// AckEliciting reports whether a packet with a frame of this type has to be acknowledged: all types
// but PADDING, ACK and the two CLOSE.
func (t FrameType) AckEliciting() bool {
	return t != TypePadding && !t.IsAck() && t != TypeClose && t != TypeCloseApp // spec: REG-5
}

// ServerOnly reports whether only a server may send frames of this type.
func (t FrameType) ServerOnly() bool {
	switch t {
	case TypeAddressToken, TypeTicket, TypeDone: // spec: REG-6
		return true
	}
	return false
}

// name returns the name in the registry, or "" for a type that version 1 does not define.
func (t FrameType) name() string {
	switch {
	case t.IsAck():
		return "ACK"
	case t.IsStream():
		return "STREAM"
	case t.IsMessage():
		return "MESSAGE"
	case t < FrameType(len(frameNames)):
		return frameNames[t]
	default:
		return ""
	}
}

var frameNames = [...]string{
	TypePadding:            "PADDING",
	TypePing:               "PING",
	TypeImmediateAck:       "IMMEDIATE_ACK",
	TypeAckFrequency:       "ACK_FREQUENCY",
	TypeNewSessionID:       "NEW_SESSION_ID",
	TypeRetireSessionID:    "RETIRE_SESSION_ID",
	TypePathChallenge:      "PATH_CHALLENGE",
	TypePathResponse:       "PATH_RESPONSE",
	TypeAddressToken:       "ADDRESS_TOKEN",
	TypeTicket:             "TICKET",
	TypeKeyPace:            "KEY_PACE",
	TypeResetStream:        "RESET_STREAM",
	TypeStopSending:        "STOP_SENDING",
	TypeMaxData:            "MAX_DATA",
	TypeMaxStreamData:      "MAX_STREAM_DATA",
	TypeMaxStreamsBidi:     "MAX_STREAMS_BIDI",
	TypeMaxStreamsUni:      "MAX_STREAMS_UNI",
	TypeDataBlocked:        "DATA_BLOCKED",
	TypeStreamDataBlocked:  "STREAM_DATA_BLOCKED",
	TypeStreamsBlockedBidi: "STREAMS_BLOCKED_BIDI",
	TypeStreamsBlockedUni:  "STREAMS_BLOCKED_UNI",
	TypeChannel:            "CHANNEL",
	TypeSkip:               "SKIP",
	TypeSource:             "SOURCE",
	TypeRepair:             "REPAIR",
	TypeRepairReport:       "REPAIR_REPORT",
	TypeDone:               "DONE",
	TypeClose:              "CLOSE",
	TypeCloseApp:           "CLOSE_APP",
}
