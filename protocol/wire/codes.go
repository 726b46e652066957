package wire

import "strconv"

// ErrorCode is why an endpoint closed a session (CLOSE frames). Applications have a space of their
// own (CLOSE_APP frames) to which nothing here applies.
type ErrorCode uint64

// The transport error codes.
const (
	NoError           ErrorCode = 0  // closed on purpose, nothing is wrong
	Internal          ErrorCode = 1  // the sender of the frame cannot go on
	FrameEncoding     ErrorCode = 2  // a frame is malformed or its type unknown
	ProtocolViolation ErrorCode = 3  // a rule without a code of its own was broken
	FlowControl       ErrorCode = 4  // more data than the limits allow
	StreamLimit       ErrorCode = 5  // more streams than the limits allow
	StreamState       ErrorCode = 6  // a frame for a stream that cannot have it
	FinalSize         ErrorCode = 7  // the size of a stream changed after it was final
	ParameterError    ErrorCode = 8  // a parameter is malformed, repeated or out of range
	IDLimit           ErrorCode = 9  // too many session IDs, or too many unacknowledged retirements
	KeyUpdate         ErrorCode = 10 // a key update came too early or was inconsistent
	AEADLimit         ErrorCode = 11 // the keys have protected or failed to open too many packets
	ControlQueue      ErrorCode = 12 // too many answers would have to be queued
	AckUnsent         ErrorCode = 13 // a packet number was acknowledged that was never sent
	Unsupported       ErrorCode = 14 // a feature was used that the receiver does not offer
	NotAuthorized     ErrorCode = 15 // the peer's key is not allowed in
	ServerStopping    ErrorCode = 16 // the server shuts down
	ServerBusy        ErrorCode = 17 // the server cannot serve more sessions now
)

var errorCodeNames = [...]string{
	NoError:           "NO_ERROR",
	Internal:          "INTERNAL",
	FrameEncoding:     "FRAME_ENCODING",
	ProtocolViolation: "PROTOCOL_VIOLATION",
	FlowControl:       "FLOW_CONTROL",
	StreamLimit:       "STREAM_LIMIT",
	StreamState:       "STREAM_STATE",
	FinalSize:         "FINAL_SIZE",
	ParameterError:    "PARAMETER",
	IDLimit:           "ID_LIMIT",
	KeyUpdate:         "KEY_UPDATE",
	AEADLimit:         "AEAD_LIMIT",
	ControlQueue:      "CONTROL_QUEUE",
	AckUnsent:         "ACK_UNSENT",
	Unsupported:       "UNSUPPORTED",
	NotAuthorized:     "NOT_AUTHORIZED",
	ServerStopping:    "SERVER_STOPPING",
	ServerBusy:        "SERVER_BUSY",
}

// String returns the name in the registry, or the number of a code that has none.
func (c ErrorCode) String() string {
	if c < ErrorCode(len(errorCodeNames)) {
		return errorCodeNames[c]
	}
	return "error " + strconv.FormatUint(uint64(c), 10)
}

// RejectCode is why a server refused a handshake (REJECT packets), before there was a session.
type RejectCode uint16

// The reject codes.
const (
	RejectVersion       RejectCode = 1 // no common version
	RejectAppProtocol   RejectCode = 2 // no common application protocol
	RejectFull          RejectCode = 3 // the server takes no more sessions now
	RejectTokenExpired  RejectCode = 4 // the token was good once
	RejectNotAuthorized RejectCode = 5 // the token or key is not allowed in
	RejectStopping      RejectCode = 6 // the server shuts down
)

var rejectCodeNames = [...]string{
	RejectVersion:       "VERSION",
	RejectAppProtocol:   "APP_PROTOCOL",
	RejectFull:          "FULL",
	RejectTokenExpired:  "TOKEN_EXPIRED",
	RejectNotAuthorized: "NOT_AUTHORIZED",
	RejectStopping:      "STOPPING",
}

// String returns the name in the registry, or the number of a code that has none.
func (c RejectCode) String() string {
	if c != 0 && c < RejectCode(len(rejectCodeNames)) {
		return rejectCodeNames[c]
	}
	return "reject " + strconv.Itoa(int(c))
}
