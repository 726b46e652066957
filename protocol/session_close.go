package protocol

import (
	"crypto/subtle"
	"errors"
	"io"
	"time"

	"github.com/godwit-net/godwit/protocol/wire"
)

// drainProbes is how long an ended session keeps its names, in probe timeouts, so that late packets
// are not taken for strangers (RFC 9000, section 10.2).
const drainProbes = 3

// maxDrain bounds that time, since a peer stretches it by holding acknowledgements back.
const maxDrain = 30 * time.Second

// closeState owns the end of a session.
type closeState struct {
	code   uint64 // what CLOSE says
	frame  wire.FrameType
	reason string
	app    bool

	drained Time // when nothing is left to do
	again   Time // when CLOSE is repeated unasked; 0: not any more
	repeats int  // how often it is
	due     bool // CLOSE should be sent
	packets int  // authentic packets that came after we had closed
	answer  int  // the count at which CLOSE is repeated next; doubles, so that two ends cannot chatter

	finishing bool   // graceful: close when everything is delivered
	from      Time   // last progress of the delivery
	began     Time   // when the graceful close began
	acked     uint64 // progress so far
	linger    Time   // when patience ends without further progress
}

// closeRepeats is how often CLOSE is repeated unasked, a probe timeout apart: a peer that has nothing to
// say would otherwise learn of a lost one only from its idle timeout.
const closeRepeats = 2

// provoke counts a packet that came after we had closed, and repeats CLOSE now and then.
func (c *closeState) provoke() {
	c.packets++
	if c.packets >= c.answer {
		c.due = true
		c.answer *= 2 // spec: SESS-16
	}
}

// graceful reports whether a graceful close has begun. c may be nil.
func (c *closeState) graceful() bool { return c != nil && c.finishing }

func (c *closeState) lingerUntil() Time {
	if !c.graceful() {
		return 0
	}
	return c.linger
}

// ending returns the state of the close, which the first thought of it makes.
func (s *Session) ending() *closeState {
	if s.closing == nil {
		s.closing = new(closeState)
	}
	return s.closing
}

// CloseWithError ends the session at once: what was not delivered is dropped, the peer is told code
// (at most 2^62-1) and reason (at most wire.MaxReason bytes of it), and reads and writes fail from now on.
func (s *Session) CloseWithError(now Time, code uint64, reason string) {
	s.closeNow(now, &ApplicationError{Code: min(code, maxOffset), Reason: reason})
}

// CloseTransport ends the session at once with a transport code, for reasons that are the
// endpoint's rather than the application's.
func (s *Session) CloseTransport(now Time, code wire.ErrorCode, reason string) {
	s.closeNow(now, &TransportError{Code: code, Reason: reason})
}

// Shutdown ends the session in good order: all streams are finished, and when everything is
// delivered the session closes with code 0. Without progress for Config.Linger, or after MaxLinger,
// it gives up and tells the peer so.
func (s *Session) Shutdown(now Time) {
	switch {
	case s.state == stateHandshake:
		s.end(now, ErrSessionClosed)
		return
	case s.state != stateEstablished || s.closing.graceful():
		return
	}
	s.streams.finish()
	c := s.ending()
	c.finishing, c.began, c.from = true, now, now
	c.acked = s.streams.ackedBytes()
	s.armLinger()
}

func (s *Session) armLinger() {
	c := s.closing
	c.linger = min(c.from.Add(s.cfg.Linger), c.began.Add(MaxLinger))
}

// lingerTimeout ends a graceful close that is done, or that makes no progress.
func (s *Session) lingerTimeout(now Time) {
	c := s.closing
	if !c.graceful() || s.state != stateEstablished {
		return
	}
	if s.delivered() {
		s.closeNow(now, &ApplicationError{})
		return
	}
	if acked := s.streams.ackedBytes(); acked != c.acked {
		c.acked, c.from = acked, now
		s.armLinger()
	}
	if !now.Before(c.linger) {
		s.closeNow(now, transportErrorf(wire.Internal, 0, "closed before everything was delivered: the peer took nothing for too long"))
	}
}

// fail closes the session if err is not nil.
func (s *Session) fail(now Time, err error) {
	if err == nil {
		return
	}
	var t *TransportError
	if !errors.As(err, &t) {
		t = transportErrorf(wire.Internal, 0, "%v", err)
	}
	s.closeTransport(now, t)
}

func (s *Session) closeTransport(now Time, t *TransportError) { s.closeNow(now, t) }

// closeNow ends the session from this side and says why.
func (s *Session) closeNow(now Time, err error) {
	if s.state == stateHandshake {
		s.end(now, err)
		return
	}
	if s.state != stateEstablished {
		return
	}
	c := s.ending()
	switch e := err.(type) {
	case *TransportError:
		c.code, c.frame, c.reason = uint64(e.Code), e.Frame, e.Reason
	case *ApplicationError:
		c.code, c.reason, c.app = e.Code, e.Reason, true
	}
	c.due, c.answer, c.repeats = true, 1, closeRepeats
	c.again = now.Add(s.probeTimeout())
	s.state = stateClosing
	c.drained = now.Add(s.drainTime())
	s.ended(err)
}

// closingTimeout repeats CLOSE, and in the end forgets the session.
func (s *Session) closingTimeout(now Time) {
	c := s.closing
	if !now.Before(c.drained) {
		s.die()
		return
	}
	if s.state != stateClosing || c.again == 0 || now.Before(c.again) {
		return
	}
	c.due, c.again = true, 0
	if c.repeats--; c.repeats > 0 {
		c.again = now.Add(s.probeTimeout())
	}
	if s.hs != nil {
		s.hs.due = true // without the FIN, CLOSE cannot be read
	}
}

// handleClose takes the peer's CLOSE.
func (s *Session) handleClose(now Time, typ wire.FrameType, b []byte) (int, error) {
	f, n := wire.ParseClose(typ, b)
	if n < 0 {
		return n, nil
	}
	var err error = &TransportError{Code: wire.ErrorCode(f.Code), Frame: f.Frame, Reason: string(f.Reason), Remote: true}
	if f.App {
		err = &ApplicationError{Code: f.Code, Reason: string(f.Reason), Remote: true}
	}
	s.state = stateDraining // spec: SESS-17
	c := s.ending()
	c.again, c.drained = 0, now.Add(s.drainTime())
	s.ended(err)
	return n, nil
}

// drainTime is how long an ended session keeps its names.
func (s *Session) drainTime() time.Duration { return min(drainProbes*s.probeTimeout(), maxDrain) }

// end finishes a session without a word to the peer.
func (s *Session) end(now Time, err error) {
	if s.state == stateDead {
		return
	}
	if s.state == stateHandshake || s.state == stateEstablished {
		s.ended(err)
	}
	s.die()
}

// ended tells everyone at this end.
func (s *Session) ended(err error) {
	s.err = err // spec: ERR-4
	s.paceUntil = 0
	readers := err
	if a, ok := err.(*ApplicationError); ok && a.Code == 0 && a.Remote {
		readers = io.EOF // the ordinary end: what is left is read, then EOF; spec: SESS-18
	}
	if s.established != 0 {
		s.streams.fail(readers)
	}
	if s.messages != nil {
		s.messages.fail()
	}
	s.events.push(Event{Kind: EventClosed, Err: err})
}

// die frees what is left.
func (s *Session) die() {
	s.state = stateDead
	s.releaseNames()
	s.keys.zero()
	s.hs = nil
	s.early = nil
	for _, p := range s.paths.list {
		s.stats.addPath(&p.loss.stats)
	}
	s.paths.list = nil
	s.events.push(Event{Kind: EventDead})
}

// appendClose writes CLOSE if it is due.
func (s *Session) appendClose(now Time, buf []byte) ([]byte, Meta, bool) {
	c := s.closing
	p := s.paths.active
	if !c.due || !p.validated && !p.budget.allows(MinDatagram) || s.keys.send.Exhausted() {
		return buf, Meta{}, false
	}
	c.due = false
	b := s.begin(buf, p, MinDatagram)
	b.buf = wire.Close{App: c.app, Code: c.code, Frame: c.frame, Reason: []byte(c.reason)}.Append(b.buf)
	return s.seal(now, &b, p.addr)
}

// checkReset ends the session if d is the peer's stateless reset: it ends in a token that came with
// one of the peer's IDs. All tokens are compared, in equal time.
func (s *Session) checkReset(now Time, d *Datagram) bool {
	if len(d.Data) < wire.MinReset || s.state != stateEstablished {
		return false
	}
	tail := d.Data[len(d.Data)-len(wire.ResetToken{}):]
	match := 0 // spec: SESS-20
	for i := range s.ids.peer {
		if id := &s.ids.peer[i]; id.hasToken {
			match |= subtle.ConstantTimeCompare(tail, id.token[:])
		}
	}
	if match == 0 {
		return false
	}
	s.end(now, ErrStatelessReset)
	return true
}
