package protocol

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/crypto/handshake"
	"github.com/godwit-net/godwit/protocol/wire"
)

// givenKeys returns a pair of sessions that had no handshake: both ends are given their keys, which
// takes microseconds where a handshake takes milliseconds. The client is established and the server has
// something to say, as after a FIN. size caps the datagrams of both ends; 0: no cap.
func givenKeys(t testing.TB, size int) *pair {
	t.Helper()
	p := &pair{
		t: t, now: Time(time.Second), delay: 10 * time.Millisecond,
		clientAddr: netip.MustParseAddrPort("192.0.2.1:1000"), serverAddr: netip.MustParseAddrPort("192.0.2.2:4433"),
		events: make(map[*Session][]Event),
	}
	var err error
	p.client, err = NewEndpoint(EndpointConfig{Session: Config{Rand: seeded(3), MaxDatagram: size}, IDLen: 4})
	require.NoError(t, err)
	p.server, err = NewEndpoint(EndpointConfig{Session: Config{Rand: seeded(4), MaxDatagram: size}, IDLen: wire.ServerIDLen})
	require.NoError(t, err)

	p.cs, err = newSession(p.client.session, client, p.client)
	require.NoError(t, err)
	clientID, clientToken := p.client.NewID(p.cs)
	serverID, serverToken := p.server.newID()
	result := func() handshake.Result {
		return handshake.Result{Suite: crypto.AES256GCM, Client: crypto.Secret{1}, Server: crypto.Secret{2}}
	}
	p.ss, err = newServer(p.now, p.server.session, p.server, &serverStart{
		result: result(), params: p.client.session.Params, validated: true, rtt: 2 * p.delay,
		addr:    AddrPair{Local: p.serverAddr, Remote: p.clientAddr},
		localID: serverID, localToken: serverToken, clientID: clientID,
	})
	require.NoError(t, err)
	p.server.name(serverID, p.ss)

	s, r := p.cs, result()
	s.remote = p.server.session.Params
	s.initKeys(p.now, r.Suite, &r.Client, &r.Server)
	s.ids.local = []localID{{path: 0, id: clientID, token: clientToken, state: deliveryAcked}}
	s.ids.peer = []peerID{{path: 0, id: serverID, token: serverToken, hasToken: true}}
	s.ids.nextPath = 1
	p.client.AddResetToken(serverToken, s)
	addr := AddrPair{Local: p.clientAddr, Remote: p.serverAddr}
	way := s.newPath(p.now, 0, addr, clientID, serverID, 2*p.delay)
	way.validated = true
	s.paths.list, s.paths.active = []*path{way}, way
	s.hs = &clientHandshake{client: finished(), finished: true, addr: addr, interval: maxFinInterval}
	s.start(p.now)
	return p
}

// finished is the client of one handshake that did happen: it can repeat its FIN.
var finished = sync.OnceValue(func() *handshake.Client {
	p := newPair(panicking{})
	p.run(time.Second, p.cs.Established)
	return p.cs.hs.client
})

// panicking is a test that there is not.
type panicking struct{ testing.TB }

func (panicking) Helper() {}

// nothingLeft makes sure that both ends are dead and their endpoints have forgotten them.
func (p *pair) nothingLeft() {
	p.t.Helper()
	for _, s := range []*Session{p.cs, p.ss} {
		if s == nil {
			continue
		}
		require.True(p.t, s.Dead(), "dead")
		at, why := s.NextTimeout()
		require.Zero(p.t, at, "a dead session wants nothing, not even %v", why)
	}
	for _, e := range []*Endpoint{p.client, p.server} {
		require.Empty(p.t, e.sessions)
		require.Empty(p.t, e.tokens)
		require.Zero(p.t, e.live)
		require.Empty(p.t, e.half.list)
	}
}

// checkSession compares the books of a session with each other, and its memory with its limits.
func checkSession(t testing.TB, s *Session) {
	t.Helper()
	for _, p := range s.paths.list {
		require.NoError(t, p.loss.checkInvariants())
		require.LessOrEqual(t, len(p.acks.seen), wire.MaxAckRanges)
		require.LessOrEqual(t, p.loss.unanswered, maxUnanswered)
	}
	require.LessOrEqual(t, len(s.paths.list), maxActivePaths+maxLeftPaths)
	require.LessOrEqual(t, len(s.ids.local), maxActiveIDs)
	require.LessOrEqual(t, len(s.ids.peer), maxActiveIDs)
	require.LessOrEqual(t, len(s.ids.retiring), maxRetiring)
	if s.established == 0 {
		return
	}
	w := &s.streams
	require.LessOrEqual(t, w.received, w.window.limit)
	require.LessOrEqual(t, w.window.consumed, w.received)
	require.LessOrEqual(t, w.sent, w.max)
	held, gaps := w.zero.recv.pipe.memory(), len(w.zero.recv.got)
	if w.zero.forgotten {
		gaps = 0
	}
	for _, st := range w.table {
		held += st.recv.pipe.memory()
		gaps += len(st.recv.got)
	}
	require.LessOrEqual(t, held, 2*int(w.window.size)+(len(w.table)+1)*2*blockSize)
	require.Equal(t, gaps, w.gaps)
}
