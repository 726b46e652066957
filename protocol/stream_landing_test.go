package protocol

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// filledPair returns two sessions of which the client has sent the server bulk data on stream 0 before.
func filledPair(t *testing.T) *pair {
	p := newPair(t, func(c, s *Config, _ *EndpointConfig) { c.MaxDatagram, s.MaxDatagram = 1452, 1452 })
	p.connect()
	p.transfer(p.cs.Stream0(), func() *Stream { return p.ss.Stream0() }, 1<<20, false)
	return p
}

// landed gives a datagram to the server and reports whether its data was opened somewhere else than where it came.
func (p *pair) landed(data []byte) bool {
	came := bytes.Clone(data)
	p.ss.HandleDatagram(p.now, Datagram{Data: data, Addr: AddrPair{Remote: p.clientAddr}})
	return bytes.Equal(came[20:], data[20:])
}

// write has the client write to its stream 0, and returns the datagrams that leave at once.
func (p *pair) write(data []byte) (datagrams [][]byte) {
	_, err := p.cs.Stream0().Write(data)
	require.NoError(p.t, err)
	return p.pump(p.cs)
}

func TestDataLandsWhereItsStreamKeepsIt(t *testing.T) {
	p, data := filledPair(t), pattern(0, 40_000)
	count := 0
	for _, b := range p.write(data) {
		if p.landed(b) {
			count++
		}
	}
	require.Greater(t, count, 15, "all that lie in one block")
	got := make([]byte, len(data))
	n, err := p.ss.Stream0().Read(got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got[:n]))
}

func TestDataLandsInTheMemoryOfAReadThatWaits(t *testing.T) {
	p, data := filledPair(t), pattern(0, 40_000)
	lent := make([]byte, 30_000)
	p.ss.Stream0().Lend(lent)
	var landed []bool
	for _, b := range p.write(data) {
		landed = append(landed, p.landed(b))
	}
	require.False(t, landed[0], "there is no room for a header before the first byte")
	for _, l := range landed[1:20] {
		require.True(t, l)
	}
	require.Equal(t, len(lent), p.ss.Stream0().Reclaim())
	require.True(t, bytes.Equal(data[:len(lent)], lent))
	rest := make([]byte, len(data))
	n, err := p.ss.Stream0().Read(rest)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data[len(lent):], rest[:n]))
}

// Whatever was expected and did not come must leave no trace in what a stream holds.
func TestDataThatDoesNotComeAsExpectedLeavesTheRestAsItIs(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := filledPair(t)
		first, err := p.cs.OpenStream(false)
		require.NoError(t, err)
		second, err := p.cs.OpenStream(false)
		require.NoError(t, err)
		streams := []*Stream{first, second}
		var written [2]int
		var got [2][]byte
		lent := make([][]byte, 2)
		var late [][]byte
		for round := 0; round < 60 || len(got[0]) < written[0] || len(got[1]) < written[1]; round++ {
			require.Less(t, round, 600)
			for i, s := range streams {
				if n := r.IntN(30_000); round < 60 && r.IntN(3) > 0 {
					k, err := s.Write(pattern(written[i], n))
					require.NoError(t, err)
					written[i] += k
				}
			}
			for _, b := range append(late, p.pump(p.cs)...) {
				late = nil
				switch r.IntN(20) {
				case 0: // lost
				case 1:
					late = append(late, b)
				case 2:
					forged := bytes.Clone(b)
					forged[len(b)-1-r.IntN(len(b)/2)] ^= 1
					p.give(p.ss, forged, p.clientAddr)
					p.give(p.ss, b, p.clientAddr)
				case 3:
					p.give(p.ss, bytes.Clone(b), p.clientAddr)
					p.give(p.ss, b, p.clientAddr)
				default:
					p.give(p.ss, b, p.clientAddr)
				}
			}
			for i, s := range streams {
				far := p.ss.streams.table[s.id]
				if far == nil {
					continue
				}
				if lent[i] != nil {
					got[i] = append(got[i], lent[i][:far.Reclaim()]...)
					lent[i] = nil
				}
				buf := make([]byte, r.IntN(40_000))
				if n, _ := far.Read(buf); n > 0 {
					got[i] = append(got[i], buf[:n]...)
				} else if len(buf) > 0 && r.IntN(2) == 0 {
					lent[i] = buf
					far.Lend(buf)
				}
			}
			p.now = p.now.Add(5 * time.Millisecond)
			for _, b := range p.pump(p.ss) {
				p.give(p.cs, b, p.serverAddr)
			}
			p.cs.HandleTimeout(p.now)
			p.ss.HandleTimeout(p.now)
		}
		for i := range got {
			require.True(t, bytes.Equal(pattern(0, written[i]), got[i]), "seed %d, stream %d", seed, i)
		}
	}
}
