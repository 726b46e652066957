package protocol

import "time"

const (
	// initialRTT is what a path is taken to be before it was measured (RFC 9002, section 6.2.2).
	initialRTT = 333 * time.Millisecond
	// timerGranularity is the least a timer of loss detection is set for: what runtimes and
	// kernels resolve (RFC 9002, section 6.1.2).
	timerGranularity = time.Millisecond
	// minRTTWindow is how long the smallest sample counts. RFC 8985, section 6.2 suggests minutes:
	// a path that became longer must be noticed some day, a queue must not raise the minimum.
	minRTTWindow = 5 * time.Minute
)

// rttState estimates the round-trip time of a path (RFC 9002, section 5).
type rttState struct {
	latest    time.Duration // last sample, acknowledgement delay included
	smoothed  time.Duration // exponentially weighted mean, acknowledgement delay taken off
	variance  time.Duration // mean deviation
	sampled   bool          // there was a sample
	firstTime Time          // when the first sample was taken

	minCurrent, minBefore time.Duration // smallest sample of this half window and the one before
	minSince              Time          // start of this half window
}

// reset forgets the path. guess stands for the round-trip time until there is a sample; 0: initialRTT.
func (r *rttState) reset(guess time.Duration) {
	if guess <= 0 {
		guess = initialRTT
	}
	*r = rttState{smoothed: guess, variance: guess / 2}
}

// min returns the smallest round-trip time of the last minutes, 0 before the first sample.
func (r *rttState) min() time.Duration {
	if r.minBefore != 0 && r.minBefore < r.minCurrent {
		return r.minBefore
	}
	return r.minCurrent
}

// reference is the round trip that loss detection measures lateness against. The larger of the
// two follows a rising delay at once and a falling one slowly (RFC 9002, section 6.1.2).
func (r *rttState) reference() time.Duration { return max(r.smoothed, r.latest) }

// probeTimeout is the probe timeout of RFC 9002, section 6.2.1, without the peer's acknowledgement
// delay and without backoff.
// spec: REL-18
func (r *rttState) probeTimeout() time.Duration {
	return r.smoothed + max(4*r.variance, timerGranularity)
}

// update takes a sample: the time from sending a packet to its acknowledgement, of which the peer
// says that it held back for ackDelay. It returns the sample as it counted.
// spec: REL-9
func (r *rttState) update(now Time, sample, ackDelay time.Duration) time.Duration {
	sample = max(sample, 1)
	r.latest = sample
	r.updateMin(now, sample)
	if !r.sampled {
		r.sampled, r.firstTime = true, now
		r.smoothed, r.variance = sample, sample/2
		return sample
	}
	// A peer that claims more than is plausible must not push the estimate below the minimum.
	if sample >= r.min()+ackDelay {
		sample -= ackDelay
	}
	deviation := r.smoothed - sample
	if deviation < 0 {
		deviation = -deviation
	}
	r.variance += (deviation - r.variance) / 4
	r.smoothed += (sample - r.smoothed) / 8
	return sample
}

func (r *rttState) updateMin(now Time, sample time.Duration) {
	if r.minSince.IsZero() || now.Sub(r.minSince) > minRTTWindow/2 {
		r.minBefore, r.minCurrent, r.minSince = r.minCurrent, sample, now
		return
	}
	r.minCurrent = min(r.minCurrent, sample)
}

// forgetMin starts the minimum anew with the last sample: after persistent congestion the path may
// be another one (RFC 9002, section 5.2).
func (r *rttState) forgetMin(now Time) {
	r.minBefore, r.minCurrent, r.minSince = 0, r.latest, now
}
