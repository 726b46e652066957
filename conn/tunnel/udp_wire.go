package tunnel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// controlChannel is the channel of control messages. Datagrams are on the others.
const controlChannel = 0

// Kinds of control messages, their first octet.
const (
	controlOpen      = 1 // flow, request: a flow to a target
	controlInbound   = 2 // flow, listener: a flow from a port that the peer asked to listen on
	controlClose     = 3 // flow, reply: the flow is over, or was refused
	controlListen    = 4 // listener, request: listen there
	controlListening = 5 // listener, reply
	controlUnlisten  = 6 // listener
)

// Options of flows and listeners.
const (
	optionDeadline  = 1 // 2 octets: ms
	optionUnordered = 2 // empty
	optionPlayout   = 3 // 2 octets: ms
	optionResume    = 4 // 16 octets: a token
	optionOverhead  = 5 // 2 octets: percent
	optionPair      = 6 // 8 octets: a number
)

// maxFlowID is the largest number of a flow or a listener, which is never used again in its session.
const maxFlowID = 1<<62 - 1

// errControl is a control message, or a datagram, that a peer cannot have meant.
var errControl = errors.New("control message that makes no sense")

// control is a control message that was read.
type control struct {
	kind   byte
	number uint64 // of the flow, or of the listener
	parent uint64 // the listener of an inbound flow
	target Target // of open and listen
	udp    UDPOptions
	names  flowNames
	bad    Code   // not CodeConnected: the request cannot be carried, for this reason
	code   Code   // of close and listening
	reason string // for people; printable
}

// appendVarint appends v as chapter 1 writes numbers: in 1, 2, 4 or 8 octets (RFC 9000, section 16).
func appendVarint(b []byte, v uint64) []byte { // spec: WIRE-2
	switch {
	case v < 1<<6:
		return append(b, byte(v))
	case v < 1<<14:
		return binary.BigEndian.AppendUint16(b, 1<<14|uint16(v))
	case v < 1<<30:
		return binary.BigEndian.AppendUint32(b, 2<<30|uint32(v))
	}
	return binary.BigEndian.AppendUint64(b, 3<<62|v)
}

// consumeVarint reads the number at the start of b; n is its size, 0 when b is too short.
func consumeVarint(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	n = 1 << (b[0] >> 6)
	if len(b) < n {
		return 0, 0
	}
	v = uint64(b[0] & 0x3f)
	for _, x := range b[1:n] {
		v = v<<8 | uint64(x)
	}
	return v, n
}

// appendUDPRequest appends the request for a target, or for a place to listen, with options.
func appendUDPRequest(b []byte, t Target, o *UDPOptions, names flowNames) []byte {
	b = appendRequest(b, t)
	return appendUDPOptions(b[:len(b)-2], o, names) // without the length of its options
}

// appendUDPOptions appends options, with their length in front.
func appendUDPOptions(b []byte, o *UDPOptions, names flowNames) []byte {
	start := len(b)
	b = append(b, 0, 0)
	b = appendMillis(b, optionDeadline, o.Deadline)
	b = appendMillis(b, optionPlayout, o.Playout)
	if o.Unordered {
		b = append(b, 0, optionUnordered, 0, 0)
	}
	if o.Overhead != 0 {
		b = append(b, 0, optionOverhead, 0, 2)
		b = binary.BigEndian.AppendUint16(b, uint16(max(o.Overhead, 0)))
	}
	if names.resume != (flowToken{}) {
		b = append(b, 0, optionResume, 0, byte(len(names.resume)))
		b = append(b, names.resume[:]...)
	}
	if names.pair != 0 {
		b = binary.BigEndian.AppendUint64(append(b, 0, optionPair, 0, 8), names.pair)
	}
	binary.BigEndian.PutUint16(b[start:], uint16(len(b)-start-2))
	return b
}

// appendMillis appends an option with a time, unless it is 0.
func appendMillis(b []byte, kind byte, d time.Duration) []byte {
	if d == 0 {
		return b
	}
	return binary.BigEndian.AppendUint16(append(b, 0, kind, 0, 2), uint16(d/time.Millisecond))
}

// parseControl reads a control message. It returns errControl for one that cannot be understood; a request
// that can be, but not be carried, has its reason in bad.
func parseControl(b []byte) (c control, err error) { // spec: TUN-36
	if len(b) == 0 {
		return c, errControl
	}
	c.kind = b[0]
	number, n := consumeVarint(b[1:])
	if n == 0 {
		return c, errControl
	}
	c.number = number
	rest := b[1+n:]
	switch c.kind {
	case controlOpen, controlListen:
		return c, c.readRequest(rest)
	case controlInbound:
		if c.parent, n = consumeVarint(rest); n == 0 {
			return c, errControl
		}
		return c, c.readOptions(rest[n:])
	case controlClose, controlListening:
		r := bytes.NewReader(rest)
		if c.code, c.reason, err = readReply(r); err != nil || r.Len() > 0 {
			return c, errControl
		}
	case controlUnlisten:
		if len(rest) > 0 {
			return c, errControl
		}
	default:
		return c, errControl
	}
	return c, nil
}

// readRequest reads the layout of chapter 12.2 with the network UDP.
func (c *control) readRequest(b []byte) error { // spec: TUN-32
	r := bytes.NewReader(b)
	request, err := readUDPRequest(r)
	switch {
	case errors.Is(err, errVersion):
		c.bad = CodeVersion
	case errors.Is(err, errNetwork):
		c.bad = CodeUnsupported
	case err != nil:
		c.bad = CodeMalformed
	default:
		c.target = request
		return c.readOptions(b[len(b)-r.Len():])
	}
	return nil
}

// readUDPRequest reads a request up to its options.
func readUDPRequest(r io.Reader) (t Target, err error) {
	var buf [maxRequest]byte
	if _, err := io.ReadFull(r, buf[:3]); err != nil {
		return t, truncated(err)
	}
	if buf[0] != version {
		return t, errVersion
	}
	t.Network = Network(buf[1])
	if err := readHost(r, buf[3:], buf[2], &t); err != nil {
		return t, err
	}
	if _, err := io.ReadFull(r, buf[:2]); err != nil {
		return t, truncated(err)
	}
	if t.Port = binary.BigEndian.Uint16(buf[:2]); t.Port == 0 {
		return t, errMalformed
	}
	if t.Network != NetworkUDP {
		return t, errNetwork
	}
	return t, nil
}

// readOptions reads the options that end a message, with their length in front.
func (c *control) readOptions(b []byte) error { // spec: TUN-33
	if len(b) < 2 || int(binary.BigEndian.Uint16(b)) != len(b)-2 || len(b)-2 > maxOptions {
		c.bad = CodeMalformed
		return nil
	}
	for b = b[2:]; len(b) > 0; {
		if len(b) < 4 || 4+int(binary.BigEndian.Uint16(b[2:])) > len(b) {
			c.bad = CodeMalformed
			return nil
		}
		kind, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if !c.setOption(kind, b[4:4+size]) {
			c.bad = CodeMalformed
		}
		b = b[4+size:]
	}
	return nil
}

// setOption takes an option; those of unknown kinds say nothing.
func (c *control) setOption(kind uint16, value []byte) bool {
	switch kind {
	case optionDeadline:
		return setMillis(&c.udp.Deadline, value)
	case optionPlayout:
		return setMillis(&c.udp.Playout, value)
	case optionOverhead:
		return setOverhead(&c.udp.Overhead, value)
	case optionUnordered:
		c.udp.Unordered = true
		return len(value) == 0
	case optionResume:
		return copy(c.names.resume[:], value) == len(c.names.resume) && len(value) == len(c.names.resume)
	case optionPair:
		if len(value) != 8 {
			return false
		}
		c.names.pair = binary.BigEndian.Uint64(value)
	}
	return true
}

func setMillis(d *time.Duration, value []byte) bool {
	if len(value) != 2 {
		return false
	}
	*d = time.Duration(binary.BigEndian.Uint16(value)) * time.Millisecond
	return *d >= minDeadline && *d <= maxDeadline
}

func setOverhead(percent *int, value []byte) bool {
	if len(value) != 2 {
		return false
	}
	if *percent = int(binary.BigEndian.Uint16(value)); *percent == 0 {
		*percent = NoOverhead
	}
	return *percent <= maxOverhead
}
