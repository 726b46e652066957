package fec

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	update  = flag.Bool("update", false, "write golden files and vectors anew")
	sources = flag.Int("fec.sources", residualSources, "source packets for each cell of the table of residual loss; other than the default, it is only printed")
)

const (
	residualFile    = "testdata/residual.txt"
	residualSources = 20_000
	// A stream of 600 packets a second that is worth nothing 150 ms after it could have been there.
	packetsPerSecond = 600
	deadlineSlots    = 90
)

// losses is a process that loses packets: in its bad state all, in its good state none (Gilbert). With
// bursts of 1/(1-p) on average it is independent loss.
type losses struct {
	rng         *rand.Rand
	enter, stay float64
	bad         bool
}

// newLosses loses a part p of all packets, in bursts of a mean length; 0: independent ones.
func newLosses(p, burst float64, seed uint64) *losses {
	l := &losses{rng: rand.New(rand.NewPCG(seed, 17)), enter: p, stay: p}
	if burst > 0 {
		l.stay = 1 - 1/burst
		l.enter = p / (1 - p) / burst
	}
	return l
}

func (l *losses) lose() bool {
	p := l.enter
	if l.bad {
		p = l.stay
	}
	l.bad = l.rng.Float64() < p
	return l.bad
}

// residual sends sources through a real encoder and decoder, one a slot, with symbols over the newest
// window of them, evenly spaced. It returns the part that did not come within the deadline, and the
// delay in slots that 99.9 % stay below.
func residual(l *losses, window int, overhead float64, n int) (missed float64, delay int) {
	var e Encoder
	var d Decoder
	var symbol []byte
	delays := make([]int, n+deadlineSlots) // the last ones only end the run
	due := 0.0
	for slot := range delays {
		content := []byte{byte(slot), byte(slot >> 8)}
		s := e.Add(content, nil)
		delays[slot] = deadlineSlots + 1
		if !l.lose() {
			delays[slot] = 0
			d.AddSource(s, content, nil)
		}
		for due += overhead; due >= 1; due-- {
			first, held := e.Held()
			count := min(window, held)
			first += uint16(held - count)
			seed := e.NextSeed()
			symbol = e.AppendSymbol(symbol[:0], first, uint8(count), seed)
			if !l.lose() {
				d.AddSymbol(first, uint8(count), seed, symbol)
			}
		}
		for {
			q, _, ok := d.Next()
			if !ok {
				break
			}
			back := int(s - q)
			delays[slot-back] = min(delays[slot-back], back)
		}
	}
	delays = delays[:n]
	slices.Sort(delays)
	at, _ := slices.BinarySearch(delays, deadlineSlots+1)
	return float64(n-at) / float64(n), delays[n*999/1000]
}

// TestResidualLossTable computes what proactive code alone leaves, for whoever decides how much of it to
// send: -fec.sources 1000000 -v prints finer figures. A change of the code shows as a change of the file.
func TestResidualLossTable(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "Packets that miss a deadline of 150 ms, of a stream of %d packets/s, and the delay in ms that 99.9 %% stay below,\n"+
		"when every packet of the stream and its symbols is lost with the same chance, and nothing is sent again. A cell has\n"+
		"%d packets. Columns: symbols in %% of packets, evenly spaced. Rows: packets that a symbol covers.\n", packetsPerSecond, *sources)
	overheads := []float64{0.05, 0.1, 0.15, 0.2, 0.3, 0.5}
	for _, c := range []struct{ loss, burst float64 }{
		{0.01, 0}, {0.05, 0}, {0.1, 0}, {0.2, 0}, {0.01, 3}, {0.05, 3}, {0.05, 5}, {0.1, 5}, {0.2, 5},
	} {
		kind := "independent"
		if c.burst > 0 {
			kind = fmt.Sprintf("in bursts of %.0f", c.burst)
		}
		fmt.Fprintf(&b, "\n%2.0f %% loss, %-15s", c.loss*100, kind)
		for _, o := range overheads {
			fmt.Fprintf(&b, "%15.0f %%", o*100)
		}
		b.WriteByte('\n')
		for _, window := range []int{8, 16, 32, Window} {
			fmt.Fprintf(&b, "%24d", window)
			for _, o := range overheads {
				missed, delay := residual(newLosses(c.loss, c.burst, 1), window, o, *sources)
				ms := "late"
				if delay <= deadlineSlots {
					ms = fmt.Sprintf("%.0f ms", float64(delay)*1000/packetsPerSecond)
				}
				fmt.Fprintf(&b, "%10.1e %-6s", missed, ms)
			}
			b.WriteByte('\n')
		}
	}
	if *sources != residualSources {
		t.Log("\n" + b.String())
		return
	}
	if *update {
		require.NoError(t, os.WriteFile(residualFile, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(residualFile)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

// TestTheCodeNeedsNoMoreSymbolsThanItMust: over windows that slide, where no field of this size can promise it, a
// symbol that could tell something new in a larger field does so here, but for one in a thousand.
func TestTheCodeNeedsNoMoreSymbolsThanItMust(t *testing.T) {
	useful, wasted := 0, 0
	rng := rand.New(rand.NewPCG(11, 12))
	for range 300 {
		l := newLosses(0.05+0.2*rng.Float64(), 6*rng.Float64(), rng.Uint64())
		u, w := innovation(l, 0.1+0.4*rng.Float64(), 4+rng.IntN(Window-4))
		useful, wasted = useful+u, wasted+w
	}
	t.Logf("%d of %d symbols told less than they could", wasted, useful+wasted)
	require.Greater(t, useful, 5000)
	require.Less(t, float64(wasted), float64(useful)/1000)
}

// innovation counts the symbols of one run that the decoder took and those that it found needless though
// a matching says that they could have been used: whether more losses can be given to symbols that
// cover them, one each, is what decides in a field large enough.
func innovation(l *losses, overhead float64, window int) (useful, wasted int) {
	var e Encoder
	var d Decoder
	var spans [][2]int // of the symbols that told something
	var lost []int
	due := 0.0
	for s := range 3 * Window {
		e.Add([]byte{1}, nil)
		if l.lose() {
			lost = append(lost, s)
		} else {
			d.AddSource(uint16(s), []byte{1}, nil)
		}
		for due += overhead; due >= 1; due-- {
			count := min(window, s+1)
			first := s + 1 - count
			seed := e.NextSeed()
			if l.lose() {
				continue
			}
			r := d.AddSymbol(uint16(first), uint8(count), seed, e.AppendSymbol(nil, uint16(first), uint8(count), seed))
			more := append(spans, [2]int{first, s})
			possible := matching(lost, more) == len(more)
			switch {
			case r == Taken:
				useful++
				spans = more
			case possible:
				wasted++
			}
		}
		for ok := true; ok; {
			_, _, ok = d.Next()
		}
	}
	return useful, wasted
}

// matching returns how many losses can be given to spans that contain them, one each. Spans are in the
// order of both their ends, and losses ascend: so the first span that can takes each.
func matching(lost []int, spans [][2]int) (n int) {
	taken := 0
	for _, s := range lost {
		for taken < len(spans) && spans[taken][1] < s {
			taken++
		}
		if taken < len(spans) && spans[taken][0] <= s {
			n++
			taken++
		}
	}
	return n
}
