package protocol

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// told is what a handler has heard of acknowledged packets.
type told struct {
	bytes [2]rangeset     // of two streams
	fins  [2]int          // of them
	other map[uint64]bool // what else was said
	calls int
}

func (h *told) packetAcked(p *sentPacket) {
	h.calls++
	for _, f := range p.facts {
		if f.kind == factStream {
			h.bytes[f.stream.id].add(f.a, f.a+f.b>>1)
			h.fins[f.stream.id] += int(f.b & 1)
		} else {
			h.other[f.a] = true
		}
	}
	if p.covered || p.lost {
		h.other[p.pn] = true
	}
}

func (h *told) packetLost(*sentPacket)   {}
func (h *told) packetProbed(*sentPacket) {}

// acknowledged sends packets of many kinds, drawn by seed, and acknowledges some of them in frames that name at most
// most packets in a range.
func acknowledged(t *testing.T, seed, most uint64) *told {
	s := newSender(t)
	h := &told{other: map[uint64]bool{}}
	r := rand.New(rand.NewPCG(seed, 1))
	streams := []*Stream{{id: 0}, {id: 1}}
	var next [2]uint64
	const packets = 200
	for range packets {
		stream, n := streams[r.IntN(20)/19], 1+r.IntN(1400)
		pn := s.sendPacket(testSize, func(p *sentPacket) {
			p.facts = append(p.facts[:0], streamFact(stream, next[stream.id], n, r.IntN(20) == 0))
		})
		next[stream.id] += uint64(n)
		switch p := s.l.list.at(pn); r.IntN(12) {
		case 0:
			p.facts = append(p.facts, fact{kind: factMaxData, a: pn | 1<<62})
		case 1:
			p.covered = true
		case 2:
			s.l.leaveFlight(p)
			p.lost = true
		case 3:
			next[stream.id] += 10 // something else lies between
		}
	}
	for start := uint64(0); start < packets; {
		length := 1 + r.Uint64N(40)
		end := min(start+length, packets)
		for from := start; from < end; from += most {
			to := min(from+most, end)
			s.l.pass = ackPass{}
			s.l.ackRange(s.now, from, to, h)
		}
		s.l.ackRange(s.now, start, end, h) // again: nothing is told twice
		start = end + r.Uint64N(3)
	}
	require.NoError(t, s.l.checkInvariants())
	return h
}

func TestBytesThatAreAcknowledgedTogetherAreToldInLongPieces(t *testing.T) {
	for seed := range uint64(100) {
		one, many := acknowledged(t, seed, 1), acknowledged(t, seed, 200)
		require.Less(t, many.calls, one.calls*3/4, "seed %d", seed)
		many.calls = one.calls
		require.Equal(t, one, many, "seed %d", seed)
	}
}
