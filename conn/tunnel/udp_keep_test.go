package tunnel

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn/udp"
)

// waiting is how many sockets wait for their clients.
func (k *keptFlows) waiting() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.lost)
}

// waysToLose are how the first session of a world can end.
var waysToLose = map[string]func(w *udpWorld){
	"the server knows": func(w *udpWorld) { require.NoError(w.t, w.sessions[0].CloseWithError(0, "cut")) },
	"the server does not yet": func(w *udpWorld) {
		w.wide.SetDown(true)
		require.NoError(w.t, w.sessions[0].CloseWithError(0, "cut"))
		w.wait(time.Second)
		w.wide.SetDown(false)
		w.wait(5 * time.Second)
		require.NoError(w.t, w.serving[0].session.Err())
	},
	"the network was down": func(w *udpWorld) { w.wide.SetDown(true); w.wait(IdleTimeout + time.Second); w.wide.SetDown(false) },
}

func TestATargetSeesNothingOfALostSession(t *testing.T) {
	// spec: TUN-45
	for name, lose := range waysToLose {
		t.Run(name, func(t *testing.T) {
			inUDPWorld(t, fast, allowAll, nil, func(t *testing.T, w *udpWorld) {
				w.start([]string{plainForward}, nil)
				here, there := w.socket(program), w.socket(farPort)
				w.send(here, nearPort, "before")
				_, flow := w.got(there, time.Second)
				lose(w)
				w.wait(8 * time.Second)
				require.Len(t, w.sessions, 2)
				w.send(there, flow.String(), "the target speaks first")
				got, _ := w.got(here, time.Second)
				require.Equal(t, []string{"the target speaks first"}, got)
				w.send(here, nearPort, "after")
				got, again := w.got(there, time.Second)
				require.Equal(t, []string{"after"}, got)
				require.Equal(t, flow, again, "the same port")
				w.wait(time.Minute)
				require.Zero(t, w.server.kept.waiting())
				require.Equal(t, 1, w.serving[0].udp.stats().Flows+w.serving[1].udp.stats().Flows)
			})
		})
	}
}

func TestSocketsOfLostSessionsAreNotKeptForLong(t *testing.T) {
	// spec: TUN-45
	inUDPWorld(t, fast, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward}, nil)
		here, there := w.socket(program), w.socket(farPort)
		w.send(here, nearPort, "before")
		_, flow := w.got(there, time.Second)
		w.down.Store(true)
		require.NoError(t, w.sessions[0].CloseWithError(0, "cut"))
		w.wait(keptTime - time.Second)
		require.Equal(t, 1, w.server.kept.waiting())
		w.wait(10 * time.Second)
		require.Zero(t, w.server.kept.waiting())
		w.socket(flow.String()) // it is free
	})
}

func TestOnlyTheSameClientResumesAFlowAndOnlyToItsTarget(t *testing.T) {
	// spec: TUN-45
	var k keptFlows
	target := &recorder{closed: make(chan struct{})}
	key := keptKey{testKey(1), newFlowToken(), allowedTarget}
	other := allowedTarget
	other.Port++
	k.lost = map[keptKey]lostFlow{key: {conn: target, until: time.Now().Add(time.Hour)}}
	require.Nil(t, k.take(keptKey{testKey(2), key.token, key.target}))
	require.Nil(t, k.take(keptKey{key.client, newFlowToken(), key.target}))
	require.Nil(t, k.take(keptKey{key.client, key.token, other}))
	require.Equal(t, target, k.take(key))
	require.Nil(t, k.take(key), "once")
}

func TestAFlowIsNotResumedToWhatIsNoLongerAllowed(t *testing.T) {
	// spec: TUN-45
	inUDPWorld(t, fast, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward}, nil)
		here, there := w.socket(program), w.socket(farPort)
		w.send(here, nearPort, "before")
		_, flow := w.got(there, time.Second)
		config := *w.server.config.Load()
		config.Allow = rules(t, "udp://10.2.0.1:53")
		require.NoError(t, w.sessions[0].CloseWithError(0, "cut"))
		w.server.config.Store(&config)
		w.wait(3 * time.Second)
		require.Zero(t, w.server.kept.waiting())
		w.send(here, nearPort, "after")
		got, _ := w.got(there, time.Second)
		require.Empty(t, got)
		w.socket(flow.String()) // it is free
	})
}

func TestSoManySocketsAreKept(t *testing.T) {
	// spec: TUN-45
	var k keptFlows
	for i := range maxKept + 10 {
		f := &farFlow{key: keptKey{token: flowToken{byte(i), byte(i >> 8), 1}}}
		k.enter(f)
		require.Equal(t, i < maxKept, k.leave(f, &recorder{closed: make(chan struct{})}, true), fmt.Sprint(i))
		require.False(t, k.leave(f, nil, true), "once")
	}
	k.close()
	require.Empty(t, k.lost)
	f := &farFlow{key: keptKey{target: Target{Addr: netip.IPv6Loopback()}}}
	k.enter(f)
	require.False(t, k.leave(f, nil, true), "not after the server has ended")
}

// outside writes to a port of the server's that stands for a target at the client.
const (
	reversed = "10.2.0.1:8000"
	outside  = "10.2.0.9:7000"
	inside   = "10.1.0.1:9000"
)

func TestFlowsOfReverseForwardsGoOnToo(t *testing.T) {
	// spec: TUN-49
	for name, lose := range waysToLose {
		t.Run(name, func(t *testing.T) {
			inUDPWorld(t, fast, nil, []string{"udp://10.2.0.1:8000"}, func(t *testing.T, w *udpWorld) {
				w.start(nil, []string{"udp://" + reversed + "=udp://" + inside})
				here, another, there := w.socket(outside), w.socket("10.2.0.9:7001"), w.socket(inside)
				w.send(here, reversed, "before")
				_, flow := w.got(there, time.Second)
				w.send(another, reversed, "before")
				_, second := w.got(there, time.Second)
				lose(w)
				w.wait(8 * time.Second)
				require.Len(t, w.sessions, 2)
				w.send(there, flow.String(), "the target speaks first")
				got, from := w.got(here, time.Second)
				require.Equal(t, []string{"the target speaks first"}, got)
				require.Equal(t, reversed, from.String())
				w.send(another, reversed, "after")
				got, again := w.got(there, time.Second)
				require.Equal(t, []string{"after"}, got)
				require.Equal(t, second, again, "the same port")
				w.wait(time.Minute)
				require.Zero(t, w.client.keptUDP.waiting())
				require.Equal(t, 2, w.stats(0).Flows)
				require.Equal(t, 2, w.serving[0].udp.stats().Flows+w.serving[1].udp.stats().Flows)
			})
		})
	}
}

func TestProgramsOfLostListenersAreNotRememberedForLong(t *testing.T) {
	// spec: TUN-49
	inUDPWorld(t, fast, nil, []string{"udp://10.2.0.1:8000"}, func(t *testing.T, w *udpWorld) {
		w.start(nil, []string{"udp://" + reversed + "=udp://" + inside})
		here, there := w.socket(outside), w.socket(inside)
		w.send(here, reversed, "before")
		_, _ = w.got(there, time.Second)
		w.down.Store(true)
		require.NoError(t, w.sessions[0].CloseWithError(0, "cut"))
		w.wait(keptTime + time.Second)
		require.Zero(t, w.client.keptUDP.waiting())
		w.down.Store(false)
		w.wait(10 * time.Second)
		require.Zero(t, w.serving[1].udp.stats().Flows)
		require.Zero(t, w.server.listens.flows)
		require.Empty(t, w.server.listens.lost)
	})
}

func TestOnlyTheSameClientHasItsListenerBack(t *testing.T) {
	// spec: TUN-49
	var k keptListens
	key := keptKey{testKey(1), newFlowToken(), allowedTarget}
	peers := []lostPeer{{peer: netip.MustParseAddrPort(outside), token: newFlowToken()}}
	k.lost, k.flows = map[keptKey]lostListen{key: {peers, time.Now().Add(time.Hour)}}, 1
	require.Empty(t, k.take(keptKey{testKey(2), key.token, key.target}))
	require.Empty(t, k.take(keptKey{key.client, newFlowToken(), key.target}))
	require.Empty(t, k.take(keptKey{client: key.client, target: key.target}), "one without a token is never resumed")
	require.Equal(t, peers, k.take(key))
	require.Empty(t, k.take(key), "once")
	require.Zero(t, k.flows)
}

func TestSoManyProgramsOfListenersAreRemembered(t *testing.T) {
	// spec: TUN-49
	var k keptListens
	for i := range maxKept/maxPortFlows + 1 {
		p := &udpPort{asked: listened{key: keptKey{token: flowToken{byte(i), 1}}}}
		for range maxPortFlows {
			f := &udpFlow{peerFlow: peerFlow{older: p.newest}}
			if p.newest == nil {
				p.oldest = f
			} else {
				p.newest.newer = f
			}
			p.newest = f
		}
		k.enter(p)
		k.leave(p, true)
	}
	require.Equal(t, maxKept, k.flows)
	require.Len(t, k.lost, maxKept/maxPortFlows)
	require.Empty(t, k.open)
}

func TestAListenerWithoutProgramsIsNotRemembered(t *testing.T) {
	// spec: TUN-49
	var k keptListens
	p := &udpPort{asked: listened{key: keptKey{token: flowToken{1}}}}
	k.enter(p)
	k.leave(p, true)
	require.Empty(t, k.lost, "else clients that come and go could have any number of them")
}

// A session that ends at the same moment has its ports no more, but has not closed them yet.
func TestAListenerThatIsTakenIsFree(t *testing.T) {
	// spec: TUN-49
	inUDPWorld(t, fast, nil, nil, func(t *testing.T, w *udpWorld) {
		at := netip.MustParseAddrPort(reversed)
		s, err := w.local.Listen(at)
		require.NoError(t, err)
		socket, err := udp.New(s, 0)
		require.NoError(t, err)
		p := newUDPPort(socket, Forward{}, nil, new(udpCounters), nil)
		p.asked.key, p.taken = keptKey{token: flowToken{1}}, func() {}
		var k keptListens
		k.enter(p)
		require.Empty(t, k.take(p.asked.key))
		s, err = w.local.Listen(at)
		require.NoError(t, err)
		require.NoError(t, s.Close())
	})
}
