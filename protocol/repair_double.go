package protocol

import (
	"math"
	"time"
)

const (
	// maxDoubles is how many copies wait at a time: what 64 losses in a row have, four each.
	maxDoubles = 256
	// maxCopiesAtOnce is how many copies of a message its last chance has at most: with more, cap or code is wrong.
	maxCopiesAtOnce = 6
	// minDoubleGap is the least time between copies, so that they do not leave in one burst.
	minDoubleGap = 500 * time.Microsecond
	// burstShare is the share of bursts that copies are spaced past.
	burstShare = 0.9
)

// doubled is a part of a message that is to be sent once more.
type doubled struct {
	at   Time
	what fact
	gap  time.Duration // until the next one
	left int           // copies that follow
}

// doubles is the copies of messages that wait for their time.
type doubles struct {
	list []doubled
	next Time // the earliest; 0: none
}

// doubleLast plans copies of what was sent again in the packet that just left, if there is no time to learn of its
// loss and send it yet again before the deadline.
//
// spec: FEC-35
func (s *Session) doubleLast(now Time, p *path, f *fact) {
	c := s.messages.out[uint16(f.a)]
	m := c.queue.at(f.a >> 16)
	l := &p.loss
	loss := l.likelyLoss()
	rest := c.expiryOf(f.a >> 16).Sub(now)
	if loss == 0 || m.settled || l.rounds(rest) > 0 || l.crowded() {
		return
	}
	sent := max(1, l.rounds(c.deadline-rest)) // how often it was lost, as far as time tells
	left := copiesFor(loss, sent) - 1
	if c.goal == Prompt {
		left = min(left, 1)
	}
	if left <= 0 {
		return
	}
	gap := max(min(c.books.spacing(l), rest/time.Duration(left+1)), minDoubleGap)
	s.repair.doubles.add(doubled{at: now.Add(gap), what: *f, gap: gap, left: left - 1})
}

// copiesFor returns how many copies the last chance of a message should have that was lost so often already.
func copiesFor(loss float64, sent int) int {
	miss := math.Pow(loss, float64(sent))
	n := 1
	for miss *= loss; miss > economyMiss && n < maxCopiesAtOnce; miss *= loss {
		n++
	}
	return n
}

// spacing is the time between copies that no burst of loss should hit together; 0 where losses do not come in
// bursts.
func (o *repairBooks) spacing(l *lossState) time.Duration {
	n := l.rate.burstQuantile(burstShare)
	if n <= 1 || o.packets[0]+o.packets[1] == 0 {
		return 0
	}
	return time.Duration(n) * o.span / time.Duration(o.packets[0]+o.packets[1])
}

func (d *doubles) add(x doubled) {
	if len(d.list) == maxDoubles {
		return
	}
	d.list = append(d.list, x)
	if d.next == 0 || x.at.Before(d.next) {
		d.next = x.at
	}
}

// sendDoubles has the copies sent that are due.
func (s *Session) sendDoubles(now Time) {
	if s.repair == nil || s.repair.doubles.next == 0 || now.Before(s.repair.doubles.next) {
		return
	}
	d := &s.repair.doubles
	d.next = 0
	kept := d.list[:0]
	for _, x := range d.list {
		if !now.Before(x.at) && !s.sendDouble(now, &x) {
			continue
		}
		kept = append(kept, x)
		if d.next == 0 || x.at.Before(d.next) {
			d.next = x.at
		}
	}
	d.list = kept
}

// sendDouble sends a copy and reports whether another one follows.
func (s *Session) sendDouble(now Time, x *doubled) bool {
	position := x.what.a >> 16
	c := s.messages.out[uint16(x.what.a)]
	if s.messages.ended || position < c.queue.head {
		return false
	}
	m := c.queue.at(position)
	from, to := uint32(x.what.b>>32), uint32(x.what.b)
	if m.settled || m.late || c.books.balance < float64(to-from) {
		return false
	}
	m.doubling = true
	c.partLost(position, from, to, true)
	s.repair.stats.Doubled++
	if x.left == 0 {
		return false
	}
	x.left--
	x.at = now.Add(x.gap)
	return true
}
