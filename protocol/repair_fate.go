package protocol

import (
	"math"

	"github.com/godwit-net/godwit/protocol/fec"
	"github.com/godwit-net/godwit/protocol/wire"
)

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

// symbolFate takes the news that a symbol has arrived or is lost.
func (s *Session) symbolFate(p *sentPacket, arrived bool) {
	if s.repair == nil || s.repair.send == nil {
		return
	}
	r := s.repair.send
	if y := &r.symbols[int(p.sequence)%len(r.symbols)]; y.pn == p.pn {
		if y.counts = arrived; !arrived {
			y.count = 0
		}
	}
}

// holdLost returns where the messages of a covered packet that is lost wait until settleHeld decides, or nil if they
// do not.
//
// spec: FEC-34
func (s *Session) holdLost(p *sentPacket) *coveredPacket {
	if !p.covered || p.recovered || s.repair == nil || s.repair.send == nil {
		return nil
	}
	r := s.repair.send
	c := r.find(p)
	if c == nil || c.state != coveredFlying {
		return nil
	}
	c.state = coveredLost
	path := s.paths.find(c.path)
	if path == nil {
		return nil
	}
	l := &path.loss
	c.waits, c.until = true, p.sent.Add(l.lossDelay()+l.reorder.window(&l.rtt))
	r.held++
	return c
}

// open reports whether the fate of the packet before number next is not known, and nothing after it has
// arrived; next is 0 when there is no such packet.
func (l *lossState) open(next uint64) bool {
	return next > l.list.base && (l.largest == noPacketNumber || next > l.largest+1)
}

// settleHeld decides what becomes of the messages of lost packets. They wait while a symbol that covers them is under
// way. If the symbols did not suffice, as many more are sent as are missing, when that is less than sending the
// messages again, and when there is still time for that if it fails.
func (s *Session) settleHeld(now Time) {
	if s.repair == nil || s.repair.send == nil || s.repair.send.held == 0 {
		return
	}
	r := s.repair.send
	due := 0
	for i := range r.covered {
		c := &r.covered[i]
		if c.due = c.waits && s.answered(now, c); c.due {
			due++
		}
	}
	if due == 0 {
		return
	}
	loss := s.paths.active.loss.presentLoss()
	need := r.missing() - r.surplus(loss)
	asks := false
	for i := range r.covered {
		c := &r.covered[i]
		if !c.due {
			continue
		}
		p := s.paths.find(c.path)
		if p == nil || p.loss.rounds(c.expires.Sub(now)) < 1 || r.encoder.Next()-c.sequence >= coverSpan {
			s.releaseHeld(c)
			c.due = false
			need--
			continue
		}
		delay := p.loss.lossDelay()
		c.until = min(now.Add(delay+p.loss.reorder.window(&p.loss.rtt)), c.expires.Add(1-delay))
		if need > 0 || !p.loss.open(c.symbol) {
			c.symbol = noPacketNumber // one that is still to leave
			asks = true
		} else {
			c.due = false
		}
	}
	if asks {
		r.demand(max(need, 1), loss)
	}
}

// surplus is how many symbols that are under way are likely to be left when they have repaired what is lost of the
// packets that are under way with them.
func (r *repairSender) surplus(loss float64) int {
	flying := 0.0
	first, count := r.encoder.Held()
	for i := range uint16(count) {
		if r.at(first+i).state == coveredFlying {
			flying -= loss
		}
	}
	for i := range r.symbols {
		if y := &r.symbols[i]; y.count > 0 && !y.counts {
			flying += 1 - loss
		}
	}
	return max(int(flying), 0)
}

// demand has symbols sent at once, for the lost packets that are due: n, and as many more as are likely to be lost. The
// channels of those packets pay.
func (r *repairSender) demand(n int, loss float64) {
	n = int(math.Ceil(float64(n) / (1 - min(loss, 0.5))))
	r.owed += float64(n)
	r.demanded += n
	asking := 0
	for i := range r.covered {
		if r.covered[i].due {
			asking++
		}
	}
	for i := range r.covered {
		if c := &r.covered[i]; c.due {
			c.payer.books.owed += float64(n) / float64(asking)
		}
	}
}

// answered reports whether no symbol is under way any more that could repair a lost packet.
func (s *Session) answered(now Time, c *coveredPacket) bool {
	p := s.paths.find(c.path)
	return p == nil || !now.Before(c.until) || !p.loss.open(c.symbol)
}

// missing returns how many symbols more than have arrived, or were sent for that, the peer needs to have back all
// that is lost: the code is as good as a matching of symbols with packets that they cover. Others that are under way
// will be needed for what is lost beside them.
func (r *repairSender) missing() int {
	var used [fec.Window]bool
	need := 0
	first, count := r.encoder.Held()
	for i := range uint16(count) {
		c := r.at(first + i)
		if c.state != coveredRecovered && !c.waits {
			continue
		}
		best := -1
		for j := range r.symbols {
			y := &r.symbols[j]
			if !used[j] && y.counts && c.sequence-y.first < y.count && (best < 0 || int16(y.end()-r.symbols[best].end()) < 0) {
				best = j
			}
		}
		if best < 0 {
			need++
		} else {
			used[best] = true
		}
	}
	return need
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
func (s *Session) handleReport(b []byte) (int, error) {
	f, n := wire.ParseRepairReport(b)
	if n < 0 {
		return n, nil
	}
	if s.local.MaxChannels == 0 { // spec: ERR-3
		return 0, transportErrorf(wire.Unsupported, wire.FrameRepairReport, "repair was not agreed on")
	}
	p := s.paths.find(f.Path)
	if p == nil || s.repair == nil {
		return n, nil // a path that was given up
	}
	return n, s.takeReport(p, &f)
}

func (s *Session) takeReport(p *path, f *wire.RepairReport) error {
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
