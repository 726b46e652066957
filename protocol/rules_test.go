package protocol

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// craft makes an authentic packet of s with any frames, as a peer that breaks the rules would.
func (p *pair) craft(s *Session, frames ...byte) []byte {
	p.t.Helper()
	return p.craftOn(s, s.paths.active, frames...)
}

func (p *pair) craftOn(s *Session, path *path, frames ...byte) []byte {
	b := s.begin(nil, path, 1400)
	b.buf = append(b.buf, frames...)
	out, _, _ := s.seal(p.now, &b, path.addr)
	return out
}

// give hands a datagram to the endpoint of s as if it came from addr.
func (p *pair) give(s *Session, data []byte, addr netip.AddrPort) {
	s.HandleDatagram(p.now, Datagram{Data: append([]byte(nil), data...), Addr: AddrPair{Remote: addr}})
}

func (p *pair) toServer(frames ...byte) { p.give(p.ss, p.craft(p.cs, frames...), p.clientAddr) }
func (p *pair) toClient(frames ...byte) { p.give(p.cs, p.craft(p.ss, frames...), p.serverAddr) }

func connected(t testing.TB, options ...pairOption) *pair {
	t.Helper()
	p := newPair(t, options...)
	p.connect()
	p.idle(500 * time.Millisecond)
	return p
}

func TestRuleBreakersAreClosedByTheCodeOfTheRule(t *testing.T) {
	id8 := wire.MakeID([]byte("12345678"))
	id4 := wire.MakeID([]byte("1234"))
	newID := func(path, seq uint64, id wire.ID) []byte {
		return wire.NewSessionID{Path: path, Sequence: seq, ID: id, Token: wire.ResetToken{1}}.Append(nil)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	tests := []struct {
		rule     string
		toClient bool
		frames   []byte
		code     wire.ErrorCode
		frame    wire.FrameType
	}{
		// spec: ERR-1 ERR-2 ERR-3
		{"an unknown frame type", false, []byte{0x3f}, wire.FrameEncoding, 0x3f},
		{"a truncated frame", false, []byte{1, 1, 1, 1, byte(wire.FrameMaxData)}, wire.FrameEncoding, wire.FrameMaxData},
		{"a truncated type", false, []byte{1, 1, 1, 1, 0x40}, wire.FrameEncoding, 0},
		{"a malformed repair symbol", false, []byte{byte(wire.FrameRepair), 0, 0, 0}, wire.FrameEncoding, wire.FrameRepair},
		// spec: SESS-4
		{"DONE from a client", false, wire.Done{}.Append(nil), wire.ProtocolViolation, wire.FrameDone},
		{"an address token from a client", false, wire.AddressToken{}.Append(nil), wire.ProtocolViolation, wire.FrameAddressToken},
		{"a ticket from a client", false, wire.Ticket{Data: []byte("x")}.Append(nil), wire.ProtocolViolation, wire.FrameTicket},
		// spec: PATH-1
		{"an ID with a sequence", true, newID(9, 1, id8), wire.ProtocolViolation, wire.FrameNewSessionID},
		{"an ID of another length", true, newID(9, 0, id4), wire.ProtocolViolation, wire.FrameNewSessionID},
		{"a second ID for a path", true, newID(1, 0, id8), wire.ProtocolViolation, wire.FrameNewSessionID},
		{"too many IDs", true, join(newID(7, 0, id8), newID(8, 0, id8), newID(9, 0, id8)), wire.IDLimit, wire.FrameNewSessionID},
		// spec: PATH-2
		{"retiring what was never issued", false, wire.RetireSessionID{Path: 99}.Append(nil), wire.ProtocolViolation, wire.FrameRetireSessionID},
		{"retiring the path in use", false, wire.RetireSessionID{Path: 0}.Append(nil), wire.ProtocolViolation, wire.FrameRetireSessionID},
		{"an acknowledgement of a path never used", false, wire.AppendAck(nil, 77, 0, []wire.Range{{Start: 0, End: 1}}, wire.AckExtras{}), wire.AckUnsent, wire.FrameAck},
		{"an acknowledgement of a number never sent", false, wire.AppendAck(nil, 0, 0, []wire.Range{{Start: 90000, End: 90001}}, wire.AckExtras{}), wire.AckUnsent, wire.FrameAck},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			p := connected(t)
			s := p.ss
			if test.toClient {
				s = p.cs
				p.toClient(test.frames...)
			} else {
				p.toServer(test.frames...)
			}
			var closed *TransportError
			require.ErrorAs(t, s.Err(), &closed)
			require.Equal(t, test.code, closed.Code, closed.Error())
			require.Equal(t, test.frame, closed.Frame)
			require.False(t, closed.Remote)
			other := p.cs
			if test.toClient {
				other = p.ss
			}
			require.True(t, p.run(time.Second, func() bool { return other.Err() != nil }), "the peer is told")
			var told *TransportError
			require.ErrorAs(t, other.Err(), &told)
			require.Equal(t, test.code, told.Code)
			require.Equal(t, test.frame, told.Frame)
		})
	}
}

// spec: SESS-5
func TestPacketWithoutFramesClosesTheSession(t *testing.T) {
	p := connected(t)
	b := p.cs.begin(nil, p.cs.paths.active, 100)
	b.buf = append(make([]byte, 0, 100), b.buf...)
	b.pkt.pn += 1 << 20 // a long number needs no padding for the sample
	b = packetBuilder{start: 0, path: p.cs.paths.active, pkt: b.pkt, pnLen: 4}
	b.buf = wire.AppendShort(nil, p.cs.paths.active.peerID, b.pkt.pn, 4, false)
	b.pnOff, b.body = len(b.buf)-4, len(b.buf)
	sealed := p.cs.keys.send.SealPacket(append(b.buf, make([]byte, 16)...)[:len(b.buf)], b.pnOff, 4, 0, b.pkt.pn)
	p.give(p.ss, sealed, p.clientAddr)
	var closed *TransportError
	require.ErrorAs(t, p.ss.Err(), &closed)
	require.Equal(t, wire.ProtocolViolation, closed.Code)
}

// spec: ERR-2
func TestGreaseFramesAreSkipped(t *testing.T) {
	p := connected(t)
	for r := range uint64(50) {
		p.toServer(append(wire.AppendGreaseFrame(nil, r*0x123456789abcdef), byte(wire.FramePing))...)
	}
	require.NoError(t, p.ss.Err())
	p.say("still here")
}

// spec: ERR-4
func TestFirstCauseOfTheEndIsKept(t *testing.T) {
	p := connected(t)
	p.cs.CloseWithError(p.now, 7, "first")
	p.cs.CloseWithError(p.now, 8, "second")
	p.cs.Shutdown(p.now)
	p.toClient(0x3f)
	p.idle(time.Minute)
	require.Equal(t, &ApplicationError{Code: 7, Reason: "first"}, p.cs.Err())
	_, err := p.cs.OpenStream(false)
	require.Equal(t, p.cs.Err(), err)
	_, err = p.cs.Stream0().Read(make([]byte, 1))
	require.Equal(t, p.cs.Err(), err)
}

// spec: ERR-5
func TestForgedPacketsChangeNothingButACounter(t *testing.T) {
	p := connected(t)
	good := p.craft(p.cs, wire.Close{Code: 3}.Append(nil)...)
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x10
		p.give(p.ss, bad, p.clientAddr)
		p.give(p.ss, good[:i], p.clientAddr)
	}
	require.NoError(t, p.ss.Err())
	drops := p.ss.Stats().Dropped
	require.Equal(t, uint64(2*len(good)), drops.Malformed+drops.Unmatched+drops.Forged)
	p.say("unharmed")
}

// spec: SESS-1
func TestSessionShowsOnlyAfterTheLastHandshakePacket(t *testing.T) {
	p := newPair(t)
	p.filter = func(toServer bool, _ int, data []byte) int {
		if toServer && len(data) == wire.MinInitSize && p.cs.Established() {
			return 0 // FIN
		}
		return 1
	}
	require.True(t, p.run(time.Second, func() bool { return p.cs.Established() }))
	_, err := p.cs.Stream0().Write([]byte("early"))
	require.NoError(t, err)
	p.idle(2 * time.Second)
	require.Nil(t, p.ss)
	require.Zero(t, p.server.Stats().Accepted)
}

// spec: SESS-2
func TestDataThatOvertakesTheLastHandshakePacketIsKept(t *testing.T) {
	p := newPair(t)
	var fin []byte
	p.filter = func(toServer bool, _ int, data []byte) int {
		if toServer && fin == nil && p.cs.Established() && wire.IsLong(data[0]) {
			fin = append([]byte(nil), data...)
			return 0
		}
		return 1
	}
	require.True(t, p.run(time.Second, func() bool { return p.cs.Established() }))
	_, err := p.cs.Stream0().Write([]byte("early bird"))
	require.NoError(t, err)
	p.idle(p.delay)
	stranger := netip.MustParseAddrPort("203.0.113.5:9")
	h := p.server.half.list[0]
	require.Len(t, h.early, 1)
	for range 20 {
		d := Datagram{Data: append([]byte(nil), h.early[0].Data...), Addr: AddrPair{Remote: stranger}}
		require.Nil(t, p.server.Dispatch(p.now, d))
		require.Len(t, h.early, 1, "nobody else fills the queue")
	}
	for range 20 {
		d := Datagram{Data: append([]byte(nil), h.early[0].Data...), Addr: AddrPair{Remote: p.clientAddr}}
		require.Nil(t, p.server.Dispatch(p.now, d))
	}
	require.Len(t, h.early, maxEarly, "and its sender only so far")
	require.Equal(t, uint64(20+20-(maxEarly-1)), p.server.Stats().Overload, "what is not kept is counted")
	p.send(true, p.clientAddr, p.serverAddr, fin)
	p.idle(p.delay)
	require.NotNil(t, p.ss)
	p.hear(p.ss, "early bird")
}

// spec: SESS-3
func TestServerSaysDoneAgainWhenTheLastPacketComesAgain(t *testing.T) {
	p := newPair(t)
	mute := true
	p.filter = func(toServer bool, _ int, _ []byte) int {
		if mute && !toServer && p.ss != nil {
			return 0
		}
		return 1
	}
	require.True(t, p.run(time.Second, func() bool { return p.ss != nil }))
	p.idle(100 * time.Millisecond)
	require.False(t, p.cs.Confirmed())
	mute = false
	require.True(t, p.run(time.Second, func() bool { return p.cs.Confirmed() }))
}

// spec: SESS-6
func TestHandshakePacketsAreRepeatedByteForByte(t *testing.T) {
	p := newPair(t)
	var inits, fins [][]byte
	p.filter = func(toServer bool, _ int, data []byte) int {
		if long, err := wire.ParseLong(data); err == nil && toServer {
			if long.Kind == wire.KindInit {
				inits = append(inits, append([]byte(nil), data...))
				return len(inits) / 4 // the fourth arrives
			}
			fins = append(fins, append([]byte(nil), data...))
			return len(fins) / 3
		}
		return 1
	}
	p.connect()
	for _, b := range inits {
		require.Equal(t, inits[0], b)
	}
	for _, b := range fins {
		require.Equal(t, fins[0], b)
	}
}

// spec: SESS-7
func TestAnswerWithinTheGraceBeatsARefusal(t *testing.T) {
	p := newPair(t, func(c, s *Config, _ *EndpointConfig) { c.AppProtocols, s.AppProtocols = []string{"a"}, []string{"a"} })
	p.drain()
	init := append([]byte(nil), p.wire[0].data...)
	other := p.server.cfg // a member of the same fleet that serves something else
	other.Session.Rand = seeded(55)
	other.Session.AppProtocols = []string{"b"}
	refuser, err := NewEndpoint(other)
	require.NoError(t, err)
	require.Nil(t, refuser.Dispatch(p.now, Datagram{Data: init, Addr: AddrPair{Remote: p.clientAddr}}))
	reject, _, ok := refuser.AppendDatagram(p.now, nil)
	require.True(t, ok)
	p.now = p.now.Add(15 * time.Millisecond)
	p.give(p.cs, reject, p.serverAddr)
	require.NotNil(t, p.cs.hs.refused)
	p.connect()
}

// spec: SESS-8
func TestVersionNegotiationIsOnlyAHint(t *testing.T) {
	vneg := func(p *pair, versions ...uint32) []byte {
		long := wire.Long{Kind: wire.KindVersionNegotiation, DCID: p.cs.hs.localID, SCID: p.cs.hs.firstID}
		return wire.AppendVersions(long.Append(nil), versions...)
	}
	p := newPair(t)
	p.drain()
	p.give(p.cs, vneg(p, 0x99999999), p.serverAddr)
	p.connect()

	q := newPair(t)
	q.filter = func(bool, int, []byte) int { return 0 }
	q.drain()
	q.give(q.cs, vneg(q, 0x99999999, wire.Version1), q.serverAddr)
	require.NoError(t, q.cs.hs.refused, "a list with our version is a lie")
	q.give(q.cs, vneg(q, 0x99999999), q.serverAddr)
	q.idle(4 * time.Second)
	require.NoError(t, q.cs.Err(), "not before its time")
	q.idle(2 * time.Second)
	require.ErrorIs(t, q.cs.Err(), ErrVersion)
}

// spec: SESS-12
func TestStoppingServerRefusesByName(t *testing.T) {
	p := newPair(t)
	p.server.Refuse(wire.RejectStopping)
	require.True(t, p.run(time.Second, func() bool { return p.cs.Dead() }))
	require.Equal(t, &RejectError{Code: wire.RejectStopping}, p.cs.Err())
}

// spec: SESS-14
func TestSessionEndedBySilenceLeavesNothing(t *testing.T) {
	p := connected(t)
	p.filter = func(bool, int, []byte) int { return 0 }
	before := p.count
	p.idle(time.Minute)
	require.True(t, p.cs.Dead())
	require.True(t, p.ss.Dead())
	require.Equal(t, before, p.count, "without a word")
	require.Empty(t, p.server.sessions)
	require.Empty(t, p.client.sessions)
	require.Empty(t, p.client.tokens)
}

// spec: SESS-15
func TestKeepAliveIsLargeEnoughToProvokeAReset(t *testing.T) {
	p := connected(t, func(c, _ *Config, _ *EndpointConfig) { c.KeepAlive = 10 * time.Second })
	p.idle(2 * time.Second)
	sizes := []int{}
	p.filter = func(toServer bool, _ int, data []byte) int {
		if toServer {
			sizes = append(sizes, len(data))
		}
		return 1
	}
	p.idle(11 * time.Second)
	require.NotEmpty(t, sizes)
	require.GreaterOrEqual(t, sizes[0], 43)
}

// spec: SESS-16
func TestTwoClosingEndsDoNotChatter(t *testing.T) {
	p := connected(t)
	p.cs.CloseWithError(p.now, 1, "")
	p.ss.CloseWithError(p.now, 2, "")
	before := p.count
	p.idle(time.Second)
	require.LessOrEqual(t, p.count[0]-before[0]+p.count[1]-before[1], 2)

	q := connected(t)
	q.cs.CloseWithError(q.now, 1, "")
	answers := 0
	for range 100 {
		q.give(q.cs, q.craft(q.ss, byte(wire.FramePing)), q.serverAddr)
		if _, _, ok := q.cs.AppendDatagram(q.now, nil); ok {
			answers++
		}
	}
	require.Equal(t, 7, answers, "the 1st, 2nd, 4th ... 64th")
}

// spec: SESS-16
func TestLostCloseReachesAQuietPeer(t *testing.T) {
	for lost := range closeRepeats + 1 {
		p := connected(t)
		n := 0
		p.filter = func(bool, int, []byte) int {
			if n++; n <= lost {
				return 0
			}
			return 1
		}
		p.cs.CloseWithError(p.now, 9, "")
		require.True(t, p.run(time.Second, func() bool { return p.ss.Err() != nil }), "%d lost", lost)
	}
}

// spec: SESS-16
func TestClientThatClosesBeforeItIsConfirmedIsHeard(t *testing.T) {
	p := newPair(t)
	n := 0
	p.filter = func(toServer bool, _ int, _ []byte) int {
		if toServer && p.cs.established != 0 {
			if n++; n <= 2 { // FIN and CLOSE
				return 0
			}
		}
		return 1
	}
	require.True(t, p.run(time.Second, func() bool { return p.cs.Established() }))
	p.cs.CloseWithError(p.now, 9, "changed my mind")
	require.True(t, p.run(time.Second, func() bool { return p.ss != nil && p.ss.Err() != nil }))
	require.Equal(t, &ApplicationError{Code: 9, Reason: "changed my mind", Remote: true}, p.ss.Err())
}

// spec: SESS-24
func TestReaderMayPauseForLongerThanTheIdleTimeout(t *testing.T) {
	p := connected(t)
	for range 3 { // until neither window nor buffer takes any more
		for n := 1; n > 0; {
			n, _ = p.cs.Stream0().Write(make([]byte, 100_000))
		}
		p.idle(time.Second)
	}
	p.idle(5 * time.Minute)
	require.NoError(t, p.cs.Err())
	require.NoError(t, p.ss.Err())
	buf := make([]byte, 100_000)
	for n := 1; n > 0; {
		n, _ = p.ss.Stream0().Read(buf)
	}
	require.True(t, p.run(time.Second, func() bool { return p.ss.Stream0().Readable() }), "and goes on at once")
}

// spec: SESS-15
func TestFirstSmallPacketAfterASilenceFindsARestartedServer(t *testing.T) {
	p := connected(t)
	cfg := p.server.cfg
	cfg.Session.Rand = seeded(78)
	var err error
	p.server, err = NewEndpoint(cfg)
	require.NoError(t, err)
	p.ss = nil
	p.idle(2 * time.Second)
	start := p.now
	_, err = p.cs.Stream0().Write([]byte("x"))
	require.NoError(t, err)
	require.True(t, p.run(time.Second, func() bool { return p.cs.Err() != nil }))
	require.LessOrEqual(t, p.now.Sub(start), 2*p.delay)
	require.ErrorIs(t, p.cs.Err(), ErrStatelessReset)
}

// spec: SESS-17
func TestEndThatWasClosedIsSilent(t *testing.T) {
	p := connected(t)
	_, err := p.ss.Stream0().Write(bytes.Repeat([]byte("x"), 100_000))
	require.NoError(t, err)
	p.toServer(wire.Close{App: true, Code: 5}.Append(nil)...)
	_, _, ok := p.ss.AppendDatagram(p.now, nil)
	require.False(t, ok)
	p.toServer(byte(wire.FramePing))
	_, _, ok = p.ss.AppendDatagram(p.now, nil)
	require.False(t, ok)
}

// spec: SESS-18
func TestOrdinaryEndIsEndOfStreamAfterWhatHadArrived(t *testing.T) {
	p := connected(t)
	p.toServer(wire.StreamFrame{ID: 0, Data: []byte("rest")}.Append(nil)...)
	p.toServer(wire.Close{App: true}.Append(nil)...)
	b := make([]byte, 10)
	n, err := p.ss.Stream0().Read(b)
	require.NoError(t, err)
	require.Equal(t, "rest", string(b[:n]))
	_, err = p.ss.Stream0().Read(b)
	require.Equal(t, io.EOF, err)
}

// spec: SESS-20
func TestResetOfAnotherSessionIsIgnored(t *testing.T) {
	p := connected(t)
	reset := make([]byte, 60)
	reset[0] = 0x08
	p.give(p.cs, reset, p.serverAddr)
	require.NoError(t, p.cs.Err())
	copy(reset[len(reset)-16:], p.cs.ids.peer[0].token[:])
	p.give(p.cs, reset, p.serverAddr)
	require.ErrorIs(t, p.cs.Err(), ErrStatelessReset)
}

// spec: SESS-21 SESS-22
func TestSecondKeyUpdateWaitsForTheFirst(t *testing.T) {
	p := connected(t)
	p.cs.ForceKeyUpdate(p.now)
	p.cs.ForceKeyUpdate(p.now)
	require.Equal(t, uint64(1), p.cs.keys.sendGen)
	p.say("x")
	p.idle(time.Second)
	require.Equal(t, uint64(1), p.ss.keys.sendGen, "the peer follows")
	p.cs.ForceKeyUpdate(p.now)
	require.Equal(t, uint64(2), p.cs.keys.sendGen)
}

// spec: PATH-3
func TestPeerThatNeverAcknowledgesRetirementsIsClosed(t *testing.T) {
	p := connected(t)
	for range maxRetiring {
		p.cs.ids.retiring = append(p.cs.ids.retiring, retiredID{path: 100, state: deliverySent})
	}
	err := p.cs.retirePeerIDs(func(uint64) bool { return true })
	var closed *TransportError
	require.ErrorAs(t, err, &closed)
	require.Equal(t, wire.IDLimit, closed.Code)
}

// spec: PATH-5
func TestOneAnswerToManyChallenges(t *testing.T) {
	p := connected(t)
	var frames []byte
	for i := range byte(100) {
		frames = wire.PathChallenge{Data: [8]byte{i}}.Append(frames)
	}
	p.toServer(frames...)
	answers := 0
	for {
		b, m, ok := p.ss.AppendDatagram(p.now, nil)
		if !ok {
			break
		}
		require.Equal(t, p.clientAddr, m.Addr.Remote)
		if len(b) >= wire.MinInitSize {
			answers++
		}
	}
	require.Equal(t, 1, answers)
}

// spec: PATH-6 PATH-7 PATH-8
func TestAddressMustProveItselfAndNobodyElseCanForIt(t *testing.T) {
	p := connected(t)
	road := netip.MustParseAddrPort("198.51.100.9:5555")
	old := p.craft(p.cs, byte(wire.FramePing))
	p.toServer(byte(wire.FramePing))
	p.give(p.ss, old, road)
	require.Nil(t, p.ss.paths.active.moving, "an older number moves nothing")
	p.give(p.ss, p.craft(p.cs, byte(wire.FramePing)), road)
	m := p.ss.paths.active.moving
	require.NotNil(t, m)
	p.drainSession(p.ss, false)
	require.Equal(t, p.clientAddr, p.ss.Peer().Addr.Remote, "data stays on the old address")
	p.toServer(wire.PathResponse{Data: m.proof.data}.Append(nil)...)
	require.Equal(t, p.clientAddr, p.ss.Peer().Addr.Remote, "an answer from elsewhere proves nothing")
	p.give(p.ss, p.craft(p.cs, wire.PathResponse{Data: m.proof.data}.Append(nil)...), road)
	require.Equal(t, road, p.ss.Peer().Addr.Remote)
}

// spec: PATH-9
func TestOldAddressThatAnswersKeepsThePath(t *testing.T) {
	p := connected(t)
	road := netip.MustParseAddrPort("198.51.100.9:5555")
	p.give(p.ss, p.craft(p.cs, byte(wire.FramePing)), road)
	m := p.ss.paths.active.moving
	p.drainSession(p.ss, false)
	p.give(p.ss, p.craft(p.cs, wire.PathResponse{Data: m.proof.data}.Append(nil)...), road)
	require.Equal(t, road, p.ss.Peer().Addr.Remote)
	p.give(p.ss, p.craft(p.cs, wire.PathResponse{Data: m.stay.data}.Append(nil)...), road)
	require.Equal(t, p.clientAddr, p.ss.Peer().Addr.Remote, "from wherever the answer comes: it was heard there")
}

// spec: PATH-10
func TestOnlyANewAddressStartsCongestionStateAnew(t *testing.T) {
	for _, test := range []struct {
		to    string
		fresh bool
	}{{"192.0.2.1:7777", false}, {"198.51.100.9:1000", true}} {
		p := connected(t)
		p.answerBytes(300_000)
		grown := p.ss.Stats().Window
		p.clientAddr = netip.MustParseAddrPort(test.to)
		p.say("moved")
		require.True(t, p.run(time.Second, func() bool { return p.ss.Peer().Addr.Remote == p.clientAddr }))
		require.Equal(t, test.fresh, p.ss.Stats().Window < grown/2, "%s: %d, before %d", test.to, p.ss.Stats().Window, grown)
	}
}

func (p *pair) answerBytes(n int) {
	p.transfer(p.ss.Stream0(), func() *Stream { return p.cs.Stream0() }, n, false)
}

// spec: PATH-11
func TestClientDoesNotFollowItsServer(t *testing.T) {
	p := connected(t)
	p.give(p.cs, p.craft(p.ss, byte(wire.FramePing)), netip.MustParseAddrPort("203.0.113.5:4433"))
	p.say("where you were")
	require.Equal(t, p.serverAddr, p.cs.Peer().Addr.Remote)
}

// spec: PATH-12
func TestClientWithoutSpareIDsStays(t *testing.T) {
	p := connected(t)
	p.cs.ids.peer = p.cs.ids.peer[:1]
	require.ErrorIs(t, p.cs.Migrate(p.now, AddrPair{Remote: p.serverAddr}), ErrNoSpareID)
}

// spec: PATH-14
func TestPathThatWasGivenUpDoesNotBeginAgain(t *testing.T) {
	p := connected(t)
	road := netip.MustParseAddrPort("198.51.100.9:5555")
	require.NoError(t, p.cs.Migrate(p.now, AddrPair{Local: road, Remote: p.serverAddr}))
	first := p.cs.paths.list[1]
	require.Equal(t, uint64(1), first.id)
	require.NoError(t, p.cs.Migrate(p.now, AddrPair{Local: road, Remote: p.serverAddr}))
	require.Equal(t, uint64(2), p.cs.paths.list[1].id, "another try, another path")
	require.ErrorIs(t, p.cs.Migrate(p.now, AddrPair{Local: road, Remote: p.serverAddr}), ErrNoSpareID)
	p.idle(time.Second)
	require.NoError(t, p.cs.Migrate(p.now, AddrPair{Local: road, Remote: p.serverAddr}), "the server hands out more")

	q := connected(t)
	late := q.cs.newPath(q.now, 1, q.cs.paths.active.addr, q.cs.ids.localFor(1).id, q.cs.ids.peerFor(1).id, 0)
	q.give(q.ss, q.craftOn(q.cs, late, wire.PathChallenge{}.Append(nil)...), road)
	require.Len(t, q.ss.paths.list, 2)
	q.filter = func(bool, int, []byte) int { return 0 }
	q.idle(20 * time.Second)
	require.Len(t, q.ss.paths.list, 1, "nobody answers there")
	q.give(q.ss, q.craftOn(q.cs, late, byte(wire.FramePing)), road)
	require.Len(t, q.ss.paths.list, 1)
}

// Each end proves a path for itself. With a third of all datagrams lost, and a third doubled, one of them
// often succeeds where the other's challenges or answers are lost. The draws at the end are some in which they missed each
// other: the server gave up, or replaced, the path that its client had proved for itself.
//
// spec: PATH-15
func TestEndsThatMoveUnderHeavyLossFindEachOther(t *testing.T) {
	draw := func(seed uint64) {
		p := connected(t)
		rng := rand.New(rand.NewPCG(seed, 5))
		p.filter = func(bool, int, []byte) int { return rng.IntN(3) }
		road := netip.MustParseAddrPort("198.51.100.9:5555")
		p.alsoClient = append(p.alsoClient, road)
		for range 3 {
			p.say("are you there?")
			p.answer("where you are")
			p.idle(time.Second)
			_ = p.cs.Migrate(p.now, AddrPair{Local: road, Remote: p.serverAddr}) // without a spare ID it stays
		}
		p.say("still there?")
		p.answer("yes")
	}
	for seed := range uint64(1000) {
		draw(seed)
	}
	for _, seed := range []uint64{2887, 4547, 6061, 6242, 7284, 7536, 10654, 13770, 21700, 53979, 85461, 138576} {
		draw(seed)
	}
}

// arrivesOn hands the server a packet of its client on a path that is new to the server, and returns that path.
func (p *pair) arrivesOn(id uint64, frames ...byte) *path {
	p.t.Helper()
	way := p.cs.paths.find(id)
	if way == nil {
		way = p.cs.newPath(p.now, id, p.cs.paths.active.addr, p.cs.ids.localFor(id).id, p.cs.ids.peerFor(id).id, 0)
		p.cs.paths.list = append(p.cs.paths.list, way)
	}
	p.give(p.ss, p.craftOn(p.cs, way, frames...), elsewhere)
	return p.ss.paths.find(id)
}

// spec: PATH-15
func TestAnotherPathReplacesNoneThatTheClientMayUse(t *testing.T) {
	ask, ping := wire.PathChallenge{}.Append(nil), []byte{byte(wire.FramePing)}
	tests := []struct {
		name  string
		on    func(p *pair, first *path)
		stays bool
	}{
		{"it was only asked", func(*pair, *path) {}, false},
		{"data came on it", func(p *pair, _ *path) { p.arrivesOn(1, ping...) }, true},
		{"it was proved", func(p *pair, first *path) {
			p.pump(p.ss)
			p.arrivesOn(1, wire.PathResponse{Data: first.proof.data}.Append(nil)...)
		}, true},
	}
	for _, test := range tests {
		p := connected(t)
		test.on(p, p.arrivesOn(1, ask...))
		require.NotNil(t, p.arrivesOn(2, ask...), test.name)
		require.Equal(t, test.stays, p.ss.paths.find(1) != nil, test.name)
	}
}

// Three paths with state leave room for one that was given up.
func TestAttack13PathsWithStateTakeThePlaceOfThoseThatWereGivenUp(t *testing.T) {
	p := connected(t)
	for id := range uint64(maxLeftPaths) {
		left := *p.ss.paths.active
		left.id, left.validated, left.expires = 100+id, false, p.now.Add(time.Hour)
		p.ss.paths.list = append(p.ss.paths.list, &left)
	}
	p.arrivesOn(1, byte(wire.FramePing))
	require.Len(t, p.ss.paths.list, maxActivePaths+maxLeftPaths)
	require.NotNil(t, p.arrivesOn(2, wire.PathChallenge{}.Append(nil)...))
	require.Len(t, p.ss.paths.list, maxActivePaths+maxLeftPaths)
	require.NotNil(t, p.ss.paths.find(1))
	require.Nil(t, p.ss.paths.find(100), "the oldest goes first")
	require.NotNil(t, p.ss.paths.find(101))
}

// The client on a path that it proved for itself has no other way to its server, and is asked as long as it may speak.
//
// spec: PATH-15
func TestASilentPathIsAskedAsLongAsAClientWouldAsk(t *testing.T) {
	for _, used := range []bool{false, true} {
		p := connected(t)
		p.arrivesOn(1, wire.PathChallenge{}.Append(nil)...)
		if used {
			p.arrivesOn(1, byte(wire.FramePing))
		}
		p.restsFor(p.ss, silentPath-time.Second, 50*time.Millisecond)
		require.NotNil(t, p.ss.paths.find(1))
		p.restsFor(p.ss, 3*time.Second, 50*time.Millisecond)
		require.Equal(t, used, p.ss.paths.find(1) != nil)
	}
}

// spec: PATH-16
func TestAPathEndsWhenThePeerGivesItsNameBack(t *testing.T) {
	p := connected(t)
	p.arrivesOn(1, wire.PathChallenge{}.Append(nil)...)
	require.NotNil(t, p.ss.ids.peerFor(1))
	p.toServer(wire.RetireSessionID{Path: 1}.Append(nil)...)
	require.Nil(t, p.ss.paths.find(1))
	require.Nil(t, p.ss.ids.peerFor(1), "and its own name too")

	p = connected(t)
	p.arrivesOn(1, wire.RetireSessionID{Path: 0}.Append(nil)...)
	require.NotNil(t, p.ss.paths.find(0), "the path in use stays until the other one is proved")
}

// spec: PATH-13
func TestWhatWasInFlightOnTheOldPathComesOnTheNewOne(t *testing.T) {
	p := connected(t)
	road := netip.MustParseAddrPort("198.51.100.9:5555")
	p.alsoClient = append(p.alsoClient, road)
	p.filter = func(toServer bool, _ int, _ []byte) int { // the old network is gone
		if toServer && p.cs.paths.active.id == 0 && len(p.cs.paths.list) == 1 {
			return 0
		}
		return 1
	}
	_, err := p.cs.Stream0().Write([]byte("in flight"))
	require.NoError(t, err)
	p.drain()
	require.NoError(t, p.cs.Migrate(p.now, AddrPair{Local: road, Remote: p.serverAddr}))
	start := p.now
	p.hear(p.ss, "in flight")
	require.LessOrEqual(t, p.now.Sub(start), 3*p.delay)
	require.Len(t, p.ss.paths.list, 2, "the old path takes late packets")
	p.idle(5 * time.Second)
	require.Len(t, p.ss.paths.list, 1)
}

// spec: REG-9
func TestEachEndSendsAFrameThatNobodyKnows(t *testing.T) {
	p := newPair(t)
	require.True(t, p.run(time.Second, func() bool { return p.cs.Established() }))
	b := p.cs.begin(nil, p.cs.paths.active, 1200)
	p.cs.appendGrease(&b)
	typ, _ := wire.ConsumeFrameType(b.buf[b.body:])
	require.True(t, wire.IsGrease(typ), "%v", typ)
	n := len(b.buf)
	p.cs.appendGrease(&b)
	require.Len(t, b.buf, n, "once")
	p.cs.control.greased = false
	p.connect()
	p.say("hello")
	require.True(t, p.cs.control.greased)
	require.True(t, p.ss.control.greased)
}
