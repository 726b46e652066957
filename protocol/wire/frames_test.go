package wire

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unhex returns the bytes of a string of hexadecimal digits, in which spaces are ignored.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

// frameCase is a frame, its bytes written down by hand from chapter 1, and its text.
type frameCase struct {
	name  string
	frame Frame
	hex   string
	text  string
}

var token16 = ResetToken{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf}

const token16Hex = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"

func frameCases() []frameCase {
	cases := []frameCase{
		{"padding", Padding{N: 3}, "00 00 00", "PADDING n=3"},
		{"ping", Ping{}, "01", "PING"},
		{"immediate ack", ImmediateAck{}, "06", "IMMEDIATE_ACK"},
		{"done", Done{}, "30", "DONE"},
	}
	cases = append(cases, ackCases()...)
	cases = append(cases, sessionCases()...)
	cases = append(cases, streamCases()...)
	return append(cases, messageCases()...)
}

func ackCases() []frameCase {
	ecn := AckExtras{HasECN: true, ECN: ECNCounts{ECT0: 100, ECT1: 1, CE: 2}}
	stamp := AckExtras{HasStamp: true, Stamp: 5000}
	both := AckExtras{HasECN: true, HasStamp: true, Stamp: MaxStamp}
	return []frameCase{
		{
			"ack of number 0", NewAck(0, 0, []Range{{0, 1}}, AckExtras{}),
			"02 00 00 00 00 00", "ACK path=0 0 delay=0µs",
		},
		{
			"ack of two ranges", NewAck(0, 25, []Range{{2, 3}, {4, 11}}, AckExtras{}),
			"02 00 0a 19 01 06 00 00", "ACK path=0 4-10 2 delay=25µs",
		},
		{
			"ack with ECN counts", NewAck(1, 100, []Range{{5, 8}, {20, 31}}, ecn),
			"03 01 1e 4064 01 0a 0b 02 4064 01 02", "ACK path=1 20-30 5-7 delay=100µs ect0=100 ect1=1 ce=2",
		},
		{
			"ack with a stamp", NewAck(0, 0, []Range{{7, 8}}, stamp),
			"04 00 07 00 00 00 5388", "ACK path=0 7 delay=0µs stamp=5000µs",
		},
		{
			"ack with ECN counts, the largest stamp and the largest path", NewAck(MaxPathID, 0, []Range{{7, 8}}, both),
			"05 c0000000ffffffff 07 00 00 00 00 00 00 bfffffff",
			"ACK path=4294967295 7 delay=0µs ect0=0 ect1=0 ce=0 stamp=1073741823µs",
		},
		{
			"ack of the largest number", NewAck(0, 0, []Range{{MaxPacketNumber, MaxPacketNumber + 1}}, AckExtras{}),
			"02 00 ffffffffffffffff 00 00 00", "ACK path=0 4611686018427387903 delay=0µs",
		},
	}
}

func sessionCases() []frameCase {
	return []frameCase{
		{
			"ack frequency", AckFrequency{Sequence: 3, Packets: 16, DelayMicros: 10000},
			"07 03 10 6710", "ACK_FREQUENCY seq=3 packets=16 delay=10000µs",
		},
		{
			"new session ID of 8 bytes",
			NewSessionID{Path: 1, Sequence: 2, ID: MakeID([]byte{1, 2, 3, 4, 5, 6, 7, 8}), Token: token16},
			"08 01 02 08 0102030405060708 " + token16Hex,
			"NEW_SESSION_ID path=1 seq=2 id=0102030405060708 token=a0a1…",
		},
		{
			"new session ID of 4 bytes",
			NewSessionID{Sequence: 64, ID: MakeID([]byte{1, 2, 3, 4}), Token: token16},
			"08 00 4040 04 01020304 " + token16Hex, "NEW_SESSION_ID path=0 seq=64 id=01020304 token=a0a1…",
		},
		{"retire session ID", RetireSessionID{Path: 1, Sequence: 2}, "09 01 02", "RETIRE_SESSION_ID path=1 seq=2"},
		{
			"path challenge", PathChallenge{Data: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}},
			"0a 0102030405060708", "PATH_CHALLENGE 0102030405060708",
		},
		{
			"path response", PathResponse{Data: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}},
			"0b 0102030405060708", "PATH_RESPONSE 0102030405060708",
		},
		{
			"address token", AddressToken{Token: [CookieSize]byte{0: 1, 31: 2}},
			"0c 01" + strings.Repeat("00", 30) + "02", "ADDRESS_TOKEN",
		},
		{"ticket", Ticket{Data: []byte("abc")}, "0d 03 616263", "TICKET len=3"},
		{"key pace", KeyPace{MinMillis: MaxKeyPaceMillis}, "0e 800dbba0", "KEY_PACE min=900000ms"},
		{
			"close", Close{Code: uint64(FlowControl), Frame: FrameStream, Reason: []byte("too much")},
			"31 04 10 08 746f6f206d756368", `CLOSE code=FLOW_CONTROL frame=STREAM reason="too much"`,
		},
		{"close on purpose", Close{Reason: []byte{}}, "31 00 00 00", `CLOSE code=NO_ERROR frame=PADDING reason=""`},
		{
			"close with an unknown code and type", Close{Code: 9999, Frame: 0x0f, Reason: []byte{}},
			"31 670f 0f 00", `CLOSE code=error 9999 frame=frame 0xf reason=""`,
		},
		{
			"close by the application", Close{App: true, Code: 7, Reason: []byte("\x1bbye")},
			"32 07 04 1b627965", `CLOSE_APP code=7 reason="\x1bbye"`,
		},
		{"grease", Grease{Type: 0x2013, Data: []byte{9}}, "6013 01 09", "GREASE type=0x2013 len=1"},
	}
}

func streamCases() []frameCase {
	return []frameCase{
		{"stream to the end", StreamFrame{ID: 0, Data: []byte("hi"), ToEnd: true}, "10 00 6869", "STREAM id=0 off=0 len=2"},
		{
			"stream to the end with fin", StreamFrame{ID: 4, Data: []byte("hi"), Fin: true, ToEnd: true},
			"11 04 6869", "STREAM id=4 off=0 len=2 fin",
		},
		{"stream with a length", StreamFrame{ID: 4, Data: []byte("hi")}, "12 04 02 6869", "STREAM id=4 off=0 len=2"},
		{
			"stream with a length and fin, empty", StreamFrame{ID: 4, Data: []byte{}, Fin: true},
			"13 04 00", "STREAM id=4 off=0 len=0 fin",
		},
		{
			"stream with an offset", StreamFrame{ID: 5, Offset: 1000, Data: []byte("x"), ToEnd: true},
			"14 05 43e8 78", "STREAM id=5 off=1000 len=1",
		},
		{
			"stream with an offset and fin, empty", StreamFrame{ID: 5, Offset: MaxVarint, Data: []byte{}, Fin: true, ToEnd: true},
			"15 05 ffffffffffffffff", "STREAM id=5 off=4611686018427387903 len=0 fin",
		},
		{
			"stream with offset and length", StreamFrame{ID: 6, Offset: 70000, Data: []byte("xyz")},
			"16 06 80011170 03 78797a", "STREAM id=6 off=70000 len=3",
		},
		{
			"stream with everything", StreamFrame{ID: 7, Offset: 1, Data: []byte("x"), Fin: true},
			"17 07 01 01 78", "STREAM id=7 off=1 len=1 fin",
		},
		{
			"reset stream", ResetStream{ID: 4, Code: 5, FinalSize: 100, Delivered: 64},
			"18 04 05 4064 4040", "RESET_STREAM id=4 code=5 final=100 delivered=64",
		},
		{"stop sending", StopSending{ID: 4, Code: 300}, "19 04 412c", "STOP_SENDING id=4 code=300"},
		{"max data", MaxData{Max: 1 << 20}, "1a 80100000", "MAX_DATA max=1048576"},
		{"max stream data", MaxStreamData{ID: 8, Max: 65536}, "1b 08 80010000", "MAX_STREAM_DATA id=8 max=65536"},
		{"max bidirectional streams", MaxStreams{Max: 100}, "1c 4064", "MAX_STREAMS_BIDI max=100"},
		{
			"max unidirectional streams", MaxStreams{Max: MaxStreamCount, Uni: true},
			"1d d000000000000000", "MAX_STREAMS_UNI max=1152921504606846976",
		},
		{"data blocked", DataBlocked{Limit: 63}, "1e 3f", "DATA_BLOCKED limit=63"},
		{"stream data blocked", StreamDataBlocked{ID: 0, Limit: 64}, "1f 00 4040", "STREAM_DATA_BLOCKED id=0 limit=64"},
		{"bidirectional streams blocked", StreamsBlocked{Limit: 1}, "20 01", "STREAMS_BLOCKED_BIDI limit=1"},
		{"unidirectional streams blocked", StreamsBlocked{Limit: 0, Uni: true}, "21 00", "STREAMS_BLOCKED_UNI limit=0"},
	}
}

func messageCases() []frameCase {
	report := AppendRepairReport(nil, 1, 5, []Range{{2, 3}, {4, 11}}, [BurstBuckets]uint64{4, 1, 0, 0, 0, 0, 0, 100})
	withRanges, _ := ParseRepairReport(report[1:])
	return []frameCase{
		{
			"channel", Channel{Channel: 300, Mode: ReliableOrdered, Priority: 200, DeadlineMillis: 150, PlayoutMillis: 20},
			"22 412c 03 c8 4096 14", "CHANNEL channel=300 mode=reliable-ordered priority=200 deadline=150ms playout=20ms",
		},
		{
			"message with a number of 16 bits", Message{Channel: 1, Wide: true, Number: 0x1234, Data: []byte("m"), ToEnd: true},
			"24 03 1234 6d", "MESSAGE channel=1 number=4660/16bit len=1",
		},
		{
			"message to the end", Message{Channel: 31, Number: 0xff, Data: []byte("m"), ToEnd: true},
			"24 3e ff 6d", "MESSAGE channel=31 number=255/8bit len=1",
		},
		{"message with a length", Message{Channel: 1, Number: 7, Data: []byte{}}, "25 02 07 00", "MESSAGE channel=1 number=7/8bit len=0"},
		{
			"part of a message to the end",
			Message{Channel: 1, Number: 7, Fragment: true, Offset: 1000, Total: 1001, Data: []byte("m"), ToEnd: true},
			"26 02 07 43e8 43e9 6d", "MESSAGE channel=1 number=7/8bit off=1000 total=1001 len=1",
		},
		{
			"part of a message with a length",
			Message{Channel: 1, Number: 7, Fragment: true, Total: MaxMessageSize, Data: []byte("m")},
			"27 02 07 00 80100000 01 6d", "MESSAGE channel=1 number=7/8bit off=0 total=1048576 len=1",
		},
		{
			"message with a stamp", Message{Channel: 1, Number: 7, HasStamp: true, Stamp: 0xfffe, Data: []byte("m"), ToEnd: true},
			"28 02 07 fffe 6d", "MESSAGE channel=1 number=7/8bit stamp=65534ms len=1",
		},
		{
			"message with stamp and length", Message{Channel: 1, Number: 7, HasStamp: true, Stamp: 1, Data: []byte("m")},
			"29 02 07 0001 01 6d", "MESSAGE channel=1 number=7/8bit stamp=1ms len=1",
		},
		{
			"part of a message with a stamp",
			Message{Channel: 1, Number: 7, HasStamp: true, Stamp: 1, Fragment: true, Offset: 2, Total: 9, Data: []byte("m"), ToEnd: true},
			"2a 02 07 0001 02 09 6d", "MESSAGE channel=1 number=7/8bit stamp=1ms off=2 total=9 len=1",
		},
		{
			"part of a message with everything",
			Message{Channel: MaxChannel, Wide: true, Number: 7, HasStamp: true, Stamp: 1, Fragment: true, Offset: 2, Total: 9, Data: []byte("m")},
			"2b 8001ffff 0007 0001 02 09 01 6d", "MESSAGE channel=65535 number=7/16bit stamp=1ms off=2 total=9 len=1",
		},
		{
			"channel report",
			ChannelReport{
				Channel: 1, Arrived: 200, Skipped: 3, Late: 4, Dropped: 5, Duplicate: 6, JitterMicros: 700, DelayMicros: 8,
				Margin: [TimeBuckets]uint64{0, 9}, Lateness: [TimeBuckets]uint64{15: 1},
			},
			"23 01 40c8 03 04 05 06 42bc 08 02 00 09 10 000000000000000000000000000000 01",
			"CHANNEL_REPORT channel=1 arrived=200 skipped=3 late=4 dropped=5 duplicate=6 jitter=700us delay=8us " +
				"margin=[0 9 0 0 0 0 0 0 0 0 0 0 0 0 0 0] lateness=[0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1]",
		},
		{
			"channel report of nothing", ChannelReport{}, "23 00 00 00 00 00 00 00 00 00 00",
			"CHANNEL_REPORT channel=0 arrived=0 skipped=0 late=0 dropped=0 duplicate=0 jitter=0us delay=0us " +
				"margin=[0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0] lateness=[0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0]",
		},
		{"skip", Skip{Channel: 1, Next: 70000, Used: 8}, "2c 01 80011170 08", "SKIP channel=1 next=70000 used=8"},
		{"source", Source{Sequence: 0xffff}, "2d ffff", "SOURCE seq=65535"},
		{
			"repair", Repair{First: 0xfffe, Count: 64, Seed: 3, Data: []byte{1, 2}},
			"2e fffe 40 03 02 0102", "REPAIR first=65534 count=64 seed=3 len=2",
		},
		{
			"repair report", withRanges, "2f 01 05 02 0a 06 00 00 04 01 00 00 00 00 00 4064",
			"REPAIR_REPORT path=1 recovered=5 4-10 2 bursts=[4 1 0 0 0 0 0 100]",
		},
		{
			"repair report without ranges", RepairReport{Recovered: 1, Bursts: [BurstBuckets]uint64{1}},
			"2f 00 01 00 01 00 00 00 00 00 00 00", "REPAIR_REPORT path=0 recovered=1 bursts=[1 0 0 0 0 0 0 0]",
		},
	}
}

func TestFramesHaveTheBytesOfTheSpecification(t *testing.T) {
	for _, c := range frameCases() {
		t.Run(c.name, func(t *testing.T) {
			want := unhex(t, c.hex)
			require.Equal(t, want, c.frame.Append(nil))
			require.Equal(t, append([]byte("before"), want...), c.frame.Append([]byte("before")))

			got, n := ParseFrame(want)
			require.Equal(t, len(want), n)
			require.Equal(t, c.frame, got)
			require.Equal(t, c.text, got.String())
		})
	}
}

func TestASmallMessageCostsWhatTheTableOfTheChapterSays(t *testing.T) {
	const tag = 16
	header := AppendShort(nil, MakeID(make([]byte, 8)), 300, 2, false)
	for _, c := range []struct {
		frame Message
		bytes int
	}{
		{Message{Channel: 31}, 30},
		{Message{Channel: 31, Wide: true}, 31},
		{Message{Channel: 32}, 31},
		{Message{Channel: 31, HasStamp: true}, 32},
		{Message{Channel: 31, HasStamp: true, Wide: true}, 33},
		{Message{Channel: 32, HasStamp: true}, 33},
	} {
		c.frame.ToEnd = true
		require.Len(t, c.frame.Append(header), c.bytes-tag, c.frame.String())
	}
}

func TestANumberThatIsNotWideIsSentAsItsLowestByte(t *testing.T) {
	b := Message{Channel: 1, Number: 0x1234, ToEnd: true}.Append(nil)
	require.Equal(t, unhex(t, "24 02 34"), b)
}

func TestEveryFrameTypeOfTheRegistryIsTried(t *testing.T) {
	tried := map[FrameType]bool{}
	for _, c := range frameCases() {
		typ, _ := ConsumeFrameType(unhex(t, c.hex))
		tried[typ] = true
	}
	for typ := range FrameType(0x100) {
		require.Equal(t, typ.Known(), tried[typ], "%#x", uint64(typ))
	}
}

// endless says whether a frame takes everything that follows it in its packet.
func endless(f Frame) bool {
	switch f := f.(type) {
	case Padding:
		return true
	case StreamFrame:
		return f.ToEnd
	case Message:
		return f.ToEnd
	}
	return false
}

func TestFramesEndWhereTheySayAndNotBefore(t *testing.T) {
	// spec: WIRE-15
	// spec: WIRE-1
	for _, c := range frameCases() {
		b := unhex(t, c.hex)
		for n := range b {
			// A copy of the exact size, so that reading beyond it panics.
			cut := append(make([]byte, 0, n), b[:n]...)
			if _, used := ParseFrame(cut); used >= 0 {
				require.True(t, endless(c.frame), "%s cut to %d bytes", c.name, n)
			}
		}
		if endless(c.frame) {
			continue
		}
		f, n := ParseFrame(append(b, 0xff, 0xff))
		require.Equal(t, len(b), n, c.name)
		require.Equal(t, c.frame, f)
	}
}

// badFrame is a frame that must be refused, and the rule that it breaks.
type badFrame struct {
	rule string
	why  string
	hex  string
}

func badFrames() []badFrame {
	return []badFrame{
		{"REG-1", "free type 0x0f", "0f"},
		{"REG-1", "free type 0x34", "34 00"},
		{"REG-1", "free type 0x33", "33 00 00 00 00"},
		{"REG-1", "first type of the range for experiments", "5000 00"},
		{"REG-1", "last type of the range for experiments", "5fff 00"},
		{"REG-1", "first type beyond the experiments", "6000 00"},
		{"REG-1", "free type that would be grease if it were large enough", "5ff4 00"},
		{"REG-1", "largest type", "ffffffffffffffff 00"},
		{"WIRE-15", "type without its second byte", "40"},
		{"WIRE-16", "grease that is longer than the packet", "6013 02 09"},
		{"WIRE-17", "ack with 65 ranges", "02 00 4400 00 4040 00" + strings.Repeat("0000", 64)},
		{"WIRE-17", "ack with 2^62 ranges", "02 00 4400 00 ffffffffffffffff 00"},
		{"WIRE-18", "first range below 0", "02 00 0a 00 00 0b"},
		{"WIRE-18", "gap below 0", "02 00 0a 00 01 00 09 00"},
		{"WIRE-18", "gap to below 1, from 1", "02 00 01 00 01 00 00 00"},
		{"WIRE-18", "second range below 0", "02 00 0a 00 01 00 00 09"},
		{"WIRE-18", "range below 0 after a good one", "02 00 0a 00 02 00 00 00 00 07"},
		{"WIRE-19", "stamp of 2^30", "04 00 07 00 00 00 c000000040000000"},
		{"WIRE-21", "ack of path 2^32", "02 c000000100000000 00 00 00 00"},
		{"WIRE-21", "new session ID for path 2^32", "08 c000000100000000 00 04 01020304" + token16Hex},
		{"WIRE-21", "retired session ID of path 2^32", "09 c000000100000000 00"},
		{"WIRE-21", "repair report of path 2^32", "2f c000000100000000 01 00 01 00 00 00 00 00 00 00"},
		{"WIRE-22", "ack frequency of 0 packets", "07 03 00 6710"},
		{"WIRE-22", "ack frequency of 1,025 packets", "07 03 4401 6710"},
		{"WIRE-22", "ack frequency of a second and 1 µs", "07 03 10 800f4241"},
		{"WIRE-23", "new session ID of 0 bytes", "08 00 01 00 " + token16Hex},
		{"WIRE-23", "new session ID of 5 bytes", "08 00 01 05 0102030405" + token16Hex},
		{"WIRE-23", "new session ID of 16 bytes", "08 00 01 10 " + token16Hex + token16Hex},
		{"WIRE-24", "empty ticket", "0d 00"},
		{"WIRE-24", "ticket of 513 bytes", "0d 4201" + strings.Repeat("11", 513)},
		{"WIRE-25", "key pace of 900,001 ms", "0e 800dbba1"},
		{"WIRE-26", "stream data beyond the largest offset", "14 05 ffffffffffffffff 78"},
		{"WIRE-26", "stream data with a length beyond the largest offset", "16 05 ffffffffffffffff 01 78"},
		{"WIRE-15", "stream data beyond the packet", "12 04 03 6869"},
		{"WIRE-15", "stream length of 2^62 - 1", "12 04 ffffffffffffffff 6869"},
		{"WIRE-27", "reset that delivers more than was sent", "18 04 05 4064 4065"},
		{"WIRE-28", "more than 2^60 bidirectional streams", "1c d000000000000001"},
		{"WIRE-28", "more than 2^60 unidirectional streams", "1d d000000000000001"},
		{"WIRE-28", "blocked beyond 2^60 bidirectional streams", "20 d000000000000001"},
		{"WIRE-28", "blocked beyond 2^60 unidirectional streams", "21 d000000000000001"},
		{"WIRE-29", "close with a reason of 257 bytes", "31 00 00 4101" + strings.Repeat("61", 257)},
		{"WIRE-29", "close by the application with a reason of 257 bytes", "32 00 4101" + strings.Repeat("61", 257)},
		{"WIRE-30", "channel 65,536", "22 80010000 00 00 00 00"},
		{"WIRE-30", "message on channel 65,536", "24 80020000 07 6d"},
		{"WIRE-30", "skip on channel 65,536", "2c 80010000 01"},
		{"WIRE-30", "report of channel 65,536", "23 80010000 00 00 00 00 00 00 00 00 00"},
		{"WIRE-31", "mode 4", "22 01 04 00 00 00"},
		{"WIRE-32", "deadline of 30,001 ms", "22 01 00 00 80007531 00"},
		{"WIRE-32", "playout of 30,001 ms", "22 01 00 00 00 80007531"},
		{"WIRE-33", "message larger than 1 MiB", "26 02 07 00 80100001 6d"},
		{"WIRE-34", "empty part", "27 02 07 00 09 00"},
		{"WIRE-34", "part that begins beyond its message", "26 02 07 0a 09 6d"},
		{"WIRE-34", "part that ends beyond its message", "26 02 07 09 09 6d"},
		{"WIRE-35", "repair of no packet", "2e 0000 00 03 02 0102"},
		{"WIRE-35", "repair of 65 packets", "2e 0000 41 03 02 0102"},
		{"WIRE-36", "empty repair", "2e 0000 40 03 00"},
		{"WIRE-37", "repair report with 33 ranges", "2f 00 01 21 4400 00" + strings.Repeat("0000", 32) + "0000000000000000"},
		{"WIRE-42", "report with 17 entries of a margin", "23 00 00 00 00 00 00 00 00 11" + strings.Repeat("00", 18)},
		{"WIRE-42", "report with 2^62 - 1 entries of lateness", "23 00 00 00 00 00 00 00 00 00 ffffffffffffffff 00"},
		{"WIRE-37", "repair report of a range below 0", "2f 00 01 01 0a 0b 00 00 00 00 00 00 00 00"},
	}
}

func TestFramesThatBreakARuleAreRefused(t *testing.T) {
	// spec: REG-1
	// spec: WIRE-16
	// spec: WIRE-17
	// spec: WIRE-18
	// spec: WIRE-19
	// spec: WIRE-21
	// spec: WIRE-22
	// spec: WIRE-23
	// spec: WIRE-24
	// spec: WIRE-25
	// spec: WIRE-26
	// spec: WIRE-27
	// spec: WIRE-28
	// spec: WIRE-29
	// spec: WIRE-30
	// spec: WIRE-31
	// spec: WIRE-32
	// spec: WIRE-33
	// spec: WIRE-34
	// spec: WIRE-35
	// spec: WIRE-36
	// spec: WIRE-37
	// spec: WIRE-42
	for _, c := range badFrames() {
		t.Run(c.rule+" "+c.why, func(t *testing.T) {
			_, n := ParseFrame(unhex(t, c.hex))
			require.Equal(t, -1, n)
		})
	}
}

// parsers has the parser of each frame type without boxing, as sessions call them.
var parsers = map[FrameType]func(b []byte) int{
	FramePadding:            SkipPadding,
	FrameAckFrequency:       func(b []byte) int { _, n := ParseAckFrequency(b); return n },
	FrameNewSessionID:       func(b []byte) int { _, n := ParseNewSessionID(b); return n },
	FrameRetireSessionID:    func(b []byte) int { _, n := ParseRetireSessionID(b); return n },
	FramePathChallenge:      func(b []byte) int { _, n := ParsePathChallenge(b); return n },
	FramePathResponse:       func(b []byte) int { _, n := ParsePathResponse(b); return n },
	FrameAddressToken:       func(b []byte) int { _, n := ParseAddressToken(b); return n },
	FrameTicket:             func(b []byte) int { _, n := ParseTicket(b); return n },
	FrameKeyPace:            func(b []byte) int { _, n := ParseKeyPace(b); return n },
	FrameResetStream:        func(b []byte) int { _, n := ParseResetStream(b); return n },
	FrameStopSending:        func(b []byte) int { _, n := ParseStopSending(b); return n },
	FrameMaxData:            func(b []byte) int { _, n := ParseMaxData(b); return n },
	FrameMaxStreamData:      func(b []byte) int { _, n := ParseMaxStreamData(b); return n },
	FrameMaxStreamsBidi:     func(b []byte) int { _, n := ParseMaxStreams(FrameMaxStreamsBidi, b); return n },
	FrameMaxStreamsUni:      func(b []byte) int { _, n := ParseMaxStreams(FrameMaxStreamsUni, b); return n },
	FrameDataBlocked:        func(b []byte) int { _, n := ParseDataBlocked(b); return n },
	FrameStreamDataBlocked:  func(b []byte) int { _, n := ParseStreamDataBlocked(b); return n },
	FrameStreamsBlockedBidi: func(b []byte) int { _, n := ParseStreamsBlocked(FrameStreamsBlockedBidi, b); return n },
	FrameStreamsBlockedUni:  func(b []byte) int { _, n := ParseStreamsBlocked(FrameStreamsBlockedUni, b); return n },
	FrameChannel:            func(b []byte) int { _, n := ParseChannel(b); return n },
	FrameChannelReport:      func(b []byte) int { _, n := ParseChannelReport(b); return n },
	FrameSkip:               func(b []byte) int { _, n := ParseSkip(b); return n },
	FrameSource:             func(b []byte) int { _, n := ParseSource(b); return n },
	FrameRepair:             func(b []byte) int { _, n := ParseRepair(b); return n },
	FrameRepairReport:       func(b []byte) int { f, n := ParseRepairReport(b); walk(f.Ranges()); return n },
	FrameClose:              func(b []byte) int { _, n := ParseClose(FrameClose, b); return n },
	FrameCloseApp:           func(b []byte) int { _, n := ParseClose(FrameCloseApp, b); return n },
}

func walk(r AckRanges) (n int) {
	for _, ok := r.Next(); ok; _, ok = r.Next() {
		n++
	}
	return n
}

// skipOne is what a session does with one frame, without acting on it.
func skipOne(b []byte) int {
	typ, n := ConsumeFrameType(b)
	if n < 0 {
		return -1
	}
	m := -1
	switch {
	case typ.IsAck():
		a, used := ParseAck(typ, b[n:])
		walk(a.Ranges())
		m = used
	case typ.IsStream():
		_, m = ParseStream(typ, b[n:])
	case typ.IsMessage():
		_, m = ParseMessage(typ, b[n:])
	case typ == FramePing, typ == FrameImmediateAck, typ == FrameDone:
		m = 0
	case IsGrease(typ):
		m = SkipGrease(b[n:])
	default:
		if parse := parsers[typ]; parse != nil {
			m = parse(b[n:])
		}
	}
	if m < 0 {
		return -1
	}
	return n + m
}

func TestParsingAllocatesNothingWhetherItSucceedsOrFails(t *testing.T) {
	for _, c := range frameCases() {
		b := unhex(t, c.hex)
		for n := range len(b) + 1 {
			allocs := testing.AllocsPerRun(5, func() { skipOne(b[:n]) })
			require.Zero(t, allocs, "%s cut to %d bytes", c.name, n)
		}
		require.Equal(t, len(b), skipOne(b), c.name)
	}
	for _, c := range badFrames() {
		b := unhex(t, c.hex)
		allocs := testing.AllocsPerRun(5, func() { skipOne(b) })
		require.Zero(t, allocs, c.why)
		require.Equal(t, -1, skipOne(b), c.why)
	}
}

func TestAppendingToABufferWithRoomAllocatesNothing(t *testing.T) {
	buf := make([]byte, 0, 1200)
	ranges := []Range{{2, 3}, {4, 11}}
	data := []byte("data")
	allocs := testing.AllocsPerRun(10, func() {
		b := AppendAck(buf, 0, 25, ranges, AckExtras{HasECN: true})
		b = AppendStreamHeader(b, 4, 1000, len(data), true, true)
		b = append(b, data...)
		b = MaxData{Max: 1 << 20}.Append(b)
		b = MaxStreamData{ID: 4, Max: 1 << 20}.Append(b)
		b = PathChallenge{}.Append(b)
		b = NewSessionID{ID: MakeID(data)}.Append(b)
		AppendPadding(b, 20)
	})
	require.Zero(t, allocs)
}

func TestAReasonThatIsTooLongIsCutBetweenCharacters(t *testing.T) {
	euro := []byte(strings.Repeat("€", 100)) // 3 bytes each
	for _, f := range []Close{{Reason: euro}, {App: true, Reason: euro}} {
		parsed, n := ParseFrame(f.Append(nil))
		require.Positive(t, n)
		require.Equal(t, strings.Repeat("€", 85), string(parsed.(Close).Reason))
	}

	noText := Close{Reason: []byte(strings.Repeat("\x80", 300))}
	parsed, n := ParseFrame(noText.Append(nil))
	require.Positive(t, n, "bytes that are no text are cut as well")
	require.InDelta(t, MaxReason, len(parsed.(Close).Reason), 3)

	exact := Close{Reason: []byte(strings.Repeat("a", MaxReason))}
	parsed, _ = ParseFrame(exact.Append(nil))
	require.Equal(t, exact, parsed)
}

func TestPayloadsAreListedForPeople(t *testing.T) {
	b := Ping{}.Append(nil)
	b = MaxData{Max: 7}.Append(b)
	b = AppendPadding(b, 2)
	require.Equal(t, "PING; MAX_DATA max=7; PADDING n=2", FormatPayload(b))
	require.Equal(t, "PING; bad MAX_DATA (1 bytes left)", FormatPayload([]byte{1, 0x1a}))
	require.Equal(t, "bad frame 0xf (1 bytes left)", FormatPayload([]byte{0x0f}))
	require.Equal(t, "bad GREASE (2 bytes left)", FormatPayload([]byte{0x60, 0x13}))
	require.Empty(t, FormatPayload(nil))
}

func TestSecretsStayOutOfText(t *testing.T) {
	b := AddressToken{Token: [CookieSize]byte{0xab, 0xcd}}.Append(nil)
	b = Ticket{Data: []byte{0xab, 0xcd}}.Append(b)
	b = NewSessionID{ID: MakeID([]byte{1, 2, 3, 4}), Token: token16}.Append(b)
	text := FormatPayload(b)
	require.NotContains(t, text, "abcd")
	require.NotContains(t, text, token16Hex[4:])
}

func TestARunOfPaddingEndsAtTheFirstByteThatIsNotZero(t *testing.T) {
	for start := range 9 { // wherever it begins in memory
		for run := range 40 {
			b := make([]byte, 64)[start:]
			require.Equal(t, run, SkipPadding(b[:run]), "to the end")
			for _, other := range []byte{1, 0x80} {
				b[run] = other
				require.Equal(t, run, SkipPadding(b))
			}
		}
	}
}
