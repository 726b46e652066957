package protocol

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// idleServers makes sessions that said something and then nothing for a while, and returns the server's ends;
// nothing of the clients is left. with changes their configuration.
func idleServers(t *testing.T, n int, with pairOption) (servers []*Session, p *pair) {
	t.Helper()
	p = newPair(t, func(c, s *Config, e *EndpointConfig) {
		e.Retry = RetryNever
		with(c, s, e)
	})
	for range n {
		var err error
		p.cs, err = p.client.Dial(p.now, p.cs.cfg, AddrPair{Remote: p.serverAddr})
		require.NoError(t, err)
		p.ss = nil
		p.connect()
		p.say("hello, with some data that fills a buffer for a moment")
		p.answer("and an answer")
		p.run(restAfter+time.Second, func() bool { return p.ss.Resting() && p.cs.Resting() })
		require.True(t, p.ss.Resting())
		servers = append(servers, p.ss)
		delete(p.events, p.cs)
		delete(p.events, p.ss)
	}
	p.wire, p.client, p.cs, p.ss = nil, nil, nil, nil
	return servers, p
}

// A server of ten thousand players mostly holds sessions in which nothing happens. The bound is for the
// server's end, with all that its endpoint keeps for it: names, tokens, and the room that tables leave free.
func TestIdleSessionIsSmall(t *testing.T) {
	const sessions = 400
	for _, test := range []struct {
		timeout time.Duration
		most    int64
	}{
		{time.Hour, 4500},          // keepalives are rare: a session is its keys and numbers
		{time.Minute, 4500 + 1600}, // keepalives come soon: the ciphers of its packets stay
	} {
		before := heapNow()
		servers, p := idleServers(t, sessions, func(c, s *Config, _ *EndpointConfig) {
			params := DefaultParameters()
			params.IdleTimeoutMillis = uint64(test.timeout.Milliseconds())
			c.Params, s.Params = &params, &params
		})
		each := int64(heapNow()-before) / sessions
		t.Logf("%d bytes for the server's end of an idle session that times out after %v", each, test.timeout)
		require.Less(t, each, test.most)
		runtime.KeepAlive(servers)
		runtime.KeepAlive(p)
	}
}

// pingOnce has the client ask for a sign of life, and get it.
func (p *pair) pingOnce() {
	p.cs.idle.pingDue = true
	start := p.now
	if !p.run(time.Second/2, func() bool { return !p.cs.idle.asked && p.now > start }) {
		panic("the ping was not acknowledged")
	}
}

// What keeps a session alive leaves nothing awake but the ciphers of the keys in use, for the next time; what else asks
// it does not even do that.
func TestASessionRestsAgainSoon(t *testing.T) {
	p := connected(t)
	p.say("hello")
	p.answer("hello to you")
	p.run(2*restAfter, func() bool { return p.ss.Resting() && p.cs.Resting() })
	asleep := func(s *Session) bool {
		path := s.paths.active
		return s.Resting() && s.keys.recv.Resting() && s.rng.gen == nil && path.loss.lossScratch == nil && path.loss.list.slots == nil
	}
	require.True(t, asleep(p.ss))
	require.True(t, asleep(p.cs))
	require.Positive(t, p.ss.Stats().PacingRate)
	require.True(t, asleep(p.ss), "to look at it wakes nothing")

	forged := wire.AppendShort(nil, p.cs.paths.active.peerID, 7, 1, false)
	forged = append(forged, make([]byte, 64)...)
	p.give(p.ss, forged, p.clientAddr)
	require.Positive(t, p.ss.Stats().Dropped.Forged)
	_, _, ok := p.ss.AppendDatagram(p.now, nil)
	require.False(t, ok)
	require.True(t, asleep(p.ss), "a forged packet leaves nothing behind")

	for range 3 {
		p.pingOnce()
		for _, s := range []*Session{p.ss, p.cs} {
			path := s.paths.active
			require.True(t, s.Resting() && s.keys.recv.Resting() && s.rng.gen == nil && path.loss.lossScratch == nil && path.loss.list.slots == nil)
		}
		p.run(dozeFor/2, nil)
	}
	require.True(t, p.run(dozeFor+2*time.Second, func() bool { return asleep(p.ss) && asleep(p.cs) }))

	p.say("more")
	p.run(2*restSoon, func() bool { return false })
	require.False(t, p.ss.Resting(), "after data it takes longer")
	require.True(t, p.run(restAfter+time.Second, func() bool { return asleep(p.ss) && asleep(p.cs) }))
}

// Keepalives of many sessions that are due at nearly the same time are due at the same time, and none late.
func TestKeepAlivesAreDueTogether(t *testing.T) {
	for _, every := range []time.Duration{time.Second, minSlackened, 15 * time.Second} {
		due := make(map[Time]bool)
		start := Time(time.Hour)
		for after := time.Duration(0); after < time.Second; after += time.Millisecond {
			i := idleState{keepAlive: every}
			now := start.Add(after)
			i.received(now)
			due[i.ping] = true
			require.LessOrEqual(t, i.ping, now.Add(every))
			require.GreaterOrEqual(t, i.ping, now.Add(every-every/16))
		}
		if every >= minSlackened {
			require.Less(t, len(due), 10)
		}
	}
}
