package sim

import (
	"errors"
	"fmt"
	"time"
)

const (
	// DefaultMTU is the largest IP packet that a link carries when MTU is 0: Ethernet's.
	DefaultMTU = 1500

	// DefaultOverhead is what IP and UDP add to a datagram when Overhead is 0: 20 bytes of IPv4, 8 of UDP.
	DefaultOverhead = 28

	// DefaultReorderBy is how much later a reordered datagram arrives at most, when ReorderBy is 0.
	DefaultReorderBy = 5 * time.Millisecond

	// DefaultReplayBy is how much later a replayed copy arrives at most, when ReplayBy is 0.
	DefaultReplayBy = time.Second

	// DefaultBurst is the depth of a policer's bucket when Burst is 0.
	DefaultBurst = 64_000

	// MinDefaultQueue is the least queue of a link whose Queue and QueueBDP are 0. Twenty full packets:
	// one bandwidth-delay product of a link without delay would be none at all.
	MinDefaultQueue = 20 * DefaultMTU

	maxDuration = 10 * time.Minute  // every time in a Config: far beyond any link, far below overflow
	minRate     = 1_000             // bit/s: the largest datagram then takes 9 minutes, still no overflow
	maxRate     = 1_000_000_000_000 // bit/s
	maxBytes    = 1 << 30           // queue and bucket: more is a mistake in the unit
	maxBDP      = 1_000             // queue in bandwidth-delay products
	minCycle    = time.Millisecond  // states that change faster are loss without memory, and slow to compute
	minMTU      = 68                // RFC 791, section 3.2: every link carries 68 octets
	maxMTU      = 65_535 + 40       // the largest IPv6 packet without the jumbo option
	maxOverhead = 1_000             // a tunnel in a tunnel in a tunnel
	maxScript   = 4_096             // scripted drops: every datagram of a handshake many times over
)

// Config describes a link in one direction. The zero value carries everything at once and loses
// nothing. Probabilities are 0 to 1 and apply to each datagram on its own. Both directions of a path
// usually share one Config (see [NewPair]).
type Config struct {
	Name string // the named link this began as, empty for none; only String looks at it

	Delay  time.Duration // one way, constant part
	Jitter time.Duration // mean of an exponential part added to Delay for each datagram; reorders

	Rate     int64         // bit/s of IP packets; 0: no limit
	Queue    int           // bytes of IP packets that wait for Rate, the one being sent included; drop-tail
	QueueBDP float64       // Queue as a multiple of Rate times twice Delay; used when Queue is 0
	ECN      time.Duration // ECN-capable datagrams that wait at least this long in the queue are marked CE; 0: never
	L4S      time.Duration // the same for ECT(1), in place of ECN: the step of an L4S queue, two packets at least (RFC 9332); 0: as ECN says
	Mangle   string        // what something behind the queue does to ECN bits: one of Mangles; empty: nothing

	Trace       string // delivery opportunities instead of Rate: "starlink" or "lte"; empty: none
	CustomTrace *Trace // a trace of the caller's, instead of a named one; not part of the link language

	Police int64 // bit/s of a token bucket without a queue; 0: none
	Burst  int   // bytes, depth of the bucket; 0 means DefaultBurst

	Loss    float64       // independent loss
	Good    time.Duration // Gilbert-Elliott in time: mean stay in the good state
	Bad     time.Duration // mean stay in the bad state; 0: no bad state
	BadLoss float64       // loss in the bad state (beside Loss, which always applies)

	Outage time.Duration // mean length of total outages, both directions at once; 0: none
	Every  time.Duration // mean time from one outage to the next

	On, Off time.Duration // a black hole by the clock: carries for On, swallows for Off, over and over

	Drop string // scripted loss: the n-th datagram is dropped when the n-th character is '1'

	Duplicate float64       // a second copy, with a jitter of its own
	Replay    float64       // a copy that comes up to ReplayBy later
	ReplayBy  time.Duration // 0 means DefaultReplayBy
	Reorder   float64       // arrives up to ReorderBy later, overtaken by others
	ReorderBy time.Duration // 0 means DefaultReorderBy
	Corrupt   float64       // one bit is flipped and the checksum is right again

	MTU      int // largest IP packet; larger ones are dropped silently, like a path that hides its ICMP; 0 means DefaultMTU
	Overhead int // bytes of IP and UDP headers of a datagram; 0 means DefaultOverhead

	Rebind time.Duration // a NAT on the path gives the client a new address this often; 0: never. Sockets do this, not links
	Seed   uint64        // of everything random in the link
}

// mtu returns the effective MTU.
func (c *Config) mtu() int { return orDefault(c.MTU, DefaultMTU) }

// overhead returns the effective header bytes of a datagram.
func (c *Config) overhead() int { return orDefault(c.Overhead, DefaultOverhead) }

// MaxDatagram returns the largest UDP payload in bytes that the link carries.
func (c *Config) MaxDatagram() int { return max(c.mtu()-c.overhead(), 0) }

// BDP returns the bandwidth-delay product in bytes: the rate over one round trip of a path with this
// link in both directions. A link without a rate has none (0).
func (c *Config) BDP() int {
	return bdp(float64(c.Rate), 2*c.Delay)
}

func bdp(rate float64, rtt time.Duration) int {
	return int(rate / 8 * rtt.Seconds())
}

// queueLimit returns the queue in bytes for a link of the given mean rate (bit/s) and round trip.
func (c *Config) queueLimit(rate float64, rtt time.Duration) int {
	switch {
	case c.Queue > 0:
		return c.Queue
	case c.QueueBDP > 0:
		return int(c.QueueBDP * float64(bdp(rate, rtt)))
	default:
		return max(bdp(rate, rtt), MinDefaultQueue)
	}
}

// Validate returns an error that names the first field that makes no sense, and what to write instead.
// ParseLink has called it; a Config that a program filled in by hand should be checked once.
func (c *Config) Validate() error {
	for i := range linkKeys {
		if err := linkKeys[i].check(c); err != nil {
			return err
		}
	}
	switch {
	case (c.Bad > 0) != (c.Good > 0):
		return errors.New("good and bad belong together: write good=280ms,bad=20ms,badloss=75%")
	case c.Bad > 0 && c.Good+c.Bad < minCycle || c.Every > 0 && c.Every < minCycle:
		return fmt.Errorf("good and bad together, and every, last at least %v: write larger times", minCycle)
	case c.BadLoss > 0 && c.Bad == 0:
		return errors.New("badloss needs the states it belongs to: write good=280ms,bad=20ms,badloss=75%")
	case (c.Outage > 0) != (c.Every > 0):
		return errors.New("outage and every belong together: write outage=60ms,every=2s")
	case c.Outage > 0 && c.Outage >= c.Every:
		return errors.New("outage is the mean length and must be shorter than every: write outage=60ms,every=2s")
	case (c.On > 0) != (c.Off > 0):
		return errors.New("on and off belong together: write on=5s,off=2s")
	case c.Rate > 0 && (c.Trace != "" || c.CustomTrace != nil):
		return errors.New("rate and trace exclude each other: write rate=none to keep the trace, or trace=none to keep the rate")
	case (c.Queue > 0 || c.QueueBDP > 0 || c.ECN > 0 || c.L4S > 0) && !c.limited():
		return errors.New("queue, ecn and l4s need something that makes packets wait: write rate=50mbit too")
	case c.Burst > 0 && c.Police == 0:
		return errors.New("burst is the bucket of a policer: write police=20mbit too")
	case c.CustomTrace != nil && c.CustomTrace.total == 0:
		return errors.New("the custom trace has no opportunities: read one with ParseTrace")
	case c.mtu() <= c.overhead():
		return errors.New("mtu must be larger than overhead, or nothing passes: write mtu=1500")
	}
	return nil
}

// limited reports whether anything but the delay makes a datagram wait.
func (c *Config) limited() bool { return c.Rate > 0 || c.Trace != "" || c.CustomTrace != nil }

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}
