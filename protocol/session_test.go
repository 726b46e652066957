package protocol

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/wire"
)

// say writes text on the client's stream 0 and waits until the server has read it.
func (p *pair) say(text string) {
	p.t.Helper()
	_, err := p.cs.Stream0().Write([]byte(text))
	require.NoError(p.t, err)
	p.hear(p.ss, text)
}

// answer is say from the server to the client.
func (p *pair) answer(text string) {
	p.t.Helper()
	_, err := p.ss.Stream0().Write([]byte(text))
	require.NoError(p.t, err)
	p.hear(p.cs, text)
}

func (p *pair) hear(s *Session, text string) {
	p.t.Helper()
	var got []byte
	buf := make([]byte, 1<<16)
	ok := p.run(20*time.Second, func() bool {
		n, err := s.Stream0().Read(buf)
		require.NoError(p.t, err)
		got = append(got, buf[:n]...)
		return len(got) >= len(text)
	})
	require.True(p.t, ok, "hears %q, heard %q", text, got)
	require.Equal(p.t, text, string(got))
}

func (p *pair) idle(d time.Duration) { p.run(d, nil) }

func TestPresharedKeyAloneMakesASession(t *testing.T) {
	psk, err := crypto.PresharedKeyFromSeed(seeded(7))
	require.NoError(t, err)
	p := newPair(t, func(c, s *Config, _ *EndpointConfig) {
		c.PeerKey, c.PresharedKey, s.PresharedKey = crypto.PublicKey{}, psk, psk
	})
	p.connect()
	require.Equal(t, psk.ID(), p.ss.Peer().PSKID)
	p.say("hello")
}

func TestServerKnowsTheClientByItsKey(t *testing.T) {
	key, err := crypto.PrivateKeyFromSeed(seeded(8))
	require.NoError(t, err)
	p := newPair(t, func(c, _ *Config, _ *EndpointConfig) { c.Identity = key })
	p.connect()
	require.Equal(t, key.Public(), p.ss.Peer().PublicKey)
	require.Equal(t, p.cs.Peer().ChannelBinding, p.ss.Peer().ChannelBinding)
	require.NotZero(t, p.cs.Peer().ChannelBinding)
}

func TestWrongPinIsMetWithSilence(t *testing.T) {
	other, err := crypto.PrivateKeyFromSeed(seeded(9))
	require.NoError(t, err)
	p := newPair(t, func(c, _ *Config, _ *EndpointConfig) { c.PeerKey = other.Public() })
	p.idle(10 * time.Second)
	require.ErrorIs(t, p.cs.Err(), ErrNoAnswer)
	require.Zero(t, p.count[1], "the server says nothing")
	require.Zero(t, p.server.Stats().Agreements)
}

func TestWrongApplicationProtocolIsRefusedByName(t *testing.T) {
	p := newPair(t, func(c, s *Config, _ *EndpointConfig) {
		c.AppProtocols, s.AppProtocols = []string{"chess/1"}, []string{"go/2"}
	})
	start := p.now
	require.True(t, p.run(time.Second, func() bool { return p.cs.Dead() }))
	require.Equal(t, &RejectError{Code: wire.RejectAppProtocol, Hint: "go/2"}, p.cs.Err())
	require.LessOrEqual(t, p.now.Sub(start), 5*p.delay, "at once, after one more round trip of grace")
}

func TestApplicationProtocolIsTheServersFirstThatBothHave(t *testing.T) {
	p := newPair(t, func(c, s *Config, _ *EndpointConfig) {
		c.AppProtocols, s.AppProtocols = []string{"a", "b", "c"}, []string{"c", "b"}
	})
	p.connect()
	require.Equal(t, "c", p.cs.Peer().AppProtocol)
	require.Equal(t, "c", p.ss.Peer().AppProtocol)
}

func TestRetryCostsOneRoundTripAndTheServerKeepsNothing(t *testing.T) {
	p := newPair(t, func(_, _ *Config, e *EndpointConfig) { e.Retry = RetryAlways })
	start := p.now
	require.True(t, p.run(time.Second, func() bool {
		if p.server.Stats().Retries == 1 && !p.cs.Established() && p.server.Stats().Inits == 1 {
			require.Zero(t, p.server.Stats().HalfOpen)
			require.Zero(t, p.server.Stats().Agreements)
		}
		return p.cs.Established()
	}))
	require.Equal(t, 4*p.delay, p.now.Sub(start))
	p.connect()
}

func TestAddressTokenSavesTheRetry(t *testing.T) {
	var token [wire.CookieSize]byte
	always := func(_, _ *Config, e *EndpointConfig) { e.Retry = RetryAlways }
	p := newPair(t, always)
	p.connect()
	require.True(t, p.run(time.Second, func() bool {
		var ok bool
		token, ok = p.cs.AddressToken()
		return ok
	}))
	q := newPair(t, always, func(c, _ *Config, _ *EndpointConfig) { c.AddressToken = token })
	q.connect()
	require.Zero(t, q.server.Stats().Retries)
}

func TestServerThatHoldsEnoughSessionsRefusesAsFull(t *testing.T) {
	p := newPair(t, func(_, _ *Config, e *EndpointConfig) { e.MaxSessions = 1 })
	p.connect()
	first := p.cs
	var err error
	p.cs, err = p.client.Dial(p.now, first.cfg, AddrPair{Remote: p.serverAddr})
	require.NoError(t, err)
	require.True(t, p.run(time.Second, func() bool { return p.cs.Dead() }))
	require.Equal(t, &RejectError{Code: wire.RejectFull}, p.cs.Err())
}

func TestIdleSessionEndsAtBothEnds(t *testing.T) {
	p := newPair(t)
	p.connect()
	start := p.now
	p.idle(29 * time.Second)
	require.NoError(t, p.cs.Err())
	require.True(t, p.run(10*time.Second, func() bool { return p.cs.Dead() && p.ss.Dead() }))
	require.ErrorIs(t, p.cs.Err(), ErrIdleTimeout)
	require.ErrorIs(t, p.ss.Err(), ErrIdleTimeout)
	require.Less(t, p.now.Sub(start), 32*time.Second)
}

func TestKeepAliveKeepsAnIdleSessionWithFewPackets(t *testing.T) {
	p := newPair(t, func(c, _ *Config, _ *EndpointConfig) { c.KeepAlive = 10 * time.Second })
	p.connect()
	p.idle(5 * time.Second)
	before := p.count
	p.idle(2 * time.Minute)
	require.NoError(t, p.cs.Err())
	require.NoError(t, p.ss.Err())
	require.LessOrEqual(t, p.count[0]-before[0], 13)
	require.LessOrEqual(t, p.count[1]-before[1], 13)
}

func TestDeadPeerIsNoticedWithinTheIdleTimeout(t *testing.T) {
	p := newPair(t)
	p.connect()
	p.say("alive")
	p.filter = func(bool, int, []byte) int { return 0 }
	start := p.now
	_, err := p.cs.Stream0().Write(bytes.Repeat([]byte("x"), 100_000))
	require.NoError(t, err)
	require.True(t, p.run(time.Minute, func() bool { return p.cs.Dead() }))
	require.ErrorIs(t, p.cs.Err(), ErrIdleTimeout)
	require.LessOrEqual(t, p.now.Sub(start), 31*time.Second)
	_, err = p.cs.Stream0().Write([]byte("x"))
	require.ErrorIs(t, err, ErrIdleTimeout)
}

func TestApplicationCloseCarriesCodeAndReason(t *testing.T) {
	p := newPair(t)
	p.connect()
	p.cs.CloseWithError(p.now, 42, "the answer")
	require.True(t, p.run(time.Second, func() bool { return p.ss.Err() != nil }))
	require.Equal(t, &ApplicationError{Code: 42, Reason: "the answer", Remote: true}, p.ss.Err())
	require.Equal(t, &ApplicationError{Code: 42, Reason: "the answer"}, p.cs.Err())
	require.True(t, p.run(10*time.Second, func() bool { return p.cs.Dead() && p.ss.Dead() }))
	require.Empty(t, p.server.sessions, "all names are given back")
	require.Empty(t, p.client.sessions)
	require.Empty(t, p.client.tokens)
}

func TestLostCloseIsRepeatedWhenProvoked(t *testing.T) {
	p := newPair(t)
	p.connect()
	lost := false
	p.filter = func(toServer bool, _ int, _ []byte) int {
		if toServer && !lost {
			lost = true
			return 0
		}
		return 1
	}
	p.cs.CloseWithError(p.now, 1, "")
	p.drain()
	_, err := p.ss.Stream0().Write([]byte("are you there?"))
	require.NoError(t, err)
	require.True(t, p.run(time.Second, func() bool { return p.ss.Err() != nil }))
}

// spec: SESS-19
func TestRestartedServerResetsItsOldSessions(t *testing.T) {
	p := newPair(t)
	p.connect()
	p.say("before")
	cfg := p.server.cfg
	cfg.Session.Rand = seeded(77)
	var err error
	p.server, err = NewEndpoint(cfg)
	require.NoError(t, err)
	p.ss = nil
	start := p.now
	_, err = p.cs.Stream0().Write(bytes.Repeat([]byte("x"), 100))
	require.NoError(t, err)
	require.True(t, p.run(time.Second, func() bool { return p.cs.Err() != nil }))
	require.ErrorIs(t, p.cs.Err(), ErrStatelessReset)
	require.LessOrEqual(t, p.now.Sub(start), 2*p.delay, "one round trip")
}

func TestKeyUpdateIsFollowedByThePeer(t *testing.T) {
	p := newPair(t)
	p.connect()
	for i := range uint64(5) {
		p.cs.ForceKeyUpdate(p.now)
		p.say("under a new key")
		p.answer("and back")
		p.idle(time.Second)
		require.Equal(t, i+1, p.cs.keys.sendGen)
		require.Equal(t, i+1, p.ss.keys.sendGen, "the peer answers with its own update")
		require.Equal(t, i+1, p.cs.keys.recvGen)
	}
	require.Zero(t, p.cs.Stats().Dropped.Forged)
	require.Zero(t, p.ss.Stats().Dropped.Forged)
}

func TestBothEndsMayUpdateTheirKeysAtOnce(t *testing.T) {
	p := newPair(t)
	p.connect()
	p.cs.ForceKeyUpdate(p.now)
	p.ss.ForceKeyUpdate(p.now)
	p.say("there")
	p.answer("and back")
	require.Equal(t, uint64(1), p.cs.keys.sendGen)
	require.Equal(t, uint64(1), p.ss.keys.sendGen)
}

// spec: PATH-7
func TestNewAddressOfTheClientIsFollowedWithinOneRoundTrip(t *testing.T) {
	p := connected(t)
	p.say("from home")
	p.clientAddr = netip.MustParseAddrPort("198.51.100.9:5555")
	start := p.now
	p.say("from the road")
	require.Equal(t, p.delay, p.now.Sub(start), "data is read at once")
	require.True(t, p.run(time.Second, func() bool { return p.ss.Peer().Addr.Remote == p.clientAddr }))
	require.LessOrEqual(t, p.now.Sub(start), 3*p.delay, "one round trip after the first packet")
	p.answer("welcome")
}

// spec: PATH-4 SESS-10
func TestUnprovenAddressGetsAtMostThreeTimesWhatCameFromIt(t *testing.T) {
	p := newPair(t)
	p.connect()
	p.idle(time.Second)
	road := netip.MustParseAddrPort("198.51.100.9:5555")
	in, out := 0, 0
	p.filter = func(toServer bool, _ int, data []byte) int {
		if !toServer {
			return 1
		}
		in += len(data)
		return 1
	}
	p.clientAddr = road
	_, err := p.ss.Stream0().Write(bytes.Repeat([]byte("x"), 200_000))
	require.NoError(t, err)
	_, err = p.cs.Stream0().Write([]byte("x"))
	require.NoError(t, err)
	counted := map[*byte]bool{} // a datagram is on the wire for several steps
	for p.ss.Peer().Addr.Remote != road {
		for _, f := range p.wire {
			if !f.toServer && f.to == road && !counted[&f.data[0]] {
				counted[&f.data[0]] = true
				out += len(f.data)
			}
		}
		require.LessOrEqual(t, out, 3*in)
		require.True(t, p.step(p.now.Add(time.Second)))
	}
}

func TestClientMovesToAnotherAddressUnderNewIDs(t *testing.T) {
	p := newPair(t)
	p.connect()
	p.idle(time.Second)
	road := netip.MustParseAddrPort("198.51.100.9:5555")
	p.alsoClient = append(p.alsoClient, road)
	oldID := p.ss.paths.active.peerID
	var after [][]byte
	p.filter = func(_ bool, _ int, data []byte) int {
		after = append(after, append([]byte(nil), data...))
		return 1
	}
	require.NoError(t, p.cs.Migrate(p.now, AddrPair{Local: road, Remote: p.serverAddr}))
	start := p.now
	require.True(t, p.run(time.Second, func() bool { return p.cs.paths.active.id == 1 }))
	require.LessOrEqual(t, p.now.Sub(start), 2*p.delay, "roaming costs one round trip")
	p.say("on the new path")
	p.answer("heard")
	require.Equal(t, road, p.ss.Peer().Addr.Remote)
	require.NotEqual(t, oldID, p.ss.paths.active.peerID)
	p.idle(time.Second)
	for range 5 { // IDs are handed out anew, so that moving goes on for ever
		require.NoError(t, p.cs.Migrate(p.now, AddrPair{Local: road, Remote: p.serverAddr}))
		p.idle(time.Second)
		p.say("again")
		p.answer("and again")
	}
	require.Equal(t, uint64(6), p.cs.paths.active.id)
	require.Equal(t, uint64(6), p.ss.paths.active.id)
	require.Len(t, p.server.sessions, 1+spareIDs)
}

func TestMovingWithoutSpareIDsIsRefused(t *testing.T) {
	p := newPair(t)
	require.True(t, p.run(time.Second, func() bool { return p.cs.Established() }))
	err := p.cs.Migrate(p.now, AddrPair{Remote: p.serverAddr})
	require.Error(t, err)
}

// spec: REL-27
func TestPathSizeIsFoundSoonAfterTheFirstFullDatagram(t *testing.T) {
	p := newPair(t)
	p.filter = func(_ bool, _ int, data []byte) int {
		if len(data) > 1472 {
			return 0
		}
		return 1
	}
	p.connect()
	p.say(strings.Repeat("?", 1200))
	p.answer(strings.Repeat("!", 1200))
	start := p.now
	require.True(t, p.run(time.Second, func() bool {
		return p.cs.Stats().MTU == 1472 && p.ss.Stats().MTU == 1472
	}), "finds %d and %d", p.cs.Stats().MTU, p.ss.Stats().MTU)
	require.LessOrEqual(t, p.now.Sub(start), 4*p.delay, "within two round trips")
}

// spec: REL-27
func TestASessionOpenedForOneQuestionSendsNoSizeProbes(t *testing.T) {
	p := newPair(t)
	full := 0
	p.filter = func(_ bool, _ int, data []byte) int {
		if len(data) > baseDatagram {
			full++
		}
		return 1
	}
	p.connect()
	p.say("who is there?")
	p.answer("me")
	p.idle(settleTime - 10*p.delay)
	require.Zero(t, full)
	require.Equal(t, baseDatagram, p.cs.Stats().MTU)
	require.Equal(t, baseDatagram, p.ss.Stats().MTU)
	p.idle(20 * p.delay)
	require.Equal(t, 1472, p.cs.Stats().MTU, "it stays, and what comes later may be more")
	require.Equal(t, 1472, p.ss.Stats().MTU)
}

// spec: REL-27
func TestAClientThatSendsBeforeItIsConfirmedLooksForItsSizeThen(t *testing.T) {
	p := newPair(t)
	require.True(t, p.run(time.Second, func() bool { return p.cs.Established() }))
	_, err := p.cs.Stream0().Write(make([]byte, 1200))
	require.NoError(t, err)
	p.drain()
	require.Equal(t, mtuIdle, p.cs.paths.active.loss.mtu.phase, "the path is not proved")
	require.True(t, p.run(time.Second, func() bool { return p.cs.confirmed }))
	require.True(t, p.run(4*p.delay, func() bool { return p.cs.Stats().MTU >= 1472 }), "finds %d", p.cs.Stats().MTU)
}

func TestLoopbackSizedDatagramsAreFound(t *testing.T) {
	p := newPair(t)
	p.connect()
	p.transfer(p.cs.Stream0(), func() *Stream { return p.ss.Stream0() }, 8<<20, true)
	require.Greater(t, p.cs.Stats().MTU, 60_000)
}

func TestSteadyStateAllocatesNothingPerPacket(t *testing.T) {
	p := newPair(t)
	p.connect()
	p.idle(2 * time.Second)
	w, r := p.cs.Stream0(), p.ss.Stream0()
	buf, data := make([]byte, 0, 70_000), make([]byte, 1000)
	now := p.now
	exchange := func() {
		now = now.Add(5 * time.Millisecond)
		_, _ = w.Write(data)
		for _, ends := range [2][2]*Session{{p.cs, p.ss}, {p.ss, p.cs}} {
			for {
				b, _, ok := ends[0].AppendDatagram(now, buf[:0])
				if !ok {
					break
				}
				ends[1].HandleDatagram(now, Datagram{Data: b, Addr: ends[1].paths.active.addr})
			}
		}
		for n := 1; n > 0; {
			n, _ = r.Read(data)
		}
		for _, s := range []*Session{p.cs, p.ss} {
			for ok := true; ok; {
				_, ok = s.PollEvent()
			}
			s.HandleTimeout(now)
		}
	}
	for range 3000 {
		exchange()
	}
	require.Zero(t, testing.AllocsPerRun(2000, exchange))
}
