package tunnel

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/godwit-net/godwit/conn/udp"
)

// udpPort is a UDP port that this end listens on. Each address that writes to it has a flow.
type udpPort struct {
	socket   *udpSocket
	forward  Forward        // of one port
	listener uint64         // the peer asked for the port, by this number; 0: a forward of this end
	asked    listened       // of a listener: what it has
	taken    func()         // ends a listener whose client has it in another session
	pair     uint64         // the pair of ports that it is in; 0: none
	mux      func() *udpMux // of the present session, nil without one
	log      *slog.Logger
	count    *udpCounters

	mu       sync.Mutex
	flows    map[netip.AddrPort]*udpFlow
	newest   *udpFlow
	oldest   *udpFlow
	reported time.Time // when a refusal was logged last
	scratch  []byte    // of announcements
	shut     bool
	left     []lostPeer // the flows of a listener when it was closed
}

// peerFlow is what a port knows of a flow.
type peerFlow struct {
	peer         netip.AddrPort // the program's address
	local        netip.AddrPort // ours, to which it writes; zero: the socket has one only
	newer, older *udpFlow       // by their last datagrams
	last         time.Time
}

func newUDPPort(s *udpSocket, f Forward, mux func() *udpMux, count *udpCounters, log *slog.Logger) *udpPort {
	return &udpPort{socket: s, forward: f, mux: mux, count: count, log: log, flows: make(map[netip.AddrPort]*udpFlow)}
}

// run carries datagrams until ctx ends or the port is closed, and returns once its goroutines have.
func (p *udpPort) run(ctx context.Context) error {
	var reader sync.WaitGroup
	defer reader.Wait()
	defer p.close()
	failed := make(chan error, 1)
	reader.Go(func() { failed <- p.read() })
	tick := time.NewTicker(udpSweep)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.sweep(time.Now())
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// portBuffers is how many buffers of 64 kB a port reads into at once.
const portBuffers = 4

// read takes what programs send until the port is closed. It never waits for the tunnel.
func (p *udpPort) read() error {
	batch := p.socket.NewReadBatch(portBuffers)
	packet := make([]byte, 0, maxUDPMessage)
	for {
		msgs, err := p.socket.ReadBatch(batch)
		if errors.Is(err, net.ErrClosed) {
			return net.ErrClosed
		}
		if err != nil {
			continue // of one datagram; ReadBatch waits for the next
		}
		p.take(p.mux(), msgs, packet)
	}
}

// take sends datagrams of programs into the tunnel; packet is room for one with its flow's number.
func (p *udpPort) take(m *udpMux, msgs []udp.Message, packet []byte) {
	now := time.Now()
	for i := range msgs {
		data := msgs[i].Data
		p.count.in.add(len(data))
		if m == nil {
			p.count.noSession.Add(1)
			continue
		}
		s, err := p.flowOf(m, &msgs[i], now)
		if err != nil {
			p.count.noFlow.Add(1)
			continue
		}
		packet = append(appendVarint(packet[:0], s.id), data...)
		if err := m.send(&s, packet, len(data)); err != nil {
			p.count.lost(err)
		}
	}
	if m != nil {
		m.flush()
	}
}

// flowOf returns how the datagrams of an address leave, and opens its flow when it has none.
func (p *udpPort) flowOf(m *udpMux, msg *udp.Message, now time.Time) (sending, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.flows[msg.Remote]
	if f == nil {
		f = &udpFlow{owner: p, token: newFlowToken(), peerFlow: peerFlow{peer: msg.Remote, local: msg.Local}}
		p.admit(f)
	}
	p.touch(f, now)
	s, err := f.open(m, now)
	if errors.Is(err, errNoChannel) {
		f.refused = now.Add(refusedPause)
		if p.mayReport(now) {
			p.log.Warn("flow refused", "from", f.peer, "reason", err)
		}
	}
	return s, err
}

// mayReport tells whether it is time to log another refusal. p.mu is held.
func (p *udpPort) mayReport(now time.Time) bool {
	if now.Sub(p.reported) < refusedPause {
		return false
	}
	p.reported = now
	return true
}

// admit takes a new flow in. The one that was silent for longest makes room.
func (p *udpPort) admit(f *udpFlow) {
	if len(p.flows) >= maxPortFlows { // spec: TUN-34
		p.end(p.oldest)
		p.count.evicted.Add(1)
	}
	p.flows[f.peer] = f
	p.count.flows.Add(1)
	p.count.opened.Add(1)
	p.link(f)
}

// end takes a flow out and tells the peer.
func (p *udpPort) end(f *udpFlow) {
	delete(p.flows, f.peer)
	p.count.flows.Add(-1)
	p.unlink(f)
	f.end()
}

// deliver gives a program a datagram, once out is flushed.
func (p *udpPort) deliver(f *udpFlow, data []byte, out *writeQueue) {
	p.mu.Lock()
	p.touch(f, time.Now())
	p.mu.Unlock()
	out.add(p, udp.Message{Data: data, Remote: f.peer, Local: f.local})
}

func (p *udpPort) options() *UDPOptions { return &p.forward.UDP }

// closed takes note that the peer has ended a flow in session m.
func (p *udpPort) closed(f *udpFlow, m *udpMux, c *control) {
	now := time.Now()
	p.mu.Lock()
	refused := f.over(m, c, now)
	report := refused && p.mayReport(now)
	p.mu.Unlock()
	if refused {
		p.count.refused.Add(1)
	}
	if report {
		p.log.Warn("flow refused", "from", f.peer, "reason", &RefusedError{Target: p.forward.Target, Code: c.code, Reason: c.reason})
	}
}

// announcement is the control message that opens a flow of the port.
func (p *udpPort) announcement(f *udpFlow, id uint64) []byte {
	names := flowNames{resume: f.token, pair: p.pairOf(f.peer)}
	b := p.scratch[:0]
	if p.listener != 0 {
		b = appendVarint(append(b, controlInbound), id)
		b = appendVarint(b, p.listener)
		b = appendUDPOptions(b, &UDPOptions{}, names)
	} else {
		b = appendVarint(append(b, controlOpen), id)
		b = appendUDPRequest(b, p.forward.Target, &p.forward.UDP, names)
	}
	p.scratch = b
	return b
}

// resume opens the flows again that were open in an earlier session.
func (p *udpPort) resume(m *udpMux) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for f := p.newest; f != nil; f = f.older {
		if f.mux != nil {
			_, _ = f.open(m, now) // else with its next datagram
		}
	}
}

// sweep ends flows that were silent for long. spec: TUN-43
func (p *udpPort) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.oldest != nil && now.Sub(p.oldest.last) >= udpIdle {
		p.end(p.oldest)
	}
}

// write gives datagrams to programs here.
func (p *udpPort) write(msgs []udp.Message) {
	size := 0
	for i := range msgs {
		size += len(msgs[i].Data)
	}
	sent, _ := p.socket.WriteBatch(msgs) // what the system refused is counted
	p.count.out.datagrams.Add(uint64(sent))
	p.count.out.bytes.Add(uint64(size))
	p.count.unwritten.Add(uint64(len(msgs) - sent))
}

// listened is what a server has for a port that it opened for a client.
type listened struct {
	socket  *udpSocket
	release func()
	kept    *keptListens
	key     keptKey
	peers   []lostPeer // of an earlier session
}

// give gives a listener's port back. Its flows are remembered if the session was lost.
func (p *udpPort) give(sessionLost bool) {
	p.asked.kept.leave(p, sessionLost)
	p.close()
	p.asked.release()
}

// close gives the port back and ends its flows.
func (p *udpPort) close() {
	_ = p.socket.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.shut && p.listener != 0 {
		p.left = p.listPeers()
	}
	p.shut = true
	for p.oldest != nil {
		p.end(p.oldest)
	}
}

// touch makes f the flow that had a datagram last.
func (p *udpPort) touch(f *udpFlow, now time.Time) {
	f.last = now
	if p.newest != f && p.flows[f.peer] == f {
		p.unlink(f)
		p.link(f)
	}
}

func (p *udpPort) link(f *udpFlow) {
	f.older, f.newer = p.newest, nil
	if p.newest != nil {
		p.newest.newer = f
	} else {
		p.oldest = f
	}
	p.newest = f
}

func (p *udpPort) unlink(f *udpFlow) {
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		p.newest = f.older
	}
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		p.oldest = f.newer
	}
	f.newer, f.older = nil, nil
}
