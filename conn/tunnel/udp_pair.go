package tunnel

import (
	"hash/maphash"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
)

// pairTries is how often two neighbouring free ports are looked for: the next one is taken rarely.
const pairTries = 8

// flowNames tell one end what belongs together at the other.
type flowNames struct {
	resume flowToken // of a flow or a listener, in each session the same; zero: it cannot be resumed
	pair   uint64    // of two flows, or two listeners, for RTP and RTCP; 0: there is no other one
}

// pairSeed makes numbers of pairs that nobody can predict, so that those of several forwards do not meet.
var pairSeed = maphash.MakeSeed()

// pairNumber is the number of the pair in which a port of a forward is: of RTP, at an even port, and RTCP, at the next one
// (RFC 3550, section 11). 0: it is in none. Both ends of the forward need such ports.
func (f *Forward) pairNumber(n int) uint64 { // spec: TUN-48
	one, other := f.port(n), n+1
	_, port, _ := net.SplitHostPort(one.Listen)
	listen, _ := strconv.ParseUint(port, 10, 16) // it was checked
	if one.Target.Port&1 == 1 {
		other = n - 1
	}
	if listen == 0 || (uint16(listen)^one.Target.Port)&1 != 0 || other < 0 || other > f.More {
		return 0
	}
	return maphash.Comparable(pairSeed, f.port(min(n, other)))
}

// pairOf is the number of the pair of flows that a program at an address is in. It names the one of RTP by the port of its
// program, that of RTCP by the port below: programs that have neighbouring ports have a pair.
func (p *udpPort) pairOf(peer netip.AddrPort) uint64 {
	if p.pair == 0 {
		return 0
	}
	first := netip.AddrPortFrom(peer.Addr(), peer.Port()-p.socket.AddrPort().Port()&1)
	return maphash.Comparable(pairSeed, struct {
		ports uint64
		peer  netip.AddrPort
	}{p.pair, first})
}

// portPair is the local ports of two flows to RTP and RTCP of one target.
type portPair struct {
	flows int // that have it; guarded by the mux

	mu   sync.Mutex
	port uint16       // the lower one; 0: there is none yet
	held [2]io.Closer // keeps the ports for flows that have not come yet
}

// dial opens a socket to one target, from the pair's port for it if that can be had: the upper one for an odd port of
// the target. spec: TUN-48
func (p *portPair) dial(d *dialer, a netip.AddrPort) (udpConn, error) {
	if p == nil {
		return d.connectUDP(a, 0)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := 0; p.port == 0 && i < pairTries; i++ {
		p.find(d, a.Addr())
	}
	upper := a.Port() & 1
	if p.port != 0 {
		p.free(int(upper))
		if c, err := d.connectUDP(a, p.port|upper); err == nil {
			return c, nil
		}
	}
	return d.connectUDP(a, 0) // somebody was quicker, or the target cannot be reached at all
}

// find takes two neighbouring ports.
func (p *portPair) find(d *dialer, a netip.Addr) {
	one, port, err := d.bindUDP(a, 0)
	if err != nil {
		return
	}
	other, _, err := d.bindUDP(a, port^1)
	if err != nil {
		_ = one.Close() // the port is all that it had
		return
	}
	p.port = port &^ 1
	p.held[port&1], p.held[port&1^1] = one, other
}

// free gives a port that was kept back to whoever takes it next.
func (p *portPair) free(i int) {
	if p.held[i] != nil {
		_ = p.held[i].Close() // the port is all that it had
		p.held[i] = nil
	}
}

// settle takes note of the port that a flow has from an earlier session.
func (p *portPair) settle(c udpConn) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok && p.port == 0 {
		p.port = uint16(a.Port) &^ 1
	}
}

// enterPair has a flow share the ports of the pair with a number, nil for 0.
func (m *udpMux) enterPair(number uint64) *portPair {
	if number == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pairs == nil {
		m.pairs = make(map[uint64]*portPair)
	}
	p := m.pairs[number]
	if p == nil {
		p = &portPair{}
		m.pairs[number] = p
	}
	p.flows++
	return p
}

// leavePair ends what enterPair began.
func (m *udpMux) leavePair(number uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pairs[number]
	if p == nil {
		return
	}
	if p.flows--; p.flows == 0 {
		delete(m.pairs, number)
		p.free(0)
		p.free(1)
	}
}
