package tunnel

import (
	"net/netip"
	"sync"
)

// Rights is what one client may do.
type Rights struct {
	Allow  Rules // what it may reach
	Listen Rules // where it may have the server listen for it
}

// reach is what a connection or flow of a client goes to: what was asked for, and the address that was dialled.
type reach struct {
	target Target
	addr   netip.Addr
}

// mayReach tells whether the rights still cover what was dialled once.
func (r Rights) mayReach(to reach) bool {
	t := to.target
	byName := t.Name != "" && r.Allow.allowsName(t.Network, t.Name, t.Port) && !neverAllowed(to.addr.Unmap())
	return byName || r.Allow.allowsAddr(t.Network, to.addr, t.Port)
}

// holds are what a session has open by right: connections, flows, listening ports. When rights change, those that
// are no longer covered are ended.
type holds struct {
	rights func() Rights // at this moment

	mu   sync.Mutex
	open map[*hold]struct{}
}

type hold struct {
	covered func(Rights) bool
	end     func()
}

// reach holds what goes to a target. end is called, once at most and from any goroutine, when a new configuration
// takes the right away. release forgets it.
func (h *holds) reach(to reach, end func()) (release func()) {
	return h.keep(func(r Rights) bool { return r.mayReach(to) }, end)
}

// listen holds a port that the server listens on for the client, as reach does.
func (h *holds) listen(on Target, end func()) (release func()) {
	return h.keep(func(r Rights) bool { return r.Listen.allowsListen(on) }, end)
}

func (h *holds) keep(covered func(Rights) bool, end func()) (release func()) {
	e := &hold{covered: covered, end: sync.OnceFunc(end)}
	h.mu.Lock()
	if h.open == nil {
		h.open = make(map[*hold]struct{})
	}
	h.open[e] = struct{}{}
	h.mu.Unlock()
	if !covered(h.rights()) { // the rights changed between the check and now
		e.end()
	}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.open, e)
	}
}

// review ends what is no longer covered, and tells how much that was. spec: TUN-60
func (h *holds) review() (ended int) {
	rights := h.rights()
	h.mu.Lock()
	var lost []*hold
	for e := range h.open {
		if !e.covered(rights) {
			lost = append(lost, e)
		}
	}
	h.mu.Unlock()
	for _, e := range lost {
		e.end()
	}
	return len(lost)
}
