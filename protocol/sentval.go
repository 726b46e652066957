package protocol

// sentState is the progress of one fact on its way to the peer: a limit, an end, a refusal.
// A fact has one slot however often it changes, so what waits to be sent is bounded by design.
type sentState uint8

const (
	sentUnset  sentState = iota // nothing to say
	sentQueued                  // to be said in the next packet
	sentFlying                  // said, not yet acknowledged
	sentAcked                   // known to the peer
)

func (s sentState) isSet() bool { return s != sentUnset }

// queue asks for the fact to be said (again).
func (s *sentState) queue() { *s = sentQueued }

// sent notes that a packet carries the fact.
func (s *sentState) sent() { *s = sentFlying }

// acked notes that a packet with the fact arrived. A fact that was queued again is settled too.
func (s *sentState) acked() {
	if *s != sentUnset {
		*s = sentAcked
	}
}

// lost notes that a packet with the fact was lost, and says whether it must be said again.
func (s *sentState) lost() bool {
	if *s == sentFlying {
		*s = sentQueued
	}
	return *s == sentQueued
}

// sentVal is a number that the peer must learn, of which only the newest counts.
type sentVal struct {
	value uint64
	state sentState
}

// set queues a value, unless the peer is already being told this very value.
func (s *sentVal) set(v uint64) {
	if s.state == sentUnset || s.value != v {
		s.value, s.state = v, sentQueued
	}
}

// clear takes a value back that no longer matters.
func (s *sentVal) clear() { s.state = sentUnset }

func (s *sentVal) queued() bool { return s.state == sentQueued }

func (s *sentVal) sent() { s.state.sent() }

// acked notes the arrival of a packet that carried v.
func (s *sentVal) acked(v uint64) {
	if s.value == v {
		s.state.acked()
	}
}

// lost notes the loss of a packet that carried v. An older value than the current one is forgotten.
func (s *sentVal) lost(v uint64) {
	if s.value == v {
		s.state.lost()
	}
}
