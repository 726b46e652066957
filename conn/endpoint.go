package conn

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/conn/udp"
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/monotime"
	"github.com/godwit-net/godwit/protocol/wire"
)

// Endpoint is a socket, or on Linux several that share a port, with the sessions that run through it.
// Dial and Listen make one of their own; NewEndpoint makes one on a socket that the caller brings, for
// several sessions, dialed and accepted, through one port.
type Endpoint struct {
	config   *Config
	identity crypto.PrivateKey
	log      *slog.Logger
	start    time.Time // when the endpoint's clock showed clockStart
	shards   []*shard
	memory   *memory  // beside the rest, which is read often
	mail     mailList // dialed sessions with messages

	served    atomic.Int64 // a monotime.Time: when a session that is no new one last had a datagram, to a millisecond
	listening atomic.Bool  // a listener takes, or has taken, new sessions
	users     atomic.Int64 // sessions, a listener, a Dial under way, the owner: the last one closes the sockets
	left      atomic.Int64 // closed listeners; they count as leaving until the sockets are closed
	down      sync.Once    // closing the sockets
	readers   sync.WaitGroup

	mu       sync.Mutex
	listener *Listener
	closed   bool  // by Close
	err      error // why nothing new begins here: net.ErrClosed, or a socket failed
}

// NewEndpoint makes an endpoint on pc, which it takes over: Close closes pc. A *net.UDPConn works best. A wrapper
// that has its methods is called for each datagram, without the system's batches; with any other net.PacketConn
// sessions run without ECN and without large datagrams. config (nil: the zero value) is used by Listen and is the default of Dial.
func NewEndpoint(pc net.PacketConn, config *Config) (*Endpoint, error) {
	c := config.orZero()
	if err := c.check(); err != nil {
		return nil, err
	}
	sock, err := udp.New(pc, c.features())
	if err != nil {
		return nil, fmt.Errorf("conn: %w", err)
	}
	return newEndpoint([]*udp.Socket{sock}, c, true)
}

// Buffers of 64 KiB that a reader fills with one system call. A server hears many peers, whose datagrams the
// system cannot put together; one peer's fill one buffer. Memory that is never written to is only reserved.
const (
	listenBuffers = 16
	dialBuffers   = 1
)

// newEndpoint makes an endpoint on sockets that share a port, and starts to read. The caller is its first
// user. It closes the sockets if it fails.
func newEndpoint(socks []*udp.Socket, c *Config, canListen bool) (*Endpoint, error) {
	e := &Endpoint{config: c, identity: c.Identity, log: c.logger(), start: time.Now(), memory: &memory{limit: c.memoryLimit()}}
	if canListen && e.identity.IsZero() {
		e.identity = crypto.GeneratePrivateKey()
		e.log.Info("no Identity in the configuration: after a restart clients must pin a new key, and sessions of before are not reset: they time out")
	}
	for i, sock := range socks {
		sh := &shard{endpoint: e, sock: sock, index: i, memory: e.memory}
		sh.timers.clock = e.now
		sh.timers.fire = sh.wake
		var err error
		sh.core, err = protocol.NewEndpoint(e.coreConfig(sh, len(socks), canListen))
		if err != nil {
			for _, s := range socks {
				_ = s.Close() // nothing was sent on it
			}
			return nil, fmt.Errorf("conn: %w", err)
		}
		sh.core.SetRegistry(registry{sh})
		e.shards = append(e.shards, sh)
	}
	e.logSockets()
	e.retain()
	for _, sh := range e.shards {
		buffers := dialBuffers
		if canListen {
			buffers = listenBuffers
		}
		if canListen {
			sh.startHandshakes()
		}
		e.readers.Go(func() { sh.read(sh.sock, buffers) })
		if door := sh.sock.Door(); door != nil {
			e.readers.Go(func() { sh.read(door, listenBuffers) })
		}
	}
	return e, nil
}

func (e *Endpoint) coreConfig(sh *shard, shards int, canListen bool) protocol.EndpointConfig {
	c := protocol.EndpointConfig{
		Session:       *e.config.session(sh.sock.Info()),
		Listen:        canListen,
		OldIdentities: e.config.PreviousIdentities,
		Retry:         e.config.Retry,
		IDLen:         dialIDLength,
		Shards:        shards,
		Shard:         sh.index,
		UnixAtZero:    e.start.Add(-clockStart).Unix(),
	}
	if e.config.MaxSessions > 0 {
		c.MaxSessions = max(e.config.MaxSessions/shards, 1)
	}
	c.Session.Identity = e.identity
	return c
}

// lowReceiveBuffer is the receive buffer in bytes below which bursts of a fast path are lost in this machine.
const lowReceiveBuffer = 1 << 20

// logSockets tells the operator what the system granted.
func (e *Endpoint) logSockets() {
	info := e.shards[0].sock.Info()
	e.log.Debug("socket open", "address", e.Addr(), "shards", len(e.shards),
		"receive_buffer", info.ReceiveBuffer, "send_buffer", info.SendBuffer,
		"ecn", info.ECN, "dont_fragment", info.DontFragment, "features", info.Features)
	if info.ReceiveBuffer > 0 && info.ReceiveBuffer < lowReceiveBuffer {
		e.log.Warn("small receive buffer: bursts will be lost in this machine; raise net.core.rmem_max or the system's equivalent",
			"granted", info.ReceiveBuffer)
	}
}

// clockStart is what an endpoint's clock shows at its start. The core's budgets look back from now; on a
// clock that starts at zero they would be empty in the first moments.
const clockStart = time.Hour

// now reads the clock that the cores of this endpoint live by.
func (e *Endpoint) now() monotime.Time { return monotime.Time(clockStart + time.Since(e.start)) }

// Addr returns the local address.
func (e *Endpoint) Addr() net.Addr { return e.shards[0].sock.Addr() }

// Listen makes the endpoint accept sessions, with the endpoint's Config. It fails while an earlier listener
// is open.
func (e *Endpoint) Listen() (*Listener, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.err != nil:
		return nil, e.err
	case e.listener != nil:
		return nil, errors.New("conn: this endpoint has a listener already")
	}
	e.retain()
	l := newListener(e)
	e.listener = l
	l.refuse(0)
	e.listening.Store(true)
	return l, nil
}

// listenerClosed makes room for another Listen.
func (e *Endpoint) listenerClosed(l *Listener) {
	e.mu.Lock()
	if e.listener == l {
		e.listener = nil
	}
	e.mu.Unlock()
	leaving.Add(1)
	e.left.Add(1)
	e.release()
}

// current returns the listener, nil if there is none.
func (e *Endpoint) current() *Listener {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.listener
}

// Close ends all sessions at once, with the transport's code SERVER_STOPPING, and closes the socket. Sessions
// that should deliver what was written are closed before, and given time.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return net.ErrClosed
	}
	e.closed = true
	if e.err == nil {
		e.err = net.ErrClosed
	}
	l := e.listener
	e.mu.Unlock()
	if l != nil {
		_ = l.Close() // it may be closed already, which is what we want
	}
	e.endAll(wire.ServerStopping, "endpoint closed")
	err := e.closeSockets()
	e.readers.Wait()
	e.release()
	return err
}

// endAll closes every session with a transport code, and returns when the peers have been told.
func (e *Endpoint) endAll(code wire.ErrorCode, reason string) {
	for _, sh := range e.shards {
		for _, s := range sh.sessions() {
			s.closeTransport(code, reason)
			s.awaitQuiet()
		}
	}
}

func (e *Endpoint) closeSockets() (err error) {
	e.down.Do(func() {
		for _, sh := range e.shards {
			err = errors.Join(err, sh.sock.Close())
			sh.stopHandshakes()
		}
		leaving.Add(-e.left.Load())
	})
	return err
}

// readerDone takes the news that a socket gives nothing any more. Unless we closed it, all sessions end.
func (e *Endpoint) readerDone(err error) {
	e.mu.Lock()
	expected := e.err != nil || e.users.Load() == 0
	if e.err == nil {
		e.err = fmt.Errorf("conn: socket failed: %w", err)
	}
	failed, l := e.err, e.listener
	e.mu.Unlock()
	if expected {
		return
	}
	e.log.Error("socket failed: its sessions end", "address", e.Addr(), "error", err)
	if l != nil {
		l.fail(failed)
	}
	e.endAll(wire.Internal, "socket failed: "+err.Error())
	_ = e.closeSockets() // the error that counts is err
}

// over returns why nothing new begins at the endpoint, nil while it can.
func (e *Endpoint) over() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// retain counts one more user of the sockets.
func (e *Endpoint) retain() { e.users.Add(1) }

// release counts one less. The last one closes the sockets, in a goroutine of its own since locks may be held.
func (e *Endpoint) release() {
	if e.users.Add(-1) == 0 {
		go func() { _ = e.closeSockets() }() // nobody is left to be told
	}
}
