package protocol

import (
	"github.com/godwit-net/godwit/protocol/wire"
)

// Limits on session IDs. An ID belongs to a path, and in version 1 a path has one ID in each
// direction, so that changing the path changes what an observer sees.
const (
	// maxActiveIDs is how many IDs an end keeps for the other one: the path in use, one being
	// proved, and two spares.
	maxActiveIDs = 4
	// maxActivePaths is how many paths have state at once: one in use, one being proved. A server may keep one more,
	// which its client may use (PATH-15), in the place of one that was given up.
	maxActivePaths = 2
	// spareIDs is how many unused IDs an end keeps handed out.
	spareIDs = 2
	// maxRetiring is how many retirements may wait for the peer's acknowledgement. A peer that makes
	// us retire faster than it acknowledges is closed, since the queue would grow without end.
	maxRetiring = 8
)

// delivery is the progress of a fact that must reach the peer once.
type delivery uint8

const (
	deliveryNone  delivery = iota // nothing to say
	deliveryDue                   // to be sent, or sent again
	deliverySent                  // in flight
	deliveryAcked                 // known to have arrived
)

// localID is a name under which the peer reaches us.
type localID struct {
	path  uint64
	id    wire.ID
	token wire.ResetToken
	state delivery
}

// peerID is a name under which we reach the peer.
type peerID struct {
	path     uint64
	id       wire.ID
	token    wire.ResetToken
	hasToken bool
}

// retiredID is a name of the peer that we gave back.
type retiredID struct {
	path  uint64
	state delivery
}

// idState owns the names of both ends.
type idState struct {
	local    []localID
	peer     []peerID
	retiring []retiredID
	nextPath uint64 // the next path that gets an ID of ours
}

func (i *idState) localFor(path uint64) *localID {
	for n := range i.local {
		if i.local[n].path == path {
			return &i.local[n]
		}
	}
	return nil
}

func (i *idState) peerFor(path uint64) *peerID {
	for n := range i.peer {
		if i.peer[n].path == path {
			return &i.peer[n]
		}
	}
	return nil
}

// issueIDs hands out IDs until the peer has its spares. A peer whose own ID is empty cannot use
// several paths and gets none.
func (s *Session) issueIDs() {
	i := &s.ids
	if s.paths.active.peerID.Len() == 0 || s.paths.active.localID.Len() == 0 {
		return
	}
	want := min(int(min(s.remote.ActiveIDs, maxActiveIDs)), 1+spareIDs)
	for len(i.local) < want && i.nextPath <= wire.MaxPathID {
		id, token := s.registry.NewID(s)
		i.local = append(i.local, localID{path: i.nextPath, id: id, token: token, state: deliveryDue})
		i.nextPath++
	}
}

// handleNewID keeps an ID that the peer offers.
func (s *Session) handleNewID(now Time, f wire.NewSessionID) error {
	i := &s.ids
	switch { // spec: PATH-1
	case f.Sequence != 0 || f.ID.Len() == 0 || f.ID.Len() != s.paths.active.peerID.Len():
		return transportErrorf(wire.ProtocolViolation, wire.FrameNewSessionID, "session ID of sequence %d and length %d", f.Sequence, f.ID.Len())
	case f.Path <= s.paths.opened && s.paths.find(f.Path) == nil:
		return nil // a late copy for a path that is given up
	}
	if known := i.peerFor(f.Path); known != nil {
		if known.id != f.ID {
			return transportErrorf(wire.ProtocolViolation, wire.FrameNewSessionID, "two session IDs for path %d", f.Path)
		}
		return nil
	}
	if len(i.peer) >= maxActiveIDs {
		return transportErrorf(wire.IDLimit, wire.FrameNewSessionID, "more than %d session IDs", maxActiveIDs)
	}
	i.peer = append(i.peer, peerID{path: f.Path, id: f.ID, token: f.Token, hasToken: !f.Token.IsZero()})
	if !f.Token.IsZero() {
		s.registry.AddResetToken(f.Token, s)
	}
	if p := s.paths.find(f.Path); p != nil {
		p.peerID = f.ID // the peer was faster on the new path than its announcement
		if !p.validated {
			p.proof.start(s, now)
		}
	}
	return nil
}

// handleRetireID forgets an ID of ours that the peer does not use any more, and its path if that is neither in use
// nor given up already.
func (s *Session) handleRetireID(now Time, f wire.RetireSessionID, arrivedOn *path) error {
	i := &s.ids
	if f.Path >= i.nextPath || f.Sequence != 0 { // spec: PATH-2
		return transportErrorf(wire.ProtocolViolation, wire.FrameRetireSessionID, "path %d sequence %d was never issued", f.Path, f.Sequence)
	}
	if arrivedOn.id == f.Path {
		return transportErrorf(wire.ProtocolViolation, wire.FrameRetireSessionID, "path %d retired by a packet of its own", f.Path)
	}
	for n := range i.local {
		if i.local[n].path == f.Path {
			s.registry.RetireID(i.local[n].id)
			i.local = append(i.local[:n], i.local[n+1:]...)
			s.unissued = true // not here: a peer must not retire what it was never told of
			break
		}
	}
	s.dropPaths(now, func(p *path) bool { // spec: PATH-16
		return p.id == f.Path && p != s.paths.active && p.expires == 0
	})
	return nil
}

// retirePeerIDs gives back the peer's IDs of the paths that are given up.
func (s *Session) retirePeerIDs(given func(path uint64) bool) error {
	i := &s.ids
	kept := i.peer[:0]
	for n, id := range i.peer {
		if !given(id.path) {
			kept = append(kept, id)
			continue
		}
		if len(i.retiring) >= maxRetiring { // spec: PATH-3
			i.peer = append(kept, i.peer[n:]...)
			return transportErrorf(wire.IDLimit, 0, "more than %d session IDs wait to be retired", maxRetiring)
		}
		i.retiring = append(i.retiring, retiredID{path: id.path, state: deliveryDue})
		if id.hasToken {
			s.registry.RemoveResetToken(id.token)
		}
	}
	i.peer = kept
	return nil
}

// appendIDFrames writes the announcements and retirements that are due.
func (s *Session) appendIDFrames(p *packetBuilder) {
	i := &s.ids
	for n := range i.local {
		l := &i.local[n]
		if l.state == deliveryDue {
			f := wire.NewSessionID{Path: l.path, ID: l.id, Token: l.token}
			if appendFrame(p, f, fact{kind: factNewID, a: l.path}) {
				l.state = deliverySent
			}
		}
	}
	for n := range i.retiring {
		r := &i.retiring[n]
		if r.state == deliveryDue && appendFrame(p, wire.RetireSessionID{Path: r.path}, fact{kind: factRetireID, a: r.path}) {
			r.state = deliverySent
		}
	}
}

func (i *idState) newIDDelivered(path uint64, acked bool) {
	if l := i.localFor(path); l != nil {
		l.state = delivered(l.state, acked)
	}
}

func (i *idState) retireDelivered(path uint64, acked bool) {
	for n := range i.retiring {
		if i.retiring[n].path != path {
			continue
		}
		if acked {
			i.retiring = append(i.retiring[:n], i.retiring[n+1:]...)
		} else {
			i.retiring[n].state = deliveryDue
		}
		return
	}
}

// delivered is the next state of a fact whose packet was acknowledged or lost.
func delivered(state delivery, acked bool) delivery {
	switch {
	case acked:
		return deliveryAcked
	case state == deliverySent:
		return deliveryDue
	default:
		return state
	}
}

// pending reports whether an announcement or a retirement waits to be sent.
func (i *idState) pending() bool {
	for n := range i.local {
		if i.local[n].state == deliveryDue {
			return true
		}
	}
	for n := range i.retiring {
		if i.retiring[n].state == deliveryDue {
			return true
		}
	}
	return false
}

// releaseNames gives all names back when the session is over.
func (s *Session) releaseNames() {
	for _, l := range s.ids.local {
		s.registry.RetireID(l.id)
	}
	for _, p := range s.ids.peer {
		if p.hasToken {
			s.registry.RemoveResetToken(p.token)
		}
	}
	s.ids = idState{}
}
