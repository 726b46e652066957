package sim

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// linkKey is one key of the link language. set reads what get writes.
type linkKey struct {
	name    string
	example string
	wants   string // "a percentage": what an error asks for
	help    string
	set     func(c *Config, value string) bool
	get     func(c *Config) string
}

// none says "not limited" where zero would read as "nothing passes".
const none = "none"

// linkKeys is the language, in the order that String writes.
var linkKeys = []linkKey{
	durationKey("delay", "25ms", "one-way delay", func(c *Config) *time.Duration { return &c.Delay }),
	durationKey("jitter", "2ms", "mean of an exponential delay on top, which reorders", func(c *Config) *time.Duration { return &c.Jitter }),
	rateKey("rate", "50mbit", "rate of IP packets", func(c *Config) *int64 { return &c.Rate }),
	{
		name: "queue", example: "1bdp", wants: "bytes such as 64kB, or bandwidth-delay products",
		help: "drop-tail queue before the rate, in bytes or bandwidth-delay products",
		set:  setQueue, get: getQueue,
	},
	durationKey("ecn", "5ms", "mark CE after this long in the queue", func(c *Config) *time.Duration { return &c.ECN }),
	durationKey("l4s", "1ms", "mark CE on ECT(1) after this long, and two packets, in the queue, in place of ecn", func(c *Config) *time.Duration { return &c.L4S }),
	{
		name: "mangle", example: "bleach", wants: "bleach, ce, ect1 or none",
		help: "ECN bits behind the queue: bleach clears them, ce sets CE on all, ect1 turns ECT(0) into ECT(1)",
		set:  setMangle, get: func(c *Config) string { return orDefault(c.Mangle, none) },
	},
	{
		name: "trace", example: "starlink", wants: "starlink, lte or none",
		help: "delivery opportunities of a trace instead of a rate: starlink, lte",
		set:  setTrace, get: func(c *Config) string { return orDefault(c.Trace, none) },
	},
	rateKey("police", "20mbit", "token bucket without a queue", func(c *Config) *int64 { return &c.Police }),
	sizeKey("burst", "64kB", "depth of the token bucket", maxBytes, func(c *Config) *int { return &c.Burst }),
	percentKey("loss", "5%", "independent loss", func(c *Config) *float64 { return &c.Loss }),
	durationKey("good", "280ms", "mean length of the good state (Gilbert-Elliott in time)", func(c *Config) *time.Duration { return &c.Good }),
	durationKey("bad", "20ms", "mean length of the bad state", func(c *Config) *time.Duration { return &c.Bad }),
	percentKey("badloss", "75%", "loss in the bad state", func(c *Config) *float64 { return &c.BadLoss }),
	durationKey("outage", "60ms", "mean length of total outages of both directions", func(c *Config) *time.Duration { return &c.Outage }),
	durationKey("every", "2s", "mean time from one outage to the next", func(c *Config) *time.Duration { return &c.Every }),
	durationKey("on", "5s", "black hole by the clock: time it carries", func(c *Config) *time.Duration { return &c.On }),
	durationKey("off", "2s", "black hole by the clock: time it swallows", func(c *Config) *time.Duration { return &c.Off }),
	{
		name: "drop", example: "0010", wants: "a row of 0 and 1",
		help: "scripted loss: 1 drops the datagram at that place",
		set:  setDrop, get: func(c *Config) string { return c.Drop },
	},
	percentKey("dup", "1%", "duplication", func(c *Config) *float64 { return &c.Duplicate }),
	percentKey("replay", "0.1%", "a copy that comes much later", func(c *Config) *float64 { return &c.Replay }),
	durationKey("replayby", "1s", "how much later at most", func(c *Config) *time.Duration { return &c.ReplayBy }),
	percentKey("reorder", "1%", "datagrams that are held back and overtaken", func(c *Config) *float64 { return &c.Reorder }),
	durationKey("reorderby", "5ms", "how long they are held back at most", func(c *Config) *time.Duration { return &c.ReorderBy }),
	percentKey("corrupt", "0.1%", "one flipped bit with a good checksum", func(c *Config) *float64 { return &c.Corrupt }),
	countKey("mtu", "1400", "largest IP packet in bytes, larger ones vanish", minMTU, maxMTU, func(c *Config) *int { return &c.MTU }),
	countKey("overhead", "48", "bytes of IP and UDP headers: 28 for IPv4, 48 for IPv6", 1, maxOverhead, func(c *Config) *int { return &c.Overhead }),
	durationKey("rebind", "10s", "a NAT gives the client a new address this often", func(c *Config) *time.Duration { return &c.Rebind }),
	{
		name: "seed", example: "7", wants: "a whole number",
		help: "seed of everything random",
		set: func(c *Config, value string) bool {
			v, err := strconv.ParseUint(value, 10, 64)
			c.Seed = v
			return err == nil
		},
		get: func(c *Config) string { return strconv.FormatUint(c.Seed, 10) },
	},
}

func durationKey(name, example, help string, field func(*Config) *time.Duration) linkKey {
	return linkKey{
		name: name, example: example, wants: "a time up to 10m", help: help,
		set: func(c *Config, value string) bool {
			d, ok := parseDuration(value)
			*field(c) = d
			return ok
		},
		get: func(c *Config) string { return field(c).String() },
	}
}

func percentKey(name, example, help string, field func(*Config) *float64) linkKey {
	return linkKey{
		name: name, example: example, wants: "a percentage up to 100%", help: help,
		set: func(c *Config, value string) bool {
			p, ok := parsePercent(value)
			*field(c) = p
			return ok
		},
		get: func(c *Config) string { return formatPercent(*field(c)) },
	}
}

func rateKey(name, example, help string, field func(*Config) *int64) linkKey {
	return linkKey{
		name: name, example: example, wants: "a rate from 1kbit to 1000gbit, or none,", help: help,
		set: func(c *Config, value string) bool {
			if value == none {
				*field(c) = 0
				return true
			}
			v, ok := parseUnits(value, rateUnits, maxRate)
			*field(c) = v
			return ok && v >= minRate
		},
		get: func(c *Config) string {
			if *field(c) == 0 {
				return none
			}
			return formatUnits(*field(c), rateUnits)
		},
	}
}

func sizeKey(name, example, help string, limit int64, field func(*Config) *int) linkKey {
	return linkKey{
		name: name, example: example, wants: "bytes up to 1000MB", help: help,
		set: func(c *Config, value string) bool {
			v, ok := parseUnits(value, sizeUnits, limit)
			*field(c) = int(v)
			return ok
		},
		get: func(c *Config) string { return formatUnits(int64(*field(c)), sizeUnits) },
	}
}

// countKey is a plain number from lo to hi, or 0 for the default.
func countKey(name, example, help string, lo, hi int, field func(*Config) *int) linkKey {
	wants := "a number from " + strconv.Itoa(lo) + " to " + strconv.Itoa(hi)
	return linkKey{
		name: name, example: example, wants: wants, help: help,
		set: func(c *Config, value string) bool {
			v, err := strconv.ParseUint(value, 10, 31)
			*field(c) = int(v)
			return err == nil && (v == 0 || int(v) >= lo && int(v) <= hi)
		},
		get: func(c *Config) string { return strconv.Itoa(*field(c)) },
	}
}

func setQueue(c *Config, value string) bool {
	c.Queue, c.QueueBDP = 0, 0
	if n, ok := parseBDP(value); ok {
		c.QueueBDP = n
		return true
	}
	n, ok := parseUnits(value, sizeUnits, maxBytes)
	c.Queue = int(n)
	return ok
}

func getQueue(c *Config) string {
	if c.Queue == 0 {
		return formatBDP(c.QueueBDP)
	}
	return formatUnits(int64(c.Queue), sizeUnits)
}

func setTrace(c *Config, value string) bool {
	c.Trace = value
	if value == none {
		c.Trace = ""
	}
	return c.Trace == "" || knownTrace(c.Trace)
}

func setMangle(c *Config, value string) bool {
	c.Mangle = value
	if value == none {
		c.Mangle = ""
	}
	return c.Mangle == "" || slices.Contains(Mangles(), c.Mangle)
}

func setDrop(c *Config, value string) bool {
	c.Drop = value
	return len(value) <= maxScript && strings.Trim(value, "01") == ""
}
