package protocol

import (
	"errors"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/crypto/handshake"
	"github.com/godwit-net/godwit/protocol/wire"
)

// listen prepares the server side.
func (e *Endpoint) listen() error {
	cfg := handshake.ServerConfig{
		Rand:       e.session.Rand,
		Identities: append([]crypto.PrivateKey{e.session.Identity}, e.cfg.OldIdentities...),
	}
	if !e.session.PresharedKey.IsZero() {
		psk := handshake.NewPSK(e.session.PresharedKey)
		id := e.session.PresharedKey.ID()
		cfg.LookupPSK = func(asked [8]byte) *handshake.PSK {
			if asked == id {
				return psk
			}
			return nil
		}
	}
	var err error
	e.hs, err = handshake.NewServer(cfg)
	return err
}

// handleInit takes a first packet through the steps of a server, cheap ones first, so that what an
// attacker can make us do costs less than what it costs to ask.
func (e *Endpoint) handleInit(now Time, d *Datagram, long *wire.Long) {
	if e.hs == nil {
		e.stats.Unmatched++
		return
	}
	in := &e.init
	if err := e.hs.ParseInit(in, d.Data, long.BodyOffset); err != nil {
		if errors.Is(err, handshake.ErrVersion) && len(d.Data) >= wire.MinInitSize {
			e.negotiateVersion(now, d, long)
			return
		}
		e.stats.Malformed++
		return
	}
	e.stats.Inits++
	if h := e.half.byHash[in.Hash()]; h != nil {
		e.answerAgain(now, h, d.Addr)
		return
	}
	if e.left.working(in.Hash()) {
		e.stats.Overload++ // a copy; its answer is under way
		return
	}
	if err := e.hs.CheckMAC(in); err != nil { // spec: SESS-9
		e.stats.Forged++
		return
	}
	proved := e.provesAddress(now, in, d)
	if !proved && e.wantsProof(now, d) {
		e.retry(now, in, d, long) // spec: SESS-13
		return
	}
	if e.left.full(firstKind(proved)) || proved && !e.budget.proved.take(now, e.rng.Uint64, d.Addr.Remote.Addr(), provedRate, provedRate) {
		e.stats.Overload++
		return
	}
	if !proved {
		e.budget.spend(now)
	}
	e.answer(now, in, d, long, proved)
}

// provesAddress reports whether the INIT carries a cookie or an address token of ours.
func (e *Endpoint) provesAddress(now Time, in *handshake.Init, d *Datagram) bool {
	cookie, ephemeral := in.Cookie(), in.Ephemeral()
	if cookie == [handshake.CookieSize]byte{} {
		return false
	}
	return e.keys.Cookie.Verify(&cookie, e.unix(now), d.Addr.Remote, &ephemeral)
}

// wantsProof reports whether a client must prove its address before public-key work is done for it.
func (e *Endpoint) wantsProof(now Time, d *Datagram) bool {
	switch e.cfg.Retry {
	case RetryAlways:
		return true
	case RetryNever:
		return false
	}
	return e.pressure || e.left.full(workUnproved) || len(e.half.list) > busyHalfOpen || e.budget.overworked(now) ||
		!e.budget.unproved.take(now, e.rng.Uint64, d.Addr.Remote.Addr(), unprovedRate, unprovedBurst)
}

// answerHeader is the header of what a server says to the sender of an INIT.
func answerHeader(kind wire.Kind, long *wire.Long, id wire.ID) wire.Long {
	version := long.Version
	if kind == wire.KindVersionNegotiation {
		version = 0
	}
	return wire.Long{Kind: kind, Version: version, DCID: long.SCID, SCID: id}
}

// retry asks for a proof of address, and keeps nothing.
func (e *Endpoint) retry(now Time, in *handshake.Init, d *Datagram, long *wire.Long) {
	ephemeral := in.Ephemeral()
	cookie := e.keys.Cookie.Seal(e.unix(now), d.Addr.Remote, &ephemeral, e.random8())
	var scratch [wire.MaxLongSize]byte
	header := answerHeader(wire.KindRetry, long, long.DCID).Append(scratch[:0])
	if e.reply(d.Addr, func(b []byte) []byte { return e.hs.AppendRetry(b, header, in, cookie) }) {
		e.stats.Retries++
	}
}

func (e *Endpoint) random8() (r [8]byte) {
	v := e.rng.Uint64()
	for i := range r {
		r[i] = byte(v >> (8 * i))
	}
	return r
}

// negotiateVersion tells a client which versions there are.
func (e *Endpoint) negotiateVersion(now Time, d *Datagram, long *wire.Long) {
	if !e.budget.resets.take(now, e.rng.Uint64, d.Addr.Remote.Addr(), resetRate, resetRate) {
		e.stats.Overload++
		return
	}
	header := answerHeader(wire.KindVersionNegotiation, long, long.DCID)
	e.reply(d.Addr, func(b []byte) []byte {
		return wire.AppendVersions(header.Append(b), wire.GreaseVersion(e.rng.Uint32()), wire.Version1)
	})
	e.stats.Versions++
}

// answer has the public-key work for an INIT done, which ends in RESP or REJECT.
func (e *Endpoint) answer(now Time, in *handshake.Init, d *Datagram, long *wire.Long, proved bool) {
	w := &Work{config: e.session, addr: d.Addr, received: now, in: in, long: *long, proved: proved, refusing: e.refusing}
	w.id, w.token = e.newID()
	w.grease = e.rng.Uint64()
	switch {
	case w.refusing != 0:
	case e.live >= e.cfg.MaxSessions:
		w.refusing = wire.RejectFull
	case e.full: // spec: SESS-30
		w.refusing = wire.RejectFull
		e.stats.NoMemory++
	}
	e.do(now, w)
}

// finishInit sends what the work for an INIT has made.
func (e *Endpoint) finishInit(now Time, w *Work) {
	switch {
	case w.err != nil:
		e.stats.Forged++
		return
	case w.reject != nil:
		if e.reply(w.addr, func(b []byte) []byte { return append(b, w.reject...) }) {
			e.stats.Rejects++
		}
		return
	}
	h := &halfOpen{
		id: w.id, token: w.token, hash: w.in.Hash(), half: w.answer, addr: w.addr, clientID: w.long.SCID,
		validated: w.proved, appProtocol: w.appProtocol, params: e.shared(w.params), answered: now,
	}
	e.half.add(now, e.rng, h)
	e.sendAnswer(h, w.addr)
}

// shared returns p, in the memory of the last client that offered the same: most clients of a server do.
func (e *Endpoint) shared(p wire.Parameters) *wire.Parameters {
	if e.offered == nil || *e.offered != p {
		e.offered = &p
	}
	return e.offered
}

func (e *Endpoint) sendAnswer(h *halfOpen, to AddrPair) {
	for i := range h.half.Fragments() {
		e.reply(to, func(b []byte) []byte { return h.half.AppendFragment(b, i) })
	}
}

// answerAgain repeats the answer to an INIT that came again. It is never repeated unasked.
func (e *Endpoint) answerAgain(now Time, h *halfOpen, to AddrPair) {
	// spec: SESS-10
	if h.working || h.resends >= maxResends || now.Sub(h.answered) < resendInterval {
		e.stats.Overload++
		return
	}
	h.resends++
	h.answered = now
	e.sendAnswer(h, to)
}

// handleFin takes the last packet of a handshake. One that fails leaves everything as it was.
func (e *Endpoint) handleFin(now Time, d *Datagram, long *wire.Long, h *halfOpen) {
	e.stats.Fins++
	if !e.budget.fins.take(now, e.rng.Uint64, d.Addr.Remote.Addr(), provedRate, provedRate) {
		e.stats.Overload++
		return
	}
	if h.working || e.left.full(workFin) {
		e.stats.Overload++ // it comes again if need be
		return
	}
	e.do(now, &Work{addr: d.Addr, received: now, half: h, fin: d.Data, body: long.BodyOffset})
}

// finishFin opens the session of a FIN that proved right.
func (e *Endpoint) finishFin(now Time, w *Work) {
	h := w.half
	if w.err != nil { // spec: SESS-1
		e.stats.Forged++
		return
	}
	if h.at < 0 { // it has left the table meanwhile
		h.half.Clear()
		e.stats.Overload++
		return
	}
	start := &serverStart{
		result: w.result, appProtocol: h.appProtocol, params: h.params, addr: w.addr,
		validated: w.addr.Remote == h.addr.Remote,
		localID:   h.id, localToken: h.token, clientID: h.clientID,
		token: e.keys.Cookie.SealAddressToken(e.unix(now), w.addr.Remote.Addr(), e.random8()),
	}
	if h.resends == 0 {
		start.rtt = w.received.Sub(h.answered)
	}
	early := h.early
	e.half.remove(h)
	s, err := newServer(now, e.session, e.registry, start)
	if err != nil {
		e.stats.Overload++
		return
	}
	if len(early) > 0 {
		s.early = &early
	}
	e.name(h.id, s)
	e.stats.Accepted++
	e.accepted = append(e.accepted, s)
}

// reset tells the sender of a packet for a session that is not known any more so, if the ID in the
// packet was one of this server's. The answer is smaller than what asked for it, so that two servers
// cannot keep each other busy.
func (e *Endpoint) reset(now Time, d *Datagram, id wire.ID) {
	if e.hs == nil || id.Len() != wire.ServerIDLen || len(d.Data) <= wire.MinReset {
		return
	}
	token, ours := e.keys.ResetToken(e.cfg.ServerID, id.Array())
	// spec: SESS-19
	if !ours || !e.budget.resets.take(now, e.rng.Uint64, d.Addr.Remote.Addr(), resetRate, resetRate) {
		return
	}
	size := min(len(d.Data)-1, wire.MinReset+int(e.rng.Uint32N(64)))
	random := make([]byte, size-wire.ResetTokenLen)
	for i := range random {
		random[i] = byte(e.rng.Uint32())
	}
	e.reply(d.Addr, func(b []byte) []byte { return wire.AppendReset(b, random, token) })
	e.stats.Resets++
}
