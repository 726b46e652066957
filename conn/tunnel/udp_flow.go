package tunnel

import (
	"errors"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/conn/udp"
)

// udpFlow is a flow that this end opens: what one local program exchanges with one target. It outlives
// sessions: in each it is opened anew when it is needed.
type udpFlow struct {
	owner *udpPort
	peer  netip.AddrPort // the program's address
	local netip.AddrPort // ours, to which it writes; zero: the socket has one only

	// Guarded by owner.mu.
	newer, older *udpFlow // by their last datagrams
	last         time.Time
	refused      time.Time // datagrams are dropped until then

	// Where it is open; guarded by owner.mu, or by nobody while mux is nil.
	mux     *udpMux
	sending sending
}

// nearFlow is a flow in one session.
type nearFlow struct {
	*udpFlow
	channel uint16
}

// errNoFlow says that there is no channel left for the options of a flow.
var errNoFlow = errors.New("no flow")

// openNear announces a flow of this end to the peer. The datagrams behind it need not wait for an answer.
// Called with f.owner.mu held.
//

func (m *udpMux) openNear(f *udpFlow) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	class := classOf(&f.owner.forward.UDP)
	if m.over || m.nearNext > maxFlowID {
		return errNoFlow
	}
	channel, ok := m.lanes.take(class)
	if !ok {
		return errNoFlow
	}
	id := m.nearNext
	if err := m.tell(f.owner.announcement(id)); err != nil {
		m.lanes.release(channel)
		return err
	}
	m.nearNext += 2
	m.near[id] = nearFlow{f, channel}
	f.mux, f.sending = m, sending{id: id, channel: channel, class: class}
	return nil
}

// closeNear ends a flow of this end and tells the peer.
func (m *udpMux) closeNear(id uint64) {
	if m.forgetNear(id) != nil {
		m.tellClosed(id, CodeConnected, "")
	}
}

// forgetNear takes a flow of this end out and returns it, nil if there is none.
func (m *udpMux) forgetNear(id uint64) *udpFlow {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.near[id]
	if ok {
		delete(m.near, id)
		m.lanes.release(f.channel)
	}
	return f.udpFlow
}

// closedNear takes note that the peer has ended a flow, or refused it.
func (m *udpMux) closedNear(c *control) {
	if f := m.forgetNear(c.number); f != nil {
		f.owner.closed(f, m, c)
	}
}

// deliver gives the local program a datagram, once out is flushed.
func (f *udpFlow) deliver(data []byte, out *writeQueue) {
	p := f.owner
	p.mu.Lock()
	p.touch(f, time.Now())
	p.mu.Unlock()
	out.add(p, udp.Message{Data: data, Remote: f.peer, Local: f.local})
}
