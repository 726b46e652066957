package protocol_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/sim"
)

// bulkSession is a client that sends as fast as it may until stop.
func bulkSession(t *testing.T, seed uint64, link string) (s *simulation, session *protocol.Session, stop func()) {
	t.Helper()
	s = newSimulation(t, seed, link, "adaptive")
	stopped := false
	s.server.Event = readAll(func(int) {})
	s.client.Event = func(session *protocol.Session, e protocol.Event) {
		if !stopped && (e.Kind == protocol.EventEstablished || e.Kind == protocol.EventStreamWritable) {
			writeAll(session.Stream0())
		}
	}
	s.config.KeepAlive, s.config.MaxDatagram = 10*time.Second, 1472
	session, err := s.client.Dial(&s.config, s.server.Addr())
	require.NoError(t, err)
	return s, session, func() { stopped = true }
}

// spec: REL-29
func TestLossAtRandomAndInBurstsIsNoBlackHole(t *testing.T) {
	for _, link := range []string{"dsl,loss=20%", "dsl,good=280ms,bad=20ms,badloss=75%", "dsl,good=500ms,bad=100ms,badloss=100%"} {
		for seed := range uint64(2) {
			s, session, _ := bulkSession(t, seed, link)
			s.Run(s.Now().Add(6 * time.Second))
			st := session.Stats()
			require.Zero(t, st.BlackHoles, "%s, seed %d", link, seed)
			require.Equal(t, 1472, st.MTU, "%s, seed %d", link, seed)
		}
	}
}

// spec: REL-29
func TestAPathThatCarriesLessIsNoticedAndTriedAgainLater(t *testing.T) {
	for seed := range uint64(3) {
		s, session, stop := bulkSession(t, seed, "dsl,rate=10mbit")
		links := []*sim.Link{s.Link(s.client.Addr(), s.server.Addr()), s.Link(s.server.Addr(), s.client.Addr())}
		mtu := func(n int) {
			for _, l := range links {
				c, err := sim.ParseLink("dsl,rate=10mbit")
				require.NoError(t, err)
				c.MTU = n
				require.NoError(t, l.Configure(s.Now(), c))
			}
		}
		s.Run(s.Now().Add(2 * time.Second))
		require.Equal(t, 1472, session.Stats().MTU)
		mtu(1300 + sim.DefaultOverhead)
		narrow := s.Now()
		require.True(t, s.RunUntil(narrow.Add(time.Minute), func() bool { return session.Stats().BlackHoles > 0 }))
		require.Less(t, s.Now().Sub(narrow), 10*time.Second, "seed %d", seed)
		sent := session.Stats().BytesSent
		s.Run(s.Now().Add(2 * time.Second))
		require.GreaterOrEqual(t, session.Stats().MTU, 1252, "nearly what passes")
		require.LessOrEqual(t, session.Stats().MTU, 1300)
		require.Greater(t, session.Stats().BytesSent-sent, uint64(1_000_000), "and data flows")

		stop()
		mtu(sim.DefaultMTU)
		s.Run(s.Now().Add(11 * time.Minute))
		require.Equal(t, 1472, session.Stats().MTU, "found again after ten minutes, by a session that only pings")
	}
}
