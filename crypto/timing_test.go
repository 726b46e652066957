//go:build godwit_timing

package crypto

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The statistical half of attack 21, which wants a quiet machine and half a minute:
//
//	go test ./crypto -tags godwit_timing -run Timing -v
//
// For each pair of inputs that an attacker could want to tell apart, a million openings of each are
// timed in random order, by twenty receivers one after the other. The differences of the means that the
// receivers show go into a t-test: where the keys of a single receiver happen to lie in memory makes a
// third of a nanosecond either way, which Welch's test over all openings would take for a leak. The
// slowest tenth is cut off first, as dudect does, since interrupts and the collector make it.

const (
	timingReceivers = 20
	timingRuns      = 50_000 // of each input, by each receiver
	// timingBound is the usual bound of t: above it, the two differ with near certainty.
	timingBound = 4.5
	// timingTries allows for a noisy neighbour: a real leak shows every time.
	timingTries = 3
)

func TestAttack21TimingOfForgedPackets(t *testing.T) {
	for _, suite := range bothSuites {
		packet := newPair(t, suite).seal(0, 1, string(make([]byte, 200)))
		flipped := func(at int, bit byte) []byte {
			b := bytes.Clone(packet)
			b[at] ^= bit
			return b
		}
		firstTag, lastTag := len(packet)-TagSize, len(packet)-1
		for name, inputs := range map[string][2][]byte{
			"first and last byte of the tag":          {flipped(firstTag, 1), flipped(lastTag, 1)},
			"tag and first byte of the ciphertext":    {flipped(lastTag, 1), flipped(testPNOff+sampleOffset+sampleSize, 1)},
			"current phase and the other":             {flipped(lastTag, 1), flippedPhase(flipped(lastTag, 1))},
			"the same input twice, as a counter-test": {flipped(lastTag, 1), flipped(lastTag, 1)},
		} {
			t.Run(fmt.Sprintf("%v, %s", suite, name), func(t *testing.T) { requireSameTime(t, suite, inputs) })
		}
	}
}

// flippedPhase flips the phase bit, whose mask does not change with it.
func flippedPhase(packet []byte) []byte {
	packet[0] ^= phaseBit
	return packet
}

func requireSameTime(t *testing.T, suite Suite, inputs [2][]byte) {
	var value float64
	for range timingTries {
		var differences []float64
		for range timingReceivers {
			differences = append(differences, difference(timeOpenings(t, suite, inputs)))
		}
		mean, spread := meanAndVariance(differences)
		value = mean / math.Sqrt(spread/timingReceivers)
		t.Logf("t = %.2f, difference of the means %.2f ns", value, mean)
		if math.Abs(value) < timingBound {
			return
		}
	}
	require.Less(t, math.Abs(value), timingBound)
}

// timeOpenings returns the times in ns that opening each of two forged packets took one receiver.
func timeOpenings(t *testing.T, suite Suite, inputs [2][]byte) (times [2][]float64) {
	r := newPair(t, suite).recv
	random := rand.New(rand.NewPCG(21, uint64(time.Now().UnixNano())))
	work := make([]byte, len(inputs[0]))
	for range 2 * timingRuns {
		which := random.IntN(2)
		copy(work, inputs[which])
		start := time.Now()
		pnLen, _, phase, _ := r.Unmask(work, testPNOff)
		_, _, err := r.OpenPacket(work, testPNOff, pnLen, phase, 0, 1)
		took := time.Since(start)
		if err == nil {
			t.Fatal("a forged packet was opened")
		}
		times[which] = append(times[which], float64(took))
	}
	return times
}

// difference returns the difference of the means in ns, without the times above the ninth decile of
// both together.
func difference(times [2][]float64) float64 {
	limit := ninthDecile(times)
	var mean [2]float64
	for i := range times {
		mean[i], _ = meanAndVariance(slices.DeleteFunc(times[i], func(x float64) bool { return x > limit }))
	}
	return mean[0] - mean[1]
}

func meanAndVariance(samples []float64) (mean, variance float64) {
	for i, x := range samples {
		delta := x - mean
		mean += delta / float64(i+1)
		variance += delta * (x - mean)
	}
	return mean, variance / float64(len(samples)-1)
}

// ninthDecile counts times by the nanosecond, which is their resolution.
func ninthDecile(times [2][]float64) float64 {
	var histogram [1 << 16]int
	total := 0
	for _, samples := range times {
		for _, x := range samples {
			histogram[min(int(x), len(histogram)-1)]++
			total++
		}
	}
	seen := 0
	for ns, count := range histogram {
		if seen += count; seen >= total*9/10 {
			return float64(ns)
		}
	}
	return math.Inf(1)
}
