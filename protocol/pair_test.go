package protocol

import (
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
)

// seeded is a source of randomness for tests, the same for a seed.
func seeded(seed uint64) io.Reader {
	var s [32]byte
	s[0], s[1], s[2] = byte(seed), byte(seed>>8), byte(seed>>16)
	return rand.NewChaCha8(s)
}

// pair is a client and a server endpoint on a wire whose every datagram a test may look at.
type pair struct {
	t      testing.TB
	now    Time
	delay  time.Duration
	client *Endpoint
	server *Endpoint
	cs, ss *Session // the sessions at both ends; ss once accepted

	clientAddr, serverAddr netip.AddrPort
	wire                   []wireItem

	// filter decides what becomes of a datagram: how many copies arrive (0: lost). nil: one.
	filter func(toServer bool, n int, data []byte) int
	// alsoClient are further addresses under which the client is reached.
	alsoClient []netip.AddrPort
	// attacker is an address whose datagrams go to relay.
	attacker netip.AddrPort
	relay    func(wireItem)
	count    [2]int // datagrams so far, to server and to client
	more     int    // how many datagrams AppendMore is asked for at once
	ran      int    // how many it gave

	events map[*Session][]Event
}

type wireItem struct {
	at       Time
	toServer bool
	from, to netip.AddrPort
	data     []byte
}

type pairOption func(client, server *Config, se *EndpointConfig)

func newPair(t testing.TB, options ...pairOption) *pair {
	t.Helper()
	p := &pair{
		t: t, now: Time(time.Second), delay: 10 * time.Millisecond,
		clientAddr: netip.MustParseAddrPort("192.0.2.1:1000"), serverAddr: netip.MustParseAddrPort("192.0.2.2:4433"),
		events: make(map[*Session][]Event),
	}
	key, err := crypto.PrivateKeyFromSeed(seeded(99))
	require.NoError(t, err)
	cc := Config{Rand: seeded(1), PeerKey: key.Public()}
	se := EndpointConfig{Session: Config{Rand: seeded(2), Identity: key}, Listen: true, UnixAtZero: 1_700_000_000}
	for _, o := range options {
		o(&cc, &se.Session, &se)
	}
	p.client, err = NewEndpoint(EndpointConfig{Session: Config{Rand: seeded(3)}, IDLen: 4})
	require.NoError(t, err)
	p.server, err = NewEndpoint(se)
	require.NoError(t, err)
	p.cs, err = p.client.Dial(p.now, &cc, AddrPair{Remote: p.serverAddr})
	require.NoError(t, err)
	return p
}

// send puts a datagram on the wire.
func (p *pair) send(toServer bool, from, to netip.AddrPort, data []byte) {
	dir := 0
	if !toServer {
		dir = 1
	}
	n := p.count[dir]
	p.count[dir]++
	copies := 1
	if p.filter != nil {
		copies = p.filter(toServer, n, data)
	}
	for range copies {
		p.wire = append(p.wire, wireItem{p.now.Add(p.delay), toServer, from, to, append([]byte(nil), data...)})
	}
}

// drain sends all that waits at both ends and collects their events.
func (p *pair) drain() {
	p.drainSession(p.cs, true)
	for {
		b, m, ok := p.server.AppendDatagram(p.now, nil)
		if !ok {
			break
		}
		p.send(false, p.serverAddr, m.Addr.Remote, b)
	}
	for {
		s, ok := p.server.Accept()
		if !ok {
			break
		}
		p.ss = s
	}
	if p.ss != nil {
		p.drainSession(p.ss, false)
	}
}

func (p *pair) drainSession(s *Session, toServer bool) {
	for range 100_000 {
		b, m, ok := s.AppendDatagram(p.now, make([]byte, 0, min(p.more, 1)<<16))
		if !ok {
			break
		}
		from := p.serverAddr
		if toServer {
			from = p.clientAddr
			if slices.Contains(p.alsoClient, m.Addr.Local) {
				from = m.Addr.Local
			}
		}
		p.send(toServer, from, m.Addr.Remote, b)
		more, n := s.AppendMore(p.now, make([]byte, 0, p.more*len(b)), m, len(b), p.more)
		p.ran += n
		for size := len(b); len(more) > 0; more = more[size:] {
			p.send(toServer, from, m.Addr.Remote, more[:size])
		}
	}
	for {
		e, ok := s.PollEvent()
		if !ok {
			break
		}
		p.events[s] = append(p.events[s], e)
	}
}

// step goes on to the next thing that happens, and reports whether there is one before limit.
func (p *pair) step(limit Time) bool {
	p.drain()
	next := Time(0)
	consider := func(t Time) {
		if t != 0 && (next == 0 || t < next) {
			next = t
		}
	}
	for _, f := range p.wire {
		consider(f.at)
	}
	for _, s := range []*Session{p.cs, p.ss} {
		if s != nil {
			t, _ := s.NextTimeout()
			consider(t)
		}
	}
	consider(p.server.NextTimeout())
	if next == 0 || next > limit {
		p.now = limit
		return false
	}
	p.now = max(p.now, next)
	p.deliver()
	for _, s := range []*Session{p.cs, p.ss} {
		if s == nil {
			continue
		}
		if t, _ := s.NextTimeout(); t != 0 && t <= p.now {
			s.HandleTimeout(p.now)
		}
	}
	p.server.HandleTimeout(p.now)
	return true
}

func (p *pair) reachable(a netip.AddrPort) bool {
	return a == p.clientAddr || slices.Contains(p.alsoClient, a)
}

func (p *pair) deliver() {
	var rest, relayed []wireItem
	was := p.wire
	for _, f := range was {
		if f.at > p.now {
			rest = append(rest, f)
			continue
		}
		e := p.client
		d := Datagram{Data: f.data, Addr: AddrPair{Local: f.to, Remote: f.from}}
		switch {
		case f.toServer:
			e = p.server
		case p.relay != nil && f.to == p.attacker:
			relayed = append(relayed, f)
			continue
		case !p.reachable(f.to):
			continue
		}
		if s := e.Dispatch(p.now, d); s != nil {
			s.HandleDatagram(p.now, d)
		}
	}
	p.wire = append(p.wire[len(was):], rest...)
	for _, f := range relayed {
		p.relay(f)
	}
}

// run goes on until done or for at most d.
func (p *pair) run(d time.Duration, done func() bool) bool {
	p.t.Helper()
	limit := p.now.Add(d)
	for range 1_000_000 {
		p.drain()
		if done != nil && done() {
			return true
		}
		if !p.step(limit) {
			return done == nil || done()
		}
	}
	p.t.Fatal("BUG: time stands still")
	return false
}

func (p *pair) connect() {
	p.t.Helper()
	require.True(p.t, p.run(5*time.Second, func() bool { return p.ss != nil && p.cs.Confirmed() }), "handshake completes")
}

func (p *pair) happened(s *Session, kind EventKind) bool {
	for _, e := range p.events[s] {
		if e.Kind == kind {
			return true
		}
	}
	return false
}

func TestHandshakeTakesOneRoundTripAtTheClient(t *testing.T) {
	p := newPair(t)
	start := p.now
	require.True(t, p.run(time.Second, func() bool { return p.cs.Established() }))
	require.Equal(t, 2*p.delay, p.now.Sub(start))
	p.connect()
	require.Equal(t, 4*p.delay, p.now.Sub(start), "the server's first word confirms")
	require.True(t, p.happened(p.cs, EventConfirmed))
}

func TestClientDataFlowsWithTheLastHandshakePacket(t *testing.T) {
	p := newPair(t)
	start := p.now
	require.True(t, p.run(time.Second, func() bool { return p.cs.Established() }))
	_, err := p.cs.Stream0().Write([]byte("hello"))
	require.NoError(t, err)
	require.True(t, p.run(time.Second, func() bool { return p.ss != nil && p.ss.Stream0().Readable() }))
	require.Equal(t, 3*p.delay, p.now.Sub(start))
	buf := make([]byte, 16)
	n, err := p.ss.Stream0().Read(buf)
	require.NoError(t, err)
	require.Equal(t, "hello", string(buf[:n]))
}

// transfer writes size bytes to w, and its end if asked to, and reads them at r.
func (p *pair) transfer(w *Stream, r func() *Stream, size int, end bool) {
	p.t.Helper()
	data := make([]byte, size)
	_, _ = seeded(5).Read(data)
	var got []byte
	sent := 0
	buf := make([]byte, 64<<10)
	done := p.run(120*time.Second, func() bool {
		for sent < size {
			n, err := w.Write(data[sent:])
			require.NoError(p.t, err)
			sent += n
			if n == 0 {
				break
			}
		}
		if sent == size && end {
			w.CloseWrite()
		}
		for st := r(); st != nil; {
			n, err := st.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				return true
			}
			require.NoError(p.t, err)
			if n == 0 {
				break
			}
		}
		return !end && len(got) == size
	})
	require.True(p.t, done, "transfer of %d bytes finishes, got %d", size, len(got))
	require.Equal(p.t, data, got)
}

func TestStreamCarriesAMegabyteBothWays(t *testing.T) {
	p := newPair(t)
	p.connect()
	p.transfer(p.cs.Stream0(), func() *Stream { return p.ss.Stream0() }, 1<<20, true)
	p.transfer(p.ss.Stream0(), func() *Stream { return p.cs.Stream0() }, 1<<20, true)
}

func TestStreamSurvivesTwentyPercentLoss(t *testing.T) {
	p := newPair(t)
	rng := rand.New(rand.NewPCG(1, 2))
	p.filter = func(bool, int, []byte) int {
		if rng.IntN(5) == 0 {
			return 0
		}
		return 1
	}
	p.connect()
	p.transfer(p.cs.Stream0(), func() *Stream { return p.ss.Stream0() }, 1<<20, true)
}

func TestShutdownDeliversEverythingThenEOF(t *testing.T) {
	p := newPair(t)
	p.connect()
	_, err := p.cs.Stream0().Write([]byte("last words"))
	require.NoError(t, err)
	p.cs.Shutdown(p.now)
	require.True(t, p.run(time.Second, func() bool { return p.happened(p.ss, EventClosed) }))
	buf := make([]byte, 32)
	n, err := p.ss.Stream0().Read(buf)
	require.NoError(t, err)
	require.Equal(t, "last words", string(buf[:n]))
	_, err = p.ss.Stream0().Read(buf)
	require.ErrorIs(t, err, io.EOF)
	require.True(t, p.run(10*time.Second, func() bool { return p.cs.Dead() && p.ss.Dead() }))
}
