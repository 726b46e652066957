package alarm_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/bench/alarm"
)

func TestAnAlarmNeverGoesOffEarly(t *testing.T) {
	a, err := alarm.New()
	require.NoError(t, err)
	defer a.Close()
	for _, d := range []time.Duration{-time.Second, 0, 30 * time.Microsecond, time.Millisecond, 300 * time.Microsecond} {
		at := alarm.Now() + d
		require.NoError(t, a.Wait(at))
		require.GreaterOrEqual(t, alarm.Now(), at, d)
	}
}

func TestAnAlarmThatIsClosedDoesNotWait(t *testing.T) {
	a, err := alarm.New()
	require.NoError(t, err)
	require.NoError(t, a.Close())
	require.Error(t, a.Wait(alarm.Now()+time.Hour))
}
