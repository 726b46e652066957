package protocol

import (
	"fmt"
	"math/rand/v2"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/crypto/handshake"
	"github.com/godwit-net/godwit/protocol/wire"
)

// RetryMode says when a server asks a client to prove its address before it spends public-key work.
type RetryMode uint8

const (
	// RetryAdaptive asks when the load is high. It is the default.
	RetryAdaptive RetryMode = iota
	// RetryAlways asks everyone: no state and no public-key work before the proof, and one more
	// round trip for each session.
	RetryAlways
	// RetryNever asks nobody. For networks where addresses cannot be forged.
	RetryNever
)

// EndpointConfig describes one shard of an endpoint.
type EndpointConfig struct {
	// Session is what every session of this endpoint starts from. Identity is the static key of a
	// server; PresharedKey, when set, is demanded of every client.
	Session Config
	// Listen makes the endpoint answer first packets. Without it, it only dials.
	Listen bool
	// OldIdentities are earlier static keys that clients may still have pinned.
	OldIdentities []crypto.PrivateKey
	// Retry says when clients must prove their address first.
	Retry RetryMode
	// MaxSessions is how many sessions a listening shard holds; more are refused as full.
	// 0: DefaultMaxSessions.
	MaxSessions int
	// IDLen is the length of the IDs that dialing sessions receive, 0, 4 or 8. A listening endpoint
	// uses 8. With 0 there can be one session only.
	IDLen int
	// ServerID is this server's number behind a load balancer.
	ServerID uint16
	// Shards and Shard place this endpoint among those that share a port. 0 shards: one.
	Shards, Shard int
	// UnixAtZero is the wall clock at Time 0, in seconds since 1970. It dates cookies, so that servers
	// that share keys accept each other's.
	UnixAtZero int64
}

// DefaultMaxSessions bounds the sessions of one shard: a flood that completes handshakes must not
// take all memory.
const DefaultMaxSessions = 1 << 20

// maxReplyBytes bounds the replies that wait to be drained. The owner drains after every batch, so
// that more is a flood, whose answers may be lost.
const maxReplyBytes = 1 << 20

// EndpointStats counts what an endpoint did without a session.
type EndpointStats struct {
	Inits, Fins      uint64 // first and last handshake packets of well-formed shape
	Retries, Rejects uint64 // sent
	Versions, Resets uint64 // version negotiations and stateless resets sent
	Accepted         uint64 // sessions established
	Agreements       uint64 // X25519 operations that clients caused
	Malformed        uint64 // dropped: not ours
	Unmatched        uint64 // dropped: names no session
	Forged           uint64 // dropped: does not authenticate
	Overload         uint64 // dropped: over a budget
	NoMemory         uint64 // new sessions that were refused since there is no memory for them; Rejects has them too
	HalfOpen         int    // handshakes that wait for their last packet
	Sessions         int
}

// Endpoint stands before the sessions of one shard of a socket: it tells datagrams apart, and answers
// those that belong to no session with as little state as the load allows. Like a Session it is
// driven by one caller at a time and knows no clock.
type Endpoint struct {
	cfg      EndpointConfig
	session  *Config // with defaults
	registry Registry
	rng      *rand.Rand
	idLen    int

	keys   crypto.EndpointKeys
	ids    *crypto.IDSource
	lookup *crypto.TokenLookup

	sessions map[wire.ID]*Session
	live     int // sessions with a name in it
	recent   named
	tokens   map[[crypto.ResetTokenSize]byte]*Session
	only     *Session // the one session of an endpoint whose IDs are empty

	hs       *handshake.Server // nil: not listening
	init     handshake.Init    // scratch
	offered  *wire.Parameters  // by the last client
	half     halfOpenTable
	left     *workQueue // public-key work that the owner does; nil: it is done at once
	budget   budget
	refusing wire.RejectCode // every new session is refused with this; 0: none
	pressure bool            // the owner's accept queue is more than half full
	full     bool            // the owner has no memory for another session
	accepted []*Session

	replies  []reply
	replyBuf []byte
	sent     int // replies drained so far

	stats      EndpointStats
	agreements uint64
}

// reply is a datagram in replyBuf.
type reply struct {
	from, to int
	addr     AddrPair
}

// NewEndpoint makes the endpoint of one shard. The error says what is wrong with the configuration.
func NewEndpoint(cfg EndpointConfig) (*Endpoint, error) {
	var seed [32]byte
	if _, err := cfg.Session.Rand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	cfg.Shards = max(cfg.Shards, 1)
	setDefault(&cfg.MaxSessions, DefaultMaxSessions)
	e := &Endpoint{
		cfg: cfg, session: cfg.Session.withDefaults(), rng: rand.New(rand.NewChaCha8(seed)), idLen: cfg.IDLen,
		sessions: make(map[wire.ID]*Session), tokens: make(map[[crypto.ResetTokenSize]byte]*Session),
	}
	e.registry = e
	identity := cfg.Session.Identity
	if cfg.Listen {
		e.idLen = wire.ServerIDLen
		if err := e.listen(); err != nil {
			return nil, err
		}
	} else {
		key, err := crypto.PrivateKeyFromSeed(cfg.Session.Rand)
		if err != nil {
			return nil, err
		}
		identity = key // a dialing end gives nothing away under its static key
	}
	e.keys = crypto.DeriveEndpointKeys(identity)
	e.ids = crypto.NewIDSource(e.keys.ID, cfg.ServerID, uint8(cfg.Shards), uint8(cfg.Shard), e.rng.Uint64())
	var key [16]byte
	if _, err := cfg.Session.Rand.Read(key[:]); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	e.lookup = crypto.NewTokenLookup(key)
	return e, nil
}

// SetRegistry makes sessions claim their names through r instead of directly. An owner with several
// threads puts its lock there; r must end in this endpoint's own methods.
func (e *Endpoint) SetRegistry(r Registry) { e.registry = r }

// SetPressure tells whether the owner's queue of accepted sessions is more than half full.
func (e *Endpoint) SetPressure(high bool) { e.pressure = high }

// Refuse makes the endpoint refuse every new session with a code; 0 takes new sessions again.
func (e *Endpoint) Refuse(code wire.RejectCode) { e.refusing = code }

// SetFull tells whether the owner has no memory for another session.
func (e *Endpoint) SetFull(full bool) { e.full = full }

// Stats returns the counters of the endpoint.
func (e *Endpoint) Stats() EndpointStats {
	st := e.stats
	st.HalfOpen, st.Sessions = len(e.half.list), e.live
	st.Agreements = e.agreements
	return st
}

// Dial starts a session to the server at addr. It sends nothing until it is driven.
func (e *Endpoint) Dial(now Time, cfg *Config, addr AddrPair) (*Session, error) {
	if e.idLen == 0 && e.only != nil {
		return nil, fmt.Errorf("an endpoint whose IDs are empty has one session only")
	}
	s, err := newClient(now, cfg, addr, e.registry)
	if err == nil && e.idLen == 0 {
		e.only = s
	}
	return s, err
}

// Dispatch returns the session that d belongs to, for the owner to hand it over. It returns nil for
// datagrams that belong to none: those are answered, or counted and dropped. Replies wait in
// AppendDatagram, new sessions in Accept.
func (e *Endpoint) Dispatch(now Time, d Datagram) *Session {
	switch {
	case len(d.Data) > 0 && wire.IsShort(d.Data[0]):
		return e.dispatchShort(now, &d)
	case len(d.Data) > 0 && wire.IsLong(d.Data[0]):
		return e.dispatchLong(now, &d)
	}
	e.stats.Malformed++
	return nil
}

// named is the session that was found last by its name: datagrams come in runs of one session.
type named struct {
	id      wire.ID
	session *Session // nil: none
}

// Lookup returns the session that a protected packet names, nil if there is none or it is none: Dispatch has the
// rest.
func (e *Endpoint) Lookup(data []byte) *Session {
	switch {
	case len(data) == 0 || !wire.IsShort(data[0]):
		return nil
	case e.only != nil:
		return e.only
	case len(data) <= e.idLen+wire.MinAfterShortID:
		return nil
	case e.recent.session == nil || !wire.HasDestination(data, e.recent.id):
		id := wire.MakeID(data[1 : 1+e.idLen])
		e.recent = named{id, e.sessions[id]}
	}
	return e.recent.session
}

func (e *Endpoint) dispatchShort(now Time, d *Datagram) *Session {
	if s := e.Lookup(d.Data); s != nil {
		return s
	}
	short, err := wire.ParseShort(d.Data, e.idLen)
	if err != nil {
		e.stats.Malformed++
		return nil
	}
	if h := e.half.byID[short.DCID]; h != nil {
		if h.keepEarly(d) {
			e.half.earlyBytes += len(d.Data)
		} else {
			e.stats.Overload++
		}
		return nil
	}
	if token, ok := wire.TrailingToken(d.Data); ok && len(e.tokens) > 0 {
		if s := e.tokens[e.lookup.Key(token)]; s != nil {
			return s
		}
	}
	e.stats.Unmatched++
	e.reset(now, d, short.DCID)
	return nil
}

func (e *Endpoint) dispatchLong(now Time, d *Datagram) *Session {
	long, err := wire.ParseLong(d.Data)
	if err != nil {
		e.stats.Malformed++
		return nil
	}
	switch long.Kind {
	case wire.KindInit:
		e.handleInit(now, d, &long)
		return nil
	case wire.KindFin:
		if h := e.half.byID[long.DCID]; h != nil {
			e.handleFin(now, d, &long, h)
			return nil
		}
	}
	if e.only != nil {
		return e.only
	}
	s := e.sessions[long.DCID]
	if s == nil {
		e.stats.Unmatched++
	}
	return s
}

// Accept returns the next session that a handshake completed.
func (e *Endpoint) Accept() (*Session, bool) {
	if len(e.accepted) == 0 {
		return nil, false
	}
	s := e.accepted[0]
	e.accepted[0] = nil
	e.accepted = e.accepted[1:]
	return s, true
}

// reply queues one datagram made by fill, which appends to its argument.
func (e *Endpoint) reply(addr AddrPair, fill func([]byte) []byte) bool {
	n := len(e.replyBuf)
	if n >= maxReplyBytes {
		e.stats.Overload++
		return false
	}
	e.replyBuf = fill(e.replyBuf)
	e.replies = append(e.replies, reply{from: n, to: len(e.replyBuf), addr: addr})
	return true
}

// AppendDatagram appends the next reply of the endpoint itself. Call it until it returns false.
func (e *Endpoint) AppendDatagram(_ Time, b []byte) ([]byte, Meta, bool) {
	if e.sent == len(e.replies) {
		if cap(e.replyBuf) > maxReplyBytes/4 {
			e.replies, e.replyBuf = nil, nil // a flood is over
		}
		e.replies, e.replyBuf, e.sent = e.replies[:0], e.replyBuf[:0], 0
		return b, Meta{}, false
	}
	r := e.replies[e.sent]
	e.sent++
	return append(b, e.replyBuf[r.from:r.to]...), Meta{Addr: r.addr}, true
}

// NextTimeout returns when HandleTimeout should be called; zero means never.
func (e *Endpoint) NextTimeout() Time { return e.half.sweepAt }

// HandleTimeout forgets handshakes that were not completed in time.
func (e *Endpoint) HandleTimeout(now Time) { e.half.sweep(now) }

// NewID implements Registry.
func (e *Endpoint) NewID(s *Session) (wire.ID, wire.ResetToken) {
	id, token := e.newID()
	if e.idLen > 0 {
		e.name(id, s)
	}
	return id, token
}

// name makes id a name of s.
func (e *Endpoint) name(id wire.ID, s *Session) {
	e.sessions[id] = s
	if s.names++; s.names == 1 {
		e.live++
	}
}

func (e *Endpoint) newID() (wire.ID, wire.ResetToken) {
	if e.idLen == wire.ServerIDLen {
		raw, ok := e.ids.Next(byte(e.rng.Uint32()))
		if !ok {
			panic("BUG: 2^40 session IDs used up")
		}
		return wire.MakeID(raw[:]), wire.ResetToken(e.keys.Reset.Token(raw))
	}
	for {
		var raw [8]byte
		for i := range raw {
			raw[i] = byte(e.rng.Uint32())
		}
		id := wire.MakeID(raw[:e.idLen])
		if _, taken := e.sessions[id]; !taken || e.idLen == 0 {
			return id, wire.ResetToken(e.keys.Reset.Token(raw))
		}
	}
}

// RetireID implements Registry.
func (e *Endpoint) RetireID(id wire.ID) {
	if s := e.sessions[id]; s != nil {
		delete(e.sessions, id)
		e.recent = named{}
		if s.names--; s.names == 0 {
			e.live--
		}
	}
	if id.Len() == 0 {
		e.only = nil
	}
}

// AddResetToken implements Registry.
func (e *Endpoint) AddResetToken(token wire.ResetToken, s *Session) {
	e.tokens[e.lookup.Key(token)] = s
}

// RemoveResetToken implements Registry.
func (e *Endpoint) RemoveResetToken(token wire.ResetToken) { delete(e.tokens, e.lookup.Key(token)) }

// unix returns the wall clock in seconds, modulo 2^32.
func (e *Endpoint) unix(now Time) uint32 {
	return uint32(e.cfg.UnixAtZero + int64(now)/1e9)
}
