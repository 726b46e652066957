package emulator

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// flow is one client and the socket that stands for it towards the server.
type flow struct {
	client   netip.AddrPort
	upstream atomic.Pointer[net.UDPConn]
	last     atomic.Int64 // time of the latest datagram either way, in ns since the start
	rebound  time.Duration
}

func (f *flow) close() { _ = f.upstream.Load().Close() }

// readClients moves datagrams from the front socket into the model.
func (e *Emulator) readClients() {
	buf, oob := make([]byte, maxDatagram), make([]byte, oobSize)
	for {
		n, on, _, client, err := e.front.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // an ICMP error of an earlier send
		}
		if f := e.flowOf(client); f != nil {
			f.last.Store(int64(time.Since(e.start)))
			e.up.send(f, buf[:n], codepoint(oob[:on]))
		}
	}
}

// readServer moves datagrams that the server sent to one flow into the model, until the socket closes.
func (e *Emulator) readServer(f *flow, upstream *net.UDPConn) {
	buf, oob := make([]byte, maxDatagram), make([]byte, oobSize)
	for {
		n, on, _, _, err := upstream.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // an ICMP error of an earlier send
		}
		f.last.Store(int64(time.Since(e.start)))
		e.down.send(f, buf[:n], codepoint(oob[:on]))
	}
}

// flowOf finds or opens the flow of a client; nil if there are too many.
func (e *Emulator) flowOf(client netip.AddrPort) *flow {
	e.mu.Lock()
	defer e.mu.Unlock()
	if f := e.flows[client]; f != nil {
		return f
	}
	if len(e.flows) >= e.config.MaxFlows || e.isClosed() {
		e.refused.Add(1)
		return nil
	}
	f := &flow{client: client, rebound: time.Since(e.start)}
	if err := e.connect(f); err != nil {
		e.refused.Add(1)
		return nil
	}
	e.flows[client] = f
	return f
}

// connect gives a flow a new socket, and with it a new address in the eyes of the server. Called with
// e.mu held.
func (e *Emulator) connect(f *flow) error {
	upstream, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(e.server))
	if err != nil {
		return err
	}
	prepare(upstream)
	if old := f.upstream.Swap(upstream); old != nil {
		_ = old.Close()
	}
	e.tasks.Go(func() { e.readServer(f, upstream) })
	return nil
}

// toServer and toClient are the far ends of the lanes.
func (e *Emulator) toServer(f *flow, data []byte, ecn uint8) error {
	_, _, err := f.upstream.Load().WriteMsgUDPAddrPort(data, ecnMessage(ecn, e.server.Addr()), netip.AddrPort{})
	return err
}

func (e *Emulator) toClient(f *flow, data []byte, ecn uint8) error {
	_, _, err := e.front.WriteMsgUDPAddrPort(data, ecnMessage(ecn, f.client.Addr()), f.client)
	return err
}

// keepHouse forgets idle flows and rebinds those whose NAT mapping is due.
func (e *Emulator) keepHouse() {
	ticker := time.NewTicker(min(time.Second, max(e.config.Idle/4, time.Millisecond), e.rebindTick()))
	defer ticker.Stop()
	for {
		select {
		case <-e.closed:
			return
		case <-ticker.C:
			e.sweep(time.Since(e.start))
		}
	}
}

// rebindTick is how often to look for flows to rebind.
func (e *Emulator) rebindTick() time.Duration {
	if e.config.Link.Rebind == 0 {
		return time.Second
	}
	return max(e.config.Link.Rebind/10, time.Millisecond)
}

func (e *Emulator) sweep(now time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.isClosed() {
		return
	}
	for client, f := range e.flows {
		switch rebind := e.config.Link.Rebind; {
		case now-time.Duration(f.last.Load()) > e.config.Idle:
			delete(e.flows, client)
			f.close()
		case rebind > 0 && now-f.rebound >= rebind:
			f.rebound = now
			_ = e.connect(f) // without a new socket the old one stays
		}
	}
}

func (e *Emulator) isClosed() bool {
	select {
	case <-e.closed:
		return true
	default:
		return false
	}
}
