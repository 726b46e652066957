package congestion

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Rules of RFC 9438 that cubic_test.go does not play. Sections are the RFC's.

// inAvoidance is a flow in congestion avoidance whose last loss was at a window of n packets.
func inAvoidance(t *testing.T, rtt time.Duration, n int) (*flow, *Cubic) {
	f, cc := newFlow(t, rtt)
	f.growTo(n)
	f.lose()
	f.ack(1, false, f.cc.Window())
	return f, cc
}

// Section 4.2: the target is never below the window, nor half a window above it, however late the
// acknowledgement.
func TestTheTargetIsBetweenTheWindowAndHalfMore(t *testing.T) {
	f, cc := inAvoidance(t, 100*time.Millisecond, 100)
	f.now = f.now.Add(time.Minute) // far up the curve
	before := cc.window
	f.ack(10, false, cc.Window())
	require.InDelta(t, 0.5*10*testMSS, cc.window-before, 1, "half a packet for each")

	f, cc = inAvoidance(t, 100*time.Millisecond, 100)
	cc.window += 20 * testMSS // above the curve
	cc.wEst = 0
	before = cc.window
	f.ack(1, false, cc.Window())
	require.Equal(t, before, cc.window)
}

// Section 4.3: in the region of Reno the window is its estimate.
func TestTheFasterOfReno(t *testing.T) {
	_, cc := inAvoidance(t, 100*time.Millisecond, 100)
	cc.wEst = 90 * testMSS
	require.Less(t, cc.curve(0.1), cc.wEst)
	cc.ackedAvoidance(cc.lastAck.Add(100*time.Millisecond), testMSS)
	require.InDelta(t, (90+cubicAlpha/70)*testMSS, cc.window, 2)
	require.InDelta(t, 0.529, cubicAlpha, 0.001)
	cc.wEst = 101 * testMSS
	before := cc.wEst
	cc.growEstimate(testMSS)
	require.InDelta(t, testMSS*testMSS/cc.window, cc.wEst-before, 0.001, "alpha is 1 above the window of the loss")
}

// Sections 4.6 and 4.7.
func TestALossSetsThePlateauWhereItWas(t *testing.T) {
	f, cc := newFlow(t, 50*time.Millisecond)
	f.growTo(100)
	f.lose()
	require.InEpsilon(t, 100*testMSS, cc.wMax, 0.001)
	require.InEpsilon(t, 100*testMSS, cc.prior, 0.001)
	cc.window = 120 * testMSS
	f.lose()
	require.InEpsilon(t, 120*testMSS, cc.wMax, 0.001, "past the old plateau there is nothing to make room for")
}

// Section 4.6: two packets are the floor, of the window and of the threshold. RFC 9002, section 7.2, makes
// it the floor for marks too, where RFC 9438 allows one.
func TestTheWindowIsNeverBelowTwoPackets(t *testing.T) {
	f, cc := newFlow(t, 50*time.Millisecond)
	for range 20 {
		f.lose()
	}
	require.Equal(t, 2*testMSS, cc.Window())
	f.cc.Lost(LossSample{Now: f.now, ECN: 1, Episode: true, PriorInFlight: cc.Window()})
	require.Equal(t, 2*testMSS, cc.Window())
	require.Equal(t, 2.0*testMSS, cc.ssthresh)
}

// Section 4.6: a window that was not used is no window that the path carried.
func TestALossOfALimitedFlowCountsWhatWasInFlight(t *testing.T) {
	f, cc := inAvoidance(t, 50*time.Millisecond, 100)
	f.limited = true
	f.ack(1, false, 20*testMSS)
	f.cc.Lost(LossSample{Now: f.now, Bytes: testMSS, Packets: 1, Episode: true, PriorInFlight: 20 * testMSS})
	require.Equal(t, 14*testMSS, cc.Window())
}

// Section 4.8: after persistent congestion, slow start ends at beta of the window that it found, and there
// the curve begins at its plateau.
func TestTheCurveBeginsAtItsPlateauAfterPersistentCongestion(t *testing.T) {
	f, cc := newFlow(t, 50*time.Millisecond)
	f.growTo(100)
	f.cc.Lost(LossSample{Now: f.now, Bytes: 90 * testMSS, Packets: 90, Episode: true, Persistent: true})
	require.InEpsilon(t, 70*testMSS, cc.ssthresh, 0.001)
	for cc.slowStart() {
		f.round()
	}
	f.ack(1, false, cc.Window())
	require.Zero(t, cc.k)
	require.InEpsilon(t, 70*testMSS, cc.wMax, 0.03)
	require.InEpsilon(t, 70*testMSS, cc.wEst, 0.03)
	require.InEpsilon(t, 100*testMSS, cc.prior, 0.001)
}

// Section 4.9.2: after a spurious loss the window goes on along the curve that it was on.
func TestUndoGoesBackToTheCurve(t *testing.T) {
	f, cc := inAvoidance(t, 100*time.Millisecond, 1000)
	for range 110 {
		f.round() // past the plateau, where the curve turns up
	}
	require.Greater(t, cc.window, cc.wMax)
	before := cc.cubicState
	f.lose()
	f.ack(1, false, cc.Window())
	require.NotEqual(t, before.epoch, cc.epoch)
	f.cc.Undo(f.now)
	require.Equal(t, before, cc.cubicState)
	f.round()
	at := f.now.Sub(before.epoch).Seconds() + 0.1
	require.InEpsilon(t, cc.curve(at), cc.window, 0.01)
}

// Section 4.9.2: a window that has come further than before the loss keeps everything.
func TestUndoAfterTheWindowCameFurtherChangesNothing(t *testing.T) {
	f, cc := inAvoidance(t, 100*time.Millisecond, 100)
	f.lose()
	cc.window = 300 * testMSS
	before := cc.cubicState
	f.cc.Undo(f.now)
	require.Equal(t, before, cc.cubicState)
}

// Section 4.10: HyStart++ ended slow start without a loss.
func TestTheCurveBeginsAtItsPlateauWhereSlowStartEnded(t *testing.T) {
	f, cc := newFlow(t, 40*time.Millisecond)
	f.growTo(100)
	cc.hystart.certain = true
	f.ack(1, false, cc.Window())
	require.False(t, cc.slowStart())
	require.Equal(t, cc.window, cc.ssthresh)
	require.Equal(t, cc.window, cc.wMax)
	require.Equal(t, cc.window, cc.prior)
	f.ack(1, false, cc.Window())
	require.Zero(t, cc.k)
}

// Section 5.8: what is idle does not move along the curve, and does not lose its window.
func TestIdlenessLeavesTheWindowAsItIs(t *testing.T) {
	f, cc := inAvoidance(t, 100*time.Millisecond, 100)
	f.round()
	before := cc.window
	f.now = f.now.Add(time.Hour)
	f.limited = true
	f.ack(1, true, testMSS)
	require.Equal(t, before, cc.window)
	f.limited = false
	f.ack(1, false, cc.Window())
	require.Less(t, cc.window-before, 0.5*testMSS)
}

// RFC 9406, section 4.3: HyStart++ is for the first slow start only.
func TestALaterSlowStartGoesToItsThresholdWhateverTheRTT(t *testing.T) {
	f, cc := newFlow(t, 40*time.Millisecond)
	f.growTo(100)
	f.cc.Lost(LossSample{Now: f.now, Bytes: testMSS, Packets: 1, Episode: true, Persistent: true})
	require.False(t, math.IsInf(cc.ssthresh, 1))
	for cc.slowStart() {
		f.rtt = f.rtt * 3 / 2
		f.round()
		require.Equal(t, hystart{}, cc.hystart)
	}
	f.wantWindow(70, 0.03, "beta of what it was")
}

// RFC 9406, section 4.3: loss and marks end slow start, doubt or not.
func TestLossEndsSlowStartAndItsDoubts(t *testing.T) {
	for _, s := range []LossSample{{Packets: 1, Bytes: testMSS, Episode: true}, {ECN: 1, Episode: true}} {
		f, cc := newFlow(t, 40*time.Millisecond)
		f.growTo(100)
		cc.hystart.css, cc.hystart.cssRounds = true, 2
		s.Now, s.PriorInFlight = f.now, cc.Window()
		f.cc.Lost(s)
		require.False(t, cc.slowStart())
		require.Equal(t, hystart{}, cc.hystart)
	}
}

// RFC 9406, section 4.2: the round in which doubt arose counts as one of the five.
func TestTheRoundInWhichADoubtArisesCounts(t *testing.T) {
	h := &hystart{}
	h.rounds(40*ms, 46*ms)
	require.True(t, h.css)
	for range hystartRounds {
		require.False(t, h.over())
		h.startRound()
	}
	require.True(t, h.over())
}
