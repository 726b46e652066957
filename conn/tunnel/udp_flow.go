package tunnel

import (
	"errors"
	"time"
)

// udpFlow is a flow that this end opens: what one local program exchanges with one target. It outlives
// sessions: in each it is opened anew when it is needed. Its owner's lock guards it.
type udpFlow struct {
	owner   flowOwner
	token   flowToken
	refused time.Time // datagrams are dropped until then
	mux     *udpMux   // where it is open; nil: nowhere
	sending sending   // there
	peerFlow
}

// flowOwner has flows of local programs.
type flowOwner interface {
	options() *UDPOptions
	// announcement returns the control message that opens a flow with the number. It is valid until the next call.
	announcement(f *udpFlow, id uint64) []byte
	// deliver gives a datagram to the program, at the latest when out is flushed.
	deliver(f *udpFlow, data []byte, out *writeQueue)
	// closed says that the peer has ended the flow in session m, or refused it.
	closed(f *udpFlow, m *udpMux, c *control)
}

// nearFlow is a flow in one session.
type nearFlow struct {
	*udpFlow
	channel uint16
}

// Reasons why a flow is not open.
var (
	errNoFlow    = errors.New("the session takes no flow")
	errNoChannel = errors.New("no channel is left for these options: use fewer different ones in the forwards of a client")
)

// openNear announces a flow of this end to the peer. The datagrams behind it need not wait for an answer.
// The owner's lock is held.
//

func (m *udpMux) openNear(f *udpFlow) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	class := classOf(f.owner.options())
	if m.over || m.nearNext > maxFlowID {
		return errNoFlow
	}
	channel, ok := m.lanes.take(class)
	if !ok {
		return errNoChannel
	}
	id := m.nearNext
	if err := m.tell(f.owner.announcement(f, id)); err != nil {
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

// end ends the flow where it is open.
func (f *udpFlow) end() {
	if m := f.mux; m != nil {
		f.mux = nil
		m.closeNear(f.sending.id)
	}
}

// over takes note that the peer has ended the flow, and tells whether it refused it.
func (f *udpFlow) over(m *udpMux, c *control, now time.Time) (refused bool) {
	if f.mux == m {
		f.mux = nil
	}
	if refused = c.code != CodeConnected; refused {
		f.refused = now.Add(refusedPause)
	}
	return refused
}

// open returns how datagrams of the flow leave in session m.
func (f *udpFlow) open(m *udpMux, now time.Time) (sending, error) {
	if now.Before(f.refused) {
		return sending{}, errNoFlow
	}
	if f.mux != m {
		if err := m.openNear(f); err != nil {
			return sending{}, err
		}
	}
	return f.sending, nil
}
