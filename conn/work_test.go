package conn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/monotime"
)

func TestFirstPacketsMayTakeAFifthOfAProcessor(t *testing.T) {
	var m workMeter
	now := monotime.Time(time.Hour)
	work := func(idle, d time.Duration) (over bool) {
		now = now.Add(idle + d)
		was := m.over
		require.Equal(t, m.spend(now.Add(-d), now), was != m.over)
		return m.over
	}
	for range 1000 {
		require.False(t, work(time.Millisecond, 200*time.Microsecond), "a sixth of the time")
	}
	for range 300 {
		work(time.Millisecond, time.Millisecond)
	}
	require.True(t, m.over, "half of the time")
	require.True(t, work(0, time.Microsecond))
	require.False(t, work(time.Minute, time.Microsecond), "it is over when the flood is")
}

func TestSlowProcessorIsMeasuredAndNotAssumed(t *testing.T) {
	var m workMeter
	now := monotime.Time(time.Hour)
	for n := 0; ; n++ {
		require.Less(t, n, 10, "ten packets of 20 ms are enough to see it")
		if m.spend(now, now.Add(20*time.Millisecond)) {
			break
		}
		now = now.Add(20 * time.Millisecond)
	}
	require.True(t, m.over)
}
