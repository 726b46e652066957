package protocol

import (
	"errors"
	"fmt"
	"time"

	"github.com/godwit-net/godwit/crypto/handshake"
	"github.com/godwit-net/godwit/protocol/wire"
)

// Repetition of the client's first packet: often enough that a lost one costs little, ever more
// slowly since a server that does not answer may be drowning.
const (
	initInterval    = 300 * time.Millisecond
	maxInitInterval = 3 * time.Second
)

// The grace that a refusal leaves for an answer: an INIT can be replayed to another server, whose
// refusal is authentic and means nothing. One more round trip, within these bounds.
const (
	minRejectGrace = 10 * time.Millisecond
	maxRejectGrace = time.Second
)

// Repetition of the client's last handshake packet: not too fast on a path whose round-trip time is
// hardly measurable, and often enough that several of them fit into the time that a server waits.
const (
	minFinInterval   = 20 * time.Millisecond
	firstFinInterval = 300 * time.Millisecond // at most, for the first
	maxFinInterval   = 600 * time.Millisecond
)

// clientHandshake owns a client's way to a confirmed session.
type clientHandshake struct {
	client   *handshake.Client
	localID  wire.ID
	firstID  wire.ID // destination of the INIT, made up
	addr     AddrPair
	started  Time
	giveUp   Time
	interval time.Duration
	next     Time // when to repeat INIT or FIN
	sent     int  // INITs, or FINs, so far
	sentAt   Time
	due      bool // INIT, or FIN, should be sent now
	finished bool // the server's answer is in, FIN is what is repeated

	refused error // why the handshake fails when no answer comes by giveUp
}

// newClient starts a session towards the server at addr. It sends nothing until AppendDatagram.
func newClient(now Time, cfg *Config, addr AddrPair, registry Registry) (*Session, error) {
	cfg = cfg.withDefaults()
	s, err := newSession(cfg, client, registry)
	if err != nil {
		return nil, err
	}
	id, token := registry.NewID(s)
	var first [wire.ServerIDLen]byte
	s.rng.bytes(first[:])
	hs := &clientHandshake{
		localID: id, firstID: wire.MakeID(first[:]), addr: addr, started: now,
		giveUp: now.Add(cfg.HandshakeTimeout), interval: initInterval, due: true,
	}
	header := wire.Long{Kind: wire.KindInit, Version: wire.Version1, DCID: hs.firstID, SCID: id}.Append(nil)
	params := s.local.Append(nil)
	params = wire.AppendGreaseParameter(params, s.rng.Uint64())
	hs.client, err = handshake.NewClient(handshake.ClientConfig{
		Rand: cfg.Rand, Identity: cfg.Identity, PeerKey: cfg.PeerKey, PSK: cfg.PresharedKey,
		Suites: cfg.Suites, AppProtocols: cfg.AppProtocols, Params: params,
	}, header)
	if err != nil {
		registry.RetireID(id)
		return nil, err
	}
	if cfg.AddressToken != ([wire.CookieSize]byte{}) {
		hs.client.SetCookie(cfg.AddressToken)
	}
	s.hs = hs
	s.ids.local = append(s.ids.local, localID{path: 0, id: id, token: token, state: deliveryAcked})
	s.ids.nextPath = 1
	return s, nil
}

func (h *clientHandshake) deadline() Time { return h.next }

// appendHandshake writes the INIT if it is due.
func (s *Session) appendHandshake(now Time, b []byte) ([]byte, Meta, bool) {
	h := s.hs
	if !h.due {
		return b, Meta{}, false
	}
	h.repeated(now, maxInitInterval)
	return h.client.AppendInit(b), Meta{Addr: h.addr}, true // spec: SESS-6
}

// appendFin writes the FIN if it is due.
func (s *Session) appendFin(now Time, b []byte) ([]byte, Meta, bool) {
	h := s.hs
	if !h.due {
		return b, Meta{}, false
	}
	h.repeated(now, maxFinInterval)
	return h.client.AppendFin(b), Meta{Addr: s.paths.active.addr}, true
}

// repeated notes that the message left and when it leaves next.
func (h *clientHandshake) repeated(now Time, most time.Duration) {
	h.due = false
	h.sent++
	h.sentAt = now
	h.next = now.Add(h.interval)
	h.interval = min(h.interval*17/10, most)
}

// handshakeTimeout repeats what was not answered, and gives up in the end.
func (s *Session) handshakeTimeout(now Time) {
	h := s.hs
	if s.state == stateHandshake && !now.Before(h.giveUp) {
		err := h.refused
		if err == nil {
			err = ErrNoAnswer
		}
		s.end(now, err)
		return
	}
	if h.next != 0 && !now.Before(h.next) {
		h.due = true
		h.next = 0
	}
}

// handleLong takes a handshake packet.
func (s *Session) handleLong(now Time, d *Datagram) {
	long, err := wire.ParseLong(d.Data)
	if err != nil {
		s.stats.Dropped.Malformed++
		return
	}
	if s.role == server {
		s.handleLateFin(now, d, long)
		return
	}
	if s.state != stateHandshake || long.DCID != s.hs.localID {
		s.stats.Dropped.Unexpected++
		return
	}
	switch long.Kind {
	case wire.KindResp:
		err = s.handleResp(now, d, &long)
	case wire.KindRetry:
		err = s.handleRetry(d, &long)
	case wire.KindReject:
		err = s.handleReject(now, d, &long)
	case wire.KindVersionNegotiation:
		err = s.handleVersions(d, &long)
	default:
		err = handshake.ErrUnexpected
	}
	s.countHandshake(err)
}

// countHandshake counts a handshake packet that was dropped, by its cause.
func (s *Session) countHandshake(err error) {
	switch {
	case err == nil:
	case errors.Is(err, handshake.ErrAuth):
		s.stats.Dropped.Forged++
	case errors.Is(err, handshake.ErrMalformed):
		s.stats.Dropped.Malformed++
	default:
		s.stats.Dropped.Unexpected++
	}
}

// handleLateFin answers a FIN that came again: the client has not heard that the first one arrived.
// Once it has acknowledged DONE, what comes is a copy. A client that has nothing else to say lets a
// server speak to its new address by nothing but this.
func (s *Session) handleLateFin(now Time, d *Datagram, long wire.Long) {
	if p := s.paths.active; s.state == stateEstablished && d.Addr.Remote == p.addr.Remote {
		s.heardFrom(now, p, len(d.Data))
	}
	if long.Kind == wire.KindFin && s.state == stateEstablished && s.control.done != deliveryAcked {
		s.control.done = deliveryDue // spec: SESS-3
		return
	}
	s.stats.Dropped.Unexpected++
}

func (s *Session) handleRetry(d *Datagram, long *wire.Long) error {
	if err := s.hs.client.HandleRetry(d.Data, long.BodyOffset); err != nil {
		return err
	}
	s.hs.due = true
	s.hs.interval = initInterval
	return nil
}

// handleReject takes an authentic refusal, and waits a moment for a better answer.
func (s *Session) handleReject(now Time, d *Datagram, long *wire.Long) error {
	h := s.hs
	reject, err := h.client.HandleReject(d.Data, long.BodyOffset)
	if err != nil {
		return err
	}
	h.refused = &RejectError{Code: wire.RejectCode(reject.Code), Hint: reject.Hint}
	// spec: SESS-7
	grace := min(max(now.Sub(h.started), minRejectGrace), maxRejectGrace)
	h.giveUp = min(h.giveUp, now.Add(grace))
	return nil
}

// handleVersions takes a version negotiation. It is not authentic, so it changes only what is said
// when no answer comes.
func (s *Session) handleVersions(d *Datagram, long *wire.Long) error {
	list, err := wire.ParseVersions(d.Data[long.BodyOffset:])
	if err != nil {
		return handshake.ErrMalformed
	}
	// spec: SESS-8
	if long.SCID != s.hs.firstID || list.Contains(wire.Version1) {
		return handshake.ErrUnexpected
	}
	if s.hs.refused == nil {
		s.hs.refused = ErrVersion
	}
	return nil
}

// handleResp takes a part of the server's answer. With the last one the session is established.
func (s *Session) handleResp(now Time, d *Datagram, long *wire.Long) error {
	h := s.hs
	done, err := h.client.HandleFragment(d.Data, long.BodyOffset)
	var abort *handshake.AbortError
	if errors.As(err, &abort) {
		s.end(now, fmt.Errorf("handshake failed: %w", err))
		return nil
	}
	if !done {
		return err
	}
	params, err := wire.ParseParameters(h.client.Response().Params)
	if err != nil {
		s.end(now, fmt.Errorf("handshake failed: server's parameters: %w", err))
		return nil
	}
	if err := s.establish(now, long.SCID, &params); err != nil {
		s.end(now, fmt.Errorf("handshake failed: %w", err))
	}
	return nil
}

// establish draws the keys and opens the session at a client.
func (s *Session) establish(now Time, serverID wire.ID, params *wire.Parameters) error {
	h := s.hs
	response := h.client.Response()
	header := wire.Long{Kind: wire.KindFin, Version: wire.Version1, DCID: serverID}.Append(nil)
	result, err := h.client.Finish(header)
	if err != nil {
		return err
	}
	s.remote = params
	s.initKeys(now, result.Suite, &result.Client, &result.Server)
	s.setPeer(&result, response.AppProtocol)
	token := wire.ResetToken(response.ResetToken)
	s.ids.peer = append(s.ids.peer, peerID{path: 0, id: serverID, token: token, hasToken: !token.IsZero()})
	if !token.IsZero() {
		s.registry.AddResetToken(token, s)
	}
	rtt := time.Duration(0)
	if h.sent == 1 {
		rtt = now.Sub(h.sentAt)
	}
	p := s.newPath(now, 0, h.addr, h.localID, serverID, rtt)
	p.validated = true
	s.paths.list, s.paths.active = []*path{p}, p
	h.finished, h.due, h.sent = true, true, 0
	h.interval = min(max(minFinInterval, p.loss.pto()), firstFinInterval)
	h.client.Clear()
	s.start(now)
	return nil
}

// setPeer keeps what the handshake proved.
func (s *Session) setPeer(r *handshake.Result, appProtocol string) {
	s.peer = peerProof{
		publicKey: r.PeerStatic, pskID: r.PSKID, appProtocol: appProtocol, suite: r.Suite, channelBinding: r.ChannelBinding,
	}
}

// confirm notes that the peer has proved its keys: at a client, by the first authentic packet.
func (s *Session) confirm(now Time) {
	if s.confirmed {
		return
	}
	s.confirmed = true
	s.hs = nil
	s.issueIDs()
	s.paths.active.loss.mtu.wait(now)
	s.events.push(Event{Kind: EventConfirmed})
}

// serverStart is what a server's endpoint knows when a FIN has proved a client.
type serverStart struct {
	result      handshake.Result
	appProtocol string
	params      *wire.Parameters // the client's
	addr        AddrPair         // where the FIN came from
	validated   bool             // addr is where the client had heard from us
	localID     wire.ID
	localToken  wire.ResetToken
	clientID    wire.ID
	token       [wire.CookieSize]byte
	rtt         time.Duration
}

// newServer opens the session at a server. It is born established and confirmed.
func newServer(now Time, cfg *Config, registry Registry, st *serverStart) (*Session, error) {
	s, err := newSession(cfg, server, registry)
	if err != nil {
		return nil, err
	}
	s.remote = st.params
	s.initKeys(now, st.result.Suite, &st.result.Server, &st.result.Client)
	s.setPeer(&st.result, st.appProtocol)
	s.ids.local = append(make([]localID, 0, 1+spareIDs), localID{path: 0, id: st.localID, token: st.localToken, state: deliveryAcked})
	s.ids.peer = append(make([]peerID, 0, 1+spareIDs), peerID{path: 0, id: st.clientID})
	s.ids.nextPath = 1
	p := s.newPath(now, 0, st.addr, st.localID, st.clientID, st.rtt)
	p.validated = st.validated
	if !st.validated {
		p.budget.in = wire.MinInitSize
		p.proof.start(s, now)
	}
	s.paths.list, s.paths.active = []*path{p}, p
	s.control.done = deliveryDue
	token := st.token
	s.control.token, s.control.addressToken = deliveryDue, &token
	s.start(now)
	s.confirmed = true
	p.loss.mtu.wait(now)
	s.unissued = true
	return s, nil
}
