package wire

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// paramCase is a parameter list, its bytes written down by hand, and its text.
type paramCase struct {
	name   string
	change func(*Parameters)
	hex    string
	text   string
}

var paramCases = []paramCase{
	{"nothing but defaults", func(*Parameters) {}, "", "defaults"},
	{"an idle timeout of 10 s", func(p *Parameters) { p.IdleTimeoutMillis = 10000 }, "01 02 6710", "idle_timeout=10000"},
	{
		"windows and streams", func(p *Parameters) {
			p.MaxData = 1 << 20
			p.MaxStreamDataBidiLocal = 65536
			p.MaxStreamDataBidiRemote = 65537
			p.MaxStreamDataUni = 63
			p.MaxStreamsBidi = 100
			p.MaxStreamsUni = 3
		},
		"02 04 80100000 03 04 80010000 04 04 80010001 05 01 3f 06 02 4064 07 01 03",
		"max_data=1048576 max_stream_data_bidi_local=65536 max_stream_data_bidi_remote=65537 " +
			"max_stream_data_uni=63 max_streams_bidi=100 max_streams_uni=3",
	},
	{
		"the rest", func(p *Parameters) {
			p.MaxAckDelayMillis = 0
			p.MaxDatagram = 1452
			p.ActiveIDs = 8
			p.MaxPaths = 1
			p.OverheadCap = 100
			p.MaxMessageSize = 1200
			p.MaxChannels = 64
			p.MessageBuffer = 0
		},
		"08 01 00 09 02 45ac 0a 01 08 0b 01 01 0c 02 4064 0d 02 44b0 0e 02 4040 0f 01 00",
		"max_ack_delay=0 max_datagram=1452 active_ids=8 max_paths=1 overhead_cap=100 " +
			"max_message_size=1200 max_channels=64 message_buffer=0",
	},
}

func TestParametersHaveTheBytesOfTheSpecification(t *testing.T) {
	for _, c := range paramCases {
		t.Run(c.name, func(t *testing.T) {
			p := DefaultParameters()
			c.change(&p)
			b := unhex(t, c.hex)
			require.Equal(t, string(b), string(p.Append(nil)))
			require.Equal(t, c.text, p.String())
			got, err := ParseParameters(b)
			require.NoError(t, err)
			require.Equal(t, p, got)
		})
	}
}

func TestMissingParametersHaveTheirDefaults(t *testing.T) {
	// spec: REG-7
	p, err := ParseParameters(nil)
	require.NoError(t, err)
	require.Equal(t, DefaultParameters(), p)
	require.Equal(t, Parameters{
		IdleTimeoutMillis: 30000, MaxAckDelayMillis: 10, MaxDatagram: 65527, ActiveIDs: 4, MaxPaths: 2,
		OverheadCap: 30, MaxMessageSize: 1048576, MessageBuffer: 1048576,
	}, p)
}

// badParams is a parameter list that must be refused.
type badParams struct {
	rule, why, hex, err string
}

var badParamLists = []badParams{
	{"WIRE-38", "ID without a length", "01", "wire: parameters: list ends inside an entry"},
	{"WIRE-38", "value that ends early", "02 04 801000", "wire: parameters: list ends inside an entry"},
	{"WIRE-38", "unknown parameter that ends early", "30 04 801000", "wire: parameters: list ends inside an entry"},
	{"WIRE-38", "length of 2^62 - 1", "02 ffffffffffffffff 00", "wire: parameters: list ends inside an entry"},
	{"WIRE-40", "max_data twice", "02 01 05 02 01 05", "wire: parameter max_data: given twice"},
	{"WIRE-40", "idle_timeout twice, with others between", "01 01 05 02 01 05 01 01 06", "wire: parameter idle_timeout: given twice"},
	{"WIRE-41", "empty value", "02 00", "wire: parameter max_data: value is not one integer"},
	{"WIRE-41", "value longer than its integer", "02 02 0505", "wire: parameter max_data: value is not one integer"},
	{"WIRE-41", "value shorter than its integer", "02 01 40", "wire: parameter max_data: value is not one integer"},
	{"REG-6", "idle_timeout 0", "01 01 00", "wire: parameter idle_timeout: value out of range"},
	{"REG-6", "idle_timeout 2^32", "01 08 c000000100000000", "wire: parameter idle_timeout: value out of range"},
	{"REG-6", "max_streams_bidi 2^60 + 1", "06 08 d000000000000001", "wire: parameter max_streams_bidi: value out of range"},
	{"REG-6", "max_streams_uni 2^60 + 1", "07 08 d000000000000001", "wire: parameter max_streams_uni: value out of range"},
	{"REG-6", "max_ack_delay 1001", "08 02 43e9", "wire: parameter max_ack_delay: value out of range"},
	{"REG-6", "max_datagram 1199", "09 02 44af", "wire: parameter max_datagram: value out of range"},
	{"REG-6", "max_datagram 65528", "09 04 8000fff8", "wire: parameter max_datagram: value out of range"},
	{"REG-6", "active_ids 1", "0a 01 01", "wire: parameter active_ids: value out of range"},
	{"REG-6", "active_ids 9", "0a 01 09", "wire: parameter active_ids: value out of range"},
	{"REG-6", "max_paths 0", "0b 01 00", "wire: parameter max_paths: value out of range"},
	{"REG-6", "max_paths 17", "0b 01 11", "wire: parameter max_paths: value out of range"},
	{"REG-6", "overhead_cap 301", "0c 02 412d", "wire: parameter overhead_cap: value out of range"},
	{"REG-6", "max_message_size 0", "0d 01 00", "wire: parameter max_message_size: value out of range"},
	{"REG-6", "max_message_size 1048577", "0d 04 80100001", "wire: parameter max_message_size: value out of range"},
	{"REG-6", "max_channels 65537", "0e 04 80010001", "wire: parameter max_channels: value out of range"},
}

func TestParametersThatBreakARuleAreRefusedByName(t *testing.T) {
	// spec: WIRE-38
	// spec: WIRE-40
	// spec: WIRE-41
	// spec: REG-6
	for _, c := range badParamLists {
		t.Run(c.rule+" "+c.why, func(t *testing.T) {
			b := unhex(t, c.hex)
			_, err := ParseParameters(b)
			require.EqualError(t, err, c.err)
			require.Zero(t, testing.AllocsPerRun(5, func() { _, _ = ParseParameters(b) }))
		})
	}
}

func TestUnknownParametersAreIgnoredInAnyNumber(t *testing.T) {
	// spec: WIRE-39
	// spec: REG-8
	rapid.Check(t, func(t *rapid.T) {
		want := drawParameters(t)
		var b []byte
		for range rapid.IntRange(0, 5).Draw(t, "grease") {
			b = AppendGreaseParameter(b, rapid.Uint64().Draw(t, "random"))
		}
		b = want.Append(b)
		b = append(b, 0x10, 0)                     // the first number that version 1 does not use
		b = append(b, 0x10, 3, 0xff, 0xff, 0xff)   // again, and no integer
		b = append(b, 0x50, 0x00, 2, 0xff, 0xff)   // for experiments
		b = append(b, 0x40, byte(0), 1, 0)         // number 0, in two bytes
		b = AppendGreaseParameter(b, 1<<32|5*31%7) // and at the end
		got, err := ParseParameters(b)
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestGreaseParametersHaveTheirForm(t *testing.T) {
	// spec: REG-8
	rapid.Check(t, func(t *rapid.T) {
		b := AppendGreaseParameter(nil, rapid.Uint64().Draw(t, "random"))
		require.LessOrEqual(t, len(b), 12)
		id, n := ConsumeVarint(b)
		require.Equal(t, uint64(27), id%31)
		require.Equal(t, len(b)-n-1, int(b[n]))
		var p Parameters
		require.Nil(t, p.field(ParamID(id)))
	})
}

// drawParameters draws valid parameters.
func drawParameters(t *rapid.T) Parameters {
	p := DefaultParameters()
	for id := ParamID(1); id <= lastParam; id++ {
		if rapid.Bool().Draw(t, "change") {
			*p.field(id) = rapid.Uint64Range(paramTable[id].min, paramTable[id].max).Draw(t, id.String())
		}
	}
	return p
}

func TestParametersComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawParameters(t)
		b := p.Append(nil)
		got, err := ParseParameters(b)
		require.NoError(t, err)
		require.Equal(t, p, got)
		cut := rapid.IntRange(0, len(b)).Draw(t, "cut")
		_, _ = ParseParameters(append([]byte(nil), b[:cut]...))
	})
}

func TestParametersOfOurOwnThatAreOutOfRangeAreABug(t *testing.T) {
	require.PanicsWithValue(t, "BUG: wire: parameter idle_timeout: value out of range", func() {
		new(Parameters).Append(nil)
	})
}

func TestEveryParameterHasANameAndAPlace(t *testing.T) {
	seen := map[*uint64]bool{}
	var p Parameters
	for id := ParamID(1); id <= lastParam; id++ {
		require.NotEmpty(t, id.String())
		require.False(t, strings.HasPrefix(id.String(), "parameter "))
		require.False(t, seen[p.field(id)])
		seen[p.field(id)] = true
		require.LessOrEqual(t, paramTable[id].min, paramTable[id].def)
		require.LessOrEqual(t, paramTable[id].def, paramTable[id].max)
	}
	require.Nil(t, p.field(0))
	require.Nil(t, p.field(lastParam+1))
	require.Equal(t, "parameter 0x10", ParamID(16).String())
}
