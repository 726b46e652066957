package wire

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// String returns the name in the registry, "GREASE", or the number of a type that has neither.
func (t FrameType) String() string {
	if name := t.name(); name != "" {
		return name
	}
	if IsGrease(t) {
		return "GREASE"
	}
	return fmt.Sprintf("frame %#x", uint64(t))
}

var kindNames = [...]string{
	KindUnknown:            "UNKNOWN",
	KindShort:              "SHORT",
	KindInit:               "INIT",
	KindResp:               "RESP",
	KindFin:                "FIN",
	KindRetry:              "RETRY",
	KindReject:             "REJECT",
	KindVersionNegotiation: "VNEG",
}

// String returns the name of the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[KindUnknown]
}

// VersionString returns the text of a version: "1", "grease(0x…)" or the number.
func VersionString(v uint32) string {
	switch {
	case v == Version1:
		return "1"
	case IsGreaseVersion(v):
		return fmt.Sprintf("grease(%#08x)", v)
	default:
		return fmt.Sprintf("%#08x", v)
	}
}

// String returns the header as text.
func (l Long) String() string {
	s := fmt.Sprintf("%s version=%s dcid=%s", l.Kind, VersionString(l.Version), l.DCID)
	if l.Kind == KindFin {
		return s
	}
	return s + " scid=" + l.SCID.String()
}

// String returns the clear part of the header as text.
func (s Short) String() string { return "SHORT dcid=" + s.DCID.String() }

// String returns the versions, separated by commas.
func (v VersionList) String() string {
	names := make([]string, v.Len())
	for i := range names {
		names[i] = VersionString(v.At(i))
	}
	return strings.Join(names, ",")
}

// FormatDatagram returns one line about a datagram as it is on the wire, without any key. shortIDLen is
// the length in bytes of the IDs that its receiver hands out.
func FormatDatagram(b []byte, shortIDLen int) string {
	if len(b) > 0 && IsShort(b[0]) {
		s, err := ParseShort(b, shortIDLen)
		if err != nil {
			return fmt.Sprintf("bad SHORT (%d bytes): %v", len(b), err)
		}
		return fmt.Sprintf("%s sealed=%d", s, len(b)-s.PNOffset)
	}
	l, err := ParseLong(b)
	if err != nil {
		return fmt.Sprintf("bad datagram (%d bytes): %v", len(b), err)
	}
	return l.String() + formatBody(l.Kind, b[l.BodyOffset:])
}

// formatBody returns what can be read without a key in the body of a handshake packet.
func formatBody(k Kind, body []byte) string {
	switch {
	case k == KindVersionNegotiation:
		if versions, err := ParseVersions(body); err == nil {
			return " versions=" + versions.String()
		}
	case k == KindResp && len(body) >= 4:
		return fmt.Sprintf(" offset=%d total=%d body=%d",
			binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:]), len(body))
	case k == KindReject && len(body) >= 2:
		return fmt.Sprintf(" code=%s body=%d", RejectCode(binary.BigEndian.Uint16(body)), len(body))
	}
	return fmt.Sprintf(" body=%d", len(body))
}

// FormatPayload lists the frames of the plaintext of a packet, separated by "; ". At the first frame
// that is malformed it says so and stops.
func FormatPayload(b []byte) string {
	var s strings.Builder
	for len(b) > 0 {
		f, n := ParseFrame(b)
		if n < 0 {
			t, _ := ConsumeFrameType(b)
			fmt.Fprintf(&s, "bad %s (%d bytes left)", t, len(b))
			break
		}
		s.WriteString(f.String())
		if b = b[n:]; len(b) > 0 {
			s.WriteString("; ")
		}
	}
	return s.String()
}

// String returns the range with both ends included.
func (r Range) String() string {
	if r.Size() == 1 {
		return fmt.Sprint(r.Start)
	}
	return fmt.Sprintf("%d-%d", r.Start, r.End-1)
}

func formatRanges(s *strings.Builder, r AckRanges) {
	for next, ok := r.Next(); ok; next, ok = r.Next() {
		s.WriteByte(' ')
		s.WriteString(next.String())
	}
}

// String returns the frame as text.
func (a Ack) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "ACK path=%d", a.Path)
	formatRanges(&s, a.Ranges())
	fmt.Fprintf(&s, " delay=%dµs", a.DelayMicros)
	if a.HasECN {
		fmt.Fprintf(&s, " ect0=%d ect1=%d ce=%d", a.ECN.ECT0, a.ECN.ECT1, a.ECN.CE)
	}
	if a.HasStamp {
		fmt.Fprintf(&s, " stamp=%dµs", a.Stamp)
	}
	return s.String()
}

// String returns the frame as text.
func (f Padding) String() string { return fmt.Sprintf("PADDING n=%d", f.N) }

// String returns the frame as text.
func (Ping) String() string { return "PING" }

// String returns the frame as text.
func (Done) String() string { return "DONE" }

// String returns the frame as text.
func (ImmediateAck) String() string { return "IMMEDIATE_ACK" }

// String returns the frame as text.
func (f AckFrequency) String() string {
	return fmt.Sprintf("ACK_FREQUENCY seq=%d packets=%d delay=%dµs", f.Sequence, f.Packets, f.DelayMicros)
}

// String returns the frame as text, the token shortened.
func (f NewSessionID) String() string {
	return fmt.Sprintf("NEW_SESSION_ID path=%d seq=%d id=%s token=%s", f.Path, f.Sequence, f.ID, f.Token)
}

// String returns the frame as text.
func (f RetireSessionID) String() string {
	return fmt.Sprintf("RETIRE_SESSION_ID path=%d seq=%d", f.Path, f.Sequence)
}

// String returns the frame as text.
func (f PathChallenge) String() string { return fmt.Sprintf("PATH_CHALLENGE %x", f.Data) }

// String returns the frame as text.
func (f PathResponse) String() string { return fmt.Sprintf("PATH_RESPONSE %x", f.Data) }

// String returns the frame as text, without the token itself, which is worth something.
func (f AddressToken) String() string { return "ADDRESS_TOKEN" }

// String returns the frame as text, without the ticket itself, which is worth something.
func (f Ticket) String() string { return fmt.Sprintf("TICKET len=%d", len(f.Data)) }

// String returns the frame as text.
func (f KeyPace) String() string { return fmt.Sprintf("KEY_PACE min=%dms", f.MinMillis) }

// String returns the frame as text, with the size of its data.
func (f StreamFrame) String() string {
	s := fmt.Sprintf("STREAM id=%d off=%d len=%d", f.ID, f.Offset, len(f.Data))
	if f.Fin {
		s += " fin"
	}
	return s
}

// String returns the frame as text.
func (f ResetStream) String() string {
	return fmt.Sprintf("RESET_STREAM id=%d code=%d final=%d delivered=%d", f.ID, f.Code, f.FinalSize, f.Delivered)
}

// String returns the frame as text.
func (f StopSending) String() string { return fmt.Sprintf("STOP_SENDING id=%d code=%d", f.ID, f.Code) }

// String returns the frame as text.
func (f MaxData) String() string { return fmt.Sprintf("MAX_DATA max=%d", f.Max) }

// String returns the frame as text.
func (f MaxStreamData) String() string {
	return fmt.Sprintf("MAX_STREAM_DATA id=%d max=%d", f.ID, f.Max)
}

// String returns the frame as text.
func (f MaxStreams) String() string {
	return fmt.Sprintf("MAX_STREAMS_%s max=%d", direction(f.Uni), f.Max)
}

// String returns the frame as text.
func (f DataBlocked) String() string { return fmt.Sprintf("DATA_BLOCKED limit=%d", f.Limit) }

// String returns the frame as text.
func (f StreamDataBlocked) String() string {
	return fmt.Sprintf("STREAM_DATA_BLOCKED id=%d limit=%d", f.ID, f.Limit)
}

// String returns the frame as text.
func (f StreamsBlocked) String() string {
	return fmt.Sprintf("STREAMS_BLOCKED_%s limit=%d", direction(f.Uni), f.Limit)
}

func direction(uni bool) string {
	if uni {
		return "UNI"
	}
	return "BIDI"
}

// String returns the frame as text.
func (f Channel) String() string {
	return fmt.Sprintf("CHANNEL channel=%d mode=%s priority=%d deadline=%dms playout=%dms",
		f.Channel, f.Mode, f.Priority, f.DeadlineMillis, f.PlayoutMillis)
}

// String returns the frame as text, with the bits of its number and the size of its data.
func (f Message) String() string {
	bits := 8
	if f.Wide {
		bits = 16
	}
	s := fmt.Sprintf("MESSAGE channel=%d number=%d/%dbit", f.Channel, f.Number, bits)
	if f.HasStamp {
		s += fmt.Sprintf(" stamp=%dms", f.Stamp)
	}
	if f.Fragment {
		s += fmt.Sprintf(" off=%d total=%d", f.Offset, f.Total)
	}
	return s + fmt.Sprintf(" len=%d", len(f.Data))
}

// String returns the frame as text.
func (f Skip) String() string {
	return fmt.Sprintf("SKIP channel=%d next=%d used=%d", f.Channel, f.Next, f.Used)
}

// String returns the frame as text.
func (f ChannelReport) String() string {
	return fmt.Sprintf("CHANNEL_REPORT channel=%d arrived=%d skipped=%d late=%d dropped=%d duplicate=%d jitter=%dus delay=%dus margin=%v lateness=%v",
		f.Channel, f.Arrived, f.Skipped, f.Late, f.Dropped, f.Duplicate, f.JitterMicros, f.DelayMicros, f.Margin, f.Lateness)
}

// String returns the frame as text.
func (f Source) String() string { return fmt.Sprintf("SOURCE seq=%d", f.Sequence) }

// String returns the frame as text, with the size of its data.
func (f Repair) String() string {
	return fmt.Sprintf("REPAIR first=%d count=%d seed=%d len=%d", f.First, f.Count, f.Seed, len(f.Data))
}

// String returns the frame as text.
func (f RepairReport) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "REPAIR_REPORT path=%d recovered=%d", f.Path, f.Recovered)
	formatRanges(&s, f.Ranges())
	fmt.Fprintf(&s, " bursts=%v", f.Bursts)
	return s.String()
}

// String returns the frame as text. The reason is the peer's and is quoted.
func (f Close) String() string {
	if f.App {
		return fmt.Sprintf("CLOSE_APP code=%d reason=%q", f.Code, f.Reason)
	}
	return fmt.Sprintf("CLOSE code=%s frame=%s reason=%q", ErrorCode(f.Code), f.Frame, f.Reason)
}

// String returns the frame as text, with the size of its data.
func (f Grease) String() string {
	return fmt.Sprintf("GREASE type=%#x len=%d", uint64(f.Type), len(f.Data))
}

// String lists the parameters that differ from their defaults.
func (p Parameters) String() string {
	var s []string
	for id := ParamID(1); id <= lastParam; id++ {
		if v := *p.field(id); v != paramTable[id].def {
			s = append(s, fmt.Sprintf("%s=%d", id, v))
		}
	}
	if len(s) == 0 {
		return "defaults"
	}
	return strings.Join(s, " ")
}
