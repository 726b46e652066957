package simnet

import (
	"container/heap"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
	"github.com/godwit-net/godwit/protocol/sim"
)

// Network is a set of sockets and the links between them. Its methods are safe for concurrent use.
type Network struct {
	start time.Time

	mu      sync.Mutex
	config  sim.Config
	sockets map[netip.AddrPort]*Socket
	links   map[route]*sim.Link
	pairs   uint64 // pairs of links made, each with a seed of its own
	down    bool
	air     airborne
	flown   uint64 // datagrams ever sent, to keep their order at one instant
	timer   *time.Timer
	ports   uint16
	tap     func(from, to netip.AddrPort, data []byte) bool
}

// route is one direction between two addresses.
type route struct{ from, to netip.AddrPort }

// firstPort is where ports that nobody named begin: the dynamic range of RFC 6335.
const firstPort = 49152

// New returns a network in which every two sockets are joined by links of this config. The zero config
// carries everything at once and loses nothing.
func New(config sim.Config) (*Network, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &Network{
		start:   time.Now(),
		config:  config,
		sockets: make(map[netip.AddrPort]*Socket),
		links:   make(map[route]*sim.Link),
		ports:   firstPort,
	}, nil
}

// Listen opens a socket at an address. Port 0 takes a free port.
func (n *Network) Listen(addr netip.AddrPort) (*Socket, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	addr, err := n.claim(addr)
	if err != nil {
		return nil, err
	}
	s := &Socket{net: n, addr: addr, arrived: make(chan struct{}, 1), moved: make(chan struct{})}
	n.sockets[addr] = s
	return s, nil
}

// claim finds a free port where none was named, and refuses an address in use.
func (n *Network) claim(addr netip.AddrPort) (netip.AddrPort, error) {
	if !addr.Addr().IsValid() {
		return addr, errors.New("simnet: a socket needs an IP address")
	}
	if addr.Port() != 0 {
		if n.sockets[addr] != nil {
			return addr, fmt.Errorf("simnet: %v is in use", addr)
		}
		return addr, nil
	}
	for range 1 << 16 {
		free := netip.AddrPortFrom(addr.Addr(), n.ports)
		n.ports = max(n.ports+1, firstPort) // the sum wraps to 0
		if n.sockets[free] == nil {
			return free, nil
		}
	}
	return addr, fmt.Errorf("simnet: no free port at %v", addr.Addr())
}

// SetDown cuts all links, or heals them. What is already on its way arrives.
func (n *Network) SetDown(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
}

// SetLink changes the links of all sockets, those in use included.
func (n *Network) SetLink(config sim.Config) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := config.Validate(); err != nil {
		return err
	}
	n.config = config
	for _, l := range n.links {
		c := config
		c.Seed = l.Config().Seed
		if err := l.Configure(n.now(), c); err != nil {
			return err
		}
	}
	return nil
}

// Tap has f look at every datagram that is sent; it drops those for which f returns false. f may change
// the bytes; it runs under the network's lock and must not call its sockets. nil ends it.
func (n *Network) Tap(f func(from, to netip.AddrPort, data []byte) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tap = f
}

// now is the time since the network was made. The caller need not hold the lock.
func (n *Network) now() monotime.Time { return monotime.Time(time.Since(n.start)) + 1 }

// link returns the link of a route and makes the pair of both directions when it is first used.
func (n *Network) link(r route) *sim.Link {
	if l := n.links[r]; l != nil {
		return l
	}
	c := n.config
	c.Seed += n.pairs
	n.pairs++
	there, back, err := sim.NewPair(c, n.now())
	if err != nil {
		panic(fmt.Sprintf("BUG: the config was valid before: %v", err))
	}
	n.links[r] = there
	n.links[route{from: r.to, to: r.from}] = back
	return there
}

// send puts one datagram on its way. Like UDP it reports nothing about what becomes of it.
func (n *Network) send(r route, data []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return
	}
	data = append([]byte(nil), data...)
	if n.tap != nil && !n.tap(r.from, r.to, data) {
		return
	}
	now := n.now()
	out, _ := n.link(r).Send(now, len(data), 0) // sockets of this network carry no ECN
	for i, d := range out {
		copied := data
		if i > 0 || d.Flip != 0 {
			copied = append([]byte(nil), data...)
			d.Damage(copied)
		}
		n.flown++
		heap.Push(&n.air, flight{at: d.At, order: n.flown, route: r, data: copied})
	}
	n.land(now)
}

// land delivers what has arrived and sets the timer for the next arrival.
func (n *Network) land(now monotime.Time) {
	for len(n.air) > 0 && !n.air[0].at.After(now) {
		f := heap.Pop(&n.air).(flight)
		if s := n.sockets[f.route.to]; s != nil {
			s.deliver(f)
		}
	}
	if len(n.air) == 0 {
		return
	}
	wait := n.air[0].at.Sub(now)
	if n.timer == nil {
		n.timer = time.AfterFunc(wait, n.wake)
		return
	}
	n.timer.Reset(wait)
}

func (n *Network) wake() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.land(n.now())
}

// forget takes a closed socket away.
func (n *Network) forget(s *Socket) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sockets[s.addr] == s {
		delete(n.sockets, s.addr)
	}
}

// flight is one copy of a datagram on its way.
type flight struct {
	at    monotime.Time
	order uint64
	route route
	data  []byte
}

// airborne is a heap of flights by arrival; those of one instant keep the order in which they were sent.
type airborne []flight

func (a airborne) Len() int { return len(a) }
func (a airborne) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}
func (a airborne) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *airborne) Push(x any)   { *a = append(*a, x.(flight)) }
func (a *airborne) Pop() any {
	old := *a
	last := old[len(old)-1]
	old[len(old)-1] = flight{}
	*a = old[:len(old)-1]
	return last
}

var _ net.PacketConn = (*Socket)(nil)
