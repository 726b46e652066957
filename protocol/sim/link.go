package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// Cause says what became of a datagram: Carried, or why it was dropped.
type Cause uint8

// The causes, in the order in which a link asks.
const (
	Carried   Cause = iota
	Scripted        // the script said so
	Down            // the link was cut (SetDown)
	TooBig          // larger than the MTU
	Policed         // no tokens in the bucket
	QueueFull       // drop-tail
	BlackHole       // the clock said off
	Outage          // both directions were gone
	BadState        // lost in the bad state
	Lost            // independent loss
	causes
)

var causeNames = [causes]string{
	"carried", "scripted", "down", "too big", "policed", "queue full", "black hole", "outage", "bad state", "lost",
}

func (c Cause) String() string {
	if c < causes {
		return causeNames[c]
	}
	return fmt.Sprintf("cause %d", uint8(c))
}

// Delivery is one copy of a datagram that comes out of a link.
type Delivery struct {
	At   monotime.Time // when
	ECN  uint8         // the two bits of the IP header as they come out
	Copy bool          // a duplicate or a replay, not the first copy
	Flip uint32        // 0: intact; else Damage flips one bit that this number picks
}

// Damage flips the bit that a corrupted delivery lost on the way. Intact deliveries stay intact.
func (d Delivery) Damage(data []byte) {
	if d.Flip == 0 || len(data) == 0 {
		return
	}
	bit := int(d.Flip) % (8 * len(data))
	data[bit/8] ^= 1 << (bit % 8)
}

// A Link is one direction of a path. It keeps no datagrams, only times and sizes, and starts no
// goroutine. One caller at a time.
//
// A datagram passes, in this order: the script, the cut, the MTU, the policer, the queue with its rate
// or trace; then, at the instant that it leaves the queue, the black hole, outages, the bad state and
// independent loss. Loss therefore costs capacity, as on a radio behind the bottleneck. What is left
// arrives after delay and jitter, perhaps twice.
type Link struct {
	config  Config
	stream  direction
	changes uint64 // times that Configure was called, so that the coins go on and do not begin again
	start   monotime.Time
	last    monotime.Time // time of the latest Send

	coins   *rand.Rand
	bad     alternation
	outages alternation
	bucket  bucket
	queue   queue
	trace   *Trace
	order   monotime.Time // latest arrival of a link whose delay comes from a trace: it keeps the order
	sent    int           // datagrams seen, for the script
	down    bool

	out   [3]Delivery // the first copy, a duplicate, a replay
	stats Stats
}

// direction tells the two links of a pair apart, so that their coins differ.
type direction uint64

// Streams of randomness under one seed. Outages and traces are shared by both directions of a pair.
const (
	streamOutage = 1
	streamTrace  = 2
	streamWorld  = 3
	streamCoins  = 16 // plus the direction
	streamStates = 32 // plus the direction
	streamChange = 64 // times the number of changes
)

// newRand returns a generator for one stream under a seed. The seed is stirred (the finaliser of
// SplitMix64), because people count seeds up from one.
func newRand(seed, stream uint64) *rand.Rand {
	z := seed + (stream+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return rand.New(rand.NewPCG(z^z>>31, stream))
}

// NewLink returns a single link that begins at start. Use NewPair for the two directions of a path.
func NewLink(c Config, start monotime.Time) (*Link, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	trace, err := loadTrace(&c)
	if err != nil {
		return nil, err
	}
	return newLink(c, start, 0, trace), nil
}

// NewPair returns the two directions of a path, which share outages and the trace, but no coins.
func NewPair(c Config, start monotime.Time) (up, down *Link, err error) {
	up, err = NewLink(c, start)
	if err != nil {
		return nil, nil, err
	}
	return up, newLink(c, start, 1, up.trace), nil
}

func newLink(c Config, start monotime.Time, stream direction, trace *Trace) *Link {
	l := &Link{stream: stream, start: start, last: start}
	l.apply(c, start, trace)
	return l
}

// apply puts a Config in force; what waits in the queue stays there.
func (l *Link) apply(c Config, now monotime.Time, trace *Trace) {
	shift := l.changes * streamChange
	own := uint64(l.stream) + shift
	l.config, l.trace = c, trace
	l.coins = newRand(c.Seed, streamCoins+own)
	l.bad = newAlternation(newRand(c.Seed, streamStates+own), now, c.Good, c.Bad)
	l.outages = newAlternation(newRand(c.Seed, streamOutage+shift), now, c.Every-c.Outage, c.Outage)
	l.bucket = newBucket(c.Police, orDefault(c.Burst, DefaultBurst))
	l.queue.configure(&c, now, l.start, trace)
}

// Configure changes the link while it is in use: the queue keeps what it has, the statistics go on.
func (l *Link) Configure(now monotime.Time, c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	trace, err := loadTrace(&c)
	if err != nil {
		return err
	}
	l.changes++
	l.apply(c, now, trace)
	return nil
}

// Config returns what is in force.
func (l *Link) Config() Config { return l.config }

// SetDown cuts the link or heals it: a one-way partition.
func (l *Link) SetDown(down bool) { l.down = down }

// Send puts a datagram of size bytes (UDP payload), with these ECN bits, in at now and returns what comes out, in no
// particular order of time: nothing, with the cause, or one to three deliveries. The slice is valid
// until the next call. Times do not fall from call to call; an earlier now counts as the latest one.
func (l *Link) Send(now monotime.Time, size int, ecn uint8) ([]Delivery, Cause) {
	now = max(now, l.last)
	l.last = now
	l.sent++
	l.stats.Sent++
	l.stats.SentBytes += uint64(size)
	departure, waited, cause := l.enter(now, size+l.config.overhead())
	if cause == Carried {
		cause = l.lose(departure)
	}
	if cause != Carried {
		l.stats.Drops[cause]++
		return nil, cause
	}
	out := l.deliver(departure, l.mark(ecn, waited))
	l.stats.Delivered += uint64(len(out))
	l.stats.DeliveredBytes += uint64(len(out) * size)
	return out, Carried
}

// enter takes a packet of wire bytes as far as the end of the queue.
func (l *Link) enter(now monotime.Time, wire int) (departure monotime.Time, waited time.Duration, cause Cause) {
	switch {
	case l.sent <= len(l.config.Drop) && l.config.Drop[l.sent-1] == '1':
		return 0, 0, Scripted
	case l.down:
		return 0, 0, Down
	case wire > l.config.mtu():
		return 0, 0, TooBig
	case !l.bucket.take(now, wire):
		return 0, 0, Policed
	}
	departure, waited, ok := l.queue.enter(now, wire)
	if !ok {
		return 0, 0, QueueFull
	}
	l.stats.Wait.Add(departure.Sub(now))
	return departure, waited, Carried
}

// lose tosses the coins for a packet that leaves the queue.
func (l *Link) lose(now monotime.Time) Cause {
	c := &l.config
	switch {
	case c.Off > 0 && now.Sub(l.start)%(c.On+c.Off) >= c.On:
		return BlackHole
	case l.outages.second(now):
		return Outage
	case l.bad.second(now) && l.toss(c.BadLoss):
		return BadState
	case l.toss(c.Loss):
		return Lost
	}
	return Carried
}

// deliver makes the copies of a packet that left the queue and was not lost.
func (l *Link) deliver(departure monotime.Time, ecn uint8) []Delivery {
	c := &l.config
	n := 0
	add := func(extra time.Duration) {
		l.out[n] = Delivery{At: l.arrival(departure).Add(extra), ECN: ecn, Copy: n > 0, Flip: l.damage()}
		n++
	}
	var held time.Duration
	if l.toss(c.Reorder) {
		l.stats.Reordered++
		held = l.upTo(orDefault(c.ReorderBy, DefaultReorderBy))
	}
	add(held)
	if l.toss(c.Duplicate) {
		l.stats.Duplicated++
		add(0)
	}
	if l.toss(c.Replay) {
		l.stats.Replayed++
		add(l.upTo(orDefault(c.ReplayBy, DefaultReplayBy)))
	}
	return l.out[:n]
}

// arrival is the departure plus the delay of the moment. A delay that comes from a trace is that of a
// whole path, and paths keep the order unless something reorders.
func (l *Link) arrival(departure monotime.Time) monotime.Time {
	at := departure.Add(l.config.Delay)
	if l.trace != nil && len(l.trace.delays) > 0 {
		at = max(at.Add(l.trace.delayAt(departure.Sub(l.start))), l.order)
		l.order = at
	}
	if l.config.Jitter > 0 {
		at = at.Add(time.Duration(l.coins.ExpFloat64() * float64(l.config.Jitter)))
	}
	return at
}

// damage decides whether a copy is corrupted, and where.
func (l *Link) damage() uint32 {
	if !l.toss(l.config.Corrupt) {
		return 0
	}
	l.stats.Corrupted++
	return l.coins.Uint32() | 1<<31 // never 0
}

// toss is true with probability p. It draws no coin where the answer is known.
func (l *Link) toss(p float64) bool { return p > 0 && l.coins.Float64() < p }

// upTo returns a time in (0, d].
func (l *Link) upTo(d time.Duration) time.Duration {
	return time.Duration(l.coins.Int64N(int64(d))) + 1
}
