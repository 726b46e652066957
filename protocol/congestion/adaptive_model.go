package congestion

import (
	"math"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

const (
	// baseWindow is half of how long the smallest round trip counts. Every cut drains the queue, so
	// the true one is seen several times in it; a path that became longer is noticed within a minute.
	baseWindow = 15 * time.Second
	// baseWindowCompete is the same where others keep the queue filled, and it is not seen.
	baseWindowCompete = 60 * time.Second
	// queueWindow is half of how long the smallest round trip of late counts, as a part of the
	// smoothed one. Short enough to see a queue while it builds, long enough to look through jitter.
	queueWindow = 4
	// queueSamples are the least samples of half such a window.
	queueSamples = 3
	// peakWindow is half of how long the longest queue counts: CUBIC's sawtooth takes seconds.
	peakWindow = 10 * time.Second
	// rateRounds is over how many rounds the highest rate is remembered.
	rateRounds = 8
	// noiseWeight is the weight of one sample in the estimate of jitter.
	noiseWeight = 32
)

// pathModel is what the controller knows of the path.
type pathModel struct {
	smoothed time.Duration
	rate     float64 // bytes a second that arrived in the last round
	rates    maxFilter
	rounds   uint64
	noise    time.Duration

	baseNow, baseOld time.Duration // smallest round trip of this half window and the one before
	baseSince        monotime.Time
	near, nearOld    time.Duration // the same over a part of a round trip
	nearSince        monotime.Time
	nearSamples      int
	peak, peakOld    time.Duration // longest queue
	peakSince        monotime.Time

	roundAt    monotime.Time
	roundBytes int
}

// base is the round trip without a queue.
func (p *pathModel) base() time.Duration {
	if p.baseOld != 0 && p.baseOld < p.baseNow {
		return p.baseOld
	}
	return p.baseNow
}

// queue is how long packets of late waited.
func (p *pathModel) queue() time.Duration {
	near := p.near
	if near == 0 || p.nearOld != 0 && p.nearOld < near {
		near = p.nearOld
	}
	return max(near-p.base(), 0)
}

// longest is the longest queue of the last seconds.
func (p *pathModel) longest() time.Duration { return max(p.peak, p.peakOld) }

// best is the highest rate of the last rounds.
func (p *pathModel) best() float64 { return max(p.rates.get(), p.rate) }

func (p *pathModel) acked(s AckSample, competing bool) {
	p.smoothed = s.SmoothedRTT
	if s.RTT > 0 {
		p.sample(s.Now, s.RTT, competing)
	}
	p.roundBytes += s.Bytes
	if !s.RoundStart {
		return
	}
	p.rounds++
	if took := s.Now.Sub(p.roundAt); !p.roundAt.IsZero() && took > 0 {
		rate := float64(p.roundBytes) / took.Seconds()
		if !s.Rate.AppLimited || rate > p.rate {
			p.rate = rate
			p.rates.update(rate, p.rounds, rateRounds)
		}
	}
	p.roundAt, p.roundBytes = s.Now, 0
}

func (p *pathModel) sample(now monotime.Time, rtt time.Duration, competing bool) {
	window := baseWindow
	if competing {
		window = baseWindowCompete
	}
	if p.baseSince.IsZero() || now.Sub(p.baseSince) > window {
		p.baseOld, p.baseNow, p.baseSince = p.baseNow, rtt, now
	}
	p.baseNow = min(p.baseNow, rtt)

	if now.Sub(p.nearSince) > p.smoothed/queueWindow && p.nearSamples >= queueSamples {
		p.nearOld, p.near, p.nearSince, p.nearSamples = p.near, 0, now, 0
	}
	if p.near == 0 || rtt < p.near {
		p.near = rtt
	}
	p.nearSamples++

	near := p.near
	if p.nearOld != 0 {
		near = min(near, p.nearOld)
	}
	p.noise += (rtt - near - p.noise) / noiseWeight

	if p.peakSince.IsZero() || now.Sub(p.peakSince) > peakWindow {
		p.peakOld, p.peak, p.peakSince = p.peak, 0, now
	}
	p.peak = max(p.peak, p.queue())
}

// rebase sets the round trip without a queue.
func (p *pathModel) rebase(now monotime.Time, base time.Duration) {
	p.baseNow, p.baseOld, p.baseSince = base, 0, now
	p.peak, p.peakOld, p.peakSince = 0, 0, now
}

// restart forgets what a long silence made doubtful: all but the base.
func (p *pathModel) restart() {
	p.near, p.nearOld, p.nearSamples = 0, 0, 0
	p.peak, p.peakOld = 0, 0
	p.roundAt, p.roundBytes = 0, 0
}

const (
	// lossPackets are the fewest packets that say something about a ratio of loss.
	lossPackets = 40
	// lossMargin is how far loss may be above the floor without a word.
	lossMargin = 0.02
	// lossSigmas is how many standard deviations chance may take.
	lossSigmas = 3
	// lossRounds is how many looks in a row must find too much: one alone may have met a burst.
	lossRounds = 2
	// lossLeast is the loss that no path is trusted to stay below.
	lossLeast = 0.005
	// lossFall is the weight of a ratio below the floor.
	lossFall = 0.125
)

// lossFloor estimates the loss that has nothing to do with how much is sent.
type lossFloor struct {
	floor   float64 // the estimate, 0 to 1
	suspect float64 // the ratio that led to a cut
	excess  int     // looks in a row that found too much

	ackedPackets, lostPackets int // since the last look
}

func (l *lossFloor) acked(s AckSample) { l.ackedPackets += s.Packets }
func (l *lossFloor) lost(packets int)  { l.lostPackets += packets }
func (l *lossFloor) peek() (float64, int) {
	n := l.ackedPackets + l.lostPackets
	if n == 0 {
		return 0, 0
	}
	return float64(l.lostPackets) / float64(n), n
}

// round ends a look: it returns the ratio of what was lost, and of how many packets.
func (l *lossFloor) round() (ratio float64, n int) {
	ratio, n = l.peek()
	l.ackedPackets, l.lostPackets = 0, 0
	return ratio, n
}

// noise is how far above the floor the ratio of n packets may be by chance.
func (l *lossFloor) noise(n int) float64 {
	p := max(l.floor, lossLeast)
	return lossMargin + lossSigmas*math.Sqrt(p*(1-p)/float64(n))
}

// fall takes a ratio that can only be above the floor or at it.
func (l *lossFloor) fall(ratio float64) {
	if ratio < l.floor {
		l.floor += lossFall * (ratio - l.floor)
	}
}
