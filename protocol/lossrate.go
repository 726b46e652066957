package protocol

import (
	"math/bits"
	"time"
)

const (
	// fastPackets is how many packets the fast estimate looks back: about a second of a game's ticks, a few
	// milliseconds of bulk data. It is the bits of a word.
	fastPackets = 64
	// slowWindow is how long a window of the slow estimate is, slowPackets how many packets it has at
	// least: with fewer, a loss of one in a hundred cannot be told from none.
	slowWindow  = time.Minute
	slowPackets = 256
	// coldPackets is how many packets that arrived the slow estimate begins with. One loss among the first
	// packets of a path then counts as one in a hundred at most, and as less with every packet.
	coldPackets = 100
	// maxBurst is the longest run of losses that is told from longer ones, in packets.
	maxBurst = 32
	// coldBursts is how many runs of one packet the distribution of runs begins with.
	coldBursts = 2
	// keptBursts is how many runs are remembered with full weight: then all count half.
	keptBursts = 256
)

// lossCount is how many packets left in a while, and how many of them were lost.
type lossCount struct{ packets, lost float64 }

// lossRate estimates what share of the packets of a path is lost in the direction in which this end sends, and
// how long the runs of lost packets are. It is told the fate of every packet that carries data, in the order of
// their numbers. The zero value is a path of which nothing is known: no loss, in runs of one.
//
// The fast estimate is exact over the last packets; a window of bits rather than a moving average, so that a
// loss that proves to be none can be taken back.
type lossRate struct {
	recent uint64 // the fates of the last fastPackets, the newest in the lowest bit; 1: lost

	window, before lossCount // the current window of the slow estimate, and the one before
	since          Time      // start of the current window; 0: nothing is known

	run     int               // packets lost since the last one that arrived
	lastRun int               // the run before
	bursts  *[maxBurst]uint16 // runs by length less 1; the last also has those that are longer; nil: none
	runs    int               // sum of bursts
	inRuns  int               // packets in them
}

// arrived takes a packet that was acknowledged.
func (r *lossRate) arrived(now Time) {
	r.count(now, 0)
	if r.run > 0 {
		r.addRun(r.run)
		r.run, r.lastRun = 0, r.run
	}
}

// lost takes a packet that was declared lost.
func (r *lossRate) lost(now Time) {
	r.count(now, 1)
	r.run++
}

// takeBack takes the news that one of the last packets that were declared lost had arrived after all. Which
// one does not matter: it left the estimate of the recent ones, or was among the newest losses.
func (r *lossRate) takeBack() {
	r.recent &= r.recent - 1
	switch {
	case r.window.lost >= 1:
		r.window.lost--
	case r.before.lost >= 1:
		r.before.lost--
	}
	switch {
	case r.run > 0:
		r.run--
	case r.lastRun > 0 && r.runs > 0:
		r.dropRun(r.lastRun)
		if r.lastRun--; r.lastRun > 0 {
			r.addRun(r.lastRun)
		}
	}
}

func (r *lossRate) count(now Time, lost uint64) {
	r.recent = r.recent<<1 | lost
	if r.since.IsZero() || now.Sub(r.since) >= slowWindow && r.window.packets >= slowPackets {
		r.before, r.window, r.since = r.window, lossCount{}, now
	}
	r.window.packets++
	r.window.lost += float64(lost)
}

func (r *lossRate) addRun(n int) {
	if r.bursts == nil {
		r.bursts = new([maxBurst]uint16)
	}
	if r.runs == keptBursts {
		r.runs, r.inRuns = 0, r.inRuns/2
		for i, n := range r.bursts {
			r.bursts[i] = n / 2
			r.runs += int(n / 2)
		}
	}
	r.bursts[min(n, maxBurst)-1]++
	r.runs++
	r.inRuns += n
}

func (r *lossRate) dropRun(n int) {
	if i := min(n, maxBurst) - 1; r.bursts[i] > 0 {
		r.bursts[i]--
		r.runs--
		r.inRuns = max(r.inRuns-n, r.runs)
	}
}

// fast returns the share of the last 64 packets that was lost, 0 to 1. Packets that were never sent count
// as arrived.
func (r *lossRate) fast() float64 { return float64(bits.OnesCount64(r.recent)) / fastPackets }

// slow returns the share of the packets of the last one to two minutes that was lost, 0 to 1; where fewer
// than 256 packets leave in a minute, of as many minutes as it takes.
func (r *lossRate) slow() float64 {
	n := r.window.packets + r.before.packets
	return (r.window.lost + r.before.lost) / max(n, min(n+coldPackets, coldPackets+slowPackets))
}

// burstMean returns the mean length of runs of lost packets, at least 1.
func (r *lossRate) burstMean() float64 {
	return max(1, float64(r.inRuns+coldBursts)/float64(r.runs+coldBursts))
}

// burstQuantile returns the length in packets, 1 to maxBurst, that a share q of the runs of lost packets does
// not exceed. The last length stands for all that are longer.
func (r *lossRate) burstQuantile(q float64) int {
	if r.runs == 0 {
		return 1
	}
	need := q*float64(r.runs+coldBursts) - coldBursts
	for i, n := range r.bursts {
		if need <= 0 {
			return max(i, 1)
		}
		need -= float64(n)
	}
	return maxBurst
}
