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

// sendQueue says in which queue of its priority a stream waits.
type sendQueue uint8

const (
	queueNone  sendQueue = iota
	queueLost            // has lost data, or an end without data: needs no credit of the session
	queueFresh           // has data that was never sent, within its own limit
)

// schedClass is the streams of one priority that have something to send: two rings.
type schedClass struct {
	priority    uint8
	lost, fresh *Stream // whose turn it is; nil: nobody waits
}

func (c *schedClass) ring(q sendQueue) **Stream {
	if q == queueLost {
		return &c.lost
	}
	return &c.fresh
}

// scheduler decides which stream sends next: the highest priority first, within a priority
// retransmissions first, and within those deficit round robin by weight. It holds only streams that
// have something to send, so its work does not depend on how many are open.
type scheduler struct {
	classes []schedClass // by falling priority; only those with streams
}

// pick returns the stream whose turn it is, or nil. Without credit of the session only lost data
// may go; with latencyOnly only streams of the latency class.
//
// spec: STR-31
// spec: STR-32
func (d *scheduler) pick(credit, latencyOnly bool) *Stream {
	for i := range d.classes {
		c := &d.classes[i]
		if latencyOnly && c.priority < latencyPriority {
			return nil
		}
		if c.lost != nil {
			return c.lost
		}
		if credit && c.fresh != nil {
			return c.fresh
		}
	}
	return nil
}

// anyFresh reports whether a stream waits with data that was never sent.
func (d *scheduler) anyFresh() bool {
	for i := range d.classes {
		if d.classes[i].fresh != nil {
			return true
		}
	}
	return false
}

// budget returns how many bytes s may send in what is left of its turn: at least one, and any
// number when nobody else waits.
func (s *Stream) budget() int {
	if s.next == s {
		s.deficit = 0
		return 1 << 30
	}
	if s.deficit <= 0 {
		s.deficit = int32(s.weight) * turnPerWeight
	}
	return int(s.deficit)
}

// spent takes n bytes from the turn of s, which is at its queue's head, and ends the turn when it is used up.
func (d *scheduler) spent(s *Stream, n int) {
	if s.next == s {
		return
	}
	s.deficit -= int32(n)
	if s.deficit <= 0 {
		*d.classes[d.find(s.priority)].ring(s.queue) = s.next
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
func (d *scheduler) put(s *Stream, q sendQueue) {
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
func (d *scheduler) remove(s *Stream) {
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
	if c.lost == nil && c.fresh == nil {
		d.classes = slices.Delete(d.classes, i, i+1)
	}
}
