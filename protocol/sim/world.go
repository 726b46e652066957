package sim

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// worldStart is the time at which a world begins. Not 0, which means "unset".
const worldStart = monotime.Time(time.Second)

// A World is virtual time with a network in it. Events run one after the other, in the order of their
// times and, at one time, in the order in which they were scheduled. Whatever is random comes from the
// seed, so that a seed gives the same run every time, bit for bit. There is no goroutine, and one
// caller at a time.
type World struct {
	// Capture sees every datagram that is sent and what becomes of it, and every one that arrives. It
	// must not keep or change Data.
	Capture func(Sighting)

	// Filter may drop a datagram before its link sees it (anything but Carried), or change Data within
	// its length: a script, or somebody on the path. n counts the datagrams of the world from 0.
	Filter func(n int, p Packet) Cause

	// Violation is told when a node finds that the core broke its contract. Nil: panic.
	Violation func(message string)

	seed    uint64
	streams uint64 // readers and generators handed out
	now     monotime.Time
	events  eventHeap
	order   uint64
	digest  uint64
	sent    int
	ran     uint64

	sockets map[netip.AddrPort]*Socket // by their own address
	public  map[netip.AddrPort]*Socket // by the address that others see
	links   map[route]*Link
	free    []*flight
}

// route is a pair of sockets, by their own addresses.
type route struct{ from, to netip.AddrPort }

// Packet is a datagram in the world. Src and Dst are as its holder sees them.
type Packet struct {
	Src, Dst netip.AddrPort
	ECN      uint8 // the two bits of the IP header
	Data     []byte
}

// Sighting is a packet at one end of its link.
type Sighting struct {
	At      monotime.Time
	Packet  Packet
	Arrival bool  // it arrives; else it was just sent
	Cause   Cause // of a packet that was sent: what becomes of it
}

// NewWorld returns an empty world.
func NewWorld(seed uint64) *World {
	return &World{
		seed: seed, now: worldStart,
		sockets: make(map[netip.AddrPort]*Socket), public: make(map[netip.AddrPort]*Socket), links: make(map[route]*Link),
	}
}

// Now returns the virtual time.
func (w *World) Now() monotime.Time { return w.now }

// Seed returns the seed.
func (w *World) Seed() uint64 { return w.seed }

// Rand returns a generator of its own for each call: who draws from one does not disturb the others.
func (w *World) Rand() *rand.Rand {
	w.streams++
	return newRand(w.seed, streamWorld+streamChange*w.streams)
}

// Reader returns a source of seeded bytes, another one for each call, for what wants an io.Reader.
func (w *World) Reader() io.Reader {
	rng := w.Rand()
	var key [32]byte
	for i := 0; i < len(key); i += 8 {
		binary.LittleEndian.PutUint64(key[i:], rng.Uint64())
	}
	return rand.NewChaCha8(key)
}

// Schedule runs an event at a time; one in the past runs now, after what is due already.
func (w *World) Schedule(at monotime.Time, run func()) { w.push(event{at: at, run: run}) }

// After runs an event when d has passed.
func (w *World) After(d time.Duration, run func()) { w.Schedule(w.now.Add(d), run) }

func (w *World) push(e event) {
	e.at = max(e.at, w.now)
	w.order++
	e.order = w.order
	w.events.push(e)
}

// Step runs the next event. It reports false when there is none.
func (w *World) Step() bool {
	if len(w.events) == 0 {
		return false
	}
	e := w.events.pop()
	w.now = e.at
	w.ran++
	if e.flight != nil {
		w.arrive(e.flight)
		return true
	}
	e.run()
	return true
}

// Run runs all events up to a time and ends there.
func (w *World) Run(until monotime.Time) {
	for len(w.events) > 0 && !w.events[0].at.After(until) {
		w.Step()
	}
	w.now = max(w.now, until)
}

// RunUntil runs events until done reports true, at most up to limit. It reports whether done did.
func (w *World) RunUntil(limit monotime.Time, done func() bool) bool {
	for !done() {
		if len(w.events) == 0 || w.events[0].at.After(limit) {
			w.now = max(w.now, limit)
			return done()
		}
		w.Step()
	}
	return true
}

// Events returns how many events have run.
func (w *World) Events() uint64 { return w.ran }

// Digest is a checksum of everything that arrived so far, with its time: equal for equal runs.
func (w *World) Digest() uint64 { return w.digest }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (w *World) account(p *Packet) {
	const prime = 0x100000001b3 // of FNV-1a with 64 bits
	sum := uint64(crc32.Checksum(p.Data, castagnoli))
	for _, v := range [...]uint64{uint64(w.now), sum, uint64(len(p.Data)), uint64(p.Src.Port()), uint64(p.Dst.Port())} {
		w.digest = (w.digest ^ v) * prime
	}
}

// Connect joins two sockets, by their own addresses, with one link in each direction. The first is the
// client: the one behind the NAT, if there is one. Sockets may come and go; the links stay.
func (w *World) Connect(client, server netip.AddrPort, c Config) error {
	c.Seed += w.seed + uint64(len(w.links))<<32 // paths of one Config toss coins of their own
	up, down, err := NewPair(c, w.now)
	if err != nil {
		return err
	}
	w.links[route{client, server}], w.links[route{server, client}] = up, down
	if c.Rebind > 0 {
		w.After(c.Rebind, func() { w.rebindEvery(client, up) })
	}
	return nil
}

// rebindEvery gives the client a new address as often as its link says, until the link says never.
func (w *World) rebindEvery(client netip.AddrPort, up *Link) {
	every := up.config.Rebind
	if every == 0 {
		return
	}
	if s := w.sockets[client]; s != nil {
		s.Rebind()
	}
	w.After(every, func() { w.rebindEvery(client, up) })
}

// Link returns the link from one socket to another, by their own addresses; nil if there is none.
func (w *World) Link(from, to netip.AddrPort) *Link { return w.links[route{from, to}] }

// Inject delivers a packet to whoever has its destination, at a time, past all links: an attacker's.
func (w *World) Inject(at monotime.Time, p Packet) { w.fly(at, p) }

// event is something to run, or a packet that arrives.
type event struct {
	at     monotime.Time
	order  uint64
	run    func()
	flight *flight
}

// flight is a packet on its way. Its memory is used again.
type flight struct {
	packet Packet
	buffer []byte
}

// fly takes a copy of a packet and lets it arrive.
func (w *World) fly(at monotime.Time, p Packet) *flight {
	var f *flight
	if last := len(w.free) - 1; last >= 0 {
		f, w.free = w.free[last], w.free[:last]
	} else {
		f = new(flight)
	}
	f.buffer = append(f.buffer[:0], p.Data...)
	f.packet = p
	f.packet.Data = f.buffer
	w.push(event{at: at, flight: f})
	return f
}

// arrive hands a packet to its socket, if there is one by now.
func (w *World) arrive(f *flight) {
	p := f.packet
	if s := w.public[p.Dst]; s != nil {
		w.account(&p)
		if w.Capture != nil {
			w.Capture(Sighting{At: w.now, Packet: p, Arrival: true})
		}
		p.Dst = s.addr
		s.receive(p)
	}
	w.free = append(w.free, f)
}

// Socket is an address in the world. A NAT may show others a different one.
type Socket struct {
	// Delay is added to the way of all that the socket sends, after the link: the length of its own line,
	// where several share a bottleneck.
	Delay time.Duration

	world   *World
	addr    netip.AddrPort
	public  netip.AddrPort
	receive func(Packet)
}

// Listen opens a socket. What arrives goes to receive, which must not keep Data. The error says that
// the address is taken.
func (w *World) Listen(addr netip.AddrPort, receive func(Packet)) (*Socket, error) {
	if w.sockets[addr] != nil || w.public[addr] != nil {
		return nil, fmt.Errorf("address %v is in use", addr)
	}
	s := &Socket{world: w, addr: addr, public: addr, receive: receive}
	w.sockets[addr], w.public[addr] = s, s
	return s, nil
}

// Close frees the address. Packets on their way to it vanish.
func (s *Socket) Close() {
	delete(s.world.sockets, s.addr)
	delete(s.world.public, s.public)
}

// Addr returns the socket's own address, Public the one that others see.
func (s *Socket) Addr() netip.AddrPort   { return s.addr }
func (s *Socket) Public() netip.AddrPort { return s.public }

// Rebind gives the socket a new port in the eyes of others, as a NAT does that has forgotten the old
// one. Packets on their way to the old one vanish.
func (s *Socket) Rebind() {
	port := s.public.Port()
	for {
		port++ // wraps, and port 0 is not used
		if addr := netip.AddrPortFrom(s.public.Addr(), port); port != 0 && s.world.public[addr] == nil {
			s.Move(addr)
			return
		}
	}
}

// Move gives the socket any new address in the eyes of others; one that is taken changes nothing.
func (s *Socket) Move(public netip.AddrPort) {
	if s.world.public[public] != nil {
		return
	}
	delete(s.world.public, s.public)
	s.public = public
	s.world.public[public] = s
}

// Send puts a datagram on the link to its destination and returns what becomes of it. Without a link
// it is lost, as Down.
func (s *Socket) Send(to netip.AddrPort, ecn uint8, data []byte) Cause {
	w := s.world
	p := Packet{Src: s.public, Dst: to, ECN: ecn, Data: data}
	n := w.sent
	w.sent++
	cause := Carried
	if w.Filter != nil {
		cause = w.Filter(n, p)
	}
	var out []Delivery
	if cause == Carried {
		out, cause = w.transmit(s, &p)
	}
	if w.Capture != nil {
		w.Capture(Sighting{At: w.now, Packet: p, Cause: cause})
	}
	for _, d := range out {
		f := w.fly(d.At.Add(s.Delay), p)
		d.Damage(f.packet.Data)
		f.packet.ECN = d.ECN
	}
	return cause
}

func (w *World) transmit(s *Socket, p *Packet) ([]Delivery, Cause) {
	receiver := w.public[p.Dst]
	if receiver == nil {
		return nil, Down
	}
	link := w.links[route{s.addr, receiver.addr}]
	if link == nil {
		return nil, Down
	}
	return link.Send(w.now, len(p.Data), p.ECN)
}
