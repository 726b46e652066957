package sim

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed" // the stored trace
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

const (
	traceStarlink = "starlink"
	traceLTE      = "lte"

	// opportunityBytes is what one line of a mahimahi trace carries: an IP packet of 1500 bytes, or as
	// many smaller ones as fit.
	opportunityBytes = 1500

	maxTraceMillis = 60 * 60 * 1000 // an hour: a trace takes 2 bytes for each ms, whatever the file's size
	maxPerMillis   = math.MaxUint16
)

// A Trace says when a link may deliver: how many opportunities of 1500 bytes each millisecond has. It
// begins again when it ends. It is never changed once made, so links can share it.
type Trace struct {
	slots  []uint16        // opportunities in each ms
	total  int             // sum of slots
	delays []time.Duration // one-way delay, one for each delayStep; empty: none
}

// delayStep is the spacing of a trace's delays.
const delayStep = 10 * time.Millisecond

// Duration returns how long the trace lasts before it begins again.
func (t *Trace) Duration() time.Duration { return time.Duration(len(t.slots)) * time.Millisecond }

// Rate returns the mean rate in bit/s.
func (t *Trace) Rate() float64 {
	return float64(t.total) * opportunityBytes * 8 / t.Duration().Seconds()
}

// meanDelay returns the mean of the delays that come with the trace.
func (t *Trace) meanDelay() time.Duration {
	var sum time.Duration
	for _, d := range t.delays {
		sum += d
	}
	return sum / time.Duration(max(len(t.delays), 1))
}

// delayAt returns the trace's one-way delay at a time since its start.
func (t *Trace) delayAt(since time.Duration) time.Duration {
	if len(t.delays) == 0 {
		return 0
	}
	return t.delays[int(since/delayStep)%len(t.delays)]
}

// ParseTrace reads a trace in the mahimahi format: one whole number of milliseconds a line, not
// falling, each an opportunity to deliver 1500 bytes. The last stamp is the length of the trace.
// An error names the line.
func ParseTrace(r io.Reader) (*Trace, error) {
	t := &Trace{}
	scanner := bufio.NewScanner(r)
	last := uint64(0)
	for line := 1; scanner.Scan(); line++ {
		text := bytes.TrimSpace(scanner.Bytes())
		if len(text) == 0 {
			continue
		}
		ms, err := strconv.ParseUint(string(text), 10, 32)
		if err != nil || ms > maxTraceMillis {
			return nil, fmt.Errorf("line %d: write a time in ms up to %d, not %.20q", line, maxTraceMillis, text)
		}
		if ms < last {
			return nil, fmt.Errorf("line %d: %d ms after %d ms: sort the times", line, ms, last)
		}
		last = ms
		if err := t.addOpportunity(int(ms)); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, err
	}
	if last == 0 {
		return nil, errors.New("no time above 0 ms: a trace needs at least one")
	}
	return t, nil
}

// addOpportunity counts one opportunity at ms, which ends slot ms-1. Stamp 0 counts for the first slot.
func (t *Trace) addOpportunity(ms int) error {
	slot := max(ms-1, 0)
	for len(t.slots) <= slot {
		t.slots = append(t.slots, 0)
	}
	if t.slots[slot] == maxPerMillis {
		return fmt.Errorf("more than %d opportunities in one ms", maxPerMillis)
	}
	t.slots[slot]++
	t.total++
	return nil
}

func knownTrace(name string) bool { return name == traceStarlink || name == traceLTE }

// loadTrace returns the trace that c wants, or nil.
func loadTrace(c *Config) (*Trace, error) {
	switch {
	case c.CustomTrace != nil:
		return c.CustomTrace, nil
	case c.Trace == "":
		return nil, nil
	case c.Trace == traceStarlink:
		return starlinkTrace()
	case c.Trace == traceLTE:
		return lteTrace(c.Seed), nil
	}
	return nil, fmt.Errorf("no trace is named %q: use %s or %s", c.Trace, traceStarlink, traceLTE)
}

// Two minutes of a Starlink link, from the example of SpaceNetLab/LeoCC (data/LICENSE.starlink).
var (
	//go:embed data/starlink_bandwidth.txt.gz
	starlinkBandwidth []byte
	//go:embed data/starlink_delay.txt
	starlinkDelay []byte
)

func starlinkTrace() (*Trace, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(starlinkBandwidth))
	if err != nil {
		return nil, err
	}
	t, err := ParseTrace(unpacked)
	if err != nil {
		return nil, err
	}
	for field := range bytes.FieldsSeq(starlinkDelay) {
		ms, err := strconv.ParseUint(string(field), 10, 16)
		if err != nil {
			return nil, err
		}
		t.delays = append(t.delays, time.Duration(ms)*time.Millisecond)
	}
	return t, nil
}

// What the generator of lte draws from. The rate wanders like the cell's load, in steps: its logarithm
// is pulled back to the middle and pushed by noise. Opportunities are Poisson within a millisecond.
// Now and then the radio is gone.
const (
	lteLength     = 120_000 // ms
	lteStep       = 20      // ms between changes of the rate
	lteMiddle     = 12e6    // bit/s
	lteLow        = 1e6     // bit/s
	lteHigh       = 40e6    // bit/s
	ltePull       = 0.02    // share of the way back to the middle in a step
	lteNoise      = 0.12    // standard deviation of a step, in units of the natural logarithm
	lteOutageGap  = 10_000  // ms, mean time from the end of an outage to the next
	lteOutageRest = 1_000   // ms, shortest such time
	lteOutageMean = 350     // ms, mean length
	lteOutageMax  = 1_500   // ms, longest
)

// lteTrace generates a cellular link. One seed gives one trace.
func lteTrace(seed uint64) *Trace {
	rng := rand.New(rand.NewPCG(seed, streamTrace))
	t := &Trace{slots: make([]uint16, lteLength)}
	logRate := 0.0 // relative to the middle
	until, outage := lteNext(rng, false), false
	for ms := range t.slots {
		if ms%lteStep == 0 {
			logRate += rng.NormFloat64()*lteNoise - logRate*ltePull
			logRate = min(max(logRate, math.Log(lteLow/lteMiddle)), math.Log(lteHigh/lteMiddle))
		}
		if ms >= until {
			outage = !outage
			until = ms + lteNext(rng, outage)
		}
		if outage {
			continue
		}
		n := poisson(rng, lteMiddle*math.Exp(logRate)/1000/8/opportunityBytes)
		t.slots[ms] = uint16(n)
		t.total += n
	}
	return t
}

// lteNext returns the length in ms of the stretch that begins now.
func lteNext(rng *rand.Rand, outage bool) int {
	if outage {
		return min(int(rng.ExpFloat64()*lteOutageMean)+1, lteOutageMax)
	}
	return lteOutageRest + int(rng.ExpFloat64()*(lteOutageGap-lteOutageRest))
}

// poisson draws from the Poisson distribution by multiplying uniforms (Knuth); mean is small here.
func poisson(rng *rand.Rand, mean float64) int {
	limit, product, n := math.Exp(-mean), 1.0, 0
	for {
		product *= rng.Float64()
		if product <= limit {
			return n
		}
		n++
	}
}
