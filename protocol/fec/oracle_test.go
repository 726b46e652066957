package fec

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// link is an encoder, a decoder and the oracle, on a path whose losses and delays a script decides. Full sequences
// begin near the wrap of the short ones.
type link struct {
	t        *testing.T
	e        Encoder
	d        Decoder
	o        *oracle
	next     int
	contents map[int][]byte
	delayed  []arrival
	back     int // sources recovered
}

// arrival is a source (count 0) or symbol on its way.
type arrival struct {
	first, count, seed int
	data               []byte
}

const linkStart = 1<<16 - 40

func newLink(t *testing.T) *link {
	return &link{t: t, e: Encoder{next: linkStart}, o: newOracle(), next: linkStart, contents: make(map[int][]byte)}
}

// send makes a source of a length, at least 1.
func (l *link) send(length int) arrival {
	content := make([]byte, length)
	for i := range content {
		content[i] = byte(l.next*31 + i*i*7 + length)
	}
	s := l.next
	require.Equal(l.t, uint16(s), l.e.Add(content, nil))
	l.contents[s] = content
	l.next++
	return arrival{first: s, data: content}
}

// repair makes a symbol over what part of the window there is of count sources that end before the last
// skip ones.
func (l *link) repair(count, skip, seed int) (arrival, bool) {
	_, held := l.e.Held()
	skip = min(skip, held)
	count = min(count, held-skip)
	if count == 0 {
		return arrival{}, false
	}
	first := l.next - skip - count
	data := l.e.AppendSymbol(nil, uint16(first), uint8(count), uint8(seed))
	return arrival{first: first, count: count, seed: seed, data: data}, true
}

// arrive gives something to decoder and oracle, and compares what they say.
func (l *link) arrive(a arrival) {
	var r Result
	var want map[int][]byte
	if a.count == 0 {
		r, want = l.d.AddSource(uint16(a.first), a.data, nil), l.o.source(a.first, a.data)
	} else {
		r, want = l.d.AddSymbol(uint16(a.first), uint8(a.count), uint8(a.seed), a.data), l.o.symbol(a.first, a.count, a.seed, a.data)
	}
	require.NotEqual(l.t, Malformed, r)
	require.NotEqual(l.t, Contradictory, r)
	require.NoError(l.t, broken(&l.d))
	last := l.o.first - 1
	for {
		short, content, ok := l.d.Next()
		if !ok {
			break
		}
		s := l.o.first + int(short-uint16(l.o.first))
		require.Greater(l.t, s, last, "the oldest first")
		require.Contains(l.t, want, s, "only what is determined comes back")
		require.Equal(l.t, l.contents[s], content, "it is what was sent")
		require.Equal(l.t, l.contents[s], want[s])
		delete(want, s)
		last = s
		l.back++
	}
	require.Empty(l.t, want, "all that is determined comes back at once")
}

func (l *link) later(a arrival) { l.delayed = append(l.delayed, a) }

func (l *link) release(i int) {
	if len(l.delayed) > 0 {
		i %= len(l.delayed)
		a := l.delayed[i]
		l.delayed = append(l.delayed[:i], l.delayed[i+1:]...)
		l.arrive(a)
	}
}

// TestEverythingThatIsDeterminedComesBackAtOnce runs random paths beside an oracle that solves all
// equations anew at each step. Lengths, losses, bursts, delays, duplicates, ranges and seeds are random;
// in a part of the runs seeds repeat, which a sender does not do.
//
// spec: FEC-7 FEC-11
func TestEverythingThatIsDeterminedComesBackAtOnce(t *testing.T) {
	back := 0
	for run := range uint64(60) {
		rng := rand.New(rand.NewPCG(run, 99))
		loss, overhead, delay := rng.Float64()*0.5, rng.Float64()*0.7, rng.Float64()*0.3
		seeds := []int{Seeds, Seeds, 3}[rng.IntN(3)]
		widest := 1 + rng.IntN(Window)
		l := newLink(t)
		burst := 0
		pass := func(a arrival) {
			if burst == 0 && rng.Float64() < loss/3 {
				burst = 1 + rng.IntN(6)
			}
			switch {
			case burst > 0:
				burst--
			case rng.Float64() < delay:
				l.later(a)
			default:
				l.arrive(a)
				if rng.IntN(20) == 0 {
					l.arrive(a)
				}
			}
			for rng.IntN(4) == 0 && len(l.delayed) > 0 {
				l.release(rng.IntN(len(l.delayed)))
			}
		}
		for range 150 {
			pass(l.send(1 + rng.IntN(12)))
			for rng.Float64() < overhead/(1+overhead) {
				if a, ok := l.repair(1+rng.IntN(widest), rng.IntN(4), rng.IntN(seeds)); ok {
					pass(a)
				}
			}
		}
		back += l.back
	}
	require.Greater(t, back, 500)
	t.Logf("%d sources came back", back)
}

// FuzzLossPatterns reads a path from bytes: what is sent, lost, delayed and repaired.
func FuzzLossPatterns(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x04\x01\x08\x00\x02\x0f\x03\x00"))
	f.Add([]byte("\x00\x01\x01\x02\x3f\x00\x00\x02\x3f\x00\x01\x02\x3f\x00\x02"))
	f.Add([]byte("\x05\x05\x05\x06\x3f\x00\x01\x06\x3f\x00\x02\x04\x00\x04\x01\x04\x02"))
	f.Fuzz(func(t *testing.T, script []byte) {
		const longest = 600 // bytes: the oracle is slow
		script = script[:min(len(script), longest)]
		take := func() int {
			if len(script) == 0 {
				return 0
			}
			b := script[0]
			script = script[1:]
			return int(b)
		}
		l := newLink(t)
		for len(script) > 0 {
			op := take()
			switch op & 7 {
			case 0: // a source arrives
				l.arrive(l.send(1 + op>>3))
			case 1: // one is lost
				l.send(1 + op>>3)
			case 2: // a symbol arrives
				if a, ok := l.repair(1+take()%Window, op>>3, take()%Seeds); ok {
					l.arrive(a)
				}
			case 3: // a burst is lost
				for range 1 + op>>3 {
					l.send(2)
				}
			case 4:
				l.release(op >> 3)
			case 5:
				l.later(l.send(1 + op>>3))
			case 6:
				if a, ok := l.repair(1+take()%Window, op>>3, take()%Seeds); ok {
					l.later(a)
				}
			case 7: // twice
				a := l.send(1 + op>>3)
				l.arrive(a)
				l.arrive(a)
			}
		}
	})
}

// FuzzDecoder gives a decoder sources and symbols that no sender made. Each has a first octet that says
// what it is, then its fields, one octet for the length of its data, and the data.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x00\x01\x03abc\x01\x00\x00\x04\x01\x05abcde\x01\x00\x00\x04\x02\x05abcde\x02\x00\x09"))
	f.Add([]byte("\x01\x00\x09\x01\x03\x05\x00\x01\x02\x03\x04\x01\x00\x09\x40\xbf\x09000000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		take := func(n int) []byte {
			p := make([]byte, n)
			b = b[copy(p, b):]
			return p
		}
		var d Decoder
		var before Decoder
		for len(b) > 0 {
			op := take(1)[0]
			sequence := binary.BigEndian.Uint16(take(2))
			before = d
			r := Malformed
			switch op & 3 {
			case 0:
				r = d.AddSource(sequence, take(int(op>>2)), take(int(take(1)[0])))
			case 1, 2:
				p := take(3)
				n := int(p[2])
				if op&4 != 0 {
					n *= 7
				}
				r = d.AddSymbol(sequence, p[0], p[1], take(n))
			case 3:
				d.Expire(sequence)
			}
			require.NoError(t, broken(&d))
			if r == Malformed && op&3 != 3 {
				require.Equal(t, before.known, d.known)
				require.Equal(t, before.rows, d.rows)
				require.Equal(t, before.end, d.end)
			}
			if op&8 != 0 {
				for ok := true; ok; {
					var content []byte
					_, content, ok = d.Next()
					require.LessOrEqual(t, len(content), MaxContent)
				}
			}
		}
	})
}
