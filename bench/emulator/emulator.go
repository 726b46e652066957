// Package emulator puts the link model of package sim in the way of real packets. An Emulator is a
// proxy that delays, drops, reorders and limits UDP datagrams on their way to one server and back; a
// Bridge does the same with IP packets between two network devices.
//
// It knows nothing of what the datagrams mean. `godwit link` runs it as a command, `godwit bench` and
// tests run it inside their own process; bench/kernel puts a Bridge between two network namespaces.
package emulator

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
	"github.com/godwit-net/godwit/protocol/sim"
)

const (
	// DefaultMaxFlows bounds the sockets that clients can make the proxy open: one each.
	DefaultMaxFlows = 1024

	// DefaultIdle is how long a flow without datagrams keeps its socket. Longer than the idle timeout of
	// a session (30 s by default), or the proxy would end sessions that live.
	DefaultIdle = 2 * time.Minute

	// DefaultMaxQueued bounds the bytes on their way in one direction: 150 ms of 10 Gbit/s.
	DefaultMaxQueued = 192 << 20

	maxDatagram  = 65_535  // the largest that UDP can carry
	socketBuffer = 4 << 20 // asked of the system; what does not fit is lost before the model sees it
	clockOrigin  = monotime.Time(time.Second)
)

// Config says what to emulate. Zero values have defaults except for To.
type Config struct {
	Listen string     // UDP "host:port" for clients; empty means 127.0.0.1:0
	To     string     // UDP "host:port" of the server, resolved once
	Link   sim.Config // both directions of the path, which all clients share

	MaxFlows  int           // clients at once; datagrams of further ones are dropped; 0 means DefaultMaxFlows
	Idle      time.Duration // a client silent for so long, both ways, is forgotten; 0 means DefaultIdle
	MaxQueued int           // bytes on their way in each direction; more are dropped; 0 means DefaultMaxQueued
}

// Emulator is a running proxy. Its methods are safe for concurrent use.
type Emulator struct {
	config Config
	server netip.AddrPort
	front  *net.UDPConn
	start  time.Time
	up     *lane[*flow]
	down   *lane[*flow]
	closed chan struct{}
	tasks  sync.WaitGroup

	mu    sync.Mutex
	flows map[netip.AddrPort]*flow

	refused atomic.Uint64
}

// New starts a proxy. Close it to free its sockets and goroutines.
func New(c Config) (*Emulator, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	c.MaxFlows = positive(c.MaxFlows, DefaultMaxFlows)
	c.MaxQueued = positive(c.MaxQueued, DefaultMaxQueued)
	if c.Idle <= 0 {
		c.Idle = DefaultIdle
	}
	server, err := resolve(c.To)
	if err != nil {
		return nil, err
	}
	up, down, err := sim.NewPair(c.Link, clockOrigin)
	if err != nil {
		return nil, err
	}
	local, err := net.ResolveUDPAddr("udp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("address to listen on: %w", err)
	}
	front, err := net.ListenUDP("udp", local)
	if err != nil {
		return nil, err
	}
	prepare(front)
	e := &Emulator{
		config: c, server: server, front: front, start: time.Now(),
		closed: make(chan struct{}), flows: make(map[netip.AddrPort]*flow),
	}
	if err := e.startLanes(up, down); err != nil {
		_ = front.Close()
		return nil, err
	}
	e.tasks.Go(e.readClients)
	e.tasks.Go(e.keepHouse)
	return e, nil
}

func (e *Emulator) startLanes(up, down *sim.Link) (err error) {
	if e.up, err = newLane(up, e.config.MaxQueued, e.now, e.toServer); err != nil {
		return err
	}
	if e.down, err = newLane(down, e.config.MaxQueued, e.now, e.toClient); err != nil {
		e.up.close()
		return err
	}
	return nil
}

func resolve(to string) (netip.AddrPort, error) {
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address of the server: %w", err)
	}
	if addr.Port == 0 {
		return netip.AddrPort{}, fmt.Errorf("address of the server: %q has no port: write HOST:PORT", to)
	}
	if addr.IP == nil {
		addr.IP = net.IPv4(127, 0, 0, 1)
	}
	server := addr.AddrPort()
	return netip.AddrPortFrom(server.Addr().Unmap(), server.Port()), nil
}

// now is the model's clock.
func (e *Emulator) now() monotime.Time { return clockOrigin.Add(time.Since(e.start)) }

// Addr returns the address for clients to send to.
func (e *Emulator) Addr() netip.AddrPort {
	return e.front.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Close stops the proxy and forgets what is on its way.
func (e *Emulator) Close() error {
	e.mu.Lock()
	select {
	case <-e.closed:
		e.mu.Unlock()
		return nil
	default:
	}
	close(e.closed)
	for _, f := range e.flows {
		f.close()
	}
	e.mu.Unlock()
	err := e.front.Close()
	e.tasks.Wait() // before the lanes: a reader may be about to wake one
	e.up.close()
	e.down.close()
	return err
}

// Stats is what happened since the start.
type Stats struct {
	Up, Down  sim.Stats     // by direction: up is from clients to the server
	Late      sim.Histogram // how late datagrams left, behind the model's time
	Flows     int           // clients now
	Refused   uint64        // datagrams of clients beyond MaxFlows, or without a socket for them
	Overflow  uint64        // copies beyond MaxQueued
	SendFails uint64        // copies that the system refused to send
}

// Stats returns the counters.
func (e *Emulator) Stats() Stats {
	s := Stats{Refused: e.refused.Load()}
	e.up.report(&s, &s.Up)
	e.down.report(&s, &s.Down)
	e.mu.Lock()
	s.Flows = len(e.flows)
	e.mu.Unlock()
	return s
}

// String is one line.
func (s *Stats) String() string {
	text := fmt.Sprintf("up: %s; down: %s; %d flows; late p50 %v p99 %v", s.Up.String(), s.Down.String(), s.Flows,
		s.Late.Quantile(0.5).Round(time.Microsecond), s.Late.Quantile(0.99).Round(time.Microsecond))
	if n := s.Refused + s.Overflow + s.SendFails; n > 0 {
		text += fmt.Sprintf("; %d refused, %d overflowed, %d not sent", s.Refused, s.Overflow, s.SendFails)
	}
	return text
}

func positive(v, otherwise int) int {
	if v > 0 {
		return v
	}
	return otherwise
}
