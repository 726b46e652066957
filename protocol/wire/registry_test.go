package wire

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestGreaseFramesAreSkippedAndNoOthers(t *testing.T) {
	// spec: REG-2
	// spec: WIRE-16
	for typ := range FrameType(firstGreaseType) {
		require.False(t, IsGrease(typ), "%#x", uint64(typ))
	}
	for typ := FrameType(firstGreaseType); typ < 0x5000; typ++ {
		require.Equal(t, (typ-27)%31 == 0, IsGrease(typ), "%#x", uint64(typ))
	}
	require.True(t, IsGrease(0x2013), "the first one")
	require.Equal(t, "GREASE", FrameType(0x2013).String())
	require.False(t, FrameType(0x2013).Known())

	rapid.Check(t, func(t *rapid.T) {
		b := AppendGreaseFrame(nil, rapid.Uint64().Draw(t, "random"))
		require.LessOrEqual(t, len(b), 12)
		typ, n := ConsumeFrameType(b)
		require.True(t, IsGrease(typ))
		require.Equal(t, len(b)-n, SkipGrease(b[n:]))
		require.Equal(t, len(b)-n, SkipGrease(append(b[n:], 1, 2, 3)))
		for cut := n; cut < len(b); cut++ {
			require.Equal(t, -1, SkipGrease(b[n:cut]))
		}
	})
}

func TestGreaseVersionsHaveTheirForm(t *testing.T) {
	// spec: REG-3
	require.True(t, IsGreaseVersion(0x0a0a0a0a))
	require.True(t, IsGreaseVersion(0xfa1a2a3a))
	require.False(t, IsGreaseVersion(0x0a0a0a0b))
	require.False(t, IsGreaseVersion(Version1))
	require.False(t, IsGreaseVersion(0))
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.Uint32().Draw(t, "random")
		v := GreaseVersion(r)
		require.True(t, IsGreaseVersion(v))
		require.Equal(t, r&0xf0f0f0f0, v&0xf0f0f0f0, "all random bits are used")
	})
}

func TestOnlyPaddingAckReportAndCloseElicitNoAcknowledgement(t *testing.T) {
	// spec: REG-4
	silent := []FrameType{
		FramePadding, FrameAck, FrameAckECN, FrameAckStamp, FrameAckECNStamp, FrameChannelReport, FrameRepairReport, FrameClose, FrameCloseApp,
	}
	for typ := range FrameType(0x3000) {
		want := true
		for _, s := range silent {
			want = want && typ != s
		}
		require.Equal(t, want, typ.AckEliciting(), typ.String())
	}
}

func TestServersAloneSendTokensTicketsAndDone(t *testing.T) {
	// spec: REG-5
	for typ := range FrameType(0x3000) {
		want := typ == FrameAddressToken || typ == FrameTicket || typ == FrameDone
		require.Equal(t, want, typ.ServerOnly(), typ.String())
	}
}

func TestMessageFramesAreThoseOfMessagesAndRepair(t *testing.T) {
	for typ := range FrameType(0x3000) {
		want := typ >= 0x22 && typ <= 0x2f
		require.Equal(t, want, IsMessageFrame(typ), typ.String())
	}
	require.True(t, FrameType(0x1000).IsExperiment())
	require.True(t, FrameType(0x1fff).IsExperiment())
	require.False(t, FrameType(0x0fff).IsExperiment())
	require.False(t, FrameType(0x2000).IsExperiment())
}

func TestCodesHaveNamesAndUnknownOnesNumbers(t *testing.T) {
	for c := range ErrorCode(len(errorCodeNames)) {
		require.NotEmpty(t, c.String())
	}
	require.Equal(t, "error 18", ErrorCode(18).String())
	require.Equal(t, "error 4611686018427387903", ErrorCode(MaxVarint).String())
	require.Equal(t, "reject 0", RejectCode(0).String())
	require.Equal(t, "reject 7", RejectCode(7).String())
	require.Equal(t, "mode-unknown", Mode(4).String())
	require.Equal(t, "unreliable sequenced reliable-unordered reliable-ordered",
		fmt.Sprint(Unreliable, " ", Sequenced, " ", ReliableUnordered, " ", ReliableOrdered))
	require.Equal(t, "UNKNOWN", Kind(200).String())
	require.Equal(t, "0x00000002", VersionString(2))
}

func TestStreamIDsSayWhoOpenedThemAndTheirKind(t *testing.T) {
	require.Equal(t, uint64(0), StreamID(0, false, false))
	require.Equal(t, uint64(1), StreamID(0, true, false))
	require.Equal(t, uint64(2), StreamID(0, false, true))
	require.Equal(t, uint64(3), StreamID(0, true, true))
	require.Equal(t, uint64(4), StreamID(1, false, false))
	for id := range uint64(100) {
		require.Equal(t, id, StreamID(id/4, IsServerStream(id), IsUniStream(id)))
	}
	require.LessOrEqual(t, StreamID(MaxStreamCount-1, true, true), uint64(MaxVarint))
}

// tableRow matches a line of a table of chapter 13.
var tableRow = regexp.MustCompile(`(?m)^\| ([^|]+) \|(.*)\|$`)

// chapterTable returns the cells of the rows of one section of chapter 13.
func chapterTable(t *testing.T, section string) [][]string {
	t.Helper()
	b, err := os.ReadFile("../../spec/13-registry.md")
	require.NoError(t, err)
	_, text, ok := strings.Cut(string(b), section+"\n")
	require.True(t, ok, "no section %q", section)
	text, _, _ = strings.Cut(text, "\n## ")
	var rows [][]string
	for _, m := range tableRow.FindAllStringSubmatch(text, -1) {
		cells := []string{strings.TrimSpace(m[1])}
		for _, cell := range strings.Split(m[2], "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	require.NotEmpty(t, rows)
	return rows[1:]
}

// number reads a number as chapter 13 writes it.
func number(t *testing.T, s string) uint64 {
	t.Helper()
	switch s {
	case "2^32 - 1":
		return 1<<32 - 1
	case "2^60":
		return 1 << 60
	}
	v, err := strconv.ParseUint(strings.ReplaceAll(s, ",", ""), 0, 64)
	require.NoError(t, err)
	return v
}

func TestTheFrameTypesOfTheChapterAreThoseOfTheCode(t *testing.T) {
	listed := map[FrameType]bool{}
	for _, row := range chapterTable(t, "## 13.5 Frame types") {
		first, last, _ := strings.Cut(row[0], " to ")
		if !strings.HasPrefix(first, "0x") || row[1] == "free" || row[2] == "" || row[1] == "experiments" {
			continue
		}
		if last == "" {
			last = first
		}
		for typ := FrameType(number(t, first)); typ <= FrameType(number(t, last)); typ++ {
			listed[typ] = true
			require.True(t, strings.HasPrefix(row[1], typ.String()), "%s is called %s", typ, row[1])
			require.Equal(t, row[2] == "yes", typ.AckEliciting(), typ.String())
			require.Equal(t, row[3] == "server", typ.ServerOnly(), typ.String())
		}
	}
	for typ := range FrameType(0x1000) {
		require.Equal(t, typ.Known(), listed[typ], "%#x", uint64(typ))
	}
}

func TestTheParametersOfTheChapterAreThoseOfTheCode(t *testing.T) {
	count := ParamID(0)
	for _, row := range chapterTable(t, "## 13.6 Parameters") {
		if strings.HasPrefix(row[0], "0x") || strings.HasPrefix(row[0], "31") {
			continue
		}
		count++
		id := ParamID(number(t, row[0]))
		require.Equal(t, count, id)
		want := paramInfo{name: row[1], def: number(t, row[4]), max: MaxVarint}
		if low, high, ok := strings.Cut(row[3], " to "); ok {
			want.min, want.max = number(t, low), number(t, high)
		}
		require.Equal(t, want, paramTable[id])
	}
	require.Equal(t, lastParam, count)
}

func TestTheCodesOfTheChapterAreThoseOfTheCode(t *testing.T) {
	count := 0
	for _, row := range chapterTable(t, "## 13.7 Transport error codes") {
		if !strings.HasPrefix(row[0], "0x") {
			require.Equal(t, row[1], ErrorCode(number(t, row[0])).String())
			count++
		}
	}
	require.Len(t, errorCodeNames, count)

	count = 1
	for _, row := range chapterTable(t, "## 13.8 Reject codes") {
		require.Equal(t, row[1], RejectCode(number(t, row[0])).String())
		count++
	}
	require.Len(t, rejectCodeNames, count)
}
