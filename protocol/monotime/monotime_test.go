package monotime

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEarliestIgnoresUnsetTimes(t *testing.T) {
	require.Equal(t, Time(0), Earliest(0, 0))
	require.Equal(t, Time(5), Earliest(5, 0))
	require.Equal(t, Time(5), Earliest(0, 5))
	require.Equal(t, Time(5), Earliest(7, 5))
}

func TestTimeMovesByDurations(t *testing.T) {
	start := Time(1)
	later := start.Add(time.Second)
	require.True(t, start.Before(later))
	require.True(t, later.After(start))
	require.Equal(t, time.Second, later.Sub(start))
}
