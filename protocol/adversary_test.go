package protocol

import (
	"bytes"
	"net/netip"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/wire"
)

// What an authentic peer that means harm may try beyond the numbered attacks: it holds the keys of its
// own session and wants the time, the memory or the life of the whole process.

// elsewhere is an address that nobody has proved.
var elsewhere = netip.MustParseAddrPort("198.51.100.9:5555")

// pump takes all datagrams and events of s, with a bound on their number.
func (p *pair) pump(s *Session) (datagrams [][]byte) {
	p.t.Helper()
	for range 10_000 {
		b, _, ok := s.AppendDatagram(p.now, nil)
		if !ok {
			for ok := true; ok; {
				_, ok = s.PollEvent()
			}
			return datagrams
		}
		datagrams = append(datagrams, b)
	}
	p.t.Fatal("AppendDatagram does not end")
	return nil
}

// rests makes sure that s asks for no more than a few turns of its run loop at this instant.
func (p *pair) rests(s *Session) {
	p.t.Helper()
	for range 32 {
		p.pump(s)
		at, _ := s.NextTimeout()
		if at == 0 || at > p.now {
			return
		}
		s.HandleTimeout(p.now)
	}
	at, why := s.NextTimeout()
	p.t.Fatalf("the %v timer spins: it is %v, due at %v", why, p.now, at)
}

// restsFor looks at s for a while in which nothing arrives.
func (p *pair) restsFor(s *Session, d, step time.Duration) {
	p.t.Helper()
	for end := p.now.Add(d); p.now < end; p.now = p.now.Add(step) {
		p.rests(s)
	}
}

// finFromElsewhere completes a handshake whose last packet comes from another address than the first,
// as when the address changes in between, or when a client names a victim.
func finFromElsewhere(t testing.TB) *pair {
	p := newPair(t)
	var fin []byte
	p.filter = func(toServer bool, _ int, data []byte) int {
		if toServer && p.cs.Established() {
			if fin == nil && wire.IsLong(data[0]) {
				fin = append([]byte(nil), data...)
			}
			return 0
		}
		return 1
	}
	require.True(t, p.run(time.Second, func() bool { return fin != nil }))
	require.Nil(t, p.server.Dispatch(p.now, Datagram{Data: fin, Addr: AddrPair{Remote: elsewhere}}))
	var ok bool
	p.ss, ok = p.server.Accept()
	require.True(t, ok)
	p.filter = nil
	return p
}

func TestTimersRestWhileTheAddressMayBeToldNoMore(t *testing.T) {
	p := finFromElsewhere(t)
	_, err := p.ss.Stream0().Write(bytes.Repeat([]byte("x"), 100_000))
	require.NoError(t, err)
	p.rests(p.ss)
	for range 3 { // too small to earn a full answer
		p.give(p.ss, p.craft(p.cs, byte(wire.FramePing), byte(wire.FrameImmediateAck)), elsewhere)
		p.rests(p.ss)
	}
	out := 0
	for end := p.now.Add(20 * time.Second); p.now < end; p.now = p.now.Add(50 * time.Millisecond) {
		p.rests(p.ss)
		for _, b := range p.pump(p.ss) {
			out += len(b)
		}
	}
	require.LessOrEqual(t, out, 3*wire.MinInitSize+1000)
}

func TestSessionWhoseAddressProvesItselfLateGoesOn(t *testing.T) {
	p := finFromElsewhere(t)
	_, err := p.ss.Stream0().Write(bytes.Repeat([]byte("x"), 50_000))
	require.NoError(t, err)
	p.rests(p.ss)
	p.now = p.now.Add(3 * time.Second)
	p.rests(p.ss)
	p.clientAddr = elsewhere
	p.hear(p.cs, string(bytes.Repeat([]byte("x"), 50_000)))
}

func TestTimersRestOnAPathThatThePeerGaveNoNameFor(t *testing.T) {
	p := connected(t)
	p.ss.ids.peer = p.ss.ids.peer[:1] // as if the client had never announced any
	path := p.cs.newPath(p.now, 1, p.cs.paths.active.addr, p.cs.ids.localFor(1).id, p.cs.ids.peerFor(1).id, 0)
	p.give(p.ss, p.craftOn(p.cs, path, wire.PathChallenge{}.Append(nil)...), elsewhere)
	require.Len(t, p.ss.paths.list, 2)
	p.restsFor(p.ss, 25*time.Second, 50*time.Millisecond)
	require.Len(t, p.ss.paths.list, 1, "such a path is given up in the end")
}

func TestPathIsAskedAsSoonAsItsNameIsKnown(t *testing.T) {
	p := connected(t)
	l := p.cs.ids.localFor(1)
	p.ss.ids.peer = p.ss.ids.peer[:1]
	path := p.cs.newPath(p.now, 1, p.cs.paths.active.addr, l.id, p.cs.ids.peerFor(1).id, 0)
	p.give(p.ss, p.craftOn(p.cs, path, wire.PathChallenge{}.Append(nil)...), elsewhere)
	p.pump(p.ss)
	p.now = p.now.Add(time.Millisecond)
	p.give(p.ss, p.craft(p.cs, wire.NewSessionID{Path: 1, ID: l.id, Token: l.token}.Append(nil)...), p.clientAddr)
	p.pump(p.ss)
	require.EqualValues(t, 1, p.ss.paths.find(1).proof.tries)
}

// A client that moves all the time must not leave a trail of paths at the server.
func TestAttack13PathsThatWereLeftAreFew(t *testing.T) {
	p := connected(t)
	p.alsoClient = append(p.alsoClient, elsewhere)
	most := 0
	for range 40 {
		for _, path := range append(p.ss.paths.list, p.cs.paths.list...) {
			path.loss.rtt.smoothed = 20 * time.Second // by holding acknowledgements back
		}
		err := p.cs.Migrate(p.now, AddrPair{Local: elsewhere, Remote: p.serverAddr})
		if err == nil {
			p.say("here I am")
		}
		p.idle(60 * time.Millisecond)
		most = max(most, len(p.ss.paths.list), len(p.cs.paths.list))
	}
	require.Greater(t, p.ss.paths.active.id, uint64(10))
	require.LessOrEqual(t, most, maxActivePaths+maxLeftPaths)
}

// What nobody acknowledges is not remembered for ever, whatever the peer provokes.
func TestAttack13PeerThatAcknowledgesNothingCostsBoundedMemory(t *testing.T) {
	for name, frames := range map[string][]byte{
		"by acknowledgements": {byte(wire.FramePing), byte(wire.FrameImmediateAck)},
		"by path answers":     wire.PathChallenge{}.Append(nil),
	} {
		t.Run(name, func(t *testing.T) {
			p := connected(t)
			_, err := p.ss.Stream0().Write([]byte("a byte that is never acknowledged"))
			require.NoError(t, err)
			p.pump(p.ss)
			for range 60_000 {
				p.toServer(frames...)
				_, _, _ = p.ss.AppendDatagram(p.now, nil)
				p.cs.paths.active.loss.abandon((*sentHandler)(p.cs))
				require.LessOrEqual(t, p.ss.paths.active.loss.list.len(), maxUnanswered+100)
			}
			require.NoError(t, p.ss.paths.active.loss.checkInvariants())
			p.hear(p.cs, "a byte that is never acknowledged")
		})
	}
}

// setField sets a private number of another package's struct: some states are too far to walk to.
func setField(s any, name string, v uint64) {
	f := reflect.ValueOf(s).Elem().FieldByName(name)
	*(*uint64)(unsafe.Pointer(f.UnsafeAddr())) = v
}

// A peer that never confirms a key update, and provokes packets that no window holds back.
//
// spec: SESS-23
func TestExhaustedSendKeyEndsTheSessionAndNothingElse(t *testing.T) {
	p := connected(t)
	p.ss.ForceKeyUpdate(p.now)
	setField(p.ss.keys.send, "packets", crypto.MaxKeyPackets-3)
	for range 10 {
		p.toServer(wire.PathChallenge{}.Append(nil)...)
		p.pump(p.ss)
	}
	var closed *TransportError
	require.ErrorAs(t, p.ss.Err(), &closed)
	require.Equal(t, wire.AEADLimit, closed.Code)
	p.now = p.now.Add(time.Minute)
	p.ss.HandleTimeout(p.now)
	require.True(t, p.ss.Dead())
}

// spec: PATH-2
func TestIDsThatWereNeverAnnouncedCannotBeRetired(t *testing.T) {
	p := connected(t)
	before := p.ss.ids.nextPath
	var frames []byte
	for path := range uint64(400) {
		frames = wire.RetireSessionID{Path: path + 1}.Append(frames)
	}
	p.toServer(frames...)
	var closed *TransportError
	require.ErrorAs(t, p.ss.Err(), &closed)
	require.Equal(t, wire.ProtocolViolation, closed.Code)
	require.LessOrEqual(t, p.ss.ids.nextPath-before, uint64(spareIDs), "a packet makes no work without end")
}

func TestAllPathNumbersUsedUpIsNoDisaster(t *testing.T) {
	p := connected(t)
	p.ss.ids.nextPath = wire.MaxPathID + 1
	p.toServer(wire.RetireSessionID{Path: 1}.Append(nil)...)
	p.pump(p.ss)
	require.NoError(t, p.ss.Err())
	require.Len(t, p.ss.ids.local, spareIDs)
}

// An attacker with two addresses: the second one must not make the first one's claim the older truth.
//
// spec: PATH-9
func TestAttack10TwoAddressesTogetherDoNotHijackTheSession(t *testing.T) {
	p := connected(t)
	other := netip.MustParseAddrPort("203.0.113.77:777")
	p.give(p.ss, p.craft(p.cs, byte(wire.FramePing)), elsewhere)
	p.pump(p.ss)
	m := *p.ss.paths.active.moving
	p.give(p.ss, p.craft(p.cs, wire.PathResponse{Data: m.proof.data}.Append(nil)...), elsewhere)
	require.Equal(t, elsewhere, p.ss.Peer().Addr.Remote)
	p.give(p.ss, p.craft(p.cs, byte(wire.FramePing)), other)
	p.pump(p.ss)
	p.toServer(wire.PathResponse{Data: m.stay.data}.Append(nil)...)
	require.Equal(t, p.clientAddr, p.ss.Peer().Addr.Remote, "the client has said that it is where it was")
	require.Nil(t, p.ss.paths.active.moving)
}

// spec: SESS-21
func TestAcknowledgementOfAnEarlierPacketOfALaterPathConfirmsNoKeyUpdate(t *testing.T) {
	p := connected(t)
	require.NoError(t, p.cs.Migrate(p.now, AddrPair{Local: elsewhere, Remote: p.serverAddr}))
	require.NotEmpty(t, p.pump(p.cs), "a challenge on path 1, under the old key")
	p.cs.ForceKeyUpdate(p.now)
	p.craft(p.cs, byte(wire.FramePing)) // on path 0, under the new one
	p.toClient(wire.AppendAck(nil, 1, 0, []wire.Range{{Start: 0, End: 1}}, wire.AckExtras{})...)
	require.NoError(t, p.cs.Err())
	require.True(t, p.cs.keys.unconfirmed)
}

// spec: SESS-22 SESS-25
func TestPeerThatUpdatesItsKeyTwiceUnansweredIsClosed(t *testing.T) {
	p := connected(t)
	for range 2 {
		p.cs.updateKey(p.now)
		p.toServer(byte(wire.FramePing))
	}
	var closed *TransportError
	require.ErrorAs(t, p.ss.Err(), &closed)
	require.Equal(t, wire.KeyUpdate, closed.Code)
}

func TestPacketsOfThePreviousKeyAreTakenForAWhileAndNotAfterwards(t *testing.T) {
	p := connected(t)
	late, later := p.craft(p.cs, byte(wire.FramePing)), p.craft(p.cs, byte(wire.FramePing))
	p.cs.ForceKeyUpdate(p.now)
	p.toServer(byte(wire.FramePing))
	received := p.ss.Stats().PacketsReceived
	p.give(p.ss, late, p.clientAddr)
	require.Equal(t, received+1, p.ss.Stats().PacketsReceived)
	p.now = p.now.Add(previousKeyProbes * p.ss.probeTimeout())
	p.rests(p.ss)
	p.give(p.ss, later, p.clientAddr)
	require.Equal(t, received+1, p.ss.Stats().PacketsReceived)
	require.NoError(t, p.ss.Err())
	p.say("all is well")
}

func TestKeyUpdatesByBothEndsWhileTheClientMoves(t *testing.T) {
	for order := range 4 {
		p := connected(t)
		p.alsoClient = append(p.alsoClient, elsewhere)
		for round := range 6 {
			p.cs.ForceKeyUpdate(p.now)
			if order&1 != 0 {
				p.ss.ForceKeyUpdate(p.now)
			}
			if order&2 != 0 {
				p.idle(p.delay)
			}
			_ = p.cs.Migrate(p.now, AddrPair{Local: elsewhere, Remote: p.serverAddr})
			p.say("moving under a new key")
			p.answer("and heard")
			p.idle(200 * time.Millisecond)
			require.Equal(t, p.cs.keys.sendGen, p.ss.keys.recvGen, "round %d", round)
		}
		require.GreaterOrEqual(t, p.ss.paths.active.id, uint64(5))
	}
}

// A copy of FIN is not authentic. It may ask for DONE again only while the client can need that.
//
// spec: SESS-3
func TestReplayedLastHandshakePacketAsksForNothingOnceDoneHasArrived(t *testing.T) {
	p := newPair(t)
	var fin []byte
	p.filter = func(toServer bool, _ int, data []byte) int {
		if toServer && p.cs.Established() && wire.IsLong(data[0]) {
			fin = append([]byte(nil), data...)
		}
		return 1
	}
	p.connect()
	p.idle(time.Second)
	for _, b := range [][]byte{fin, fin[:14]} {
		s := p.server.Dispatch(p.now, Datagram{Data: b, Addr: AddrPair{Remote: p.clientAddr}})
		require.Equal(t, p.ss, s)
		p.give(s, b, p.clientAddr)
		require.Empty(t, p.pump(p.ss))
	}
}

func TestClientThatHasClosedIsNotConfirmedAnyMore(t *testing.T) {
	p := newPair(t)
	require.True(t, p.run(time.Second, func() bool { return p.ss != nil }))
	require.False(t, p.cs.Confirmed())
	p.cs.CloseWithError(p.now, 3, "changed my mind")
	p.idle(time.Second)
	closed := false
	for _, e := range p.events[p.cs] {
		require.False(t, closed && e.Kind == EventConfirmed, "nothing but the end comes after the end")
		closed = closed || e.Kind == EventClosed
	}
	require.True(t, closed)
}

func TestResetTokenThatIsUnsetMatchesNothing(t *testing.T) {
	p := connected(t)
	p.cs.ids.peer = p.cs.ids.peer[:1]
	p.toClient(wire.NewSessionID{Path: 1, ID: wire.MakeID([]byte("12345678"))}.Append(nil)...)
	p.give(p.cs, append([]byte{0x08}, make([]byte, 60)...), p.serverAddr)
	require.NotErrorIs(t, p.cs.Err(), ErrStatelessReset)
}

// A server with several addresses of its own counts what it says to a stranger wherever it says it.
//
// spec: PATH-4
func TestUnprovenAddressIsCountedWhateverOfOurAddressesItTalksTo(t *testing.T) {
	p := finFromElsewhere(t)
	p.pump(p.ss)
	in, out := wire.MinInitSize, 0
	p.ss.paths.active.budget = ledger{in: in}
	one, two := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:1")
	give := func(local netip.AddrPort, frames ...byte) {
		b := p.craft(p.cs, frames...)
		in += len(b)
		p.ss.HandleDatagram(p.now, Datagram{Data: b, Addr: AddrPair{Local: local, Remote: elsewhere}})
	}
	for range 50 {
		give(one, wire.PathChallenge{}.Append(nil)...)
		give(two, byte(wire.FramePadding))
		for _, b := range p.pump(p.ss) {
			out += len(b)
		}
		require.LessOrEqual(t, out, 3*in)
	}
}

func TestEvictedHandshakesKeepNoEarlyPackets(t *testing.T) {
	p := newPair(t)
	p.ask(p.firstInit(1), elsewhere)
	h := p.server.half.list[0]
	p.ask(append(append([]byte{0x08}, h.id.Bytes()...), make([]byte, 1000)...), elsewhere)
	require.Len(t, h.early, 1)
	p.server.half.remove(h)
	require.Nil(t, h.early, "the ring of expanded keys still points to it")
}

func TestListenerCountsSessionsNotTheirNames(t *testing.T) {
	p := newPair(t, func(_, _ *Config, e *EndpointConfig) { e.MaxSessions = 2 })
	p.connect()
	p.idle(time.Second)
	first := p.cs
	var err error
	p.cs, err = p.client.Dial(p.now, first.cfg, AddrPair{Remote: p.serverAddr})
	require.NoError(t, err)
	p.ss = nil
	p.connect()
	require.Equal(t, 2, p.server.Stats().Sessions)
}

func TestOvertakenWishForAcknowledgementsCountsForNothing(t *testing.T) {
	p := connected(t)
	wish := func(sequence, packets uint64) []byte {
		return wire.AckFrequency{Sequence: sequence, Packets: packets, DelayMicros: 1000}.Append(nil)
	}
	p.toServer(wish(4, 7)...)
	p.toServer(wish(3, 100)...)
	require.EqualValues(t, 7, p.ss.paths.active.acks.threshold)
	p.toServer(wish(5, 9)...)
	require.EqualValues(t, 9, p.ss.paths.active.acks.threshold)
}

func TestPeerCannotHoldAClosedSessionForLong(t *testing.T) {
	p := connected(t)
	for _, s := range []*Session{p.cs, p.ss} {
		s.paths.active.loss.rtt.smoothed = time.Hour
	}
	p.cs.CloseWithError(p.now, 1, "")
	p.idle(p.delay)
	require.Error(t, p.ss.Err())
	p.idle(maxDrain)
	p.nothingLeft()
}

func TestKeysOfADeadSessionAreWiped(t *testing.T) {
	p := connected(t)
	late := p.craft(p.cs, byte(wire.FramePing))
	p.ss.CloseWithError(p.now, 1, "")
	p.idle(time.Minute)
	require.True(t, p.ss.Dead())
	require.Nil(t, p.ss.keys.send)
	require.Nil(t, p.ss.keys.recv)
	p.give(p.ss, late, p.clientAddr)
	p.ss.ForceKeyUpdate(p.now)
	p.ss.TooBig(p.now, p.ss.Peer().Addr, 1300)
	_ = p.ss.Stats()
	require.Empty(t, p.pump(p.ss))
}

func TestCloseCodeThatTheWireCannotCarryIsCut(t *testing.T) {
	p := connected(t)
	p.cs.CloseWithError(p.now, 1<<63, "")
	require.True(t, p.run(time.Second, func() bool { return p.ss.Err() != nil }))
	require.Equal(t, &ApplicationError{Code: 1<<62 - 1, Remote: true}, p.ss.Err())
}

func TestAttack06PacketOfOnePathIsNoneOfAnother(t *testing.T) {
	p := connected(t)
	b := p.craft(p.cs, wire.StreamFrame{ID: 0, Data: []byte("once")}.Append(nil)...)
	p.give(p.ss, b, p.clientAddr)
	moved := append([]byte(nil), b...)
	copy(moved[1:], p.ss.ids.localFor(1).id.Bytes())
	forged := p.ss.Stats().Dropped.Forged
	p.give(p.ss, moved, elsewhere)
	require.Equal(t, forged+1, p.ss.Stats().Dropped.Forged)
	require.Len(t, p.ss.paths.list, 1, "a packet that does not open begins no path")
	p.give(p.ss, b, elsewhere)
	require.Nil(t, p.ss.paths.active.moving, "a copy moves nothing")
}

func TestForgedLastPacketsLeaveAHalfOpenHandshakeAsItWas(t *testing.T) {
	p := newPair(t)
	require.True(t, p.run(time.Second, func() bool { return len(p.server.half.list) == 1 }))
	h := p.server.half.list[0]
	forged := wire.Long{Kind: wire.KindFin, Version: wire.Version1, DCID: h.id}.Append(nil)
	forged = append(forged, make([]byte, wire.MinInitSize-len(forged))...)
	for i := range 3000 {
		forged[100+i%1000]++
		require.Zero(t, p.ask(forged, elsewhere))
	}
	require.Len(t, p.server.half.list, 1)
	require.NotZero(t, p.server.Stats().Overload, "the work for them is bounded")
	p.connect()
}

// spec: SESS-9 SESS-13
func TestAttack02FloodOfFirstPacketsIsBoundedWork(t *testing.T) {
	p := newPair(t)
	forged, from := p.firstInit(1), [4]byte{100}
	for i := range 50_000 { // without the server's key: whatever they are, they cost a MAC
		forged[100+i%1000]++
		from[1], from[2], from[3] = byte(i>>16), byte(i>>8), byte(i)
		require.Zero(t, p.ask(forged, netip.AddrPortFrom(netip.AddrFrom4(from), 1)))
	}
	require.Zero(t, p.server.Stats().Agreements)
	require.Zero(t, p.server.Stats().HalfOpen)
	const flood = 800 // with it, and as many sources as they like
	start := p.now
	for i := range flood {
		from[2], from[3] = byte(i>>8), byte(i)
		p.ask(p.firstInit(uint64(i)), netip.AddrPortFrom(netip.AddrFrom4(from), 1))
		p.now = p.now.Add(time.Millisecond)
	}
	elapsed := p.now.Sub(start)
	answered := p.server.Stats().Inits - 50_000 - p.server.Stats().Retries
	require.LessOrEqual(t, time.Duration(answered)*initCost, time.Duration(workShare*float64(elapsed))+2*workBurst)
	require.LessOrEqual(t, p.server.Stats().HalfOpen, busyHalfOpen+1)
	start = p.now
	require.True(t, p.run(time.Second, func() bool { return p.cs.Established() }))
	require.LessOrEqual(t, p.now.Sub(start), 4*p.delay, "an honest client pays one round trip")
	p.connect()
}
