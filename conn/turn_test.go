package conn

import (
	"net/netip"
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
}

func TestFirstPacketsOfASourceHaveOneHome(t *testing.T) {
	l, err := Listen("127.0.0.1:0", &Config{Shards: 3})
	require.NoError(t, err)
	defer l.Close()
	shards := l.endpoint.shards
	if shards[0].sock.Door() == nil {
		require.Same(t, shards[len(shards)-1], shards[len(shards)-1].homeOfFirst(netip.MustParseAddrPort("192.0.2.1:1")), "where the kernel put them")
		return
	}
	clients := make([]int, len(shards))
	for port := range 3000 {
		for _, ip := range []string{"192.0.2.1", "2001:db8::7"} {
			source := netip.AddrPortFrom(netip.MustParseAddr(ip), uint16(port))
			home := shards[0].homeOfFirst(source)
			require.Same(t, home, shards[1].homeOfFirst(source))
			clients[home.index]++
		}
	}
	for _, n := range clients {
		require.InDelta(t, 2000, n, 200, "%v", clients)
	}
}
