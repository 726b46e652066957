package protocol

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/wire"
)

// The attacks of chapter 11, by number, in virtual time with a scripted adversary. Those on messages of
// the handshake and on primitives are in the tests of crypto and crypto/handshake.

// firstInit returns the INIT of a fresh client of the server of p.
func (p *pair) firstInit(seed uint64) []byte {
	p.t.Helper()
	e, err := NewEndpoint(EndpointConfig{Session: Config{Rand: seeded(1000 + seed)}, IDLen: 4})
	require.NoError(p.t, err)
	cfg := *p.cs.cfg
	cfg.Rand = seeded(500_000 + seed)
	s, err := e.Dial(p.now, &cfg, AddrPair{Remote: p.serverAddr})
	require.NoError(p.t, err)
	b, _, ok := s.AppendDatagram(p.now, nil)
	require.True(p.t, ok)
	return b
}

// ask hands a datagram to the server's endpoint and returns the size of its replies.
func (p *pair) ask(data []byte, from netip.AddrPort) (out int) {
	if s := p.server.Dispatch(p.now, Datagram{Data: append([]byte(nil), data...), Addr: AddrPair{Remote: from}}); s != nil {
		s.HandleDatagram(p.now, Datagram{Data: append([]byte(nil), data...), Addr: AddrPair{Remote: from}})
	}
	for {
		b, m, ok := p.server.AppendDatagram(p.now, nil)
		if !ok {
			return out
		}
		require.Equal(p.t, from, m.Addr.Remote, "answers go where the question came from")
		out += len(b)
	}
}

// spec: SESS-10
func TestAttack01AmplificationFromASpoofedSource(t *testing.T) {
	p := newPair(t)
	rng := rand.New(rand.NewPCG(1, 1))
	victim := netip.MustParseAddrPort("203.0.113.7:53")
	in, out := 0, 0
	send := func(b []byte) {
		in += len(b)
		out += p.ask(b, victim)
		require.LessOrEqual(t, out, 3*in)
	}
	init := p.firstInit(1)
	for range 10_000 { // one INIT, replayed
		send(init)
		p.now = p.now.Add(time.Duration(rng.IntN(200)) * time.Millisecond)
		p.server.HandleTimeout(p.now)
	}
	require.Less(t, out, in/2, "copies are hardly answered")
	for i := range 300 { // whatever else a stranger may say
		b := make([]byte, rng.IntN(1400))
		for j := range b {
			b[j] = byte(rng.Uint32())
		}
		if len(b) > 0 {
			b[0] = byte(4 + rng.IntN(12))
		}
		send(b)
		long := append([]byte(nil), init...)
		binary.BigEndian.PutUint32(long[1:], rng.Uint32())
		send(long[:rng.IntN(len(long))])
		send(p.firstInit(uint64(i)))
	}
}

// spec: SESS-13
func TestAttack03FloodWithTheServersKeyLocksNobodyOut(t *testing.T) {
	p := newPair(t)
	for i := range 1500 { // more than the budget, from many prefixes
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{100, byte(i >> 8), byte(i), 1}), 1000)
		require.NotZero(t, p.ask(p.firstInit(uint64(i)), from), "every one is answered, with RETRY at the least")
	}
	require.NotZero(t, p.server.Stats().Retries)
	require.Less(t, p.server.Stats().Agreements, uint64(1000), "public-key work is bounded")
	start := p.now
	require.True(t, p.run(time.Second, func() bool { return p.cs.Established() }))
	require.LessOrEqual(t, p.now.Sub(start), 4*p.delay, "an honest client needs two round trips at most")
	p.connect()
}

// spec: SESS-11
func TestAttack04SlowHandshakesCostBoundedMemory(t *testing.T) {
	p := newPair(t, func(_, _ *Config, e *EndpointConfig) { e.Retry = RetryNever })
	for i := range 300 {
		p.ask(p.firstInit(uint64(i)), netip.AddrPortFrom(netip.AddrFrom4([4]byte{100, 1, byte(i >> 8), byte(i)}), 1))
	}
	require.Len(t, p.server.half.list, 300)
	h := p.server.half.list[0]
	for len(p.server.half.list) < maxHalfOpen { // entries are alike: make the rest without public-key work
		c := *h
		c.id, _ = p.server.newID()
		binary.BigEndian.PutUint64(c.hash[:], uint64(len(p.server.half.list)))
		p.server.half.add(p.now, p.server.rng, &c)
	}
	proved := *h
	proved.id, _ = p.server.newID()
	proved.hash[31], proved.validated = 0xff, true
	p.server.half.add(p.now, p.server.rng, &proved)
	for i := range 2 * maxHalfOpen {
		c := *h
		c.id, _ = p.server.newID()
		binary.BigEndian.PutUint64(c.hash[8:], uint64(i+1))
		p.server.half.add(p.now, p.server.rng, &c)
		require.LessOrEqual(t, len(p.server.half.list), maxHalfOpen)
	}
	require.Contains(t, p.server.half.byID, proved.id, "a proved address is not pushed out by unproved ones")
	p.now = p.now.Add(halfOpenLifetime + 2*sweepInterval)
	p.server.HandleTimeout(p.now)
	require.Empty(t, p.server.half.list)
	require.Empty(t, p.server.half.byID)
	require.Empty(t, p.server.half.byHash)
	var err error
	p.cs, err = p.client.Dial(p.now, p.cs.cfg, AddrPair{Remote: p.serverAddr})
	require.NoError(t, err)
	p.connect()
}

// spec: SESS-9
func TestAttack05WithoutTheKeyNothingIsDoneAndNothingKept(t *testing.T) {
	psk, err := crypto.PresharedKeyFromSeed(seeded(7))
	require.NoError(t, err)
	withPSK := func(c, s *Config, _ *EndpointConfig) { c.PresharedKey, s.PresharedKey = psk, psk }
	p := newPair(t, withPSK)
	stolen := p.firstInit(3)
	copy(stolen[len(stolen)-16:], make([]byte, 16)) // the ID of the key is seen on the wire, the key is not
	require.Zero(t, p.ask(stolen, p.clientAddr))
	without := newPair(t)
	require.Zero(t, p.ask(without.firstInit(3), p.clientAddr), "nor without any")
	require.Zero(t, p.server.Stats().Agreements)
	require.Zero(t, p.server.Stats().HalfOpen)
	require.Equal(t, uint64(2), p.server.Stats().Forged)
	p.connect()
}

func TestAttack06EveryDatagramReplayedIsDeliveredOnce(t *testing.T) {
	p := newPair(t)
	rng := rand.New(rand.NewPCG(2, 2))
	var seen [][]byte
	p.filter = func(toServer bool, _ int, data []byte) int {
		if toServer {
			seen = append(seen, append([]byte(nil), data...))
		}
		return 1 + rng.IntN(3)
	}
	p.connect()
	p.transfer(p.cs.Stream0(), func() *Stream { return p.ss.Stream0() }, 300_000, false)
	for range 3 {
		rng.Shuffle(len(seen), func(i, j int) { seen[i], seen[j] = seen[j], seen[i] })
		for _, b := range seen {
			p.ask(b, p.clientAddr)
		}
	}
	require.NotZero(t, p.ss.Stats().Dropped.Duplicate)
	require.Equal(t, uint64(1), p.server.Stats().Accepted, "a replayed handshake makes no second session")
	p.filter = nil
	p.say("once more")
}

func TestAttack07PacketsReflectedToTheirSenderChangeNothing(t *testing.T) {
	p := newPair(t)
	p.filter = func(toServer bool, _ int, data []byte) int {
		echo := append([]byte(nil), data...)
		if toServer {
			p.client.Dispatch(p.now, Datagram{Data: echo, Addr: AddrPair{Remote: p.serverAddr}})
			p.give(p.cs, echo, p.serverAddr)
		} else {
			p.server.Dispatch(p.now, Datagram{Data: echo, Addr: AddrPair{Remote: p.clientAddr}})
			if p.ss != nil {
				p.give(p.ss, echo, p.clientAddr)
			}
		}
		return 1
	}
	p.connect()
	p.filter = nil
	before := p.ss.Stats().PacketsReceived
	for range 100 {
		p.give(p.ss, p.craft(p.ss, wire.Close{App: true}.Append(nil)...), p.clientAddr)
	}
	require.Equal(t, before, p.ss.Stats().PacketsReceived)
	p.say("hello")
	p.answer("hello")
}

func TestAttack08OffPathInjectionAtEveryState(t *testing.T) {
	p := newPair(t)
	rng := rand.New(rand.NewPCG(3, 3))
	inject := func() {
		for range 2000 {
			b := make([]byte, 41+rng.IntN(40))
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			b[0] = byte(4 + rng.IntN(12))
			if s := p.client.Dispatch(p.now, Datagram{Data: b, Addr: AddrPair{Remote: p.serverAddr}}); s != nil {
				s.HandleDatagram(p.now, Datagram{Data: b, Addr: AddrPair{Remote: p.serverAddr}})
			}
			p.give(p.cs, b, p.serverAddr) // as if the ID had been guessed
		}
		if p.cs.hs == nil || p.cs.hs.finished {
			return
		}
		for _, kind := range []wire.Kind{wire.KindRetry, wire.KindReject, wire.KindResp, wire.KindVersionNegotiation} {
			long := wire.Long{Kind: kind, Version: wire.Version1, DCID: p.cs.hs.localID, SCID: p.cs.hs.firstID}
			if kind == wire.KindVersionNegotiation {
				long.Version = 0
			}
			for range 500 {
				b := long.Append(nil)
				for range 48 {
					b = append(b, byte(rng.Uint32()))
				}
				p.give(p.cs, b, p.serverAddr)
			}
		}
	}
	p.drain()
	inject()
	require.True(t, p.run(time.Second, func() bool { return p.cs.Established() }))
	inject()
	p.connect()
	inject()
	p.say("alive")
	p.cs.Shutdown(p.now)
	inject()
	require.True(t, p.run(time.Second, func() bool { return p.ss.Err() != nil }))
	require.Equal(t, &ApplicationError{Remote: true}, p.ss.Err())
}

func TestAttack09OnPathAttackerCanOnlyDrop(t *testing.T) {
	for step := range 8 {
		for _, how := range []string{"flip", "truncate", "extend", "zero"} {
			p := newPair(t)
			rng := rand.New(rand.NewPCG(uint64(step), 9))
			n := 0
			p.filter = func(_ bool, _ int, data []byte) int {
				if n++; n-1 != step {
					return 1
				}
				switch how {
				case "flip":
					data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
				case "truncate":
					clear(data[len(data)/2:])
				case "extend":
					data[len(data)-1]++
				case "zero":
					clear(data[1:])
				}
				return 1
			}
			p.connect()
			p.filter = nil
			p.say("through")
			require.NoError(t, p.cs.Err())
		}
	}
}

func TestAttack10CopiesFromElsewhereDoNotHijackTheSession(t *testing.T) {
	p := connected(t)
	attacker := netip.MustParseAddrPort("203.0.113.66:666")
	toAttacker, fromAttacker := 0, 0
	p.filter = func(toServer bool, _ int, data []byte) int {
		if toServer { // the copy is faster than the original
			fromAttacker += len(data)
			p.wire = append(p.wire, wireItem{p.now.Add(p.delay - time.Millisecond), true, attacker, p.serverAddr, append([]byte(nil), data...)})
		}
		return 1
	}
	p.relay = func(f wireItem) { // what goes to the attacker is forwarded to the client
		toAttacker += len(f.data)
		p.wire = append(p.wire, wireItem{p.now.Add(time.Millisecond), false, p.serverAddr, p.clientAddr, f.data})
	}
	p.attacker = attacker
	for range 20 {
		p.say("ping")
		p.answer("pong")
	}
	p.idle(3 * p.ss.probeTimeout())
	require.Equal(t, p.clientAddr, p.ss.Peer().Addr.Remote, "the traffic is where it belongs")
	require.NotZero(t, fromAttacker)
	require.LessOrEqual(t, toAttacker, 3*fromAttacker)
}

func TestAttack11OptimisticAcknowledgementsCloseTheSession(t *testing.T) {
	p := connected(t)
	_, err := p.ss.Stream0().Write(bytes.Repeat([]byte("x"), 200_000))
	require.NoError(t, err)
	for n := 0; p.ss.Err() == nil; n++ {
		require.Less(t, n, 1000, "closed within a thousand packets")
		if _, _, ok := p.ss.AppendDatagram(p.now, nil); !ok {
			p.now = p.now.Add(time.Millisecond)
			p.ss.HandleTimeout(p.now)
		}
		next := p.ss.paths.active.loss.list.next
		p.toServer(wire.AppendAck(nil, 0, 0, []wire.Range{{Start: 0, End: next}}, wire.AckExtras{})...)
		if n%50 == 0 {
			_, _ = p.ss.Stream0().Write(bytes.Repeat([]byte("x"), 200_000))
			p.toServer(append(wire.MaxData{Max: 1 << 40}.Append(nil), wire.MaxStreamData{ID: 0, Max: 1 << 40}.Append(nil)...)...)
		}
	}
	var closed *TransportError
	require.ErrorAs(t, p.ss.Err(), &closed)
	require.Equal(t, wire.AckUnsent, closed.Code)
}

func TestAttack13FramesOfEveryKindCostBoundedMemory(t *testing.T) {
	frames := map[string]func(i uint64) []byte{
		"ping":           func(uint64) []byte { return wire.Ping{}.Append(nil) },
		"path challenge": func(i uint64) []byte { return wire.PathChallenge{Data: [8]byte{byte(i)}}.Append(nil) },
		"path response":  func(uint64) []byte { return wire.PathResponse{}.Append(nil) },
		"new ID": func(i uint64) []byte {
			return wire.NewSessionID{Path: i + 3, ID: wire.MakeID(binary.BigEndian.AppendUint32(nil, uint32(i))), Token: wire.ResetToken{1}}.Append(nil)
		},
		"retire ID": func(i uint64) []byte { return wire.RetireSessionID{Path: 1 + i%1000}.Append(nil) },
		"stop":      func(i uint64) []byte { return wire.StopSending{ID: 4 * (i % 200)}.Append(nil) },
		"reset":     func(i uint64) []byte { return wire.ResetStream{ID: 4 * (i % 200)}.Append(nil) },
		"stream": func(i uint64) []byte {
			return wire.StreamFrame{ID: 4 * (i % 200), Offset: i % 1000, Data: []byte("x")}.Append(nil)
		},
		"streams blocked": func(i uint64) []byte {
			return append([]byte{byte(wire.FrameStreamsBlockedBidi)}, wire.AppendVarint(nil, i)...)
		},
		"data blocked":  func(i uint64) []byte { return wire.DataBlocked{Limit: i}.Append(nil) },
		"ack frequency": func(i uint64) []byte { return wire.AckFrequency{Sequence: i, Packets: i, DelayMicros: i}.Append(nil) },
	}
	for name, frame := range frames {
		t.Run(name, func(t *testing.T) {
			p := connected(t)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for i := range uint64(50_000) { // and not one acknowledgement
				if p.ss.Err() != nil {
					break
				}
				p.toServer(frame(i)...)
				if i%64 == 0 {
					for {
						if _, _, ok := p.ss.AppendDatagram(p.now, nil); !ok {
							break
						}
					}
					for ok := true; ok; {
						_, ok = p.ss.PollEvent()
					}
				}
				p.cs.paths.active.loss.release()
				p.cs.paths.active.loss.abandon((*sentHandler)(p.cs))
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(3<<20))
		})
	}
}

// With the build tag godwit_audit, which CI sets, every sealed packet is written down with its key and
// nonce, and a pair that comes back panics. This is the life that has the most chances to.
func TestAttack20NoNonceIsUsedTwice(t *testing.T) {
	p := newPair(t)
	rng := rand.New(rand.NewPCG(4, 4))
	p.filter = func(bool, int, []byte) int { return rng.IntN(3) }
	p.connect()
	road := netip.MustParseAddrPort("198.51.100.9:5555")
	p.alsoClient = append(p.alsoClient, road)
	for i := range 6 {
		p.say("some words under every key and on every path")
		p.answer("and some back")
		p.idle(time.Second)
		if i%2 == 0 {
			p.cs.ForceKeyUpdate(p.now)
		} else {
			_ = p.cs.Migrate(p.now, AddrPair{Local: road, Remote: p.serverAddr})
		}
	}
	cfg := p.server.cfg // killed and started again: nothing of the old keys is left
	cfg.Session.Rand = seeded(123)
	var err error
	p.server, err = NewEndpoint(cfg)
	require.NoError(t, err)
	p.ss = nil
	p.filter = nil
	dial := *p.cs.cfg
	dial.Rand = seeded(124)
	p.cs, err = p.client.Dial(p.now, &dial, AddrPair{Remote: p.serverAddr})
	require.NoError(t, err)
	p.connect()
	p.say("again")
}

func TestAttack23ClocksThatDisagreeDoNotMatter(t *testing.T) {
	for _, skew := range []int64{-3600, 0, 3600} {
		p := newPair(t, func(_, _ *Config, e *EndpointConfig) {
			e.UnixAtZero += skew
			e.Retry = RetryAlways
		})
		p.connect()
		p.say("what time is it?")
	}
}

func TestAttack27ResetsDieOutBetweenTwoServers(t *testing.T) {
	p := newPair(t)
	cfg := p.server.cfg
	cfg.Session.Rand = seeded(88)
	other, err := NewEndpoint(cfg) // shares the key
	require.NoError(t, err)
	id, _ := p.server.newID()
	b := append(append([]byte{0x08}, id.Bytes()...), make([]byte, 200)...)
	at, rounds := p.server, 0
	for ; len(b) > 0; rounds++ {
		require.Less(t, rounds, 10)
		at.Dispatch(p.now, Datagram{Data: b, Addr: AddrPair{Remote: p.serverAddr}})
		next, _, _ := at.AppendDatagram(p.now, nil)
		require.Less(t, len(next), len(b), "every answer is smaller")
		b = next
		if at = p.server; rounds%2 == 0 {
			at = other
		}
	}
	require.NotZero(t, rounds)

	foreign := cfg
	foreign.ServerID = 9
	foreign.Session.Rand = seeded(89)
	sibling, err := NewEndpoint(foreign)
	require.NoError(t, err)
	b = append(append([]byte{0x08}, id.Bytes()...), make([]byte, 200)...)
	sibling.Dispatch(p.now, Datagram{Data: b, Addr: AddrPair{Remote: p.clientAddr}})
	_, _, ok := sibling.AppendDatagram(p.now, nil)
	require.False(t, ok, "no server resets the sessions of another")
}

// spec: SESS-23
func TestExhaustedKeysCloseTheSession(t *testing.T) {
	p := connected(t)
	p.cs.keys.maxFailures = 10
	for range 9 {
		p.give(p.cs, append(append([]byte{0x08}, p.cs.ids.local[0].id.Bytes()...), make([]byte, 40)...), p.serverAddr)
	}
	require.NoError(t, p.cs.Err())
	p.give(p.cs, append(append([]byte{0x08}, p.cs.ids.local[0].id.Bytes()...), make([]byte, 40)...), p.serverAddr)
	var closed *TransportError
	require.ErrorAs(t, p.cs.Err(), &closed)
	require.Equal(t, wire.AEADLimit, closed.Code)
}
