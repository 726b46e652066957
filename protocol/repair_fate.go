package protocol

import "github.com/godwit-net/godwit/protocol/wire"

// coveredAcked takes the news that a covered packet arrived.
func (s *Session) coveredAcked(p *sentPacket) {
	if s.repair == nil || s.repair.send == nil {
		return
	}
	if c := s.repair.send.find(p); c != nil {
		c.state = coveredArrived
		s.dropHeld(c)
	}
}

// holdLost returns where the messages of a covered packet that is lost wait, if a symbol that may have repaired it
// is under way: an answer to that says whether it has. Else it returns nil.
//
// spec: FEC-34
func (s *Session) holdLost(p *sentPacket) *coveredPacket {
	if !p.covered || p.recovered || s.repair == nil || s.repair.send == nil {
		return nil
	}
	c := s.repair.send.find(p)
	if c == nil || c.state != coveredFlying {
		return nil
	}
	c.state = coveredLost
	path := s.paths.find(c.path)
	if path == nil || !path.loss.open(c.symbol) {
		return nil
	}
	l := &path.loss
	c.waits, c.until = true, p.sent.Add(l.lossDelay()+l.reorder.window(&l.rtt))
	s.repair.send.held++
	return c
}

// open reports whether the fate of the packet before number next is not known, and nothing after it has
// arrived; next is 0 when there is no such packet.
func (l *lossState) open(next uint64) bool {
	return next > l.list.base && (l.largest == noPacketNumber || next > l.largest+1)
}

// settleHeld has the messages of lost packets sent again for which the symbols have not sufficed.
func (s *Session) settleHeld(now Time) {
	if s.repair == nil || s.repair.send == nil || s.repair.send.held == 0 {
		return
	}
	r := s.repair.send
	for i := range r.covered {
		c := &r.covered[i]
		if !c.waits {
			continue
		}
		p := s.paths.find(c.path)
		if p == nil || !now.Before(c.until) || !p.loss.open(c.symbol) {
			s.releaseHeld(c)
		}
	}
}

// heldUntil is when settleHeld has something to do at the latest; 0: never.
func (r *repairSender) heldUntil() Time {
	if r.held == 0 {
		return 0
	}
	at := Time(0)
	for i := range r.covered {
		if c := &r.covered[i]; c.waits && (at == 0 || c.until < at) {
			at = c.until
		}
	}
	return at
}

// releaseHeld has the messages of a packet sent again.
func (s *Session) releaseHeld(c *coveredPacket) {
	s.repair.send.held--
	c.waits = false
	for i := range c.facts {
		s.factLost(&c.facts[i], false)
	}
	c.facts = c.facts[:0]
}

// dropHeld forgets the messages of a packet that need not be sent again.
func (s *Session) dropHeld(c *coveredPacket) {
	if c.waits {
		s.repair.send.held--
		c.waits = false
	}
	c.facts = c.facts[:0]
}

// handleReport takes the peer's word on what its symbols have achieved.
//
// spec: FEC-33
func (s *Session) handleReport(f *wire.RepairReport) error {
	p := s.paths.find(f.Path)
	if p == nil || s.repair == nil {
		return nil // a path that was given up
	}
	s.repair.stats.BurstsSent = f.Bursts
	l := &p.loss.list
	ranges := f.Ranges()
	for r, ok := ranges.Next(); ok && r.End > l.base; r, ok = ranges.Next() {
		if r.End > l.next {
			return transportErrorf(wire.ProtocolViolation, wire.FrameRepairReport, "packet %d was never sent", r.End-1)
		}
		for pn := max(r.Start, l.base); pn < r.End; pn++ {
			q := l.at(pn)
			if !q.covered {
				return transportErrorf(wire.ProtocolViolation, wire.FrameRepairReport, "packet %d was not covered", pn)
			}
			s.recovered(p, q)
		}
	}
	return nil
}

// recovered takes the news that the peer has what a packet said. It remains lost, or on its way, for congestion
// control.
func (s *Session) recovered(p *path, q *sentPacket) {
	if q.acked || q.recovered {
		return
	}
	q.recovered = true
	s.repair.stats.Recovered++
	again := q.lost // its messages were taken for lost
	if s.repair.send != nil {
		if c := s.repair.send.find(q); c != nil {
			again = again && !c.waits
			c.state = coveredRecovered
			s.dropHeld(c)
		}
	}
	kept := q.facts[:0]
	for i := range q.facts {
		f := q.facts[i]
		if !f.kind.repairable() {
			kept = append(kept, f)
			continue
		}
		s.factAcked(&f, again)
	}
	clear(q.facts[len(kept):])
	q.facts = kept
}

// repairable reports whether a fact of this kind is told by a packet that was recovered: those that are not
// acted on there are told by no one.
//
// spec: FEC-32
func (k factKind) repairable() bool {
	switch k {
	case factAck, factPing, factNewID, factRetireID, factPathChallenge, factPathResponse:
		return false
	}
	return true
}
