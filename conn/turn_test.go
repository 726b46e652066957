package conn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// spec: SESS-31
func TestATurnIsOverAfterItsLengthOfWork(t *testing.T) {
	var turn turn
	now := monotime.Time(time.Hour)
	work := func(idle, d time.Duration) bool {
		now = now.Add(idle + d)
		return turn.over(now.Add(-d), now)
	}
	require.False(t, work(0, turnLength-1))
	require.False(t, work(time.Second, 0), "it waited for work")
	require.True(t, work(0, 1))
	require.False(t, work(0, turnLength/2), "the next one")
	require.False(t, work(turnPause-1, turnLength/2-turnPause))
	require.True(t, work(1, 0), "what lies between two pieces belongs to them")
	require.True(t, work(0, 3*turnLength))
	require.False(t, work(0, turnLength-1), "a long piece is the end of one turn")

	turn.paused = 5 * turnLength
	require.False(t, work(0, 4*turnLength), "it had no processor for long")
	require.True(t, work(0, turnLength))
	turn.paused = time.Hour
	require.True(t, work(0, longestTurn), "the machine was stopped")
}

// spec: SESS-31
func TestNobodyPausesForSessionsThatAreNotInUse(t *testing.T) {
	now := monotime.Time(time.Hour)
	e := &Endpoint{start: time.Now()}
	require.False(t, e.inUse(now), "there never was one")
	e.served.Store(int64(now))
	require.True(t, e.inUse(now.Add(servedFor)))
	require.False(t, e.inUse(now.Add(servedFor+1)))

	e.served.Store(int64(e.now()))
	turn := &turn{endpoint: e}
	later := e.now().Add(time.Hour)
	require.Equal(t, later, turn.giveWay(later.Add(-turnLength), later))
	served := monotime.Time(e.served.Load())
	turn.last = 0
	require.GreaterOrEqual(t, turn.giveWay(served.Add(-turnLength), served), served.Add(turnPause))
	require.GreaterOrEqual(t, turn.paused, turnPause)
}
