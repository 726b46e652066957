package tunnel

import (
	"net/netip"
	"sync"
	"time"
)

// keptListens are the ports that a server has opened for clients, and what it remembers of those of sessions that were
// lost: which programs wrote there, so that their flows go on when the client comes back. spec: TUN-49
type keptListens struct {
	mu    sync.Mutex
	open  map[keptKey]*udpPort
	lost  map[keptKey]lostListen
	flows int // in lost
}

// lostListen is a port whose session was lost.
type lostListen struct {
	peers []lostPeer // the one that was silent for longest first
	until time.Time
}

// lostPeer is a flow of such a port.
type lostPeer struct {
	peer, local netip.AddrPort
	token       flowToken
}

// enter takes note of a port that is open for a client.
func (k *keptListens) enter(p *udpPort) {
	if p.asked.key.token == (flowToken{}) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open == nil {
		k.open, k.lost = make(map[keptKey]*udpPort), make(map[keptKey]lostListen)
	}
	k.open[p.asked.key] = p
}

// leave forgets a port that is closed. Its flows are remembered, if the session was lost, and there are some and room for
// them.
func (k *keptListens) leave(p *udpPort, sessionLost bool) {
	peers := p.peers()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open[p.asked.key] != p {
		return
	}
	delete(k.open, p.asked.key)
	k.forget(time.Now())
	if sessionLost && len(peers) > 0 && k.flows+len(peers) <= maxKept {
		k.lost[p.asked.key] = lostListen{peers, time.Now().Add(keptTime)}
		k.flows += len(peers)
	}
}

// forget drops what nobody has come back for.
func (k *keptListens) forget(now time.Time) {
	for key, l := range k.lost {
		if !l.until.After(now) {
			k.flows -= len(l.peers)
			delete(k.lost, key)
		}
	}
}

// take returns the flows of a port that the same client had under the same token. A session that still has the port
// loses it: its client has left it.
func (k *keptListens) take(key keptKey) []lostPeer {
	if key.token == (flowToken{}) {
		return nil
	}
	k.mu.Lock()
	k.forget(time.Now())
	l, p := k.lost[key], k.open[key]
	k.flows -= len(l.peers)
	delete(k.lost, key)
	delete(k.open, key)
	k.mu.Unlock()
	if p == nil {
		return l.peers
	}
	peers := p.peers()
	p.taken()
	p.close() // its session may be over and not have come to that yet
	return peers
}

// peers are the flows of a port, those that it had when it is closed, the one that was silent for longest first.
func (p *udpPort) peers() []lostPeer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		return p.left
	}
	return p.listPeers()
}

func (p *udpPort) listPeers() (list []lostPeer) {
	for f := p.oldest; f != nil; f = f.newer {
		list = append(list, lostPeer{f.peer, f.local, f.token})
	}
	return list
}

// restore opens the flows of an earlier session again: their targets may have something to say first.
func (p *udpPort) restore(m *udpMux, peers []lostPeer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, l := range peers {
		if p.flows[l.peer] != nil {
			continue // it was quicker
		}
		f := &udpFlow{owner: p, token: l.token, peerFlow: peerFlow{peer: l.peer, local: l.local}}
		p.admit(f)
		p.touch(f, now)
		_, _ = f.open(m, now) // else with its next datagram
	}
}
