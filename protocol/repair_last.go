package protocol

import "time"

const (
	// lastMargin is how long before its deadline a message has its last chance, as a share of the round trip, and
	// minLastMargin the least: what a busy machine takes to send something.
	lastMargin    = 8
	minLastMargin = 5 * time.Millisecond
)

// lastChance returns when the next message of a channel that may be lost for all that is known is sent again, 0: never.
// A loss shows by what arrives after it. Where packets are rare, and acknowledgements are lost too, that takes longer
// than there is time.
//
// spec: FEC-38
func (c *sendChannel) lastChance(l *lossState) Time {
	if !c.repairs() || c.goal != Economy {
		return 0
	}
	delay := l.lossDelay()
	margin := max(l.rtt.smoothed/lastMargin, 4*l.rtt.variance, minLastMargin)
	for ; c.lastAt < c.sendAt; c.lastAt++ {
		m := c.queue.at(c.lastAt)
		if m.settled || m.late {
			continue
		}
		expiry := m.given.Add(c.deadline)
		at := max(expiry.Add(-margin), m.sentAt.Add(delay))
		if at < expiry {
			return at
		}
	}
	return 0
}

// takeLastChances has messages sent again of which nothing is known shortly before their deadline.
func (s *Session) takeLastChances(now Time) {
	if s.messages == nil {
		return
	}
	l := &s.paths.active.loss
	for _, c := range s.messages.outOrder {
		for {
			at := c.lastChance(l)
			if at == 0 || now.Before(at) {
				break
			}
			if m := c.queue.at(c.lastAt); l.likelyLoss() > 0 && !l.crowded() {
				c.partLost(c.lastAt, 0, m.places(), true)
			}
			c.lastAt++
		}
	}
}

// nextLastChance is when takeLastChances has something to do; 0: never.
func (s *Session) nextLastChance() Time {
	at := Time(0)
	if s.messages == nil {
		return 0
	}
	for _, c := range s.messages.outOrder {
		if t := c.lastChance(&s.paths.active.loss); t != 0 && (at == 0 || t < at) {
			at = t
		}
	}
	return at
}
