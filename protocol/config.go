package protocol

import (
	"io"
	"time"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/wire"
)

// Defaults and limits of a session. The relations between them are tested.
const (
	// DefaultIdleTimeout is offered when Config.Params names none. The smaller of both ends' counts.
	DefaultIdleTimeout = 30 * time.Second
	// DefaultHandshakeTimeout bounds a Dial that nobody answers.
	DefaultHandshakeTimeout = 5 * time.Second
	// DefaultMaxAckDelay is how long an acknowledgement of bulk data may wait.
	DefaultMaxAckDelay = 10 * time.Millisecond
	// DefaultMaxDatagram is the largest UDP payload that can exist over IPv4 (65,535 - 28), and so
	// the largest that an end offers to receive.
	DefaultMaxDatagram = 65507
	// DefaultLinger is how long a graceful close waits without acknowledged progress.
	DefaultLinger = 5 * time.Second
	// MaxLinger bounds a graceful close that makes progress slowly.
	MaxLinger = 60 * time.Second
	// MinDatagram is the size that every path must carry, and of the padded handshake packets.
	MinDatagram = wire.MinInitSize
)

// Default flow-control windows. The first ones are small, since ten thousand sessions may share a
// process; auto-tuning doubles them as long as the application keeps reading.
const (
	DefaultStreamWindow     = 256 << 10
	DefaultSessionWindow    = 512 << 10
	DefaultMaxStreamWindow  = 32 << 20
	DefaultMaxSessionWindow = 64 << 20
	DefaultMaxStreams       = 256
)

// Config is what one end brings to its sessions. The zero value of every field works, except that
// a client needs PeerKey or PresharedKey, and that Rand must be set.
type Config struct {
	// Rand gives secrets and unpredictable choices. crypto/rand.Reader outside simulations.
	Rand io.Reader

	// Identity is this end's static key; at a client the zero value means anonymous.
	Identity crypto.PrivateKey
	// PeerKey is the only static key that a client accepts from its server.
	PeerKey crypto.PublicKey
	// PresharedKey is mixed into the handshake; alone, it also stands for PeerKey.
	PresharedKey crypto.PresharedKey
	// Suites are the ciphers for packets, best first. Nil: crypto.PreferredSuites.
	Suites []crypto.Suite
	// AppProtocols are the application protocols on offer, best first. Nil: none.
	AppProtocols []string
	// AddressToken proves this client's address to a server that gave it on an earlier session.
	AddressToken [wire.CookieSize]byte

	// Params are this end's transport parameters. Nil: DefaultParameters.
	Params *wire.Parameters
	// MaxStreamWindow and MaxSessionWindow bound the auto-tuning of the receive windows, in bytes.
	// 0: DefaultMaxStreamWindow and DefaultMaxSessionWindow.
	MaxStreamWindow, MaxSessionWindow int

	// KeepAlive is the silence after which a ping is sent, so that neither NAT mappings nor the
	// session time out. 0: none. It is lowered to half the agreed idle timeout.
	KeepAlive time.Duration
	// HandshakeTimeout ends a handshake without an answer. 0: DefaultHandshakeTimeout.
	HandshakeTimeout time.Duration
	// Linger is how long a graceful close waits without progress. 0: DefaultLinger.
	Linger time.Duration
	// MaxDatagram caps the datagrams sent, in bytes of UDP payload, however large the path is.
	// 0: what the peer accepts. Values below MinDatagram mean MinDatagram.
	MaxDatagram int

	// OverheadCap is how much the repair of messages with a deadline may add to what they take when nothing is
	// lost, in percent of UDP payload bytes, retransmissions included: 1 to 300. More has lost messages back
	// earlier on bad paths; below 0.3 % of loss nothing is added. The smaller one of both ends counts. 0: what
	// Params say, by default DefaultOverheadCap. Negative: lost messages are sent again, and that is all.
	OverheadCap int

	// NewController makes the congestion controller of a path. Nil: congestion.NewAdaptive.
	NewController func(congestion.Config) congestion.Controller
}

// DefaultParameters returns the transport parameters that an end offers when it is not told others.
func DefaultParameters() wire.Parameters {
	p := wire.DefaultParameters()
	p.IdleTimeoutMillis = uint64(DefaultIdleTimeout.Milliseconds())
	p.MaxData = DefaultSessionWindow
	p.MaxStreamDataBidiLocal = DefaultStreamWindow
	p.MaxStreamDataBidiRemote = DefaultStreamWindow
	p.MaxStreamDataUni = DefaultStreamWindow
	p.MaxStreamsBidi = DefaultMaxStreams
	p.MaxStreamsUni = DefaultMaxStreams
	p.MaxAckDelayMillis = uint64(DefaultMaxAckDelay.Milliseconds())
	p.MaxDatagram = DefaultMaxDatagram
	p.MaxChannels = DefaultMaxChannels
	p.MessageBuffer = DefaultMessageBuffer
	p.ActiveIDs = maxActiveIDs
	p.MaxPaths = maxActivePaths
	return p
}

// withDefaults returns a copy of c in which every zero field has its default.
func (c *Config) withDefaults() *Config {
	d := *c
	if d.Suites == nil {
		d.Suites = crypto.PreferredSuites()
	}
	if d.Params == nil {
		p := DefaultParameters()
		d.Params = &p
	}
	if d.OverheadCap != 0 {
		p := *d.Params
		p.OverheadCap = uint64(max(0, min(d.OverheadCap, MaxOverheadCap)))
		d.Params = &p
	}
	d.Params = fitting(d.Params, d.MaxSessionWindow)
	setDefault(&d.MaxStreamWindow, DefaultMaxStreamWindow)
	setDefault(&d.MaxSessionWindow, DefaultMaxSessionWindow)
	setDefault(&d.HandshakeTimeout, DefaultHandshakeTimeout)
	setDefault(&d.Linger, DefaultLinger)
	setDefault(&d.MaxDatagram, DefaultMaxDatagram)
	d.MaxDatagram = max(d.MaxDatagram, MinDatagram)
	if d.NewController == nil {
		d.NewController = func(c congestion.Config) congestion.Controller { return congestion.NewAdaptive(c) }
	}
	return &d
}

// fitting returns p with messages no larger than the session's window can grow to hold: a message waits for
// credit for all of it, and half of the window may be consumed before the peer is told.
func fitting(p *wire.Parameters, sessionWindow int) *wire.Parameters {
	setDefault(&sessionWindow, DefaultMaxSessionWindow)
	largest := uint64(max(sessionWindow/2-messageCharge, 1))
	if p.MaxMessageSize <= largest {
		return p
	}
	c := *p
	c.MaxMessageSize = largest
	return &c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
