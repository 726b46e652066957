package protocol

import (
	"errors"
	"fmt"
)

// CheckInvariants compares what the session keeps twice: sums with their parts, and what is used with
// what is allowed. It is for simulators and fuzzers, which call it after every step; it takes time in
// proportion to the packets that are remembered. An error is a mistake of this package.
func (s *Session) CheckInvariants() error {
	if s.state != stateEstablished {
		return nil
	}
	var errs []error
	for _, p := range s.paths.list {
		if err := p.loss.checkInvariants(); err != nil {
			errs = append(errs, fmt.Errorf("path %d: %w", p.id, err))
		}
	}
	return errors.Join(append(errs, s.streams.checkInvariants(), s.checkMemory())...)
}

// checkInvariants compares the sums over all streams with the streams. Of those that are forgotten only
// their part of received and sent is left.
func (t *streamsState) checkInvariants() error {
	var sent, received uint64
	gaps, unsettled := 0, 0
	var held error
	add := func(s *Stream) {
		sent += s.send.next
		received += s.recv.highest
		gaps += len(s.recv.got)
		if w := &s.send; w.held != w.acked.size() {
			held = fmt.Errorf("stream %d: %d bytes held, but the ranges make %d", s.id, w.held, w.acked.size())
		}
		if s.send.counted {
			unsettled++
		}
	}
	add(t.zero)
	for _, s := range t.table {
		add(s)
	}
	switch {
	case held != nil:
		return held
	case sent > t.sent || t.sent > t.max:
		return fmt.Errorf("%d bytes sent, of which open streams sent %d, with a limit of %d", t.sent, sent, t.max)
	case received > t.received || t.received > t.window.limit:
		return fmt.Errorf("%d bytes received, of which open streams received %d, with a limit of %d", t.received, received, t.window.limit)
	case gaps != t.gaps:
		return fmt.Errorf("%d gaps, but the streams have %d", t.gaps, gaps)
	case unsettled != t.unsettled:
		return fmt.Errorf("%d streams have something in flight, but %d say so", t.unsettled, unsettled)
	}
	return nil
}
