package congestion

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAdaptiveStaysBelowAPolicerThatItHasMetTwice(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.police = true
	p.run(10 * time.Second)
	dropped := p.dropped
	goodput := p.run(20 * time.Second)
	require.Greater(t, goodput, 0.85*p.rate)
	sent := goodput*20/testPacketSize + float64(p.dropped-dropped)
	require.Less(t, float64(p.dropped-dropped), 0.02*sent)
	require.InDelta(t, p.rate, a.ceiling.rate, 0.1*p.rate)
}

func TestAdaptiveNoticesThatAPolicerIsGone(t *testing.T) {
	p, a := newAdaptivePath(t)
	p.police = true
	p.run(10 * time.Second)
	p.police = false
	p.rate *= 2
	p.run(5 * time.Second)
	require.Greater(t, p.run(2*time.Second), 0.9*p.rate)
	require.False(t, a.ceiling.holds())
}

func TestACeilingHoldsLongerEachTimeThatTheSameRateMeetsIt(t *testing.T) {
	c := ceiling{suspect: 1000}
	c.confirm()
	require.False(t, c.holds(), "once may be chance")
	for _, want := range []int{8, 16, 32, 64, 64} {
		c.suspect = 1040
		c.confirm()
		require.Equal(t, want, c.left)
	}
	require.InDelta(t, 1030, c.rate, 5)
	require.InDelta(t, 1000, c.limit(5000), 5)
	require.Equal(t, 10.0, c.limit(10))
	for range 64 {
		require.True(t, c.round())
	}
	require.False(t, c.round())
	require.Equal(t, 5000.0, c.limit(5000))
	c.suspect = 500
	c.confirm()
	require.False(t, c.holds(), "another rate begins anew")
}

func TestLossBelowACeilingRefutesIt(t *testing.T) {
	c := ceiling{suspect: 1000}
	c.confirm()
	c.refute()
	require.Equal(t, 1000.0, c.rate, "it did not hold")
	c.confirm()
	c.refute()
	require.Equal(t, ceiling{}, c)
}
