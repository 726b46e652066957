package fec

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// stream is a sender with the contents that it sent, and a receiver.
type stream struct {
	t    *testing.T
	e    Encoder
	d    Decoder
	sent map[uint16][]byte
}

func newStream(t *testing.T, next uint16) *stream {
	return &stream{t: t, e: Encoder{next: next}, sent: make(map[uint16][]byte)}
}

// send gives the sender n contents, which arrive unless they are lost.
func (s *stream) send(n int, lost ...int) {
	s.t.Helper()
	missing := make(map[int]bool)
	for _, i := range lost {
		missing[i] = true
	}
	for i := range n {
		q := s.add()
		if !missing[i] {
			require.Equal(s.t, Taken, s.arrive(q))
		}
	}
}

func (s *stream) add() uint16 {
	content := fmt.Appendf(nil, "%d%*s", len(s.sent), len(s.sent)*5%17, "")
	q := s.e.Add(content, nil)
	s.sent[q] = content
	return q
}

func (s *stream) arrive(sequence uint16) Result {
	r := s.d.AddSource(sequence, s.sent[sequence][:1], s.sent[sequence][1:])
	s.check()
	return r
}

func (s *stream) symbol(first uint16, count, seed uint8) Result {
	r := s.d.AddSymbol(first, count, seed, s.e.AppendSymbol(nil, first, count, seed))
	s.check()
	return r
}

func (s *stream) recovers(sequences ...uint16) {
	s.t.Helper()
	for _, q := range sequences {
		requireNext(s.t, &s.d, q, s.sent[q])
	}
	requireNoNext(s.t, &s.d)
}

func (s *stream) check() {
	s.t.Helper()
	if err := broken(&s.d); err != nil {
		s.t.Fatal(err)
	}
}

// maxDecoderBytes is all that a decoder holds: a vector for each place, and 8 KiB for one at work and itself.
const maxDecoderBytes = Window*MaxSymbol + 8<<10

// broken looks at everything that is true of a decoder between two calls, whatever it was given.
//
// spec: FEC-8 FEC-9
func broken(d *Decoder) error {
	if d.work > 2*Window {
		return fmt.Errorf("%d vector operations in one call", d.work)
	}
	bytes := int(unsafe.Sizeof(*d)) + cap(d.spare.data)
	for i := range d.places {
		bytes += cap(d.places[i].data)
		if n := len(d.places[i].data); n > MaxSymbol {
			return fmt.Errorf("%d bytes in a place", n)
		}
	}
	if bytes > maxDecoderBytes {
		return fmt.Errorf("a decoder of %d bytes", bytes)
	}
	size := d.end - d.first
	if size > Window {
		return fmt.Errorf("a window of %d", size)
	}
	var window set
	if size > 0 {
		window = span(d.first, int(size))
	}
	if d.known&d.rows != 0 || (d.known|d.rows)&^window != 0 || d.fresh&^d.known != 0 {
		return fmt.Errorf("sets %x %x %x in window %x", d.known, d.rows, d.fresh, window)
	}
	for rest := d.rows; rest != 0; {
		i := rest.pop()
		p := &d.places[i]
		switch {
		case p.unknown != nonzero(&p.factors):
			return fmt.Errorf("place %d has the wrong set", i)
		case p.unknown&(d.known|d.rows) != bit(i), p.unknown&^window != 0, p.unknown == bit(i):
			return fmt.Errorf("place %d is over %x, with known %x and rows %x", i, p.unknown, d.known, d.rows)
		case p.factors[i] != 1, index(d.oldest(p.unknown)) != i:
			return fmt.Errorf("place %d holds a symbol that begins elsewhere", i)
		}
	}
	return nil
}

// TestALostSourceComesBackWithTheFirstSymbol, and symbols that nobody needs cost nothing.
//
// spec: FEC-9 FEC-11
func TestALostSourceComesBackWithTheFirstSymbol(t *testing.T) {
	s := newStream(t, 65530)
	s.send(10, 4)
	s.recovers()
	require.Equal(t, Taken, s.symbol(65530, 10, 0))
	s.recovers(65534)
	require.Equal(t, Needless, s.symbol(65530, 10, 1), "everything is there")
	require.Zero(t, s.d.work)
	require.Equal(t, Needless, s.arrive(65534), "it was only late")
	s.recovers()
}

func TestThePacketsBeforeTheFirstOneThatArrivesComeBackToo(t *testing.T) {
	s := newStream(t, 0)
	s.send(5, 0, 1, 2)
	for seed := range uint8(3) {
		s.recovers()
		require.Equal(t, Taken, s.symbol(0, 5, seed))
	}
	s.recovers(0, 1, 2)
}

func TestASymbolMayArriveBeforeItsSources(t *testing.T) {
	s := newStream(t, 100)
	for range 3 {
		s.add()
	}
	require.Equal(t, Taken, s.symbol(100, 3, 5))
	require.Equal(t, Taken, s.symbol(100, 3, 6))
	s.recovers()
	require.Equal(t, Taken, s.arrive(101))
	s.recovers(100, 102)
	require.Equal(t, Needless, s.arrive(100))
}

func TestASourceThatArrivesLateReleasesTheOthers(t *testing.T) {
	s := newStream(t, 0)
	s.send(8, 1, 3, 5)
	s.symbol(0, 8, 0)
	s.symbol(0, 8, 1)
	s.recovers()
	require.Equal(t, Taken, s.arrive(1), "the oldest, in whose place a symbol stands")
	s.recovers(3, 5)

	s = newStream(t, 0)
	s.send(8, 1, 3, 5)
	s.symbol(0, 8, 0)
	s.symbol(0, 8, 1)
	require.Equal(t, Taken, s.arrive(5), "the youngest, in whose place none stands")
	s.recovers(1, 3)
}

func TestTheSameSymbolAgainIsNeedless(t *testing.T) {
	s := newStream(t, 0)
	s.send(8, 2, 3)
	require.Equal(t, Taken, s.symbol(0, 8, 4))
	require.Equal(t, Needless, s.symbol(0, 8, 4))
	require.Equal(t, Needless, s.symbol(1, 6, 4), "what differs between them is known")
	s.recovers()
	require.Equal(t, Taken, s.symbol(0, 8, 5))
	s.recovers(2, 3)
}

func TestRangesThatOverlapWorkTogether(t *testing.T) {
	s := newStream(t, 0)
	s.send(30, 3, 12, 21)
	s.symbol(0, 15, 0)  // 3 and 12
	s.symbol(10, 15, 1) // 12 and 21
	s.recovers()
	s.symbol(20, 10, 2) // 21
	s.recovers(3, 12, 21)
}

// TestWhatLeavesTheWindowDoesNotHoldUpTheRest: symbols over a source that is given up still tell the
// others.
//
// spec: FEC-7 FEC-11
func TestWhatLeavesTheWindowDoesNotHoldUpTheRest(t *testing.T) {
	s := newStream(t, 0)
	s.send(Window, 0, 40, 41)
	s.symbol(0, Window, 0) // 0, 40 and 41
	s.symbol(0, Window, 1) // the same again: without 0, one equation is left of the two
	s.send(5)
	require.Equal(t, Late, s.arrive(0))
	require.Equal(t, Late, s.d.AddSymbol(0, Window, 2, make([]byte, 100)))
	require.Equal(t, Taken, s.symbol(5, Window, 2))
	s.recovers(40, 41)
}

// spec: FEC-7
func TestTheWindowMovesWithTheNewestSequence(t *testing.T) {
	s := newStream(t, 65500)
	s.send(Window+1, 10, 11)
	require.Equal(t, Late, s.d.AddSource(65500, []byte{1}, nil), "it has left the window")
	require.Equal(t, Late, s.d.AddSymbol(65500, 20, 0, []byte{0, 1, 1}), "it begins before the window")
	require.Equal(t, Taken, s.symbol(65501, 20, 0))
	require.Equal(t, Taken, s.symbol(65501, 20, 1))
	s.recovers(65510, 65511)

	far := s.e.Next() + 20000
	require.Equal(t, Taken, s.d.AddSource(far, []byte{1}, nil), "a long outage moves it at once")
	s.check()
	require.Equal(t, far+1-Window, s.d.first)
	require.Equal(t, Late, s.d.AddSource(far-Window, []byte{1}, nil))
	require.Equal(t, Taken, s.d.AddSource(far-Window+1, []byte{1}, nil))
}

func TestExpiredSourcesAreForgotten(t *testing.T) {
	s := newStream(t, 50)
	s.d.Expire(10) // nothing is there yet
	s.send(20, 3, 15)
	s.symbol(50, 20, 0)
	s.d.Expire(54)
	s.check()
	s.d.Expire(52) // it is not taken back
	require.Equal(t, Late, s.arrive(53))
	require.Equal(t, Late, s.symbol(53, 17, 1))
	require.Equal(t, Taken, s.symbol(54, 16, 1))
	s.recovers(65)
	s.d.Expire(200)
	s.check()
	require.Equal(t, Late, s.arrive(69))
	require.Equal(t, Taken, s.d.AddSource(70, []byte{1}, nil))
}

func TestExpiredSourcesAreNotReturned(t *testing.T) {
	s := newStream(t, 0)
	s.send(5, 1)
	s.symbol(0, 5, 0)
	s.d.Expire(2)
	s.recovers()
}

// TestMalformedSymbolsChangeNothing is for what a sender does not make.
//
// spec: FEC-6
func TestMalformedSymbolsChangeNothing(t *testing.T) {
	s := newStream(t, 0)
	s.send(8, 3)
	before := s.d
	for name, r := range map[string]Result{
		"no source":         s.d.AddSymbol(0, 0, 0, make([]byte, 20)),
		"too many sources":  s.d.AddSymbol(0, Window+1, 0, make([]byte, 20)),
		"no such seed":      s.d.AddSymbol(0, 8, Seeds, make([]byte, 20)),
		"the largest seed":  s.d.AddSymbol(0, 8, 255, make([]byte, 20)),
		"no data":           s.d.AddSymbol(0, 8, 0, nil),
		"only a length":     s.d.AddSymbol(0, 8, 0, make([]byte, 2)),
		"too much data":     s.d.AddSymbol(0, 8, 0, make([]byte, MaxSymbol+1)),
		"far and malformed": s.d.AddSymbol(1000, 0, 0, make([]byte, 20)),
		"an empty source":   s.d.AddSource(3, nil, nil),
		"a large source":    s.d.AddSource(3, make([]byte, 5), make([]byte, MaxContent-4)),
	} {
		require.Equal(t, Malformed, r, name)
	}
	require.Equal(t, before, s.d)
	s.symbol(0, 8, Seeds-1)
	s.recovers(3)
}

// TestSymbolsThatContradictAreDropped: they never give a content that nobody sent where there is
// something to hold them against.
//
// spec: FEC-10
func TestSymbolsThatContradictAreDropped(t *testing.T) {
	vector := func(b ...byte) []byte { return append([]byte{0, byte(len(b))}, b...) }
	code := func(seed uint8, sequence uint16, v []byte) []byte { return refAdd(nil, coefficient(seed, sequence), v) }

	t.Run("shorter than a source that it covers", func(t *testing.T) {
		s := newStream(t, 0)
		s.send(8, 0, 1) // with one symbol for two losses, nothing else can show
		good := s.e.AppendSymbol(nil, 0, 8, 0)
		require.Equal(t, Contradictory, s.d.AddSymbol(0, 8, 0, good[:len(good)-1]))
		s.symbol(0, 8, 0)
		s.recovers()
		s.symbol(0, 8, 1)
		s.recovers(0, 1)
	})
	t.Run("other data for the same", func(t *testing.T) {
		s := newStream(t, 0)
		s.send(8, 3, 4)
		bad := s.e.AppendSymbol(nil, 0, 8, 0)
		require.Equal(t, Taken, s.d.AddSymbol(0, 8, 0, bad))
		bad[5]++
		require.Equal(t, Contradictory, s.d.AddSymbol(0, 8, 0, bad))
		require.Equal(t, Contradictory, s.d.AddSymbol(0, 8, 0, append(bad, 1)))
		s.check()
		s.symbol(0, 8, 1)
		s.recovers(3, 4)
	})
	for name, v := range map[string][]byte{
		"a length of nothing":             {0, 0, 0},
		"a length beyond the data":        {0, 9, 1, 2, 3},
		"padding that is not zero":        {0, 2, 1, 2, 0, 7},
		"a length of more than there are": {0xff, 0xff, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var d Decoder
			require.Equal(t, Contradictory, d.AddSymbol(9, 1, 3, code(3, 9, v)))
			require.NoError(t, broken(&d))
			requireNoNext(t, &d)
			require.Equal(t, Taken, d.AddSymbol(9, 1, 4, code(4, 9, vector(1, 2, 3))), "the place is free again")
			requireNext(t, &d, 9, []byte{1, 2, 3})
		})
	}
	t.Run("a source shows that a symbol was wrong", func(t *testing.T) {
		s := newStream(t, 0)
		s.send(8, 3, 4)
		bad := s.e.AppendSymbol(nil, 0, 8, 0)
		bad[0]++ // the length of one of them
		require.Equal(t, Taken, s.d.AddSymbol(0, 8, 0, bad))
		require.Equal(t, Contradictory, s.arrive(3), "but it stays")
		require.Equal(t, Needless, s.arrive(3))
		s.recovers()
		s.symbol(0, 8, 1)
		s.recovers(4)
	})
	t.Run("padding of a known source is allowed", func(t *testing.T) {
		var d Decoder
		require.Equal(t, Taken, d.AddSymbol(9, 1, 3, code(3, 9, append(vector(5), 0, 0, 0))))
		requireNext(t, &d, 9, []byte{5})
	})
}

func TestDuplicatesOfASourceChangeNothing(t *testing.T) {
	s := newStream(t, 0)
	s.send(8, 3)
	require.Equal(t, Needless, s.d.AddSource(2, []byte("something else"), nil))
	s.symbol(0, 8, 0)
	s.recovers(3)
}

func TestResultsHaveNames(t *testing.T) {
	require.Equal(t, "taken needless late malformed contradictory 9",
		fmt.Sprint(Taken, Needless, Late, Malformed, Contradictory, Result(9)))
}

func TestNonzeroFindsEachFactor(t *testing.T) {
	for i := range Window {
		for c := 1; c < 256; c++ {
			factors := [Window]byte{}
			factors[i] = byte(c)
			require.Equal(t, bit(i), nonzero(&factors))
		}
	}
	require.Equal(t, ^set(0), nonzero((*[Window]byte)(bytes.Repeat([]byte{0x80}, Window))))
	require.Zero(t, nonzero(&[Window]byte{}))
}

// TestAttack26HostileSymbolsCostBoundedMemoryAndWork: a peer that sends whatever it likes.
//
// spec: FEC-8 FEC-9
func TestAttack26HostileSymbolsCostBoundedMemoryAndWork(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	data := randomBytes(rng, MaxSymbol)
	var d Decoder
	most, results := 0, make(map[Result]int)
	sequence := uint16(0)
	for range 100_000 {
		var r Result
		if rng.IntN(3) == 0 {
			r = d.AddSource(sequence-uint16(rng.IntN(70)), data[:1+rng.IntN(MaxContent)], nil)
		} else {
			r = d.AddSymbol(sequence-uint16(rng.IntN(70)), uint8(rng.IntN(68)), uint8(rng.IntN(196)), data[:rng.IntN(MaxSymbol+2)%MaxSymbol])
		}
		require.NoError(t, broken(&d))
		results[r]++
		most = max(most, d.work)
		for ok := true; ok; {
			_, _, ok = d.Next()
		}
		if rng.IntN(4) == 0 {
			sequence += uint16(rng.IntN(3))
		}
		if rng.IntN(5000) == 0 {
			sequence += uint16(rng.Uint32())
		}
	}
	require.Len(t, results, 5, "every result occurs: %v", results)
	require.Greater(t, most, Window/2, "the work is done at all")
	t.Logf("at most %d vector operations in a call; %v", most, results)
}

func TestTheDecoderAllocatesNothing(t *testing.T) {
	var e Encoder
	var d Decoder
	content := bytes.Repeat([]byte{7}, 1250)
	symbol := make([]byte, 0, MaxSymbol)
	round := func() {
		for i := range uint16(Window) {
			content[0]++
			if s := e.Add(content[:3], content[3:]); i%5 != 0 {
				d.AddSource(s, content[:3], content[3:])
			}
			if first, count := e.Held(); i%4 == 0 {
				symbol = e.AppendSymbol(symbol[:0], first, uint8(count), e.seed)
				d.AddSymbol(first, uint8(count), e.NextSeed(), symbol)
			}
			for ok := true; ok; {
				_, _, ok = d.Next()
			}
		}
	}
	round()
	round()
	require.Zero(t, testing.AllocsPerRun(20, round))
}
