package protocol

import (
	"time"
)

// maxOffset is the largest offset and limit that the wire can express (62 bits). Limits saturate
// at it.
const maxOffset = 1<<62 - 1

// growWithin is the number of round trips: when the application reads half a window in less, the
// window is what limits the sender, since a MAX frame takes one round trip to be felt.
const growWithin = 2

// When the peer has used the window up while the reader, who had read everything, waited for a hole to be
// filled, the hole is what takes the time. heldWithin is the number of round trips that it may take: a hole
// that is lost again takes one more each time. heldShare of the window is what may be left of it: a peer
// whose last packet before the limit was lost has used it up all the same.
const (
	heldWithin = 8
	heldShare  = 8
)

// recvWindow is what the peer may send on one stream or on the session. Credit is given for bytes
// that the application consumed, in steps of half a window, and the window doubles while it is what
// limits the peer.
type recvWindow struct {
	limit    uint64 // the peer may send up to this offset; only grows
	consumed uint64 // bytes read by the application or discarded for it
	size     uint64 // distance that limit keeps from consumed
	raised   Time   // when limit was last raised, or the first byte came; 0: never
	update   sentState
	held     bool // the peer has used it up while the reader waited for a hole to be filled
	widened  bool // size has grown for a large message since limit was last raised
	again    bool // the newest limit was lost, and is to be said again
}

func newRecvWindow(size uint64) recvWindow {
	size = min(size, maxOffset)
	return recvWindow{limit: size, size: size}
}

// started notes that bytes come in, from which on the speed of reading counts.
func (w *recvWindow) started(now Time) {
	if w.raised.IsZero() {
		w.raised = now
	}
}

// consume gives n bytes back, and says whether the peer must now be told.
func (w *recvWindow) consume(n uint64) bool {
	w.consumed += n
	if w.due() {
		w.update.queue()
	}
	return w.update == sentQueued
}

// due reports whether half the window is consumed since the peer was last told.
//
// spec: STR-26
func (w *recvWindow) due() bool {
	return w.size > 0 && w.limit < maxOffset && w.limit-w.consumed <= w.size/2
}

// used notes that the peer has used the window up to an offset, while the reader had read all there was.
func (w *recvWindow) used(highest uint64) {
	w.held = w.held || w.limit-highest <= w.size/heldShare
}

// raise returns the new limit for the peer, end at most. It doubles the window, up to largest, when half of the
// old one was consumed within two round trips, or within eight if it was used up waiting for a hole.
// A window that was widened for a large message meanwhile is due though nothing was consumed: it does not double.
func (w *recvWindow) raise(now Time, rtt time.Duration, largest, end uint64) uint64 {
	w.update.sent()
	w.again = false
	if !w.due() {
		return w.limit // repeats what was lost
	}
	within := growWithin * rtt
	if w.held {
		within = heldWithin * rtt
	}
	if now.Sub(w.raised) < within && w.size < largest && !w.widened {
		w.size = min(2*w.size, largest)
	}
	w.raised, w.held, w.widened = now, false, false
	w.limit = max(w.limit, min(w.consumed+w.size, maxOffset, end))
	return w.limit
}

// widen makes the window at least size, for the next time that the limit is raised.
func (w *recvWindow) widen(size uint64) { w.size = max(w.size, size) }

// lost notes that a packet with a limit was lost, and says whether it must be repeated. Only the
// newest limit counts.
func (w *recvWindow) lost(limit uint64) bool {
	w.again = limit == w.limit && w.update.lost()
	return w.again
}

// acked notes that a packet with a limit arrived. A newer one that is due already stays queued.
func (w *recvWindow) acked(limit uint64) {
	if limit == w.limit && !w.due() {
		w.update.acked()
	}
}
