package protocol

import "slices"

const (
	// defaultPriority is the priority of a stream of which nothing was said.
	defaultPriority = 64
	// latencyPriority is the lowest priority of the latency class.
	latencyPriority = 128
	// defaultWeight is the weight of a stream of which nothing was said: the middle, with room for
	// sixteen times less.
	defaultWeight = 16
	// turnPerWeight is how many bytes a stream may send per turn and unit of weight. With the
	// default weight a turn is 4 kB: a few packets on common paths, several streams in one packet
	// on loopback.
	turnPerWeight = 256
)

// sendQueue says in which queue of its priority a lane waits.
type sendQueue uint8

const (
	queueNone  sendQueue = iota
	queueLost            // has lost data, or an end without data: needs no credit of the session
	queueFresh           // has data that was never sent, within its own limit
	queueLoose           // has messages that are not sent again: needs no credit of the session
)

// lane is what waits in the scheduler: a stream, or a channel of messages.
type lane struct {
	owner      source // whose place it is
	next, prev *lane  // the ring that it waits in
	need       uint32 // bytes of the session's credit without which nothing of it leaves from queueFresh
	deficit    int32  // what is left of its turn, in bytes
	weight     uint16
	priority   uint8
	queue      sendQueue
}

// source makes the frames of a lane.
type source interface {
	// appendFrame appends the next frame to b, in at most space bytes, and returns how much of its turn
	// that takes, in bytes. A frame that does not fit leaves b as it was.
	appendFrame(b []byte, space int, facts *[]fact) ([]byte, int)
}

// schedClass is the lanes of one priority that have something to send: three rings.
type schedClass struct {
	priority           uint8
	lost, fresh, loose *lane // whose turn it is; nil: nobody waits
	lead               int   // bytes by which loose is ahead of the other two, each side's by its weight
}

func (c *schedClass) ring(q sendQueue) **lane {
	switch q {
	case queueLost:
		return &c.lost
	case queueLoose:
		return &c.loose
	}
	return &c.fresh
}

// took counts n bytes that a lane of the weight has sent from a ring. A side that has nothing to send collects
// no more than one turn.
func (c *schedClass) took(q sendQueue, n int, weight uint16) {
	const turn = defaultWeight * turnPerWeight
	n = (n*defaultWeight + int(weight) - 1) / int(weight)
	if q == queueLoose {
		c.lead = min(c.lead, turn) + n
		return
	}
	c.lead = max(c.lead, -turn) - n
}

// scheduler decides which stream or channel sends next: the highest priority first, within a priority
// retransmissions first, and within those deficit round robin by weight. Messages that are not sent again take
// turns with fresh data: they go first while they take less. It holds only lanes that have something to send, so
// its work does not depend on how many are open.
type scheduler struct {
	classes []schedClass // by falling priority; only those with lanes
}

// pick returns the lane whose turn it is, or nil. Who needs more credit of the session than there is
// holds back all fresh data behind it, so that a large message is not starved by many small ones; lost
// data goes on. With latencyOnly only the latency class may go.
//
// spec: STR-31
// spec: STR-32
func (d *scheduler) pick(credit uint64, latencyOnly bool) *lane {
	for i := range d.classes {
		c := &d.classes[i]
		if latencyOnly && c.priority < latencyPriority {
			return nil
		}
		if c.lost != nil {
			return c.lost
		}
		open := c.fresh != nil && uint64(c.fresh.need) <= credit
		switch {
		case c.loose != nil && (!open || c.lead <= 0): // spec: MSG-20
			return c.loose
		case open:
			return c.fresh
		case c.fresh != nil:
			credit = 0
		}
	}
	return nil
}

// blocked reports whether the session's credit holds a lane back that would be next.
func (d *scheduler) blocked(credit uint64) bool {
	for i := range d.classes {
		if f := d.classes[i].fresh; f != nil && uint64(f.need) > credit {
			return true
		}
	}
	return false
}

// budget returns how many bytes s may send in what is left of its turn: at least one, and any
// number when nobody else waits.
func (s *lane) budget() int {
	if s.next == s {
		s.deficit = 0
		return 1 << 30
	}
	if s.deficit <= 0 {
		s.deficit = int32(s.weight) * turnPerWeight
	}
	return int(s.deficit)
}

// spent takes note of n bytes that s has sent as the head of a queue, and ends its turn when that is used up.
func (d *scheduler) spent(s *lane, q sendQueue, n int) {
	i := d.find(s.priority)
	if i == len(d.classes) || d.classes[i].priority != s.priority {
		return // it was the last one there
	}
	d.classes[i].took(q, n, s.weight)
	if s.queue != q || s.next == s {
		return
	}
	if s.deficit <= 0 {
		s.deficit = int32(s.weight) * turnPerWeight // who did not ask for its budget: messages are not divided
	}
	s.deficit -= int32(n)
	if s.deficit <= 0 {
		*d.classes[i].ring(q) = s.next
	}
}

// find returns the position of a priority's class, or where it belongs.
func (d *scheduler) find(priority uint8) int {
	for i := range d.classes {
		if d.classes[i].priority <= priority {
			return i
		}
	}
	return len(d.classes)
}

// put moves s to a queue, at its end. It does nothing when s is there already.
func (d *scheduler) put(s *lane, q sendQueue) {
	if s.queue == q {
		return
	}
	d.remove(s)
	if q == queueNone {
		return
	}
	i := d.find(s.priority)
	if i == len(d.classes) || d.classes[i].priority != s.priority {
		d.classes = slices.Insert(d.classes, i, schedClass{priority: s.priority})
	}
	head := d.classes[i].ring(q)
	if *head == nil {
		s.next, s.prev = s, s
		*head = s
	} else {
		s.next, s.prev = *head, (*head).prev
		s.prev.next, s.next.prev = s, s
	}
	s.queue = q
}

// remove takes s out of its queue. What was left of its turn is gone.
func (d *scheduler) remove(s *lane) {
	if s.queue == queueNone {
		return
	}
	i := d.find(s.priority)
	c := &d.classes[i]
	head := c.ring(s.queue)
	if s.next == s {
		*head = nil
	} else {
		s.next.prev, s.prev.next = s.prev, s.next
		if *head == s {
			*head = s.next
		}
	}
	s.next, s.prev, s.deficit, s.queue = nil, nil, 0, queueNone
	if c.lost == nil && c.fresh == nil && c.loose == nil {
		d.classes = slices.Delete(d.classes, i, i+1)
	}
}
