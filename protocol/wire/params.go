package wire

import "fmt"

// ParamID is the number of a parameter.
type ParamID uint64

// The parameters of version 1.
const (
	ParamIdleTimeout             ParamID = 1
	ParamMaxData                 ParamID = 2
	ParamMaxStreamDataBidiLocal  ParamID = 3
	ParamMaxStreamDataBidiRemote ParamID = 4
	ParamMaxStreamDataUni        ParamID = 5
	ParamMaxStreamsBidi          ParamID = 6
	ParamMaxStreamsUni           ParamID = 7
	ParamMaxAckDelay             ParamID = 8
	ParamMaxDatagram             ParamID = 9
	ParamActiveIDs               ParamID = 10
	ParamMaxPaths                ParamID = 11
	ParamOverheadCap             ParamID = 12
	ParamMaxMessageSize          ParamID = 13
	ParamMaxChannels             ParamID = 14
	ParamMessageBuffer           ParamID = 15

	lastParam = ParamMessageBuffer
)

// MaxAckDelayMillis is the largest max ack delay in ms: the peer waits that long before it probes, and
// a second is already far beyond what any path gains from.
const MaxAckDelayMillis = 1000

// Parameters is what an endpoint tells the other about itself in the handshake. Start from
// DefaultParameters: the zero value is not valid.
type Parameters struct {
	IdleTimeoutMillis       uint64 // ms of silence after which the session ends; 1 to 2^32-1
	MaxData                 uint64 // bytes of all streams together that the peer may send at first
	MaxStreamDataBidiLocal  uint64 // bytes, on bidirectional streams opened by the sender of the parameter, stream 0 of a client included
	MaxStreamDataBidiRemote uint64 // bytes, on bidirectional streams opened by its receiver
	MaxStreamDataUni        uint64 // bytes, on unidirectional streams opened by its receiver
	MaxStreamsBidi          uint64 // bidirectional streams that the receiver may open, stream 0 not counted; at most MaxStreamCount
	MaxStreamsUni           uint64 // unidirectional streams that the receiver may open; at most MaxStreamCount
	MaxAckDelayMillis       uint64 // longest delay of acknowledgements in ms; at most MaxAckDelayMillis
	MaxDatagram             uint64 // largest datagram accepted, in bytes; 1200 to 65527
	ActiveIDs               uint64 // session IDs of the peer kept for use, per path; 2 to 8
	MaxPaths                uint64 // paths accepted at one time; 1 to 16
	OverheadCap             uint64 // repair accepted, in percent of first transmissions; 0 to 300
	MaxMessageSize          uint64 // bytes; 1 to MaxMessageSize
	MaxChannels             uint64 // channels that the peer may use; 0 to 65536
	MessageBuffer           uint64 // bytes of unreliable messages held for the application
}

// DefaultParameters returns what a peer assumes of parameters that are not sent.
func DefaultParameters() Parameters {
	var p Parameters
	for id := ParamID(1); id <= lastParam; id++ {
		*p.field(id) = paramTable[id].def // spec: REG-7
	}
	return p
}

// paramInfo is one line of the registry.
type paramInfo struct {
	name     string
	def      uint64
	min, max uint64
}

var paramTable = [lastParam + 1]paramInfo{
	ParamIdleTimeout:             {"idle_timeout", 30000, 1, 1<<32 - 1},
	ParamMaxData:                 {"max_data", 0, 0, MaxVarint},
	ParamMaxStreamDataBidiLocal:  {"max_stream_data_bidi_local", 0, 0, MaxVarint},
	ParamMaxStreamDataBidiRemote: {"max_stream_data_bidi_remote", 0, 0, MaxVarint},
	ParamMaxStreamDataUni:        {"max_stream_data_uni", 0, 0, MaxVarint},
	ParamMaxStreamsBidi:          {"max_streams_bidi", 0, 0, MaxStreamCount},
	ParamMaxStreamsUni:           {"max_streams_uni", 0, 0, MaxStreamCount},
	ParamMaxAckDelay:             {"max_ack_delay", 10, 0, MaxAckDelayMillis},
	ParamMaxDatagram:             {"max_datagram", MaxDatagramSize, MinInitSize, MaxDatagramSize},
	ParamActiveIDs:               {"active_ids", 4, 2, 8},
	ParamMaxPaths:                {"max_paths", 2, 1, 16},
	ParamOverheadCap:             {"overhead_cap", 30, 0, 300},
	ParamMaxMessageSize:          {"max_message_size", MaxMessageSize, 1, MaxMessageSize},
	ParamMaxChannels:             {"max_channels", 0, 0, MaxChannel + 1},
	ParamMessageBuffer:           {"message_buffer", MaxMessageSize, 0, MaxVarint},
}

// String returns the name in the registry, or the number of a parameter that has none.
func (id ParamID) String() string {
	if id >= 1 && id <= lastParam {
		return paramTable[id].name
	}
	return fmt.Sprintf("parameter %#x", uint64(id))
}

// field returns the place of a parameter that version 1 defines, or nil.
func (p *Parameters) field(id ParamID) *uint64 {
	switch id {
	case ParamIdleTimeout:
		return &p.IdleTimeoutMillis
	case ParamMaxData:
		return &p.MaxData
	case ParamMaxStreamDataBidiLocal:
		return &p.MaxStreamDataBidiLocal
	case ParamMaxStreamDataBidiRemote:
		return &p.MaxStreamDataBidiRemote
	case ParamMaxStreamDataUni:
		return &p.MaxStreamDataUni
	case ParamMaxStreamsBidi:
		return &p.MaxStreamsBidi
	case ParamMaxStreamsUni:
		return &p.MaxStreamsUni
	case ParamMaxAckDelay:
		return &p.MaxAckDelayMillis
	default:
		return p.lesserField(id)
	}
}

func (p *Parameters) lesserField(id ParamID) *uint64 {
	switch id {
	case ParamMaxDatagram:
		return &p.MaxDatagram
	case ParamActiveIDs:
		return &p.ActiveIDs
	case ParamMaxPaths:
		return &p.MaxPaths
	case ParamOverheadCap:
		return &p.OverheadCap
	case ParamMaxMessageSize:
		return &p.MaxMessageSize
	case ParamMaxChannels:
		return &p.MaxChannels
	case ParamMessageBuffer:
		return &p.MessageBuffer
	default:
		return nil
	}
}

// ParamProblem says what is wrong with parameters, and with which. The session is closed with
// [ParameterError], or the handshake fails.
type ParamProblem struct {
	ID      ParamID // 0 when the list itself is malformed
	Problem string
}

func (e *ParamProblem) Error() string {
	if e.ID == 0 {
		return "wire: parameters: " + e.Problem
	}
	return "wire: parameter " + e.ID.String() + ": " + e.Problem
}

// The errors are made once, so that refusing bad parameters allocates nothing.
var (
	errParamsTruncated = &ParamProblem{Problem: "list ends inside an entry"}
	errParamDuplicate  [lastParam + 1]*ParamProblem
	errParamEncoding   [lastParam + 1]*ParamProblem
	errParamRange      [lastParam + 1]*ParamProblem
)

func init() {
	for id := ParamID(1); id <= lastParam; id++ {
		errParamDuplicate[id] = &ParamProblem{id, "given twice"}
		errParamEncoding[id] = &ParamProblem{id, "value is not one integer"}
		errParamRange[id] = &ParamProblem{id, "value out of range"}
	}
}

// ParseParameters parses a whole parameter list. Parameters that are missing have their defaults,
// unknown ones are ignored.
func ParseParameters(b []byte) (Parameters, error) {
	p := DefaultParameters()
	var seen [lastParam + 1]bool
	for len(b) > 0 {
		c := newCursor(b)
		id := ParamID(c.varint())
		value := c.counted(MaxVarint)
		if c.bad {
			return Parameters{}, errParamsTruncated // spec: WIRE-38
		}
		b = c.b
		field := p.field(id)
		if field == nil {
			continue // spec: WIRE-39
		}
		if seen[id] {
			return Parameters{}, errParamDuplicate[id] // spec: WIRE-40
		}
		seen[id] = true
		v, n := ConsumeVarint(value)
		if n != len(value) {
			return Parameters{}, errParamEncoding[id] // spec: WIRE-41
		}
		*field = v
	}
	if err := p.check(); err != nil {
		return Parameters{}, err
	}
	return p, nil
}

// check returns the first parameter that is out of its range, as an error, or nil.
func (p *Parameters) check() error {
	for id := ParamID(1); id <= lastParam; id++ {
		if v := *p.field(id); v < paramTable[id].min || v > paramTable[id].max {
			return errParamRange[id] // spec: REG-6
		}
	}
	return nil
}

// Append appends the list: every parameter that differs from its default, by ascending number. A value
// out of range is a bug of the caller and panics.
func (p *Parameters) Append(b []byte) []byte {
	if err := p.check(); err != nil {
		panic("BUG: " + err.Error())
	}
	for id := ParamID(1); id <= lastParam; id++ {
		if v := *p.field(id); v != paramTable[id].def {
			b = AppendVarint(b, uint64(id))
			b = AppendVarint(b, uint64(SizeVarint(v)))
			b = AppendVarint(b, v)
		}
	}
	return b
}

// AppendGreaseParameter appends a parameter that every receiver ignores, of at most 12 bytes, made from
// the random number r. Its number has the form 31×n + 27.
func AppendGreaseParameter(b []byte, r uint64) []byte {
	const numbers = (maxVarint4 - greaseOffset) / greaseStep
	b = AppendVarint(b, r%numbers*greaseStep+greaseOffset) // spec: REG-8
	n := int(r>>32) & maxGreaseLen
	b = append(b, byte(n))
	for i := range n {
		b = append(b, byte(r>>(8*i)))
	}
	return b
}
