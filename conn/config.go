package conn

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"time"

	"github.com/godwit-net/godwit/conn/udp"
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/crypto/handshake"
	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/wire"
)

const (
	// defaultAcceptBacklog is how many sessions wait for Accept. Each costs a few kB, and a server that
	// is a thousand behind does better to say so.
	defaultAcceptBacklog = 1024
	// maxDefaultShards: beyond four sockets the kernel's side is no longer what is short.
	maxDefaultShards = 4
	// safeDatagram is the largest UDP payload that is sent through a socket that cannot forbid
	// fragmentation, in bytes: what an Ethernet of 1500 carries over IPv6. There, larger sizes cannot be
	// told from fragmented ones.
	safeDatagram = 1452
	// dialIDLength is the length of the IDs that a dialing socket gives to its sessions, in bytes: enough
	// to tell a few thousand of them apart and to move to another path.
	dialIDLength = 4
)

// PeerInfo is what is known about the other end of a session.
type PeerInfo struct {
	PublicKey      crypto.PublicKey // proved in the handshake; zero: the client is anonymous
	PresharedKeyID [8]byte          // of the key that both ends hold; zero: none was used
	Addr           netip.AddrPort   // where its datagrams come from now; changes when it moves
	AppProtocol    string           // agreed on; empty: none
	ChannelBinding [32]byte         // the same at both ends of this session and of no other
}

// RetryMode says when a listener makes clients prove their address before it works for them.
type RetryMode = protocol.RetryMode

// The retry modes.
const (
	RetryAdaptive = protocol.RetryAdaptive // when the load is high
	RetryAlways   = protocol.RetryAlways   // always: one more round trip for each session
	RetryNever    = protocol.RetryNever    // never: for networks where addresses cannot be forged
)

// Config is what one end brings to its sessions. The zero value of every field works, except that whoever
// dials sets PeerKey or PresharedKey. A nil *Config is the zero value. Negative numbers are refused by
// Dial, Listen and NewEndpoint with an error that names the field, unless it says what they mean. A Config is not changed while in use.
type Config struct {
	// Identity is this end's static key. Zero: a client is anonymous; a listener makes a key at start,
	// so that its PublicKey is another one after each restart.
	Identity crypto.PrivateKey
	// PreviousIdentities are a listener's earlier keys that clients may still have pinned. At most three.
	PreviousIdentities []crypto.PrivateKey
	// PeerKey is the only static key that a dialing end accepts from the server. A listener ignores it.
	PeerKey crypto.PublicKey
	// PresharedKey is mixed into every handshake. A listener that has one refuses clients that do not.
	// A dialing end with a PresharedKey and no PeerKey accepts any server that holds it.
	PresharedKey crypto.PresharedKey
	// AppProtocols are the names of the application protocols on offer, best first: at most 16 names of 1 to 255 bytes. The listener's order
	// counts; a client without a common one is refused by name. Nil: none, and the other end must have none.
	AppProtocols []string
	// Authorize decides whether a client may have a session, before Accept returns it. It may take 5 s and
	// runs at most 256 times at once. An error made by Refuse closes the session with its code, any other
	// one with NOT_AUTHORIZED; the client is told its text. Nil: everyone who completes the handshake. Ignored by a
	// dialing end.
	Authorize func(PeerInfo) error

	// HandshakeTimeout is how long Dial waits for an answer. 0: until the context's deadline, or 5 s if it has none.
	HandshakeTimeout time.Duration
	// IdleTimeout ends a session whose peer has been silent for so long; the smaller one of both ends
	// counts. 0: 30 s. At most 24 h.
	IdleTimeout time.Duration
	// KeepAlive is the silence after which a ping is sent, so that neither the session nor the state of
	// address translators on the path times out. It costs 43 bytes each way. At most half the idle timeout
	// counts. 0: none.
	KeepAlive time.Duration

	// AcceptBacklog is how many sessions wait for Accept; further ones are refused as full. 0: 1024.
	AcceptBacklog int
	// MaxSessions is how many sessions a listener has at once; further ones are refused as full. 0: as many as
	// MemoryLimit allows, about a million at most.
	MaxSessions int
	// MaxStreams and MaxUniStreams are how many streams the peer may have open at once, stream 0 not
	// counted. 0: 256. Negative: none.
	MaxStreams, MaxUniStreams int
	// StreamWindow and SessionWindow bound the data that waits for the application, in bytes, in one stream
	// and in all together. Windows start small and grow to this while the application keeps reading; memory
	// is used only for what waits. 0: 32 MiB and 64 MiB.
	StreamWindow, SessionWindow int
	// MaxChannels is how many channels of messages the peer may use. 0: 64. Negative: none, and no messages
	// are taken. At most 65,536.
	MaxChannels int
	// MessageBuffer bounds the unreliable messages that wait for the application, in bytes, 64 added for each:
	// beyond it the oldest are dropped. Reliable ones count against SessionWindow, which bounds their size to
	// half of it too. 0: 1 MiB.
	MessageBuffer int
	// MemoryLimit bounds what the sessions of an endpoint hold together, in bytes: data that was received and not read,
	// or written and not acknowledged, messages, what repair keeps, handshakes, and 8 KiB for each session. When it is
	// short, writes wait, messages are refused by ErrMessageQueueFull, peers get no more credit, and new sessions are
	// refused as full; sessions that read what they get go on. Nothing reliable that was acknowledged is lost.
	// Beside it a socket takes a few MiB, and Go's collector, with its default, as much again as is in use. 0: 2 GiB, of
	// which a hundred thousand idle sessions take 0.8. At least 16 MiB. Negative: no bound.
	MemoryLimit int64
	// OverheadCap is how much the repair of messages with a deadline may add to what they take when nothing is
	// lost, in percent of bytes, what is sent again included. More has lost messages back earlier on bad paths;
	// below 0.3 % of loss nothing is added. The smaller one of both ends counts. At most 300. 0: 30. Negative:
	// lost messages are sent again, and that is all.
	OverheadCap int
	// MaxDatagram bounds the datagrams sent, in bytes of UDP payload, from 1200. 0: what the path carries.
	MaxDatagram int

	// Shards is how many sockets share the port of a Listen, each with a reader of its own. 0: one for each
	// processor, at most four. Systems other than Linux have one. On Linux each has one more for first packets.
	Shards int
	// DisableFeatures names what the sockets must not use of segmentation, coalescing, calls for several datagrams,
	// steering and ECN, to compare or to work around a driver. 0: all is used that the system has.
	DisableFeatures udp.Features
	// Retry says when clients must prove their address before the listener works for them. 0: when the load is high.
	Retry RetryMode
	// CongestionControl makes the congestion controller of a path; congestion.Named has those that come with
	// Godwit. Nil: congestion.NewAdaptive.
	CongestionControl func(congestion.Config) congestion.Controller
	// Logger gets what an operator wants to know: what the socket was granted, sessions that failed. Nil: nothing is logged.
	Logger *slog.Logger
}

// features returns what sockets may use.
func (c *Config) features() udp.Features {
	return udp.AllFeatures &^ (c.DisableFeatures | disabledFeatures)
}

// disabledFeatures holds for all endpoints of the process: tests run with and without.
var disabledFeatures udp.Features

// check names the first field that makes no sense.
func (c *Config) check() error {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"HandshakeTimeout", int64(c.HandshakeTimeout)},
		{"IdleTimeout", int64(c.IdleTimeout)},
		{"KeepAlive", int64(c.KeepAlive)},
		{"AcceptBacklog", int64(c.AcceptBacklog)},
		{"MaxSessions", int64(c.MaxSessions)},
		{"StreamWindow", int64(c.StreamWindow)},
		{"SessionWindow", int64(c.SessionWindow)},
		{"MessageBuffer", int64(c.MessageBuffer)},
		{"MaxDatagram", int64(c.MaxDatagram)},
		{"Shards", int64(c.Shards)},
	} {
		if f.value < 0 {
			return fmt.Errorf("conn: Config.%s is negative: use 0 for the default", f.name)
		}
	}
	return c.checkRanges()
}

const (
	// longestIdle is the core's limit: beyond a day a timeout is a leak.
	longestIdle = 24 * time.Hour
	// maxPreviousIdentities: each costs one more MAC for every first packet that is forged.
	maxPreviousIdentities = 3
	// maxStreamCount is what the wire carries.
	maxStreamCount = 1 << 60
)

// checkRanges names the first field that is too large, or too small to work.
func (c *Config) checkRanges() error {
	switch {
	case c.IdleTimeout > longestIdle || 0 < c.IdleTimeout && c.IdleTimeout < time.Millisecond:
		return errors.New("conn: Config.IdleTimeout must lie between 1ms and 24h")
	case 0 < c.MaxDatagram && c.MaxDatagram < protocol.MinDatagram:
		return fmt.Errorf("conn: Config.MaxDatagram is %d: every path carries %d bytes, use 0 or more than that", c.MaxDatagram, protocol.MinDatagram)
	case int64(c.MaxStreams) > maxStreamCount || int64(c.MaxUniStreams) > maxStreamCount:
		return errors.New("conn: Config.MaxStreams and MaxUniStreams must not exceed 2^60")
	case 0 < c.MemoryLimit && c.MemoryLimit < minMemoryLimit:
		return fmt.Errorf("conn: Config.MemoryLimit is %d: use at least %d, 0 for the default, or a negative number for no bound", c.MemoryLimit, minMemoryLimit)
	case c.MaxChannels > wire.MaxChannel+1:
		return errors.New("conn: Config.MaxChannels must not exceed 65536")
	case c.OverheadCap > protocol.MaxOverheadCap:
		return fmt.Errorf("conn: Config.OverheadCap is %d: use at most %d percent", c.OverheadCap, protocol.MaxOverheadCap)
	case c.Retry > RetryNever:
		return fmt.Errorf("conn: Config.Retry is %d, which is no RetryMode", c.Retry)
	case len(c.PreviousIdentities) > maxPreviousIdentities:
		return fmt.Errorf("conn: Config.PreviousIdentities has %d keys, at most %d work", len(c.PreviousIdentities), maxPreviousIdentities)
	case len(c.AppProtocols) > handshake.MaxAppProtocols:
		return fmt.Errorf("conn: Config.AppProtocols has %d names, at most %d fit", len(c.AppProtocols), handshake.MaxAppProtocols)
	}
	for _, name := range c.AppProtocols {
		if len(name) == 0 || len(name) > handshake.MaxAppProtocol {
			return fmt.Errorf("conn: Config.AppProtocols: the name %q has %d bytes, want 1 to %d", name, len(name), handshake.MaxAppProtocol)
		}
	}
	return nil
}

// checkDial is check for an end that dials.
func (c *Config) checkDial() error {
	if c.PeerKey.IsZero() && c.PresharedKey.IsZero() {
		return errors.New("conn: Config has neither PeerKey nor PresharedKey: without one the server could be anyone")
	}
	return c.check()
}

// orZero returns c, or an empty Config for nil.
func (c *Config) orZero() *Config {
	if c == nil {
		return &Config{}
	}
	return c
}

func (c *Config) shards() int {
	if c.Shards > 0 {
		return c.Shards
	}
	return min(runtime.GOMAXPROCS(0), maxDefaultShards)
}

// memoryLimit returns the bound on memory in bytes; 0: none.
func (c *Config) memoryLimit() int64 {
	if c.MemoryLimit == 0 {
		return defaultMemoryLimit
	}
	return max(c.MemoryLimit, 0)
}

func (c *Config) backlog() int {
	if c.AcceptBacklog > 0 {
		return c.AcceptBacklog
	}
	return defaultAcceptBacklog
}

func (c *Config) logger() *slog.Logger {
	if c.Logger != nil {
		return c.Logger
	}
	return slog.New(slog.DiscardHandler)
}

// session is the core's Config for sessions through a socket.
func (c *Config) session(granted udp.Info) *protocol.Config {
	p := &protocol.Config{
		Rand:             rand.Reader,
		Identity:         c.Identity,
		PeerKey:          c.PeerKey,
		PresharedKey:     c.PresharedKey,
		AppProtocols:     c.AppProtocols,
		MaxStreamWindow:  c.StreamWindow,
		MaxSessionWindow: c.SessionWindow,
		KeepAlive:        c.KeepAlive,
		HandshakeTimeout: c.HandshakeTimeout,
		MaxDatagram:      c.MaxDatagram,
		OverheadCap:      c.OverheadCap,
		NewController:    c.CongestionControl,
	}
	p.Params = c.parameters()
	if !granted.DontFragment && (p.MaxDatagram == 0 || p.MaxDatagram > safeDatagram) {
		p.MaxDatagram = safeDatagram
	}
	return p
}

// parameters are the transport parameters that this end offers.
func (c *Config) parameters() *wire.Parameters {
	p := protocol.DefaultParameters()
	if c.IdleTimeout > 0 {
		p.IdleTimeoutMillis = uint64(c.IdleTimeout.Milliseconds())
	}
	setLimit(&p.MaxStreamsBidi, c.MaxStreams)
	setLimit(&p.MaxStreamsUni, c.MaxUniStreams)
	setLimit(&p.MaxChannels, c.MaxChannels)
	setLimit(&p.MessageBuffer, c.MessageBuffer)
	if c.StreamWindow > 0 {
		first := min(uint64(c.StreamWindow), protocol.DefaultStreamWindow)
		p.MaxStreamDataBidiLocal, p.MaxStreamDataBidiRemote, p.MaxStreamDataUni = first, first, first
	}
	if c.SessionWindow > 0 {
		p.MaxData = min(uint64(c.SessionWindow), protocol.DefaultSessionWindow)
	}
	return &p
}

// setLimit applies a number of the Config: 0 leaves the default, a negative one means none.
func setLimit(field *uint64, value int) {
	if value != 0 {
		*field = uint64(max(value, 0))
	}
}
