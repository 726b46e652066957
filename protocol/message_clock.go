package protocol

import "time"

const (
	// clockWindow is how long the smallest delay counts at least, and half of how long at most. Two clocks
	// drift apart by 2 ms in 20 s if each is off by 50 parts in a million, and a queue on the way is rarely
	// full for so long.
	clockWindow = 10 * time.Second
	// clockSettles is how long the smallest delay of a new path is looked for before it may be more than
	// that of the path before: what comes first may have been on its way for long.
	clockSettles = time.Second
	// clockSlew is the part of the time that passes by which the estimate follows small changes, so that
	// messages keep their distances: 4 ms in a second, 40 times what honest clocks drift.
	clockSlew = 256
	// clockDrift is the part of a silence by which it may have grown: nobody's clock is off by more than
	// 488 parts in a million.
	clockDrift = 2048
	// clockJump is the change that is not followed slowly: the clock, or the path, is another one.
	clockJump = 100 * time.Millisecond
	// clockAhead is how much less than the smallest delay a delay may be. Stamps have 16 bits of ms: those
	// that are further ahead are older ones.
	clockAhead = 2 * time.Second
)

// sourceClock relates the time in the peer's stamps to the time here, by the smallest difference between
// arrival and stamp: clocks that drift apart, or a path that changes, move it. The way to find it, a minimum
// over a window that is followed slowly, is that of D. Fober, Y. Orlarey, S. Letz, "Real time clock skew
// estimation over network delays" (2005), without its filter: the window is short, so it need not know the
// skew.
//
// spec: MSG-41
type sourceClock struct {
	offset  time.Duration // from the peer's time to ours, the smallest delay included
	path    uint64        // of the stamps that count
	since   Time          // start of the current window; 0: nothing came
	settles Time          // until then the estimate only falls; 0: it is settled
	last    Time          // when the last stamp came
	current time.Duration // smallest difference of this window
	before  time.Duration // of the one before
	twice   bool          // before holds something

	// How delays differ. Those of a packet are those of its newest message: others may be copies.
	jitter time.Duration // mean difference of the delays of one packet and the next
	extra  time.Duration // mean delay above the smallest
	newest time.Duration // newest source time
	packet packetPlace   // of the last stamp
	sample time.Duration // the smallest delay in it
	fresh  bool          // it has a message newer than all before
	prior  time.Duration // the sample before; 0: none
}

// take takes a stamp that came on a path. It returns the time of the peer's clock that it means, and by how
// much the estimate has fallen at once: what was computed from it before is too late by that.
func (c *sourceClock) take(now Time, stamp uint16, place packetPlace) (source, fell time.Duration) {
	if c.since.IsZero() {
		source = time.Duration(stamp) * time.Millisecond
		c.offset = time.Duration(now) - source
		c.restart(now, place.path, c.offset)
		return source, 0
	}
	source = c.source(now, stamp)
	if place.path < c.path {
		return source, 0
	}
	delay := time.Duration(now) - source
	c.spread(place, source, delay)
	quiet := now.Sub(c.last)
	switch {
	case place.path > c.path || quiet > 2*clockWindow:
		c.restart(now, place.path, delay)
		c.offset += min(max(delay-c.offset, 0), quiet/clockDrift)
	case now.Sub(c.since) > clockWindow:
		c.before, c.twice = c.current, now.Sub(c.since) < 2*clockWindow
		c.current, c.since = delay, now
	default:
		c.current = min(c.current, delay)
	}
	c.last = now
	return source, c.follow(now, quiet)
}

func (c *sourceClock) restart(now Time, path uint64, delay time.Duration) {
	c.path, c.since, c.last = path, now, now
	c.current, c.twice = delay, false
	c.settles = now.Add(clockSettles)
}

// source returns the time of the peer's clock that a stamp means.
func (c *sourceClock) source(now Time, stamp uint16) time.Duration {
	newest := (time.Duration(now) - c.offset + clockAhead) / time.Millisecond
	return (newest - time.Duration(uint16(newest)-stamp)) * time.Millisecond
}

// follow moves the estimate towards the smallest delay, of which the last stamp came after a time of quiet.
func (c *sourceClock) follow(now Time, quiet time.Duration) (fell time.Duration) {
	target := c.current
	if c.twice {
		target = min(target, c.before)
	}
	settled := c.settles.IsZero()
	if !settled && !now.Before(c.settles) {
		c.settles, settled = 0, true
		c.offset = max(c.offset, target)
	}
	off := target - c.offset
	switch {
	case off < 0 && (!settled || off < -clockJump): // spec: MSG-42
		c.offset = target
		return -off
	case !settled:
	case off > clockJump:
		c.offset = target
	default:
		c.offset += min(max(off, -quiet/clockSlew), quiet/clockSlew)
	}
	return 0
}

// at returns when a message with that source time would have come with the smallest delay.
func (c *sourceClock) at(source time.Duration) Time { return Time(source + c.offset) }

// spreadShare is what a new sample counts in means of how delays differ (RFC 3550, section 6.4.1).
const spreadShare = 16

// spread takes a delay into the means, once its packet is complete: when the next one comes.
func (c *sourceClock) spread(place packetPlace, source, delay time.Duration) {
	if place == c.packet {
		c.sample = min(c.sample, delay)
	} else {
		if c.fresh {
			if c.prior != 0 {
				c.jitter += (max(c.sample-c.prior, c.prior-c.sample) - c.jitter) / spreadShare
			}
			c.extra += (c.sample - c.offset - c.extra) / spreadShare
			c.prior = c.sample
		}
		c.packet, c.sample, c.fresh = place, delay, false
	}
	if source > c.newest {
		c.newest, c.fresh = source, true
	}
}
