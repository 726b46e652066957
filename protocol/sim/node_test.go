package sim

import (
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/monotime"
)

// session is a world with a client, a server, and a link between them.
type session struct {
	*World
	client, server *Node
	clientConfig   protocol.Config
	transfer       *Transfer
}

// newSession builds the world; nothing is dialed yet.
func newSession(t *testing.T, seed uint64, link string, change func(*protocol.EndpointConfig)) *session {
	t.Helper()
	w := NewWorld(seed)
	cryptotest.SetGlobalRandom(t, seed) // ML-KEM takes its randomness from the system
	w.Violation = func(message string) { t.Fatal(message) }
	key, err := crypto.PrivateKeyFromSeed(w.Reader())
	require.NoError(t, err)
	ec := protocol.EndpointConfig{Session: protocol.Config{Identity: key}, Listen: true, UnixAtZero: 1_700_000_000}
	if change != nil {
		change(&ec)
	}
	server, err := w.NewNode(bAddr, ec)
	require.NoError(t, err)
	client, err := w.NewNode(aAddr, protocol.EndpointConfig{IDLen: 4})
	require.NoError(t, err)
	c, err := ParseLink(link)
	require.NoError(t, err)
	require.NoError(t, w.Connect(aAddr, bAddr, c))
	return &session{World: w, client: client, server: server, clientConfig: protocol.Config{PeerKey: key.Public()}}
}

// run transfers and closes, each within limit of virtual time.
func (s *session) run(t testing.TB, transfer *Transfer, limit time.Duration) {
	t.Helper()
	s.transfer = transfer
	require.NoError(t, transfer.Start(s.client, s.server, &s.clientConfig))
	if !s.RunUntil(s.now.Add(limit), transfer.Done) {
		t.Fatalf("not done after %v: client %+v, server %+v", limit, transfer.Client, transfer.Server)
	}
	transfer.Client.Session.Shutdown(s.client.Now())
	s.client.Wake(transfer.Client.Session)
	require.True(t, s.RunUntil(s.now.Add(limit), transfer.Over), "the session ends")
	require.Equal(t, &protocol.ApplicationError{}, transfer.Client.Closed)
	require.Equal(t, &protocol.ApplicationError{Remote: true}, transfer.Server.Closed)
	require.Zero(t, s.client.Sessions()+s.server.Sessions())
}

func TestNodesTransferOverAPerfectLink(t *testing.T) {
	s := newSession(t, 1, "clean", nil)
	s.run(t, &Transfer{Streams: 3, UniStreams: 2, Bytes: 100_000}, 10*time.Second)
}

func TestNodesTransferOverEveryNamedLink(t *testing.T) {
	for _, link := range Profiles() {
		t.Run(link, func(t *testing.T) {
			s := newSession(t, 1, link, nil)
			s.run(t, &Transfer{Streams: 2, UniStreams: 1, Bytes: 200_000}, 2*time.Minute)
		})
	}
}

func TestNodesRepeatThemselvesBitForBit(t *testing.T) {
	run := func(seed uint64) (uint64, monotime.Time) {
		s := newSession(t, seed, "wifi,jitter=3ms,dup=1%,corrupt=1%,rate=20mbit", nil)
		s.run(t, &Transfer{Streams: 2, Bytes: 50_000}, 2*time.Minute)
		return s.Digest(), s.Now()
	}
	digest, end := run(5)
	again, endAgain := run(5)
	require.Equal(t, digest, again)
	require.Equal(t, end, endAgain)
	other, _ := run(6)
	require.NotEqual(t, digest, other)
}

// TestTheCheckerCatchesWrongBytes is the canary: an application that writes other bytes than it says
// stands for a core that mixes them up.
func TestTheCheckerCatchesWrongBytes(t *testing.T) {
	s := newSession(t, 1, "clean", nil)
	x := &Transfer{Bytes: 1000, WriteLimit: 100}
	require.NoError(t, x.Start(s.client, s.server, &s.clientConfig))
	caught := ""
	s.Violation = func(message string) { caught = message }
	x.Turn = func(e *End) {
		if e == x.Client {
			e.client = false
		}
	}
	s.RunUntil(s.now.Add(time.Minute), func() bool { return caught != "" })
	require.Contains(t, caught, "wrong byte at offset")
	require.Contains(t, caught, "seed 1")
}

func TestTheCheckerCatchesWhatTheCoreMustNotDo(t *testing.T) {
	s := newSession(t, 1, "clean", nil)
	x := &Transfer{Bytes: 10}
	require.NoError(t, x.Start(s.client, s.server, &s.clientConfig))
	require.True(t, s.RunUntil(s.now.Add(time.Minute), x.Done))
	caught := ""
	s.Violation = func(message string) { caught = message }
	d := s.server.sessions[x.Server.Session]
	for want, provoke := range map[string]func(){
		"has proved nothing":  func() { s.server.send(make([]byte, 10), protocol.Meta{}) },
		"in the past":         func() { d.turns, d.turnAt = maxTurnsAtOnce, s.now; s.server.checkTimeout(d, s.now, protocol.TimerAck) },
		"changed what stood":  func() { s.server.checkAppended([]byte("xx")) },
		"a datagram of 0":     func() { s.server.checkAppended([]byte(canary)) },
		"established after":   func() { s.server.checkEvent(d, protocol.Event{Kind: protocol.EventEstablished}) },
		"without a reason":    func() { s.server.checkEvent(d, protocol.Event{Kind: protocol.EventClosed}) },
		"without its stream":  func() { s.server.checkEvent(d, protocol.Event{Kind: protocol.EventStreamReadable}) },
		"counted":             func() { d.sent++; s.server.checkStats(d); d.sent-- },
		"dead without saying": func() { d.last = protocol.EventClosed; s.server.checkDead(d) },
		"after the session was": func() {
			d.last = protocol.EventDead
			s.server.checkEvent(d, protocol.Event{Kind: protocol.EventClosed})
		},
	} {
		caught = ""
		last := d.last
		provoke()
		d.last = last
		if want == "dead without saying" { // also waits for timers and has no reason, which are said after
			require.NotEmpty(t, caught)
			continue
		}
		require.Contains(t, caught, want)
	}
	require.Panics(t, func() {
		s.Violation = nil
		s.server.violation("nobody listens")
	})
}

func TestInvariantsMayBeCheckedInSomeTurnsOnly(t *testing.T) {
	s := newSession(t, 1, "clean", nil)
	x := &Transfer{Bytes: 10}
	require.NoError(t, x.Start(s.client, s.server, &s.clientConfig))
	require.True(t, s.RunUntil(s.now.Add(time.Minute), x.Done))
	caught := 0
	s.Violation = func(string) { caught++ }
	d := s.server.sessions[x.Server.Session]
	d.sent++
	s.server.CheckEvery, s.server.turns = 10, 0
	for range 20 {
		s.server.rest(d)
	}
	require.Equal(t, 2, caught)
}

func TestAStoppedNodeIsSilentAndItsPeerFindsOut(t *testing.T) {
	s := newSession(t, 1, "clean", nil)
	x := &Transfer{Bytes: 1000}
	require.NoError(t, x.Start(s.client, s.server, &s.clientConfig))
	require.True(t, s.RunUntil(s.now.Add(time.Minute), x.Done))
	s.server.Stop()
	require.True(t, s.RunUntil(s.now.Add(time.Minute), func() bool { return x.Client.Dead }))
	require.ErrorIs(t, x.Client.Closed, protocol.ErrIdleTimeout)
}

func TestAClockThatJumpsFiresWhatIsDue(t *testing.T) {
	s := newSession(t, 1, "clean", nil)
	x := &Transfer{Bytes: 1000}
	require.NoError(t, x.Start(s.client, s.server, &s.clientConfig))
	require.True(t, s.RunUntil(s.now.Add(time.Minute), x.Done))
	s.Run(s.now.Add(2 * time.Second)) // nothing waits for the pacer any more
	before := s.now
	s.client.JumpClock(time.Minute)
	require.True(t, s.RunUntil(s.now.Add(time.Second), func() bool { return x.Client.Dead }), "idle by its own clock")
	require.Less(t, s.now.Sub(before), time.Second)
}

func TestTimersMayFireLate(t *testing.T) {
	s := newSession(t, 1, "loss5", nil)
	s.client.TimerLag, s.server.TimerLag = 3*time.Millisecond, 3*time.Millisecond
	s.run(t, &Transfer{Streams: 3, Bytes: 50_000, ReadLimit: 10_000, WriteLimit: 7000}, time.Minute)
}
