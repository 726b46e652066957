package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

func newRTT() *rttState {
	r := &rttState{}
	r.reset(0)
	return r
}

func TestAnUnknownPathIsTakenToBeSlow(t *testing.T) {
	r := newRTT()
	require.Equal(t, 333*ms, r.smoothed)
	require.Equal(t, 999*ms, r.probeTimeout())
	require.Zero(t, r.min())
	r.reset(50 * ms)
	require.Equal(t, 50*ms, r.smoothed, "unless somebody knows better")
}

// spec: REL-9
func TestTheFirstSampleIsBelieved(t *testing.T) {
	r := newRTT()
	r.update(testStart, 100*ms, 30*ms)
	require.Equal(t, 100*ms, r.smoothed, "with the delay: the minimum is not known yet")
	require.Equal(t, 50*ms, r.variance)
	require.Equal(t, 100*ms, r.min())
}

// spec: REL-9
func TestLaterSamplesMoveTheEstimateByAnEighth(t *testing.T) {
	r := newRTT()
	r.update(testStart, 100*ms, 0)
	r.update(testStart, 180*ms, 0)
	require.Equal(t, 110*ms, r.smoothed)
	require.Equal(t, 50*ms+(80*ms-50*ms)/4, r.variance)
	require.Equal(t, 180*ms, r.latest)
	require.Equal(t, 180*ms, r.reference(), "a longer round trip counts at once")
	r.update(testStart, 110*ms, 0)
	require.Equal(t, 110*ms, r.reference())
}

// spec: REL-9
func TestTheDelayThatThePeerReportsIsTakenOffButNotBelowTheMinimum(t *testing.T) {
	r := newRTT()
	r.update(testStart, 100*ms, 0)
	require.Equal(t, 100*ms, r.update(testStart, 125*ms, 25*ms))
	require.Equal(t, 100*ms, r.smoothed)
	require.Equal(t, 110*ms, r.update(testStart, 110*ms, 25*ms), "85 ms is less than was ever seen: the claim is wrong")
	require.Equal(t, 100*ms, r.min(), "the minimum ignores what peers say")
}

// spec: REL-18
func TestTheProbeTimeoutIsTheEstimateAndFourDeviations(t *testing.T) {
	r := newRTT()
	r.update(testStart, 100*ms, 0)
	require.Equal(t, 300*ms, r.probeTimeout())
	for range 200 {
		r.update(testStart, 100*ms, 0)
	}
	require.Equal(t, 101*ms, r.probeTimeout(), "a steady path: one granule of the timer")

	var l lossState
	l.rtt = *r
	l.setMaxAckDelay(25 * ms)
	require.Equal(t, 126*ms, l.pto(), "and what the peer may wait")
}

func TestTheMinimumIsForgottenAfterMinutes(t *testing.T) {
	r := newRTT()
	now := testStart
	r.update(now, 20*ms, 0)
	for range 20 {
		now = now.Add(14 * time.Second)
		r.update(now, 100*ms, 0)
	}
	require.Equal(t, 20*ms, r.min(), "280 s later")
	for range 20 {
		now = now.Add(14 * time.Second)
		r.update(now, 100*ms, 0)
	}
	require.Equal(t, 100*ms, r.min(), "the path has become longer")
}

func TestASampleOfNothingIsStillATime(t *testing.T) {
	r := newRTT()
	r.update(testStart, 0, 0)
	require.Positive(t, r.smoothed)
	require.Positive(t, r.min())
}
