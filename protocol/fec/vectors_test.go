package fec

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/spec/vectors"
)

const vectorFile = "repair.json"

type repairVectors struct {
	Note         string              `json:"note"`
	Coefficients []coefficientVector `json:"coefficients"`
	Symbols      []symbolsVector     `json:"symbols"`
	Recoveries   []recoveryVector    `json:"recoveries"`
}

type coefficientVector struct {
	Seed        uint8       `json:"seed"`
	Sequences   []uint16    `json:"sequences"`
	Coefficient vectors.Hex `json:"coefficients"` // one byte for each sequence
}

// symbolsVector has contents in a row, from a sequence on, and symbols over some of them.
type symbolsVector struct {
	Name     string        `json:"name"`
	First    uint16        `json:"first"`
	Contents []vectors.Hex `json:"contents"`
	Symbols  []symbolCase  `json:"symbols"`
}

type symbolCase struct {
	First uint16      `json:"first"`
	Count uint8       `json:"count"`
	Seed  uint8       `json:"seed"`
	Data  vectors.Hex `json:"data"`
}

// recoveryVector is what a new receiver gets, in order.
type recoveryVector struct {
	Name  string         `json:"name"`
	Steps []recoveryStep `json:"steps"`
}

// recoveryStep is a source or a symbol, what becomes of it, and what comes back with it. Where it is
// dropped for breaking a rule, rule names it.
type recoveryStep struct {
	Source    *sourceCase  `json:"source,omitempty"`
	Symbol    *symbolCase  `json:"symbol,omitempty"`
	Result    string       `json:"result"`
	Rule      string       `json:"rule,omitempty"`
	Recovered []sourceCase `json:"recovered,omitempty"`
}

type sourceCase struct {
	Sequence uint16      `json:"sequence"`
	Content  vectors.Hex `json:"content"`
}

// flow builds the vectors: a sender, and a receiver for each recovery.
type flow struct {
	e        Encoder
	contents map[uint16][]byte
}

func newFlow(first uint16, contents ...string) *flow {
	f := &flow{e: Encoder{next: first}, contents: make(map[uint16][]byte)}
	for _, c := range contents {
		f.contents[f.e.Add([]byte(c), nil)] = []byte(c)
	}
	return f
}

func (f *flow) symbol(first uint16, count, seed uint8) symbolCase {
	return symbolCase{first, count, seed, f.e.AppendSymbol(nil, first, count, seed)}
}

func (f *flow) source(s uint16) recoveryStep {
	return recoveryStep{Source: &sourceCase{s, f.contents[s]}}
}

func (f *flow) repair(first uint16, count, seed uint8) recoveryStep {
	s := f.symbol(first, count, seed)
	return recoveryStep{Symbol: &s}
}

// made is a symbol that no sender of these contents makes.
func made(first uint16, count, seed uint8, data []byte) recoveryStep {
	return recoveryStep{Symbol: &symbolCase{first, count, seed, data}}
}

// under says by which rule a step is dropped.
func (s recoveryStep) under(rule string) recoveryStep {
	s.Rule = rule
	return s
}

// play gives the steps to a new decoder and notes what it says.
func play(d *Decoder, step recoveryStep) recoveryStep {
	if s := step.Source; s != nil {
		step.Result = d.AddSource(s.Sequence, s.Content, nil).String()
	} else {
		s := step.Symbol
		step.Result = d.AddSymbol(s.First, s.Count, s.Seed, s.Data).String()
	}
	step.Recovered = nil
	for {
		s, content, ok := d.Next()
		if !ok {
			return step
		}
		step.Recovered = append(step.Recovered, sourceCase{s, append(vectors.Hex(nil), content...)})
	}
}

func recovery(name string, steps ...recoveryStep) recoveryVector {
	var d Decoder
	for i := range steps {
		steps[i] = play(&d, steps[i])
	}
	return recoveryVector{name, steps}
}

func makeVectors() repairVectors {
	v := repairVectors{Note: "The code of repair: chapter 9. Coefficients by seed and sequence; symbols over contents; " +
		"and what a receiver that knows nothing yet makes of sources and symbols, in order. " +
		"Results: taken, needless, late, malformed, contradictory."}
	for _, seed := range []uint8{0, 1, 2, 63, 64, 128, 190, 191} {
		c := coefficientVector{Seed: seed, Sequences: []uint16{0, 1, 2, 3, 31, 32, 62, 63, 64, 65, 1000, 65534, 65535}}
		for _, s := range c.Sequences {
			c.Coefficient = append(c.Coefficient, coefficient(seed, s))
		}
		v.Coefficients = append(v.Coefficients, c)
	}
	for _, c := range []struct {
		name     string
		first    uint16
		contents []string
		ranges   [][3]int
	}{
		{"one source", 0, []string{"godwit"}, [][3]int{{0, 1, 0}, {0, 1, 1}, {0, 1, 191}}},
		{"contents of different lengths", 10, []string{"bar", "-tailed", " ", "godwit"}, [][3]int{{0, 4, 0}, {0, 4, 1}, {1, 2, 2}, {2, 1, 3}}},
		{"the example of chapter 9", 65535, []string{"bc", "d"}, [][3]int{{0, 2, 0}}},
		{"over the wrap of sequences", 65534, []string{"a", "bc", "def", "g"}, [][3]int{{0, 4, 100}, {1, 3, 101}}},
	} {
		f := newFlow(c.first, c.contents...)
		s := symbolsVector{Name: c.name, First: c.first}
		for _, content := range c.contents {
			s.Contents = append(s.Contents, vectors.Hex(content))
		}
		for _, r := range c.ranges {
			s.Symbols = append(s.Symbols, f.symbol(c.first+uint16(r[0]), uint8(r[1]), uint8(r[2])))
		}
		v.Symbols = append(v.Symbols, s)
	}
	v.Recoveries = makeRecoveries()
	return v
}

func makeRecoveries() []recoveryVector {
	f := newFlow(65533, "zero", "one", "number two", "3", "four", "five.")
	at := func(i int) uint16 { return uint16(65533 + i) }
	// What stands for one source of three bytes whose length, padding or existence is wrong.
	alone := func(seed uint8, vector ...byte) []byte { return refAdd(nil, coefficient(seed, 7), vector) }
	return []recoveryVector{
		recovery("one loss, one symbol", f.source(at(0)), f.source(at(2)), f.source(at(3)),
			f.repair(at(0), 4, 0), f.repair(at(0), 4, 1)),
		recovery("three losses, three symbols over different ranges", f.source(at(0)), f.source(at(2)), f.source(at(5)),
			f.repair(at(0), 6, 7), f.repair(at(1), 5, 8), f.repair(at(1), 4, 9)),
		recovery("symbols before sources", f.repair(at(0), 3, 0), f.repair(at(0), 3, 1), f.source(at(1)), f.source(at(0))),
		recovery("ranges that overlap in a chain", f.source(at(1)), f.source(at(4)),
			f.repair(at(0), 3, 3), f.repair(at(2), 2, 4), f.repair(at(3), 2, 5), f.repair(at(5), 1, 6)),
		recovery("too old", recoveryStep{Source: &sourceCase{at(0) + Window, vectors.Hex("new")}},
			f.source(at(0)).under("FEC-7"), f.repair(at(0), 6, 0).under("FEC-7"), f.repair(at(1), 1, 0)),
		recovery("malformed",
			made(7, 1, Seeds, alone(0, 0, 1, 9)).under("FEC-6"),
			made(7, 1, 0, alone(0, 0, 1)).under("FEC-6"),
			made(7, 1, 0, make([]byte, MaxSymbol+1)).under("FEC-6"),
			made(7, 1, 0, alone(0, 0, 1, 9))),
		recovery("contradictory",
			made(7, 1, 0, alone(0, 0, 0, 9)).under("FEC-10"),
			made(7, 1, 0, alone(0, 0, 2, 9)).under("FEC-10"),
			made(7, 1, 0, alone(0, 0, 1, 9, 9)).under("FEC-10"),
			made(7, 1, 0, alone(0, 0, 1, 9, 0))),
		recovery("shorter than a source that it covers", f.source(at(2)),
			made(at(2), 2, 0, f.e.AppendSymbol(nil, at(2), 2, 0)[:11]).under("FEC-10"),
			f.repair(at(2), 2, 0)),
		recovery("the same symbol with other data", f.source(at(5)),
			f.repair(at(0), 2, 0), made(at(0), 2, 0, []byte{1, 2, 3}).under("FEC-10"), f.repair(at(0), 2, 1)),
	}
}

// TestTheVectorsOfRepairAreThoseOfTheCode holds the file against the code.
func TestTheVectorsOfRepairAreThoseOfTheCode(t *testing.T) {
	want, err := vectors.Encode(makeVectors())
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("../../spec/vectors/"+vectorFile, want, 0o644))
		return
	}
	got, err := vectors.Files.ReadFile(vectorFile)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "%s is not what the code makes", vectorFile)
}

// TestTheVectorsOfRepairFollowTheText makes coefficients and symbols of the file once more without the
// package, and plays its recoveries.
//
// spec: FEC-1 FEC-2 FEC-3 FEC-4 FEC-6 FEC-7 FEC-10 FEC-11
func TestTheVectorsOfRepairFollowTheText(t *testing.T) {
	var v repairVectors
	require.NoError(t, vectors.Load(vectorFile, &v))
	for _, c := range v.Coefficients {
		for i, s := range c.Sequences {
			require.Equal(t, refCoefficient(int(c.Seed), int(s)), c.Coefficient[i])
		}
	}
	for _, c := range v.Symbols {
		for _, s := range c.Symbols {
			var covered [][]byte
			for i := range int(s.Count) {
				covered = append(covered, c.Contents[int(s.First-c.First)+i])
			}
			require.Equal(t, refSymbol(covered, int(s.First), int(s.Seed)), []byte(s.Data), c.Name)
		}
	}
	for _, c := range v.Recoveries {
		var d Decoder
		for i, step := range c.Steps {
			require.Equal(t, step, play(&d, step), "%s, step %d", c.Name, i)
			dropped := step.Result != Taken.String() && step.Result != Needless.String()
			require.Equal(t, dropped, step.Rule != "", "%s, step %d names a rule when it breaks one", c.Name, i)
		}
	}
}
