package protocol

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/monotime"
	"github.com/godwit-net/godwit/protocol/wire"
)

// Time is the monotonic clock reading that every input carries.
type Time = monotime.Time

// AddrPair is the pair of addresses that a path runs between. Local may be the zero value when
// the driver does not know it.
type AddrPair struct{ Local, Remote netip.AddrPort }

// Datagram is one UDP payload from the network. Data is decrypted in place.
type Datagram struct {
	Data []byte
	Addr AddrPair
	ECN  wire.ECN
}

// Meta says where a datagram of ours goes and how it is marked.
type Meta struct {
	Addr AddrPair
	ECN  wire.ECN
}

// Registry is how a session claims names in its endpoint's demultiplexer. Every name has a session;
// RetireID and RemoveResetToken of an unknown name do nothing.
type Registry interface {
	// NewID makes an ID under which the peer can reach s, with its stateless reset token.
	NewID(s *Session) (wire.ID, wire.ResetToken)
	// RetireID ends the claim to an ID.
	RetireID(id wire.ID)
	// AddResetToken claims datagrams that end in a token which the peer gave.
	AddResetToken(token wire.ResetToken, s *Session)
	// RemoveResetToken ends that claim.
	RemoveResetToken(token wire.ResetToken)
}

// PeerInfo is what the handshake proved about the other end.
type PeerInfo struct {
	PublicKey   crypto.PublicKey // zero: anonymous client
	PSKID       [8]byte          // zero: no pre-shared key
	AppProtocol string
	Suite       crypto.Suite
	// ChannelBinding is a hash of the whole handshake, the same at both ends and at no other session.
	ChannelBinding [32]byte
	Addr           AddrPair // the current path
}

// peerProof is what of PeerInfo does not change.
type peerProof struct {
	publicKey      crypto.PublicKey
	pskID          [8]byte
	channelBinding [32]byte
	appProtocol    string
	suite          crypto.Suite
}

type role uint8

const (
	client role = iota
	server
)

// sessionState says which packets may be sent and taken.
type sessionState uint8

const (
	stateHandshake   sessionState = iota // client, before the server's answer
	stateEstablished                     // data flows
	stateClosing                         // we said CLOSE and repeat it when provoked
	stateDraining                        // the peer said CLOSE, or forgot us: silence
	stateDead                            // nothing is left to do
)

// Session is one end of a semi-permanent context between two endpoints. See the package comment
// for how to drive it.
type Session struct {
	cfg      *Config
	role     role
	state    sessionState
	registry Registry
	rng      random // seeded from Config.Rand

	hs       *clientHandshake // client, until confirmed
	keys     keyState
	ids      idState
	paths    pathSet
	streams  streamsState
	messages *messagesState // nil until a message is sent or a channel of the peer's announced
	repair   *repairState   // nil until a packet is covered or a symbol comes
	control  controlState
	idle     idleState
	closing  *closeState // nil while nobody thinks of closing

	local, remote *wire.Parameters // ours as offered, the peer's once known; shared, never changed
	established   Time
	confirmed     bool
	unissued      bool        // spare IDs are handed out at the first chance, outside the endpoint
	names         int         // IDs in the endpoint's table; the endpoint's own field
	paceUntil     Time        // when the pacer lets the next packet go; 0: it does not wait
	early         *[]Datagram // 1-RTT packets that came before the handshake was complete; nil: none
	events        eventQueue
	stats         SessionCounters
	peer          peerProof
	err           error
	context       any
}

// newSession makes what both roles share.
func newSession(cfg *Config, r role, registry Registry) (*Session, error) {
	s := &Session{cfg: cfg, role: r, registry: registry, local: cfg.Params}
	if _, err := cfg.Rand.Read(s.rng.seed[:]); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	return s, nil
}

// start opens streams and timers once the peer's parameters are known.
func (s *Session) start(now Time) {
	s.established = now
	s.state = stateEstablished
	s.streams.init(streamsConfig{
		client:           s.role == client,
		local:            s.local,
		remote:           s.remote,
		maxStreamWindow:  s.cfg.MaxStreamWindow,
		maxSessionWindow: s.cfg.MaxSessionWindow,
		onEvent:          s.streamEvent,
	})
	s.idle.start(now, s.local, s.remote, s.cfg.KeepAlive)
	s.events.push(Event{Kind: EventEstablished})
}

// Age returns for how long the session has been established; 0: it is not yet.
func (s *Session) Age(now Time) time.Duration {
	if s.established.IsZero() {
		return 0
	}
	return now.Sub(s.established)
}

func (s *Session) streamEvent(kind EventKind, st *Stream) {
	s.events.push(Event{Kind: kind, Stream: st})
}

// Stream0 is the stream that exists from the start at both ends; nil before the session is
// established.
func (s *Session) Stream0() *Stream {
	if s.state == stateHandshake {
		return nil
	}
	return s.streams.stream0()
}

// OpenStream opens a stream to the peer, one-way if uni is set. It fails with ErrStreamLimit when
// the peer allows no more at the moment; EventStreamsAvailable says when it does.
func (s *Session) OpenStream(uni bool) (*Stream, error) {
	if s.state != stateEstablished || s.closing.graceful() {
		return nil, s.endError()
	}
	return s.streams.open(uni)
}

// PollEvent returns the next event for the owner of the session.
func (s *Session) PollEvent() (Event, bool) { return s.events.poll() }

// Err returns why the session ended, nil while it lives.
func (s *Session) Err() error { return s.err }

// endError is Err, or ErrSessionClosed for a session that is closing in good order or not open yet.
func (s *Session) endError() error {
	if s.err != nil {
		return s.err
	}
	return ErrSessionClosed
}

// Established reports whether data can be sent.
func (s *Session) Established() bool { return s.state == stateEstablished }

// Confirmed reports whether the peer has proved that it holds all keys of the session.
func (s *Session) Confirmed() bool { return s.confirmed }

// Dead reports whether the session has nothing left to do.
func (s *Session) Dead() bool { return s.state == stateDead }

// Peer returns what the handshake proved about the other end, and the current path to it.
func (s *Session) Peer() PeerInfo {
	q := &s.peer
	p := PeerInfo{
		PublicKey: q.publicKey, PSKID: q.pskID, AppProtocol: q.appProtocol, Suite: q.suite, ChannelBinding: q.channelBinding,
	}
	if a := s.paths.active; a != nil {
		p.Addr = a.addr
	}
	return p
}

// AddressToken returns the proof of this client's address that the server gave for a later session.
func (s *Session) AddressToken() ([wire.CookieSize]byte, bool) {
	if s.control.addressToken == nil || s.role == server {
		return [wire.CookieSize]byte{}, false
	}
	return *s.control.addressToken, true
}

// SetContext keeps a value of the owner with the session.
func (s *Session) SetContext(v any) { s.context = v }

// Context returns the value that SetContext kept.
func (s *Session) Context() any { return s.context }
