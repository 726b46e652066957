package tunnel

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// maxAssociationFlows is how many targets a UDP association speaks to at once; the one that was silent for longest
// makes room. A browser with a resolver stays far below it.
const maxAssociationFlows = 256

// datagramFlow is what an association needs of a *udpTunnel.
type datagramFlow interface {
	send(data []byte) error
	close()
	done() <-chan struct{} // closed when the flow has ended, refused for example
}

// association is a UDP ASSOCIATE of one SOCKS client (RFC 1928, section 7).
type association struct {
	open  func(t Target, receive func(data []byte)) datagramFlow
	relay *net.UDPConn
	host  netip.Addr // of the client: datagrams from elsewhere are dropped

	mu     sync.Mutex
	client netip.AddrPort // where its datagrams come from; the port is 0 until the first one
	flows  map[Target]*associationFlow
	answer []byte // room for a datagram to the client
}

type associationFlow struct {
	datagramFlow
	last time.Time // of a datagram from the client
}

// associate relays the datagrams of a SOCKS client until its TCP connection ends, whatever comes on that.
func (p *port) associate(ctx context.Context, tcp *net.TCPConn, from Target) error {
	local, peer := tcp.LocalAddr().(*net.TCPAddr), tcp.RemoteAddr().(*net.TCPAddr).AddrPort()
	relay, err := net.ListenUDP("udp", &net.UDPAddr{IP: local.IP, Zone: local.Zone})
	if err != nil {
		return answerSocks(tcp, err)
	}
	a := &association{
		open: func(t Target, receive func([]byte)) datagramFlow {
			return p.client.openUDP(t, UDPOptions{}, p.udp, receive)
		},
		relay: relay, host: peer.Addr().Unmap(), client: netip.AddrPortFrom(peer.Addr().Unmap(), from.Port),
		flows: make(map[Target]*associationFlow),
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer a.end()
	bound := relay.LocalAddr().(*net.UDPAddr).AddrPort()
	reply := appendSocksReply(nil, socksSucceeded, Target{Addr: bound.Addr().Unmap().WithZone(""), Port: bound.Port()})
	if _, err := tcp.Write(reply); err != nil {
		return err
	}
	p.count.total.Add(1)
	reading.Go(a.read)
	_, _ = io.Copy(io.Discard, tcp) // it ends with the connection, or with ctx, which closes that
	return nil
}

// end ends the association with all of its flows.
func (a *association) end() {
	_ = a.relay.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	for t, f := range a.flows {
		f.close()
		delete(a.flows, t)
	}
	a.flows = nil
}

// read takes the client's datagrams until the association ends.
func (a *association) read() {
	buf := make([]byte, maxSocksDatagram)
	for {
		n, from, err := a.relay.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		a.take(buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), time.Now())
	}
}

// maxSocksDatagram is the largest UDP payload there is.
const maxSocksDatagram = 65535

// take passes one datagram on. What is wrong with it, or comes from somebody else, is dropped in silence, as the RFC
// says.
func (a *association) take(datagram []byte, from netip.AddrPort, now time.Time) {
	target, data, ok := parseSocksDatagram(datagram)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.flows == nil || from.Addr() != a.host || a.client.Port() != 0 && from != a.client {
		return
	}
	a.client = from
	if f := a.flow(target, now); f != nil {
		_ = f.send(data) // what is not sent is counted
	}
}

// flow returns the flow to a target, nil if it was refused a short while ago. a.mu is held.
func (a *association) flow(t Target, now time.Time) *associationFlow {
	f := a.flows[t]
	if f != nil {
		select {
		case <-f.done():
			if now.Sub(f.last) < refusedPause {
				return nil
			}
			delete(a.flows, t)
		default:
			f.last = now
			return f
		}
	}
	a.makeRoom(now)
	f = &associationFlow{last: now}
	f.datagramFlow = a.open(t, func(data []byte) { a.give(t, data) })
	a.flows[t] = f
	return f
}

// makeRoom ends the flows that were silent for long, and one more if there are too many. a.mu is held.
func (a *association) makeRoom(now time.Time) {
	var oldest Target
	for t, f := range a.flows {
		if now.Sub(f.last) >= udpIdle {
			f.close()
			delete(a.flows, t)
		} else if o := a.flows[oldest]; o == nil || f.last.Before(o.last) {
			oldest = t
		}
	}
	if len(a.flows) >= maxAssociationFlows {
		a.flows[oldest].close()
		delete(a.flows, oldest)
	}
}

// give passes a datagram from a target to the client.
func (a *association) give(t Target, data []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = append(appendSocksAddress(append(a.answer[:0], 0, 0, 0), t), data...)
	_, _ = a.relay.WriteToUDPAddrPort(a.answer, a.client) // a datagram may be lost
}

// parseSocksDatagram takes the header off a datagram. Fragments are not supported, and dropped as the RFC asks for.
func parseSocksDatagram(b []byte) (t Target, data []byte, ok bool) {
	if len(b) < 5 || b[0] != 0 || b[1] != 0 || b[2] != 0 {
		return t, nil, false
	}
	form, size, rest := b[3], 0, b[4:]
	switch form {
	case socksIPv4:
		size = 4
	case socksIPv6:
		size = 16
	case socksName:
		size, rest = int(rest[0]), rest[1:]
	default:
		return t, nil, false
	}
	if len(rest) < size+2 || t.setSocksHost(form, rest[:size]) != nil {
		return t, nil, false
	}
	t.Network, t.Port = NetworkUDP, binary.BigEndian.Uint16(rest[size:])
	return t, rest[size+2:], t.Port != 0
}
