package tunnel

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/conn"
)

// udpMux carries the datagrams of one session. Near flows are those that this end opened: the programs that write
// first are here. The targets of far flows, which the other end opened, are here.
type udpMux struct {
	session session
	log     *slog.Logger
	reach   farReach
	count   *udpCounters // of far flows

	running sync.WaitGroup
	ctx     context.Context // ends with the session

	mu                  sync.Mutex
	over                bool
	lanes               lanes
	large               uint16 // channel of datagrams that do not fit a packet; 0: none yet
	nearNext            uint64 // number of the next flow of this end
	near                map[uint64]nearFlow
	farNext             uint64 // all flows of the peer with smaller numbers were opened
	far                 map[uint64]*farFlow
	held                holdQueue
	solving             int                    // host names being resolved
	ports               map[uint64]*udpPort    // that the peer asked for
	asked               map[uint64]*udpReverse // that the peer was asked for
	portLast, askedLast uint64                 // the numbers of the last ones
	pairs               map[uint64]*portPair   // local ports of far flows for RTP and RTCP
	lastTold            time.Time
	sweeper             *time.Timer

	room   atomic.Int64 // bytes of a datagram that fits a packet
	roomAt atomic.Int64 // when that was looked up, Unix ns
}

// farReach is how a mux gets to what its peer wants to reach.
type farReach interface {
	// reachTarget returns where datagrams to a target go, or why not. Names take time. A flow that is
	// resumed gets the socket that it had. end is called when the peer may
	// not reach it any longer, and release when the flow has ended.
	reachTarget(ctx context.Context, t Target, f *farFlow, end func()) (c udpConn, release func(), refusal *RefusedError)
	// kept are the flows that can be resumed in another session, nil if none can.
	kept() *keptFlows
	// keep makes a flow one of them.
	keep(f *farFlow, t Target)
	// listenUDP opens a port for the peer, likewise.
	listenUDP(asked *control, end func()) (listened, *RefusedError)
}

// newUDPMux returns the UDP of a session. dialer tells which end this is: flows of the end that dialled have
// even numbers, the others odd ones.
func newUDPMux(s session, dialer bool, reach farReach, count *udpCounters, log *slog.Logger) *udpMux {
	m := &udpMux{
		session: s, log: log, reach: reach, count: count,
		near: make(map[uint64]nearFlow), far: make(map[uint64]*farFlow),
		ports: make(map[uint64]*udpPort), asked: make(map[uint64]*udpReverse),
	}
	if dialer {
		m.farNext = 1
	} else {
		m.nearNext = 1
	}
	return m
}

// run takes the messages of the session until it ends or ctx does, and returns once all flows have ended.
func (m *udpMux) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	m.ctx = ctx
	defer m.running.Wait()
	defer m.closeAll()
	defer cancel()
	for {
		// Nothing is held while there is nothing: a message is looked for with no room for it.
		_, err := m.session.ReceiveMessageInto(ctx, nil)
		if errors.Is(err, io.ErrShortBuffer) {
			err = m.receiveAll()
		} else if err == nil {
			err = errControl // an empty message
		}
		if errors.Is(err, errControl) {
			m.log.Warn("session closed: the peer sent what makes no sense")
			_ = m.session.CloseWithError(closeProtocol, "control message that makes no sense")
			return
		}
		if err != nil {
			return
		}
	}
}

// inbox is the memory in which the messages of a session are received.
type inbox struct {
	in  [maxWrites]conn.Received
	out writeQueue
}

var inboxes = sync.Pool{New: func() any { return new(inbox) }}

// receiveAll takes all messages that have come.
func (m *udpMux) receiveAll() error {
	b := inboxes.Get().(*inbox)
	for {
		n := m.session.ReceiveBatch(b.in[:])
		for i := range b.in[:n] {
			if err := m.receive(&b.in[i].Message, &b.out); err != nil {
				return err // the memory is forgotten: a message that is too large made it grow
			}
		}
		b.out.flush()
		if n < len(b.in) {
			inboxes.Put(b)
			return nil
		}
	}
}

// receive acts on one message.
func (m *udpMux) receive(msg *conn.Message, out *writeQueue) error {
	if len(msg.Data) > maxUDPMessage { // spec: TUN-36
		return errControl
	}
	if msg.Channel == controlChannel {
		c, err := parseControl(msg.Data)
		if err != nil {
			return err
		}
		return m.control(&c)
	}
	id, n := consumeVarint(msg.Data)
	if n == 0 { // spec: TUN-36
		return errControl
	}
	data := msg.Data[n:]
	if m.isMine(id) {
		m.mu.Lock()
		f := m.near[id].udpFlow
		m.mu.Unlock()
		if f == nil {
			m.count.stale.Add(1) // the flow has ended here; the peer does not know yet
			return nil
		}
		f.owner.deliver(f, data, out)
		return nil
	}
	m.toFar(id, data)
	return nil
}

// isMine tells whether this end opens flows with such numbers.
func (m *udpMux) isMine(id uint64) bool { return id&1 == m.nearNext&1 }

// control acts on a control message.
func (m *udpMux) control(c *control) error {
	switch c.kind {
	case controlOpen, controlInbound:
		if m.isMine(c.number) || c.number < m.farNext { // spec: TUN-31
			return errControl
		}
		m.openFar(c)
	case controlClose:
		if m.isMine(c.number) {
			m.closedNear(c)
		} else {
			m.dropFar(c.number)
		}
	case controlListen:
		return m.listenFor(c)
	case controlListening:
		m.listening(c)
	case controlUnlisten:
		m.closePort(c.number)
	}
	return nil
}

// tell sends a control message. It leaves with the next flush. spec: TUN-30
func (m *udpMux) tell(b []byte) error {
	return m.session.SendMessage(b, conn.MessageOptions{
		Channel: controlChannel, Mode: conn.ReliableOrdered, Priority: controlPriority, More: true,
	})
}

// flush sends what was queued.
func (m *udpMux) flush() { _ = m.session.Flush() } // a session that has ended is noticed elsewhere

// sending is how the datagrams of one flow leave.
type sending struct {
	id      uint64
	channel uint16
	class   channelClass
}

// send queues a datagram: packet is the flow's number and size bytes of data. It never waits.
func (m *udpMux) send(s *sending, packet []byte, size int) error {
	o := s.class.options(s.channel)
	if s.class.mode == conn.Unreliable && size > m.fits() { // spec: TUN-37
		if c, ok := m.largeChannel(); ok {
			o = largeClass.options(c)
		}
	}
	return m.session.SendMessage(packet, o)
}

// roomAge is how old the knowledge of the path's size may be: it is found within a second or two.
const roomAge = 250 * time.Millisecond

// fits returns how large a datagram may be to go in one packet.
func (m *udpMux) fits() int {
	now := time.Now().UnixNano()
	if at := m.roomAt.Load(); now-at < int64(roomAge) || !m.roomAt.CompareAndSwap(at, now) {
		return int(m.room.Load())
	}
	room := m.session.Stats().MTU - packetCost
	m.room.Store(int64(room))
	return room
}

// largeChannel returns the channel of datagrams that do not fit a packet.
func (m *udpMux) largeChannel() (uint16, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.large == 0 {
		m.large, _ = m.lanes.take(largeClass)
	}
	return m.large, m.large != 0
}

// closeAll ends all flows with the session.
func (m *udpMux) closeAll() {
	m.mu.Lock()
	m.over = true
	far, ports := m.far, m.ports
	m.near, m.far, m.ports, m.asked = nil, nil, nil, nil
	m.held.clear()
	if m.sweeper != nil {
		m.sweeper.Stop()
	}
	m.mu.Unlock()
	for _, f := range far {
		f.count.flows.Add(-1)
		f.close(true)
	}
	for _, p := range ports {
		p.give(true)
	}
}
