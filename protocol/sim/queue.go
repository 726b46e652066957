package sim

import (
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// queue is a first-in first-out, drop-tail queue before a rate or a trace. What a packet meets depends
// only on those before it, so its departure is known when it enters.
type queue struct {
	limit int   // bytes
	rate  int64 // bit/s; 0: the trace, or no limit at all
	trace *opportunities

	busy    monotime.Time // when the last packet inside leaves
	waiting []departure   // packets inside, in order, from head on
	head    int
	bytes   int // sum of waiting
}

type departure struct {
	at    monotime.Time
	bytes int
}

// configure sets rate, trace and limit; packets inside keep their departures.
func (q *queue) configure(c *Config, now, start monotime.Time, trace *Trace) {
	q.rate, q.trace = c.Rate, nil
	rate, oneWay := float64(c.Rate), c.Delay
	if trace != nil {
		q.trace = &opportunities{trace: trace, start: start}
		rate, oneWay = trace.Rate(), c.Delay+trace.meanDelay()
	}
	q.limit = c.queueLimit(rate, 2*oneWay)
	q.busy = max(q.busy, now)
}

// enter takes a packet in and returns when it leaves and how long it waits before its own turn, or
// false if the queue is full. An empty queue takes any packet.
func (q *queue) enter(now monotime.Time, wire int) (at monotime.Time, waited time.Duration, ok bool) {
	q.leave(now)
	if q.rate == 0 && q.trace == nil {
		return now, 0, true
	}
	if q.bytes > 0 && q.bytes+wire > q.limit {
		return 0, 0, false
	}
	begin := max(now, q.busy)
	if q.trace != nil {
		at = q.trace.carry(begin, wire)
		waited = at.Sub(now)
	} else {
		at = begin.Add(transmission(wire, q.rate))
		waited = begin.Sub(now)
	}
	q.busy = at
	q.waiting = append(q.waiting, departure{at, wire})
	q.bytes += wire
	return at, waited, true
}

// leave forgets packets that have left by now.
func (q *queue) leave(now monotime.Time) {
	for q.head < len(q.waiting) && !q.waiting[q.head].at.After(now) {
		q.bytes -= q.waiting[q.head].bytes
		q.head++
	}
	if q.head > len(q.waiting)/2 {
		n := copy(q.waiting, q.waiting[q.head:])
		q.waiting, q.head = q.waiting[:n], 0
	}
}

// transmission is the time that a packet occupies a link.
func transmission(wire int, rate int64) time.Duration {
	return time.Duration(int64(wire) * 8 * int64(time.Second) / rate)
}

// opportunities walks a trace. Each carries up to 1500 bytes of one or several packets; what nobody
// uses is gone.
type opportunities struct {
	trace *Trace
	start monotime.Time
	slot  int64 // ms since start, counted through all repetitions of the trace
	spent int   // bytes used in that slot
}

// carry uses the first wire bytes of opportunities from begin on and returns the end of the slot in
// which the last one falls.
func (o *opportunities) carry(begin monotime.Time, wire int) monotime.Time {
	// The opportunities of a slot come at its end: it is still open to what enters at that instant.
	if slot := ceilMillis(begin.Sub(o.start)) - 1; slot > o.slot {
		o.slot, o.spent = slot, 0
	}
	for {
		free := o.budget() - o.spent
		if wire <= free {
			o.spent += wire
			return o.start.Add(time.Duration(o.slot+1) * time.Millisecond)
		}
		wire -= free
		o.slot, o.spent = o.slot+1, 0
	}
}

// budget is what the present slot carries in all, in bytes.
func (o *opportunities) budget() int {
	slots := o.trace.slots
	return int(slots[o.slot%int64(len(slots))]) * opportunityBytes
}

func ceilMillis(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// bucket is a token bucket: the policer of a link that sells less than it has. It is kept as the time
// at which it is full again.
type bucket struct {
	rate  int64
	depth time.Duration // what the bucket holds, as the time it takes to fill
	full  monotime.Time
}

func newBucket(rate int64, bytes int) bucket {
	b := bucket{rate: rate}
	if rate > 0 {
		b.depth = transmission(bytes, rate)
	}
	return b
}

// take reports whether there are tokens for a packet, and takes them.
func (b *bucket) take(now monotime.Time, wire int) bool {
	if b.rate == 0 {
		return true
	}
	full := max(b.full, now).Add(transmission(wire, b.rate))
	if full.Sub(now) > b.depth {
		return false
	}
	b.full = full
	return true
}
