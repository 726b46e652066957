package protocol

import (
	"time"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/wire"
)

// keyUpdateInterval bounds how much a stolen key reads, however slow the session is.
const keyUpdateInterval = 15 * time.Minute

// previousKeyProbes is how long the peer's previous key opens reordered packets, in probe timeouts.
const previousKeyProbes = 3

// keyState owns the packet protection of both directions.
type keyState struct {
	send        *crypto.Sender
	recv        *crypto.Receiver
	maxFailures uint64 // packets that may fail to open in the life of the session

	sendGen, recvGen uint64 // key updates so far
	updated          Time   // when the current send key came into use
	dropPrevious     Time   // when the previous receive key goes; 0: there is none

	// An update of ours is unconfirmed until a packet sent under the new key is acknowledged.
	unconfirmed bool
	used        bool // a packet was sent under the new key
}

func (s *Session) initKeys(now Time, suite crypto.Suite, send, recv *crypto.Secret) {
	s.keys.send = crypto.NewSender(suite, send)
	s.keys.recv = crypto.NewReceiver(suite, recv)
	s.keys.maxFailures = crypto.MaxAuthFailures
	s.keys.updated = now
}

// zero wipes the keys of a session that is over.
func (k *keyState) zero() {
	if k.send != nil {
		k.send.Zero()
		k.recv.Zero()
		k.send, k.recv = nil, nil
	}
}

// maybeUpdateKey starts a key update when the current key has done enough work. Only a confirmed
// session updates, and only one update is under way at a time.
func (s *Session) maybeUpdateKey(now Time) {
	k := &s.keys
	if k.unconfirmed || !s.confirmed { // spec: SESS-21
		return
	}
	if k.send.NeedsUpdate() || now.Sub(k.updated) >= keyUpdateInterval {
		s.updateKey(now)
	}
}

// ForceKeyUpdate starts a key update if none is under way. For tests and for operators who want one.
func (s *Session) ForceKeyUpdate(now Time) {
	if s.state == stateEstablished && s.confirmed && !s.keys.unconfirmed {
		s.updateKey(now)
	}
}

func (s *Session) updateKey(now Time) {
	k := &s.keys
	k.send.Update()
	k.sendGen++
	k.updated = now
	k.unconfirmed, k.used = true, false
	for _, p := range s.paths.list {
		p.keyStart = p.loss.nextPN()
	}
	s.stats.KeyUpdates++
}

// keyAcked confirms an update once a packet of p under the new key has arrived.
func (k *keyState) keyAcked(p *path) {
	if largest, ok := p.loss.largestAcked(); ok && largest >= p.keyStart {
		k.unconfirmed = false
	}
}

// peerUpdatedKey answers the peer's key update with our own, unless we have made it already. A peer
// that goes on to the next key before anything was sent under the answer to its last one cannot have
// heard that it arrived.
func (s *Session) peerUpdatedKey(now Time) {
	k := &s.keys
	k.recvGen++
	if p := s.paths.active; p != nil {
		k.dropPrevious = now.Add(previousKeyProbes * p.loss.pto())
	}
	if k.sendGen >= k.recvGen {
		return
	}
	if k.unconfirmed && !k.used { // spec: SESS-25
		s.closeTransport(now, transportErrorf(wire.KeyUpdate, 0, "two key updates in a row"))
		return
	}
	s.updateKey(now) // spec: SESS-22
}

// expirePreviousKey forgets the peer's previous key when reordered packets have had their time.
func (s *Session) expirePreviousKey(now Time) {
	k := &s.keys
	if k.dropPrevious != 0 && !now.Before(k.dropPrevious) {
		k.recv.DropPrevious()
		k.dropPrevious = 0
	}
}

// checkKeyLimits closes a session whose keys may not be used any longer.
func (s *Session) checkKeyLimits(now Time) {
	if s.keys.recv.Failures() >= s.keys.maxFailures { // spec: SESS-23
		s.closeTransport(now, transportErrorf(wire.AEADLimit, 0, "too many forged packets"))
	}
	if s.keys.send.Exhausted() {
		s.closeTransport(now, transportErrorf(wire.AEADLimit, 0, "the peer confirms no key update"))
	}
}
