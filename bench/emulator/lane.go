package emulator

import (
	"container/heap"
	"sync"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
	"github.com/godwit-net/godwit/protocol/sim"
)

// lane is one direction: the model, the datagrams on their way in order of departure, and the
// goroutine that sends each to its destination, a D, when its time comes.
type lane[D any] struct {
	now     func() monotime.Time
	out     func(to D, data []byte, ecn uint8) error
	limit   int
	stopped chan struct{}

	mu       sync.Mutex
	waiter   waiter // set under mu, so that it never misses an earlier departure
	link     *sim.Link
	onTheWay departures[D]
	queued   int // bytes of onTheWay
	sequence uint64
	closed   bool
	late     sim.Histogram
	overflow uint64
	fails    uint64
}

// parcel is one copy of a datagram with its departure.
type parcel[D any] struct {
	at       monotime.Time
	sequence uint64 // keeps the order of equal times
	to       D
	data     *[]byte
	ecn      uint8
}

func newLane[D any](link *sim.Link, limit int, now func() monotime.Time, out func(D, []byte, uint8) error) (*lane[D], error) {
	l := &lane[D]{link: link, limit: limit, now: now, out: out, stopped: make(chan struct{})}
	if err := l.waiter.open(); err != nil {
		return nil, err
	}
	go l.run()
	return l, nil
}

// send asks the model what becomes of a datagram and keeps a copy for each delivery.
func (l *lane[D]) send(to D, data []byte, ecn uint8) { l.sendSized(to, data, len(data), ecn) }

// sendSized is send for data that counts as size bytes of UDP payload, which may be 0 or less.
func (l *lane[D]) sendSized(to D, data []byte, size int, ecn uint8) {
	l.mu.Lock()
	deliveries, _ := l.link.Send(l.now(), size, ecn)
	earlier := false
	for _, d := range deliveries {
		if l.queued+len(data) > l.limit {
			l.overflow++
			continue
		}
		p := parcel[D]{at: d.At, sequence: l.sequence, to: to, data: copyOf(data), ecn: d.ECN}
		d.Damage(*p.data)
		l.sequence++
		l.queued += len(data)
		earlier = earlier || len(l.onTheWay) == 0 || d.At.Before(l.onTheWay[0].at)
		heap.Push(&l.onTheWay, p)
	}
	if earlier {
		l.waiter.set(l.onTheWay[0].at, l.now())
	}
	l.mu.Unlock()
}

// run sends what is due and sleeps until the next departure.
func (l *lane[D]) run() {
	defer close(l.stopped)
	defer l.waiter.close()
	var due []parcel[D]
	for {
		var open bool
		if due, open = l.take(due[:0]); !open {
			return
		}
		for i := range due {
			p := &due[i]
			l.sent(p, l.out(p.to, *p.data, p.ecn))
		}
		if len(due) == 0 {
			l.waiter.wait()
		}
	}
}

// take moves what is due to due. If nothing is, the waiter is set to the next departure.
func (l *lane[D]) take(due []parcel[D]) (_ []parcel[D], open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for len(l.onTheWay) > 0 && !l.onTheWay[0].at.After(now) {
		p := heap.Pop(&l.onTheWay).(parcel[D])
		l.queued -= len(*p.data)
		l.late.Add(now.Sub(p.at))
		due = append(due, p)
	}
	if len(due) == 0 && len(l.onTheWay) > 0 {
		l.waiter.set(l.onTheWay[0].at, now)
	}
	return due, !l.closed
}

func (l *lane[D]) sent(p *parcel[D], err error) {
	release(p.data)
	if err != nil {
		l.mu.Lock()
		l.fails++
		l.mu.Unlock()
	}
}

// backlog is how long a datagram that came now would wait for its turn.
func (l *lane[D]) backlog() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.link.Backlog(l.now())
}

func (l *lane[D]) close() {
	l.mu.Lock()
	l.closed = true
	l.waiter.set(clockOrigin, l.now()) // at once
	l.mu.Unlock()
	<-l.stopped
}

// report adds the lane's counters to s and puts the model's into link.
func (l *lane[D]) report(s *Stats, link *sim.Stats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*link = l.link.Stats()
	s.Late.Merge(&l.late)
	s.Overflow += l.overflow
	s.SendFails += l.fails
}

// departures is a heap by time, then by order of arrival.
type departures[D any] []parcel[D]

func (d departures[D]) Len() int { return len(d) }
func (d departures[D]) Less(i, j int) bool {
	return d[i].at < d[j].at || d[i].at == d[j].at && d[i].sequence < d[j].sequence
}
func (d departures[D]) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *departures[D]) Push(p any)   { *d = append(*d, p.(parcel[D])) }
func (d *departures[D]) Pop() any {
	last := len(*d) - 1
	p := (*d)[last]
	(*d)[last] = parcel[D]{}
	*d = (*d)[:last]
	return p
}

// Buffers come in two sizes, so that a path of small datagrams does not take 64 kB for each.
const smallDatagram = 2048

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallDatagram); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, maxDatagram); return &b }}
)

// copyOf returns a copy of data in a buffer of a pool.
func copyOf(data []byte) *[]byte {
	pool := &smallBuffers
	if len(data) > smallDatagram {
		pool = &largeBuffers
	}
	b := pool.Get().(*[]byte)
	*b = append((*b)[:0], data...)
	return b
}

func release(b *[]byte) {
	if cap(*b) > smallDatagram {
		largeBuffers.Put(b)
		return
	}
	smallBuffers.Put(b)
}
