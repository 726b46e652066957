package protocol

import (
	"crypto/subtle"
	"time"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/monotime"
	"github.com/godwit-net/godwit/protocol/wire"
)

const (
	// amplification is how many times the bytes that came from an unproven address may go back to
	// it (RFC 9000, section 8).
	amplification = 3
	// maxChallenges is how often a silent address is asked before it is given up.
	maxChallenges = 4
	// silentPath is how long a server asks a path on which nothing comes. It asks by the round trip of the path so far,
	// but a client, which does not know that of the new path, asks 15 initial probe timeouts long, and may have proved
	// the path for itself.
	silentPath = (1<<maxChallenges - 1) * 3 * initialRTT
	// retiredPathProbes is how long a path that is given up takes late packets, in probe timeouts.
	retiredPathProbes = 3
	// maxLeftPaths is how many paths that were given up take late packets at once. Their time is a
	// matter of the peer's acknowledgements, and a peer that moves all the time must not leave a trail.
	maxLeftPaths = 2
)

// path is one way to the peer: its own names, packet numbers, acknowledgements, round-trip time,
// congestion state and size.
type path struct {
	id              uint64
	addr            AddrPair
	localID, peerID wire.ID

	loss   lossState
	acks   ackState
	replay crypto.ReplayWindow

	largest  uint64      // highest packet number received
	arrivals *burstMeter // nil: no number was left out

	received  bool          // largest is set
	used      bool          // a client sends more than probes on it: it has left the paths before
	validated bool          // addr has answered a challenge, or the handshake proved it
	budget    ledger        // while addr is not validated
	heard     Time          // when something came from addr, while it is not validated
	proof     challenge     // asks addr
	moving    *move         // the peer seems to have a new address
	response  *pathResponse // nil: none is due

	keyStart uint64 // packets from here on were sealed under the current send key

	expires Time // a path that was given up ends here; 0: it is in use
}

// silenced reports whether nothing may go out on p before more comes in: its address is not proved,
// and got as much as it may. Timers that would make a packet then rest, or they would ring for ever.
func (p *path) silenced() bool { return p.allowance() < minReply }

// allowance is how large the next datagram on p may be while its address is not proved.
func (p *path) allowance() int {
	if p.validated {
		return DefaultMaxDatagram
	}
	return amplification*p.budget.in - p.budget.out
}

// ledger counts the bytes from and to an address that has not proved itself.
type ledger struct{ in, out int }

// allows reports whether n more bytes may go out.
//
// spec: PATH-4 SESS-10
func (l *ledger) allows(n int) bool { return l.out+n <= amplification*l.in }

// challenge is a PATH_CHALLENGE that waits for its answer.
type challenge struct {
	data  [8]byte
	due   Time // when to ask, or to ask again
	asked Time // when it was asked last
	open  bool // an answer is wanted
	tries int32
}

// move is a change of the peer's address on a path, seen but not proved. Until the new address
// answers, the old one is used. Both are asked: an old address that answers after the new one did
// was never lost, so that copies from elsewhere cannot lead the traffic away.
type move struct {
	addr   AddrPair
	budget ledger
	proof  challenge // asks addr
	old    AddrPair
	stay   challenge // asks old
	moved  bool      // addr is in use, old may still claim the path back
}

// pathResponse is the one answer to a PATH_CHALLENGE that a path may have waiting.
type pathResponse struct {
	data [8]byte
	addr AddrPair
}

// pathSet owns the paths of a session.
type pathSet struct {
	list   []*path
	active *path
	opened uint64 // the highest number that ever had state: a path begins once, so that no nonce does twice
}

func (ps *pathSet) find(id uint64) *path {
	for _, p := range ps.list {
		if p.id == id {
			return p
		}
	}
	return nil
}

// newPath makes the state of a path, with the round-trip time that is known so far (0: none). It is
// not in use until it is added.
func (s *Session) newPath(now Time, id uint64, addr AddrPair, localID, peerID wire.ID, rtt time.Duration) *path {
	p := &path{id: id, addr: addr, localID: localID, peerID: peerID}
	p.loss.init(now, lossConfig{
		cc:          s.newController(),
		random:      s.rng.Uint64,
		maxDatagram: MinDatagram,
		mtuLimit:    s.datagramLimit(),
		ecn:         true,
		initialRTT:  rtt,
	})
	p.loss.setMaxAckDelay(s.peerAckDelay())
	p.acks.init(time.Duration(s.local.MaxAckDelayMillis) * time.Millisecond)
	return p
}

func (s *Session) newController() congestion.Controller {
	return s.cfg.NewController(congestion.Config{MaxDatagram: MinDatagram})
}

// TooBig tells the session that the socket refused a datagram of size bytes to addr as larger than
// the interface carries. It is the only word about sizes that is believed without a probe, since it
// comes from this host; messages from the network are not (RFC 8899, section 4.6.1).
func (s *Session) TooBig(now Time, addr AddrPair, size int) {
	for _, p := range s.paths.list {
		if p.addr.Remote == addr.Remote {
			p.loss.mtu.tooBig(now, size)
		}
	}
}

// datagramLimit is the largest datagram that both ends and the configuration allow.
func (s *Session) datagramLimit() int {
	limit := s.cfg.MaxDatagram
	if s.remote.MaxDatagram != 0 {
		limit = min(limit, int(s.remote.MaxDatagram))
	}
	return max(limit, MinDatagram)
}

func (c *challenge) start(s *Session, now Time) {
	*c = challenge{open: true, due: now}
	s.rng.bytes(c.data[:])
}

// answeredBy reports whether data is the answer to c.
func (c *challenge) answeredBy(data [8]byte) bool {
	return c.open && c.tries > 0 && subtle.ConstantTimeCompare(c.data[:], data[:]) == 1
}

// sent notes that the challenge left, and when to ask again.
func (c *challenge) sent(now Time, timeout time.Duration) {
	c.asked = now
	c.due = now.Add(timeout << c.tries)
	c.tries++
}

// hurry has the challenge repeated after timeout, not later and later: the address is there.
func (c *challenge) hurry(timeout time.Duration) {
	if c.tries > 0 {
		c.due = min(c.due, c.asked.Add(timeout))
	}
}

// roundTrip is what an answer at now tells about the time to the address; 0: nothing, since it is not
// known which asking is answered.
func (c *challenge) roundTrip(now Time) time.Duration {
	if c.tries != 1 {
		return 0
	}
	return now.Sub(c.asked)
}

// spent reports whether the address had its chances.
func (c *challenge) spent(now Time) bool {
	return c.open && c.tries >= maxChallenges && !now.Before(c.due)
}

// wanted reports whether the challenge should be sent now.
func (c *challenge) wanted(now Time) bool {
	return c.open && c.tries < maxChallenges && !now.Before(c.due)
}

// openPath makes the path for which the peer uses a spare ID for the first time.
func (s *Session) openPath(now Time, id uint64, addr AddrPair) *path {
	if id <= s.paths.opened { // spec: PATH-14
		return nil
	}
	var peer wire.ID
	if known := s.ids.peerFor(id); known != nil {
		peer = known.id
	}
	// The round trip of the path so far is a guess, good enough to ask by: within the budget of the address
	// a challenge too many costs nothing, and an answer replaces the guess.
	p := s.newPath(now, id, addr, s.ids.localFor(id).id, peer, s.paths.active.loss.rtt.smoothed)
	p.proof.start(s, now)
	return p
}

// addPath takes a path into the set. It replaces one that was being proved: one in use and one being
// proved is what version 1 allows, and those that are given up end by themselves. One that the peer uses stays.
//
// spec: PATH-15
func (s *Session) addPath(now Time, p *path) {
	theirs := s.theirs()
	s.dropPaths(now, func(q *path) bool { return q != s.paths.active && q.expires == 0 && q != theirs })
	s.paths.list = append(s.paths.list, p)
	s.paths.opened = p.id
	s.dropLeftPaths(now)
}

// dropPaths forgets paths, and gives back the names under which the peer is reached on them.
func (s *Session) dropPaths(now Time, drop func(*path) bool) {
	kept := s.paths.list[:0]
	for _, p := range s.paths.list {
		if drop(p) {
			s.stats.addPath(&p.loss.stats)
			s.keepArrivals(p)
			s.fail(now, s.retirePeerIDs(func(path uint64) bool { return path == p.id }))
			continue
		}
		kept = append(kept, p)
	}
	clear(s.paths.list[len(kept):])
	s.paths.list = kept
}

// Migrate moves a client to another local address: it proves the path under new IDs and then uses
// it. It fails with ErrNoSpareID while the server has given no unused ID.
func (s *Session) Migrate(now Time, addr AddrPair) error {
	if s.role != client || s.state != stateEstablished || !s.confirmed {
		return s.endError()
	}
	for n := range s.ids.peer {
		id := &s.ids.peer[n]
		l := s.ids.localFor(id.path)
		if id.path <= s.paths.opened || l == nil || l.state != deliveryAcked {
			continue
		}
		p := s.newPath(now, id.path, addr, l.id, id.id, 0)
		p.validated = true // our own choice of address owes the server no budget
		p.proof.start(s, now)
		s.addPath(now, p)
		return nil
	}
	return ErrNoSpareID // spec: PATH-12
}

// usePath makes p the path for everything that is sent from now on.
func (s *Session) usePath(now Time, p *path) error {
	old := s.paths.active
	s.paths.active = p
	s.stats.PathChanges++
	// spec: PATH-13
	old.loss.abandon((*sentHandler)(s))
	old.proof, old.moving = challenge{}, nil
	old.expires = now.Add(retiredPathProbes * old.loss.pto())
	s.confirmSize(now, p)
	s.dropLeftPaths(now)
	return s.retirePeerIDs(func(path uint64) bool { return path < p.id })
}

// dropLeftPaths forgets the oldest of the paths that were given up when they are too many, or one more has state.
func (s *Session) dropLeftPaths(now Time) {
	left := 0
	for _, p := range s.paths.list {
		if p.expires != 0 {
			left++
		}
	}
	excess := max(left-maxLeftPaths, len(s.paths.list)-maxActivePaths-maxLeftPaths)
	s.dropPaths(now, func(p *path) bool {
		if p.expires == 0 || excess <= 0 {
			return false
		}
		excess--
		return true
	})
}

// confirmSize lets a path that is proved look for larger datagrams.
func (s *Session) confirmSize(now Time, p *path) { p.loss.mtu.start(now) }

// arrived accounts for an authentic packet on p and follows the peer to a new address.
func (s *Session) arrived(now Time, p *path, d *Datagram, newest bool) {
	if d.Addr.Remote == p.addr.Remote {
		p.addr.Local = d.Addr.Local
		s.heardFrom(now, p, len(d.Data))
		return
	}
	if s.role == client {
		return // a server does not move; spec: PATH-11
	}
	if m := p.moving; m != nil && m.addr.Remote == d.Addr.Remote && !m.moved {
		m.budget.in += len(d.Data)
		return
	}
	if m := p.moving; m != nil && m.moved && m.stay.open && d.Addr.Remote == m.old.Remote {
		return // the old address speaks: its answer will tell whether it is the peer
	}
	if newest && s.state == stateEstablished { // spec: PATH-8
		s.startMove(now, p, d)
	}
}

// heardFrom lets more go out to an address that is not proved, since n bytes came from it.
func (s *Session) heardFrom(now Time, p *path, n int) {
	if p.validated {
		return
	}
	p.budget.in += n
	p.heard = now
	if !p.proof.open {
		p.proof.start(s, now) // it did not answer, and yet it speaks
	}
	p.proof.hurry(p.loss.pto())
}

// startMove begins the proof of a new address on a known path.
//
// spec: PATH-7
func (s *Session) startMove(now Time, p *path, d *Datagram) {
	if !p.validated {
		p.addr, p.budget = d.Addr, ledger{in: len(d.Data)} // nothing proved yet: just look elsewhere
		p.proof.start(s, now)
		return
	}
	m := &move{addr: d.Addr, budget: ledger{in: len(d.Data)}, old: p.addr}
	m.proof.start(s, now)
	if was := p.moving; was != nil && was.stay.open {
		m.old, m.stay = was.old, was.stay // a third address takes nothing from the claim of the first
	} else {
		m.stay.start(s, now)
	}
	p.moving = m
}

// handleChallenge answers on the address that asked.
func (p *path) handleChallenge(addr AddrPair, data [8]byte) {
	p.response = &pathResponse{data: data, addr: addr} // spec: PATH-5
}

// handlePathResponse takes the answer to one of our challenges.
func (s *Session) handlePathResponse(now Time, p *path, from AddrPair, data [8]byte) {
	m := p.moving
	switch {
	case p.proof.answeredBy(data) && from.Remote == p.addr.Remote: // spec: PATH-6
		if rtt := p.proof.roundTrip(now); rtt > 0 {
			p.loss.sampleRTT(now, rtt)
		}
		p.proof = challenge{}
		p.validated = true
		if p.id > s.paths.active.id && (s.role == client || p.used) {
			s.fail(now, s.usePath(now, p))
		}
	case m != nil && m.stay.answeredBy(data):
		// The peer hears what is sent to the old address. Whatever came from elsewhere were copies,
		// and the answer may be one too: where it comes from does not matter.
		if p.addr.Remote != m.old.Remote { // spec: PATH-9
			p.addr = m.old
			s.stats.PathChanges++
		}
		p.moving = nil
	case m != nil && !m.moved && m.proof.answeredBy(data) && from.Remote == m.addr.Remote:
		s.move(now, p)
	}
}

// move uses the new address of a path.
func (s *Session) move(now Time, p *path) {
	m := p.moving
	portOnly := m.addr.Remote.Addr() == m.old.Remote.Addr()
	p.addr = m.addr
	m.moved = true
	s.stats.PathChanges++
	var fresh congestion.Controller
	if !portOnly {
		fresh = s.newController() // another network, another capacity: RFC 9000, section 9.4; spec: PATH-10
	}
	p.loss.migrated(now, portOnly, fresh)
	if rtt := m.proof.roundTrip(now); rtt > 0 {
		p.loss.sampleRTT(now, rtt)
	}
	m.proof = challenge{}
	s.confirmSize(now, p)
}

// dataArrived lets a server follow its client to a path that carries data, as soon as it is proved.
func (s *Session) dataArrived(now Time, p *path) {
	if s.role == client || p.id <= s.paths.active.id {
		return
	}
	p.used = true
	if p.validated && p.peerID.Len() > 0 {
		s.fail(now, s.usePath(now, p))
	}
}

// theirs returns the path that the client of this server seems to use although the server does not: the last on which
// data came, or else the last that was proved. nil: none is known.
func (s *Session) theirs() *path {
	if s.role == client {
		return nil
	}
	var last *path
	for _, p := range s.paths.list {
		if p.id > s.paths.active.id && (p.used || p.validated && (last == nil || !last.used)) {
			last = p
		}
	}
	return last
}

// pathTimeout gives up what did not answer and frees paths that had their time.
func (s *Session) pathTimeout(now Time) {
	s.dropPaths(now, func(p *path) bool {
		p.moveTimeout(now)
		p.loss.mtu.timeout(now)
		spent := p.proof.spent(now)
		switch {
		case spent && s.clingsTo(now, p):
			p.proof.tries--
			return false
		case spent:
			p.proof = challenge{}
		}
		return spent && p != s.paths.active || p.expires != 0 && !now.Before(p.expires)
	})
}

// clingsTo reports whether a path that did not answer must be asked on: the client uses it, or may do so yet.
//
// spec: PATH-15
func (s *Session) clingsTo(now Time, p *path) bool {
	return p.id > s.paths.active.id && !p.validated && (p.used || now.Sub(p.heard) < silentPath)
}

// moveTimeout ends the claims of addresses that had their chances.
func (p *path) moveTimeout(now Time) {
	m := p.moving
	if m == nil {
		return
	}
	if m.stay.spent(now) {
		m.stay = challenge{}
	}
	if m.moved && !m.stay.open || !m.moved && m.proof.spent(now) {
		p.moving = nil
	}
}

// pathDeadline is when pathTimeout or a challenge is due.
func (s *Session) pathDeadline() Time {
	var at Time
	for _, p := range s.paths.list {
		at = monotime.Earliest(at, p.expires)
		at = monotime.Earliest(at, p.loss.mtu.deadline())
		if p.proof.open {
			at = monotime.Earliest(at, p.proof.due)
		}
		if m := p.moving; m != nil {
			if m.proof.open {
				at = monotime.Earliest(at, m.proof.due)
			}
			if m.stay.open {
				at = monotime.Earliest(at, m.stay.due)
			}
		}
	}
	return at
}
