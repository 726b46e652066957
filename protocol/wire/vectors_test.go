package wire

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/spec/vectors"
)

var update = flag.Bool("update", false, "write the vector files anew")

// Numbers of up to 62 bits are decimal strings in the files: many readers of JSON lose their low bits.

type headerVectors struct {
	Note            string             `json:"note"`
	Varints         []varintVector     `json:"varints"`
	LongHeaders     []longVector       `json:"long_headers"`
	BadLongHeaders  []badVector        `json:"bad_long_headers"`
	ShortHeaders    []shortVector      `json:"short_headers"`
	NumberLengths   []numberVector     `json:"packet_number_lengths"`
	NumberDecodings []decodeVector     `json:"packet_number_decodings"`
	VersionLists    []versionsVector   `json:"version_lists"`
	BadVersionLists []badVector        `json:"bad_version_lists"`
	StatelessReset  statelessResetCase `json:"stateless_reset"`
}

type varintVector struct {
	Hex      vectors.Hex `json:"hex"`
	Value    string      `json:"value"`
	Shortest bool        `json:"shortest"`
}

type longVector struct {
	Name    string      `json:"name"`
	Hex     vectors.Hex `json:"hex"`
	Kind    string      `json:"kind"`
	Version string      `json:"version"`
	DCID    vectors.Hex `json:"dcid"`
	SCID    vectors.Hex `json:"scid"`
}

type shortVector struct {
	Name         string      `json:"name"`
	Unmasked     vectors.Hex `json:"unmasked"`
	DCID         vectors.Hex `json:"dcid"`
	PacketNumber string      `json:"packet_number"`
	Length       int         `json:"packet_number_length"`
	KeyPhase     bool        `json:"key_phase"`
}

type numberVector struct {
	PacketNumber string  `json:"packet_number"`
	LargestAcked *string `json:"largest_acked"` // null: none yet
	Length       int     `json:"length"`
}

type decodeVector struct {
	Expected     string      `json:"expected"`
	Truncated    vectors.Hex `json:"truncated"`
	PacketNumber string      `json:"packet_number"`
}

type versionsVector struct {
	Hex      vectors.Hex `json:"hex"`
	Versions []string    `json:"versions"`
}

type statelessResetCase struct {
	Hex   vectors.Hex `json:"hex"`
	Token vectors.Hex `json:"token"`
}

// badVector is something that breaks a rule.
type badVector struct {
	Rule string      `json:"rule"`
	Why  string      `json:"why"`
	Hex  vectors.Hex `json:"hex"`
}

type frameVectors struct {
	Note          string        `json:"note"`
	Frames        []frameVector `json:"frames"`
	BadFrames     []badVector   `json:"bad_frames"`
	Parameters    []paramVector `json:"parameters"`
	BadParameters []badVector   `json:"bad_parameters"`
}

type frameVector struct {
	Name   string            `json:"name"`
	Hex    vectors.Hex       `json:"hex"`
	Fields map[string]string `json:"fields"`
	Text   string            `json:"text"`
}

type paramVector struct {
	Name   string            `json:"name"`
	Hex    vectors.Hex       `json:"hex"`
	Values map[string]string `json:"values"`
}

func makeHeaderVectors(t *testing.T) headerVectors {
	v := headerVectors{Note: "Headers before masking, packet numbers, variable-length integers and what must be dropped: " +
		"chapter 1. Numbers are decimal strings."}
	for _, c := range varintCases {
		v.Varints = append(v.Varints, varintVector{unhex(t, c.hex), decimal(c.value), c.shortest})
	}
	for _, c := range longCases {
		h := c.header
		v.LongHeaders = append(v.LongHeaders, longVector{
			c.name, unhex(t, c.hex), h.Kind.String(), fmt.Sprintf("%#08x", h.Version), h.DCID.Bytes(), h.SCID.Bytes(),
		})
	}
	for _, c := range badHeaders {
		v.BadLongHeaders = append(v.BadLongHeaders, badVector{c.rule, c.why, unhex(t, c.hex)})
	}
	for _, c := range shortCases {
		v.ShortHeaders = append(v.ShortHeaders, shortVector{
			c.name, unhex(t, c.hex), c.id.Bytes(), decimal(c.pn), c.pnLen, c.phase,
		})
	}
	for _, c := range numberCases {
		n := numberVector{PacketNumber: decimal(c.pn), Length: c.length}
		if c.haveAcked {
			acked := decimal(c.acked)
			n.LargestAcked = &acked
		}
		v.NumberLengths = append(v.NumberLengths, n)
	}
	for _, c := range decodeCases {
		v.NumberDecodings = append(v.NumberDecodings, decodeVector{
			decimal(c.expected), AppendPacketNumber(nil, uint64(c.truncated), c.length), decimal(c.pn),
		})
	}
	v.VersionLists = []versionsVector{{AppendVersions(nil, Version1, 0x3a7afaca), []string{"0x47570001", "0x3a7afaca"}}}
	v.BadVersionLists = []badVector{
		{"WIRE-9", "empty", nil},
		{"WIRE-9", "not a multiple of 4 bytes", unhex(t, "4757000100")},
		{"WIRE-9", "30 versions", make([]byte, 120)},
	}
	random := make([]byte, MinReset-ResetTokenLen)
	for i := range random {
		random[i] = byte(0xb2 + i)
	}
	v.StatelessReset = statelessResetCase{AppendReset(nil, random, token16), token16[:]}
	return v
}

func makeFrameVectors(t *testing.T) frameVectors {
	v := frameVectors{Note: "Frames with their types, parameter lists, and what must be refused: chapter 1. " +
		"Numbers are decimal strings; ranges have both ends included, the largest first."}
	for _, c := range frameCases() {
		v.Frames = append(v.Frames, frameVector{c.name, unhex(t, c.hex), fieldsOf(c.frame), c.text})
	}
	for _, c := range badFrames() {
		v.BadFrames = append(v.BadFrames, badVector{c.rule, c.why, unhex(t, c.hex)})
	}
	for _, c := range paramCases {
		p := DefaultParameters()
		c.change(&p)
		values := map[string]string{}
		for id := ParamID(1); id <= lastParam; id++ {
			values[id.String()] = decimal(*p.field(id))
		}
		v.Parameters = append(v.Parameters, paramVector{c.name, unhex(t, c.hex), values})
	}
	for _, c := range badParamLists {
		v.BadParameters = append(v.BadParameters, badVector{c.rule, c.why, unhex(t, c.hex)})
	}
	return v
}

func decimal(v uint64) string { return strconv.FormatUint(v, 10) }

// fieldsOf returns the fields of a frame by the names of the code.
func fieldsOf(f Frame) map[string]string {
	fields := map[string]string{}
	addFields(fields, reflect.ValueOf(f))
	switch f := f.(type) {
	case Ack:
		fields["Ranges"] = rangesText(f.Ranges())
	case RepairReport:
		fields["Ranges"] = rangesText(f.Ranges())
	}
	return fields
}

func addFields(fields map[string]string, v reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			addFields(fields, v.Field(i))
		} else if field.IsExported() {
			fields[field.Name] = fieldText(v.Field(i).Interface())
		}
	}
}

func fieldText(v any) string {
	switch v := v.(type) {
	case ID:
		return hex.EncodeToString(v.Bytes())
	case ResetToken:
		return hex.EncodeToString(v[:])
	case ECNCounts:
		return fmt.Sprintf("%d %d %d", v.ECT0, v.ECT1, v.CE)
	case [BurstBuckets]uint64, [TimeBuckets]uint64:
		text := fmt.Sprint(v)
		return text[1 : len(text)-1]
	case FrameType:
		return decimal(uint64(v))
	case Mode:
		return decimal(uint64(v))
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.Slice || r.Kind() == reflect.Array {
		return fmt.Sprintf("%x", v)
	}
	return fmt.Sprint(v)
}

func rangesText(r AckRanges) string {
	text := ""
	for next, ok := r.Next(); ok; next, ok = r.Next() {
		if text != "" {
			text += " "
		}
		text += fmt.Sprintf("%d-%d", next.Start, next.End-1)
	}
	return text
}

// checkVectors compares what the code makes with the file, or writes the file.
func checkVectors(t *testing.T, name string, made any) {
	t.Helper()
	want, err := vectors.Encode(made)
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("../../spec/vectors/"+name, want, 0o644))
		return
	}
	got, err := vectors.Files.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "%s is not what the code makes", name)
}

func TestTheVectorsOfHeadersAreThoseOfTheCode(t *testing.T) {
	checkVectors(t, "headers.json", makeHeaderVectors(t))
}

func TestTheVectorsOfFramesAreThoseOfTheCode(t *testing.T) {
	checkVectors(t, "frames.json", makeFrameVectors(t))
}

func TestTheHeadersOfTheFileAreParsedAndTheBadOnesDropped(t *testing.T) {
	var v headerVectors
	require.NoError(t, vectors.Load("headers.json", &v))
	for _, c := range v.LongHeaders {
		l, err := ParseLong(c.Hex)
		require.NoError(t, err, c.Name)
		require.Equal(t, c.Kind, l.Kind.String())
		require.Equal(t, []byte(c.DCID), l.DCID.Bytes())
		require.Equal(t, []byte(c.SCID), l.SCID.Bytes())
	}
	for _, c := range v.BadLongHeaders {
		_, err := ParseLong(c.Hex)
		require.Error(t, err, c.Why)
	}
	for _, c := range v.BadVersionLists {
		_, err := ParseVersions(c.Hex)
		require.Error(t, err, c.Why)
	}
	token, ok := TrailingToken(v.StatelessReset.Hex)
	require.True(t, ok)
	require.Equal(t, []byte(v.StatelessReset.Token), token[:])
}

func TestTheFramesOfTheFileAreParsedAndTheBadOnesRefused(t *testing.T) {
	var v frameVectors
	require.NoError(t, vectors.Load("frames.json", &v))
	for _, c := range v.Frames {
		f, n := ParseFrame(c.Hex)
		require.Equal(t, len(c.Hex), n, c.Name)
		require.Equal(t, c.Text, f.String())
		require.Equal(t, c.Fields, fieldsOf(f))
	}
	for _, c := range v.BadFrames {
		_, n := ParseFrame(c.Hex)
		require.Equal(t, -1, n, c.Why)
	}
	for _, c := range v.BadParameters {
		_, err := ParseParameters(c.Hex)
		require.Error(t, err, c.Why)
	}
}
