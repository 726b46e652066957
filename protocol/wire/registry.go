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
	return v&greaseVersionMask == greaseVersionValue // spec: REG-3
}

// GreaseVersion returns a version of the form 0x?a?a?a?a made from the random number r.
func GreaseVersion(r uint32) uint32 { return r&^greaseVersionMask | greaseVersionValue }

// FrameType is the number that opens a frame.
type FrameType uint64

// The frame types of version 1. Types that come in groups carry flags in their lowest bits.
const (
	FramePadding            FrameType = 0x00
	FramePing               FrameType = 0x01
	FrameAck                FrameType = 0x02
	FrameAckECN             FrameType = 0x03 // with ECN counts
	FrameAckStamp           FrameType = 0x04 // with an arrival stamp
	FrameAckECNStamp        FrameType = 0x05 // with both
	FrameImmediateAck       FrameType = 0x06
	FrameAckFrequency       FrameType = 0x07
	FrameNewSessionID       FrameType = 0x08
	FrameRetireSessionID    FrameType = 0x09
	FramePathChallenge      FrameType = 0x0a
	FramePathResponse       FrameType = 0x0b
	FrameAddressToken       FrameType = 0x0c
	FrameTicket             FrameType = 0x0d
	FrameKeyPace            FrameType = 0x0e
	FrameStream             FrameType = 0x10 // 0x10 to 0x17, see streamFlagFin and its neighbours
	FrameStreamMax          FrameType = 0x17
	FrameResetStream        FrameType = 0x18
	FrameStopSending        FrameType = 0x19
	FrameMaxData            FrameType = 0x1a
	FrameMaxStreamData      FrameType = 0x1b
	FrameMaxStreamsBidi     FrameType = 0x1c
	FrameMaxStreamsUni      FrameType = 0x1d
	FrameDataBlocked        FrameType = 0x1e
	FrameStreamDataBlocked  FrameType = 0x1f
	FrameStreamsBlockedBidi FrameType = 0x20
	FrameStreamsBlockedUni  FrameType = 0x21
	FrameChannel            FrameType = 0x22
	FrameChannelReport      FrameType = 0x23
	FrameMessage            FrameType = 0x24 // 0x24 to 0x2b, see messageFlagLen and its neighbours
	FrameMessageMax         FrameType = 0x2b
	FrameSkip               FrameType = 0x2c
	FrameSource             FrameType = 0x2d
	FrameRepair             FrameType = 0x2e
	FrameRepairReport       FrameType = 0x2f
	FrameDone               FrameType = 0x30
	FrameClose              FrameType = 0x31
	FrameCloseApp           FrameType = 0x32

	// Experiments: two ends that agreed on one outside this specification may use these; to everybody
	// else they are unknown types.
	FrameExperimentFirst FrameType = 0x1000
	FrameExperimentLast  FrameType = 0x1fff
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
	return t >= firstGreaseType && t%greaseStep == greaseOffset // spec: REG-2
}

// SkipGrease returns the size of what follows the type of a grease frame, a length and that many
// bytes, or -1 when b is too short.
func SkipGrease(b []byte) int {
	c := newCursor(b)
	c.counted(MaxVarint)
	return c.consumed() // spec: WIRE-16
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
func (t FrameType) IsAck() bool { return t >= FrameAck && t <= FrameAckECNStamp }

// IsStream reports whether t is one of the eight STREAM types.
func (t FrameType) IsStream() bool { return t >= FrameStream && t <= FrameStreamMax }

// IsMessage reports whether t is one of the eight MESSAGE types.
func (t FrameType) IsMessage() bool { return t >= FrameMessage && t <= FrameMessageMax }

// IsMessageFrame reports whether t belongs to messages and their repair, which version 1 reserves: the
// session closes with [Unsupported] when it did not offer channels.
func IsMessageFrame(t FrameType) bool {
	return t >= FrameChannel && t <= FrameRepairReport
}

// IsExperiment reports whether t lies in the range for experiments.
func (t FrameType) IsExperiment() bool { return t >= FrameExperimentFirst && t <= FrameExperimentLast }

// Known reports whether version 1 defines t. Grease and experiments are not known.
func (t FrameType) Known() bool { return t.name() != "" }

// AckEliciting reports whether a packet with a frame of this type has to be acknowledged: all types
// but PADDING, ACK, CHANNEL_REPORT, REPAIR_REPORT and the two CLOSE.
func (t FrameType) AckEliciting() bool {
	switch t { // spec: REG-4
	case FramePadding, FrameChannelReport, FrameRepairReport, FrameClose, FrameCloseApp:
		return false
	}
	return !t.IsAck()
}

// ServerOnly reports whether only a server may send frames of this type.
func (t FrameType) ServerOnly() bool {
	switch t {
	case FrameAddressToken, FrameTicket, FrameDone: // spec: REG-5
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
	FramePadding:            "PADDING",
	FramePing:               "PING",
	FrameImmediateAck:       "IMMEDIATE_ACK",
	FrameAckFrequency:       "ACK_FREQUENCY",
	FrameNewSessionID:       "NEW_SESSION_ID",
	FrameRetireSessionID:    "RETIRE_SESSION_ID",
	FramePathChallenge:      "PATH_CHALLENGE",
	FramePathResponse:       "PATH_RESPONSE",
	FrameAddressToken:       "ADDRESS_TOKEN",
	FrameTicket:             "TICKET",
	FrameKeyPace:            "KEY_PACE",
	FrameResetStream:        "RESET_STREAM",
	FrameStopSending:        "STOP_SENDING",
	FrameMaxData:            "MAX_DATA",
	FrameMaxStreamData:      "MAX_STREAM_DATA",
	FrameMaxStreamsBidi:     "MAX_STREAMS_BIDI",
	FrameMaxStreamsUni:      "MAX_STREAMS_UNI",
	FrameDataBlocked:        "DATA_BLOCKED",
	FrameStreamDataBlocked:  "STREAM_DATA_BLOCKED",
	FrameStreamsBlockedBidi: "STREAMS_BLOCKED_BIDI",
	FrameStreamsBlockedUni:  "STREAMS_BLOCKED_UNI",
	FrameChannel:            "CHANNEL",
	FrameChannelReport:      "CHANNEL_REPORT",
	FrameSkip:               "SKIP",
	FrameSource:             "SOURCE",
	FrameRepair:             "REPAIR",
	FrameRepairReport:       "REPAIR_REPORT",
	FrameDone:               "DONE",
	FrameClose:              "CLOSE",
	FrameCloseApp:           "CLOSE_APP",
}
