package wire

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	id8a = MakeID([]byte{1, 2, 3, 4, 5, 6, 7, 8})
	id8b = MakeID([]byte{11, 12, 13, 14, 15, 16, 17, 18})
	id4  = MakeID([]byte{21, 22, 23, 24})
	id0  = ID{}
)

// longCase is a long header, its bytes written down by hand from chapter 1, and its text.
type longCase struct {
	name   string
	header Long
	hex    string
	text   string
}

var longCases = []longCase{
	{
		"INIT, client ID of 4 bytes", Long{Kind: KindInit, Version: Version1, DCID: id8a, SCID: id4},
		"04 47570001 08 0102030405060708 04 15161718",
		"INIT version=1 dcid=0102030405060708 scid=15161718",
	},
	{
		"INIT, client ID of 8 bytes", Long{Kind: KindInit, Version: Version1, DCID: id8a, SCID: id8b},
		"04 47570001 08 0102030405060708 08 0b0c0d0e0f101112",
		"INIT version=1 dcid=0102030405060708 scid=0b0c0d0e0f101112",
	},
	{
		"INIT, client ID of 0 bytes", Long{Kind: KindInit, Version: Version1, DCID: id8a, SCID: id0},
		"04 47570001 08 0102030405060708 00",
		"INIT version=1 dcid=0102030405060708 scid=-",
	},
	{
		"INIT of a grease version", Long{Kind: KindInit, Version: 0x3a7afaca, DCID: id8a, SCID: id4},
		"04 3a7afaca 08 0102030405060708 04 15161718",
		"INIT version=grease(0x3a7afaca) dcid=0102030405060708 scid=15161718",
	},
	{
		"RESP", Long{Kind: KindResp, Version: Version1, DCID: id4, SCID: id8b},
		"05 47570001 04 15161718 08 0b0c0d0e0f101112",
		"RESP version=1 dcid=15161718 scid=0b0c0d0e0f101112",
	},
	{
		"FIN", Long{Kind: KindFin, Version: Version1, DCID: id8b},
		"06 47570001 08 0b0c0d0e0f101112",
		"FIN version=1 dcid=0b0c0d0e0f101112",
	},
	{
		"RETRY", Long{Kind: KindRetry, Version: Version1, DCID: id4, SCID: id8a},
		"07 47570001 04 15161718 08 0102030405060708 01",
		"RETRY version=1 dcid=15161718 scid=0102030405060708",
	},
	{
		"REJECT", Long{Kind: KindReject, Version: Version1, DCID: id0, SCID: id8a},
		"07 47570001 00 08 0102030405060708 02",
		"REJECT version=1 dcid=- scid=0102030405060708",
	},
	{
		"VNEG", Long{Kind: KindVersionNegotiation, DCID: id8b, SCID: id8a},
		"07 00000000 08 0b0c0d0e0f101112 08 0102030405060708 03",
		"VNEG version=0x00000000 dcid=0b0c0d0e0f101112 scid=0102030405060708",
	},
}

func TestLongHeadersHaveTheBytesOfTheSpecification(t *testing.T) {
	// spec: WIRE-5
	for _, c := range longCases {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.hex)
			require.Equal(t, b, c.header.Append(nil))
			require.Equal(t, len(b), c.header.Size())
			require.LessOrEqual(t, len(b), MaxLongSize)
			require.Equal(t, c.text, c.header.String())

			want := c.header
			want.BodyOffset = len(b)
			got, err := ParseLong(append(b, 0xff, 0xff))
			require.NoError(t, err)
			require.Equal(t, want, got)

			for n := range b {
				_, err := ParseLong(append([]byte(nil), b[:n]...))
				require.Error(t, err, "cut to %d bytes", n)
			}
		})
	}
}

// badHeader is a datagram that must be dropped, and the rule that it breaks.
type badHeader struct {
	rule string
	why  string
	hex  string
	err  error
}

const initTail = "08 0102030405060708 04 15161718"

var badHeaders = []badHeader{
	{"WIRE-3", "empty datagram", "", ErrNotGodwit},
	{"WIRE-3", "STUN binding request", "0001000021 12a442 000000000000000000000000", ErrNotGodwit},
	{"WIRE-3", "DTLS handshake record", "16 fefd 0000 000000000000 0000", ErrNotGodwit},
	{"WIRE-3", "QUIC Initial", "c0 00000001 08 0102030405060708 00", ErrNotGodwit},
	{"WIRE-3", "WireGuard initiation", "01000000 15161718", ErrNotGodwit},
	{"WIRE-3", "RTP", "80 60 0001 00000000 00000000", ErrNotGodwit},
	{"WIRE-3", "first octet 3", "03 47570001 " + initTail, ErrNotGodwit},
	{"WIRE-3", "first octet 16", "10 47570001 " + initTail, ErrNotGodwit},
	{"WIRE-4", "destination ID of 1 byte", "05 47570001 01 01 08 0102030405060708", ErrIDLength},
	{"WIRE-4", "destination ID of 7 bytes", "05 47570001 07 01020304050607 08 0102030405060708", ErrIDLength},
	{"WIRE-4", "destination ID of 20 bytes", "04 00000002 14 " + strings.Repeat("01", 20) + " 04 15161718", ErrIDLength},
	{"WIRE-4", "source ID of 5 bytes", "04 47570001 08 0102030405060708 05 1516171819", ErrIDLength},
	{"WIRE-4", "source ID of 255 bytes", "04 47570001 08 0102030405060708 ff" + strings.Repeat("01", 255), ErrIDLength},
	{"WIRE-5", "INIT that ends in its version", "04 475700", ErrTruncated},
	{"WIRE-5", "INIT that ends in its source ID", "04 47570001 08 0102030405060708 04 151617", ErrTruncated},
	{"WIRE-5", "RETRY without its subtype", "07 47570001 04 15161718 08 0102030405060708", ErrTruncated},
	{"WIRE-6", "subtype 0", "07 47570001 04 15161718 08 0102030405060708 00", ErrSubtype},
	{"WIRE-6", "subtype 4", "07 47570001 04 15161718 08 0102030405060708 04", ErrSubtype},
	{"WIRE-7", "INIT of version 0", "04 00000000 " + initTail, ErrHeaderVersion},
	{"WIRE-7", "RESP of version 0", "05 00000000 04 15161718 08 0102030405060708", ErrHeaderVersion},
	{"WIRE-7", "FIN of version 0", "06 00000000 08 0102030405060708", ErrHeaderVersion},
	{"WIRE-7", "RETRY of version 0", "07 00000000 04 15161718 08 0102030405060708 01", ErrHeaderVersion},
	{"WIRE-7", "VNEG of version 1", "07 47570001 04 15161718 08 0102030405060708 03", ErrHeaderVersion},
	{"WIRE-8", "INIT to an ID of 4 bytes", "04 47570001 04 01020304 04 15161718", ErrIDLength},
	{"WIRE-8", "INIT of an unknown version to an ID of 0 bytes", "04 00000002 00 04 15161718", ErrIDLength},
	{"WIRE-8", "FIN to an ID of 4 bytes", "06 47570001 04 01020304", ErrIDLength},
	{"WIRE-8", "RESP from an ID of 4 bytes", "05 47570001 04 15161718 04 01020304", ErrIDLength},
	{"WIRE-8", "RETRY from an ID of 0 bytes", "07 47570001 04 15161718 00 01", ErrIDLength},
	{"WIRE-8", "VNEG from an ID of 4 bytes", "07 00000000 04 15161718 04 01020304 03", ErrIDLength},
}

func TestHeadersThatBreakARuleAreDropped(t *testing.T) {
	// spec: WIRE-3
	// spec: WIRE-4
	// spec: WIRE-5
	// spec: WIRE-6
	// spec: WIRE-7
	// spec: WIRE-8
	for _, c := range badHeaders {
		t.Run(c.rule+" "+c.why, func(t *testing.T) {
			b := unhex(t, c.hex)
			l, err := ParseLong(b)
			require.ErrorIs(t, err, c.err)
			require.Zero(t, l)
			require.Contains(t, FormatDatagram(b, 4), "bad datagram")
			require.Zero(t, testing.AllocsPerRun(5, func() { _, _ = ParseLong(b) }))
		})
	}
}

func TestOnlyFirstOctets4To15AreOurs(t *testing.T) {
	// spec: WIRE-3
	for first := range 256 {
		require.Equal(t, first >= 4 && first <= 7, IsLong(byte(first)), "%#x", first)
		require.Equal(t, first >= 8 && first <= 15, IsShort(byte(first)), "%#x", first)
		b := append([]byte{byte(first)}, make([]byte, 40)...)
		_, err := ParseShort(b, 8)
		require.Equal(t, IsShort(byte(first)), err == nil)
	}
}

func TestLongHeadersOfOurOwnThatNobodyAcceptsAreABug(t *testing.T) {
	for _, l := range []Long{
		{},
		{Kind: KindShort, Version: Version1, DCID: id8a, SCID: id8a},
		{Kind: KindInit, Version: Version1, DCID: id4, SCID: id4},
		{Kind: KindInit, DCID: id8a, SCID: id4},
		{Kind: KindVersionNegotiation, Version: Version1, DCID: id4, SCID: id8a},
	} {
		require.Panics(t, func() { l.Append(nil) }, l.String())
	}
}

// shortCase is a short header before masking.
type shortCase struct {
	name  string
	id    ID
	pn    uint64
	pnLen int
	phase bool
	hex   string
}

var shortCases = []shortCase{
	{"ID of 8 bytes, number of 2", id8a, 0x12345, 2, false, "09 0102030405060708 2345"},
	{"ID of 4 bytes, number of 1, phase 1", id4, 0xff, 1, true, "0c 15161718 ff"},
	{"ID of 0 bytes, number of 3", id0, 0xabcdef, 3, false, "0a abcdef"},
	{"ID of 4 bytes, number of 4, phase 1", id4, 0x1_23456789, 4, true, "0f 15161718 23456789"},
}

func TestShortHeadersHaveTheBytesOfTheSpecification(t *testing.T) {
	// spec: WIRE-10
	for _, c := range shortCases {
		t.Run(c.name, func(t *testing.T) {
			header := unhex(t, c.hex)
			require.Equal(t, header, AppendShort(nil, c.id, c.pn, c.pnLen, c.phase))

			phase, pnLen := ShortBits(header[0])
			require.Equal(t, c.phase, phase)
			require.Equal(t, c.pnLen, pnLen)

			smallest := append(header, make([]byte, 20-c.pnLen)...)
			s, err := ParseShort(smallest, c.id.Len())
			require.NoError(t, err)
			require.Equal(t, Short{DCID: c.id, PNOffset: 1 + c.id.Len()}, s)
			require.True(t, HasDestination(smallest, c.id))

			for n := range smallest {
				_, err = ParseShort(smallest[:n], c.id.Len())
				require.Error(t, err, "a packet of %d bytes has no sample", n)
				HasDestination(smallest[:n], c.id)
			}
		})
	}
}

func TestAPacketIsForTheIDThatItBeginsWith(t *testing.T) {
	b := append(AppendShort(nil, id8a, 1, 1, false), make([]byte, 20)...)
	require.True(t, HasDestination(b, id8a))
	require.False(t, HasDestination(b, id8b))
	require.True(t, HasDestination(b, MakeID([]byte{1, 2, 3, 4})), "a shorter ID may be a prefix of a longer one")
	require.True(t, HasDestination(b, id0))
	require.False(t, HasDestination(b[:8], id8a))
	require.False(t, HasDestination(nil, id0))
	b[0] = longBits
	require.False(t, HasDestination(b, id8a))
	require.Zero(t, testing.AllocsPerRun(5, func() { HasDestination(b, id8a) }))
}

func TestTheSmallestPayloadLeavesRoomForASample(t *testing.T) {
	// spec: WIRE-11
	for pnLen := 1; pnLen <= MaxPacketNumberLen; pnLen++ {
		require.GreaterOrEqual(t, MinPayload(pnLen), 1)
		require.GreaterOrEqual(t, pnLen+MinPayload(pnLen)+TagSize, MinAfterShortID)
	}
	require.Equal(t, []int{3, 2, 1, 1}, []int{MinPayload(1), MinPayload(2), MinPayload(3), MinPayload(4)})
}

func TestVersionListsHave1To29Versions(t *testing.T) {
	// spec: WIRE-9
	for n := range 4*MaxVersions + 9 {
		v, err := ParseVersions(make([]byte, n))
		if n == 0 || n%4 != 0 || n > 116 {
			require.ErrorIs(t, err, ErrVersionList, "%d bytes", n)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, n/4, v.Len())
	}
	require.Panics(t, func() { AppendVersions(nil) })
	require.Panics(t, func() { AppendVersions(nil, make([]uint32, MaxVersions+1)...) })

	v, err := ParseVersions(AppendVersions(nil, Version1, 0x1a2a3a4a))
	require.NoError(t, err)
	require.Equal(t, "1,grease(0x1a2a3a4a)", v.String())
	require.True(t, v.Contains(Version1))
	require.True(t, v.Contains(0x1a2a3a4a))
	require.False(t, v.Contains(2))
	require.Equal(t, uint32(0x1a2a3a4a), v.At(1))
	require.LessOrEqual(t, MaxLongSize+4*MaxVersions, 143)
}

func TestAStatelessResetLooksLikeAPacketAndEndsWithItsToken(t *testing.T) {
	// spec: WIRE-14
	random := []byte(strings.Repeat("\xff", MinReset-ResetTokenLen))
	b := AppendReset(nil, random, token16)
	require.Len(t, b, MinReset)
	require.True(t, IsShort(b[0]))
	require.Equal(t, byte(0x0f), b[0], "the masked bits are random too")
	got, ok := TrailingToken(b)
	require.True(t, ok)
	require.True(t, got.Equal(token16))

	_, ok = TrailingToken(b[:MinReset-1])
	require.False(t, ok, "40 bytes are too few")
	b[0] = longBits
	_, ok = TrailingToken(b)
	require.False(t, ok, "a long header is never a reset")
	require.Panics(t, func() { AppendReset(nil, random[1:], token16) })
}

func TestDatagramsAreDescribedForPeople(t *testing.T) {
	long := func(l Long, body string) string { return FormatDatagram(append(l.Append(nil), body...), 4) }
	require.Equal(t, "RESP version=1 dcid=15161718 scid=0b0c0d0e0f101112 offset=1157 total=1368 body=5",
		long(longCases[4].header, "\x04\x85\x05\x58\x00"))
	require.Equal(t, "REJECT version=1 dcid=- scid=0102030405060708 code=FULL body=2", long(longCases[7].header, "\x00\x03"))
	require.Equal(t, "REJECT version=1 dcid=- scid=0102030405060708 body=1", long(longCases[7].header, "\x00"))
	require.Equal(t, "VNEG version=0x00000000 dcid=0b0c0d0e0f101112 scid=0102030405060708 versions=1",
		long(longCases[8].header, "GW\x00\x01"))
	require.Contains(t, long(longCases[8].header, "GW"), "body=2")

	short := append(AppendShort(nil, id4, 7, 1, false), make([]byte, 30)...)
	require.Equal(t, "SHORT dcid=15161718 sealed=31", FormatDatagram(short, 4))
	require.Contains(t, FormatDatagram(short[:20], 4), "bad SHORT (20 bytes)")
	require.Contains(t, FormatDatagram(nil, 4), "bad datagram (0 bytes)")
}

func TestIDsAreComparedByLengthAndBytes(t *testing.T) {
	// spec: WIRE-4
	for n := range 30 {
		require.Equal(t, n == 0 || n == 4 || n == 8, ValidIDLen(n))
	}
	require.NotEqual(t, MakeID(make([]byte, 4)), MakeID(make([]byte, 8)))
	require.Equal(t, ID{}, MakeID(nil))
	require.Equal(t, []byte{21, 22, 23, 24}, id4.Bytes())
	require.Equal(t, [8]byte{21, 22, 23, 24}, id4.Array())
	require.Equal(t, "15161718", id4.String())
	require.Panics(t, func() { MakeID([]byte{1}) })
	require.Zero(t, testing.AllocsPerRun(5, func() { _ = id4.Bytes() }))
}

func TestAnUnsetResetTokenMatchesNothing(t *testing.T) {
	require.False(t, ResetToken{}.Equal(ResetToken{}))
	require.True(t, ResetToken{}.IsZero())
	require.True(t, token16.Equal(token16))
	other := token16
	other[15] ^= 1
	require.False(t, token16.Equal(other))
	require.Equal(t, "a0a1…", token16.String())
}

func TestECNMarksHaveTheirNames(t *testing.T) {
	require.Equal(t, []string{"NotECT", "ECT1", "ECT0", "CE"},
		[]string{NotECT.String(), ECT1.String(), ECT0.String(), CE.String()})
}

// numberCase is a packet number with what is needed to shorten it, and its length then.
type numberCase struct {
	pn, acked uint64
	haveAcked bool
	length    int
}

var numberCases = []numberCase{
	{0xac5c02, 0xabe8b3, true, 2}, // RFC 9000, appendix A.2
	{0xace8fe, 0xabe8b3, true, 3}, // RFC 9000, appendix A.2
	{0, 0, false, 1},
	{127, 0, false, 1},
	{128, 0, false, 2},
	{128, 0, true, 1},
	{129, 0, true, 2},
	{1 << 15, 0, true, 2},
	{1<<15 + 1, 0, true, 3},
	{1 << 23, 0, true, 3},
	{1<<23 + 1, 0, true, 4},
	{MaxPacketNumber, MaxPacketNumber - 1, true, 1},
}

func TestPacketNumbersAreAsLongAsTheirSpanNeeds(t *testing.T) {
	// spec: WIRE-12
	for _, c := range numberCases {
		require.Equal(t, c.length, PacketNumberLen(c.pn, c.acked, c.haveAcked), "%+v", c)
	}
}

// decodeCase is a truncated packet number and what it stands for.
type decodeCase struct {
	expected  uint64
	truncated uint32
	length    int
	pn        uint64
}

var decodeCases = []decodeCase{
	{0xa82f30eb, 0x9b32, 2, 0xa82f9b32}, // RFC 9000, appendix A.3
	{0, 0, 1, 0},
	{0, 255, 1, 255},
	{1, 255, 1, 255},
	{100, 0xe4, 1, 0xe4},    // 100 + 128: the highest that is taken
	{100, 0xe5, 1, 0xe5},    // nothing below 0
	{1000, 0x68, 1, 0x468},  // 1000 + 128
	{1000, 0x69, 1, 0x369},  // 1000 - 127: the lowest that is taken
	{0x300, 0x80, 1, 0x380}, // 768 + 128
	{0x300, 0x81, 1, 0x281}, // 768 - 127
	{0x10000, 0xffff, 2, 0xffff},
	{0xffff, 0, 2, 0x10000},
	{1 << 32, 0xffffffff, 4, 1<<32 - 1},
	{MaxPacketNumber, 0, 1, MaxPacketNumber - 255}, // nothing above 2^62 - 1
	{MaxPacketNumber + 1, 0, 4, MaxPacketNumber + 1 - 1<<32},
	{MaxPacketNumber + 1, 0xff, 1, MaxPacketNumber},
}

func TestTruncatedPacketNumbersAreTheClosestToTheExpected(t *testing.T) {
	// spec: WIRE-13
	for _, c := range decodeCases {
		require.Equal(t, c.pn, DecodePacketNumber(c.expected, c.truncated, c.length), "%+v", c)
	}
}

func TestPacketNumbersComeBackAsTheyWere(t *testing.T) {
	// spec: WIRE-12
	// spec: WIRE-13
	rapid.Check(t, func(t *rapid.T) {
		pn := rapid.Uint64Range(0, MaxPacketNumber).Draw(t, "pn") >> rapid.IntRange(0, 61).Draw(t, "shift")
		acked := rapid.Bool().Draw(t, "acked") && pn > 0
		var largest uint64
		low := uint64(0) // what the receiver may expect, at least
		if acked {
			largest = pn - rapid.Uint64Range(1, min(pn, 1<<31)).Draw(t, "span")
			low = largest + 1
		} else {
			pn %= 1 << 31
		}
		n := PacketNumberLen(pn, largest, acked)
		header := AppendShort(nil, id0, pn, n, false)
		var truncated uint32
		for _, v := range header[1:] {
			truncated = truncated<<8 | uint32(v)
		}
		expected := rapid.Uint64Range(low, pn+1).Draw(t, "expected")
		require.Equal(t, pn, DecodePacketNumber(expected, truncated, n))
	})
}

func TestAPacketNumberOfNoLengthIsABug(t *testing.T) {
	require.Panics(t, func() { AppendPacketNumber(nil, 1, 0) })
	require.Panics(t, func() { AppendPacketNumber(nil, 1, 5) })
}
