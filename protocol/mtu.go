package protocol

import "time"

// Sizes are bytes of UDP payload.
const (
	// baseDatagram is what every path must carry; the handshake proves it.
	baseDatagram = 1200
	// maxProbeTries is how often a size must be lost before it is believed not to pass, among the
	// standard sizes; RFC 8899, section 5.1.2 suggests 3. Sizes of the search get fewer tries: a
	// mistake there costs little.
	maxProbeTries  = 3
	maxSearchTries = 2
	// raiseInterval is after how long a path is tried again for larger sizes (RFC 8899, section
	// 5.1.1: PMTU_RAISE_TIMER). The least size that did not pass is tried first: the whole search has 180 kB where
	// large sizes are allowed, which is 4 % of a game's messages in that time.
	raiseInterval = 600 * time.Second
	// settleTime is how long after its handshake a session that fills no datagram looks for larger ones: longer than a
	// question and its answer take on most paths, and soon enough that a stream which begins later knows its path.
	settleTime = 250 * time.Millisecond
	// blackHoleBursts is how many separate bursts in which only large packets died make a black
	// hole. One is chance, two are bad luck.
	blackHoleBursts = 3
	// searchGrain is where the search ends, as a fraction of the size found: what is left to gain
	// is worth less than the probes.
	searchGrain = 8
	// minSearchGrain is where it ends between the standard sizes.
	minSearchGrain = 32
	// nearlyFull is by what fraction of the size found a datagram may be smaller and still say that larger ones
	// would be filled: a whole message, or a header, may not have fitted into the rest.
	nearlyFull = 8
)

// standardSizes are tried at once. They leave 28 bytes for IPv4 and UDP, or 48 for IPv6: 1280, the
// least that IPv6 carries; 1420, inside WireGuard; 1460 and 1480, inside GRE, PPPoE and IPv4 tunnels;
// 1500 over IPv6 and over IPv4.
var standardSizes = [...]int{1252, 1392, 1432, 1452, 1472}

// jumboSize fits a 9,000-byte frame over IPv6 as well as over IPv4.
const jumboSize = 8952

type mtuPhase uint8

const (
	mtuIdle     mtuPhase = iota // not started: the path is not proved
	mtuWait                     // nothing was sent that asks for more than the base size
	mtuStandard                 // the standard sizes are out
	mtuSearch                   // one probe at a time between what passes and what does not
	mtuDone                     // until the raise timer
	mtuRaise                    // the least size that did not pass is out again
)

// mtuState finds the largest datagram that a path carries, by probes of its own: padded packets that
// may be lost without harm (RFC 8899). What routers say about sizes is never believed.
type mtuState struct {
	size    int // passes
	ceiling int // does not pass, or is above the limit
	limit   int // what both ends and the configuration allow

	phase   mtuPhase
	pending uint8                     // standard sizes in flight, a bit each
	tries   [len(standardSizes)]uint8 // losses of each
	fails   uint8                     // losses of failed
	failed  int                       // size whose first probe was lost
	probing int                       // size in flight in the search or raise, 0: none
	raiseAt Time                      // when to look for more; for the first time, if it waits
	wanted  bool                      // full datagrams have left: larger ones would be filled too

	hole blackHole
}

// blackHole looks for paths that lost the ability to carry large packets.
type blackHole struct {
	smallest   int  // smallest packet lost in the bursts
	last       Time // last burst
	bursts     uint8
	smallAcked bool // a packet of the base size arrived since the last burst
}

// reset forgets the path. size is known to pass; the handshake proved the base size.
func (m *mtuState) reset(size, limit int) {
	*m = mtuState{size: max(size, baseDatagram)}
	m.setLimit(max(limit, m.size))
}

// setLimit sets the largest size to try. It never makes packets smaller than the base.
func (m *mtuState) setLimit(limit int) {
	m.limit = max(limit, baseDatagram)
	m.size = min(m.size, m.limit)
	m.ceiling = m.limit + 1
}

// wait begins the search when something asks for it, or in a moment. Five probes from each end cost a session that was
// opened for one question more than anything else of its handshake that is not cryptography.
func (m *mtuState) wait(now Time) {
	m.phase, m.raiseAt = mtuWait, now.Add(settleTime)
	if m.wanted {
		m.start(now)
	}
}

// deadline is when timeout is due; 0: never.
func (m *mtuState) deadline() Time {
	if m.phase != mtuWait {
		return 0
	}
	return m.raiseAt
}

// timeout begins the search of a session that has stayed.
// spec: REL-27
func (m *mtuState) timeout(now Time) {
	if at := m.deadline(); !at.IsZero() && !now.Before(at) {
		m.start(now)
	}
}

// start begins the search, once the path is proved.
func (m *mtuState) start(now Time) {
	m.phase = mtuStandard
	m.ceiling = m.limit + 1
	m.pending, m.tries = 0, [len(standardSizes)]uint8{}
	m.probing, m.failed, m.fails = 0, 0, 0
	m.advance(now)
}

// current returns the largest size known to pass.
func (m *mtuState) current() int { return m.size }

// nextProbe returns the size of a probe that should be sent now.
func (m *mtuState) nextProbe(now Time) (size int, ok bool) {
	switch m.phase {
	case mtuStandard:
		for i, s := range standardSizes { // spec: REL-27
			if m.wantsStandard(i, s) {
				return s, true
			}
		}
	case mtuSearch:
		if m.probing == 0 && m.wanted {
			return m.candidate(), true
		}
	case mtuDone:
		if m.size < m.limit && !now.Before(m.raiseAt) {
			m.phase, m.probing, m.failed = mtuRaise, 0, 0
			return m.nextProbe(now)
		}
	case mtuRaise: // spec: REL-48
		if m.probing == 0 {
			return min(m.ceiling, m.limit), true
		}
	}
	return 0, false
}

func (m *mtuState) wantsStandard(i, size int) bool {
	return size > m.size && size < m.ceiling && m.pending&(1<<i) == 0
}

// candidate is the size that the search tries next: all that is allowed, since networks that carry
// more than the standard sizes are either of a known kind or have no limit, then a jumbo frame, then
// the middle.
func (m *mtuState) candidate() int {
	if m.ceiling == m.limit+1 {
		return m.limit
	}
	if m.size < jumboSize && jumboSize < m.ceiling {
		return jumboSize
	}
	return (m.size + m.ceiling) / 2
}

// packetSent notes that a packet with data has left. Only full ones ask for the search, of which a probe of all that a
// loopback carries is 64 kB: a thousand sessions that send small messages need none.
// spec: REL-27
func (m *mtuState) packetSent(now Time, size int) {
	if m.wanted || size < m.size-m.size/nearlyFull {
		return
	}
	m.wanted = true
	if m.phase == mtuWait {
		m.start(now)
	}
}

// probeSent notes that a probe has left.
func (m *mtuState) probeSent(size int) {
	switch m.phase {
	case mtuStandard:
		for i, s := range standardSizes {
			if s == size {
				m.pending |= 1 << i
			}
		}
	case mtuSearch, mtuRaise:
		m.probing = size
	}
}

// probeAcked takes the arrival of a probe.
func (m *mtuState) probeAcked(now Time, size int) {
	m.settle(size)
	if size > m.size && size <= m.limit {
		m.size = size
		m.ceiling = max(m.ceiling, size+1)
		m.hole = blackHole{}
		if m.phase == mtuRaise {
			m.start(now)
		}
	}
	m.advance(now)
}

// probeLost takes the loss of a probe.
func (m *mtuState) probeLost(now Time, size int) {
	standard := m.settle(size)
	switch {
	case size <= m.size || size >= m.ceiling && m.phase != mtuRaise:
	case standard >= 0:
		if m.tries[standard]++; m.tries[standard] >= maxProbeTries {
			m.ceiling = size
		}
	case m.phase == mtuSearch, m.phase == mtuRaise:
		if m.failed != size {
			m.failed, m.fails = size, 0
		}
		if m.fails++; m.fails >= maxSearchTries {
			m.ceiling = min(m.ceiling, size)
			m.endRaise(now)
		}
	}
	m.advance(now)
}

// settle notes that a probe is no longer in flight. It returns its index among the standard sizes
// that are being tried, or -1.
func (m *mtuState) settle(size int) int {
	if m.probing == size {
		m.probing = 0
	}
	if m.phase != mtuStandard {
		return -1
	}
	for i, s := range standardSizes {
		if s == size && m.pending&(1<<i) != 0 {
			m.pending &^= 1 << i
			return i
		}
	}
	return -1
}

// tooBig takes the word of the local system that a datagram of this size cannot leave.
func (m *mtuState) tooBig(now Time, size int) {
	m.settle(size)
	if size <= baseDatagram {
		return
	}
	m.ceiling = min(m.ceiling, size)
	if m.size >= size {
		m.fall(now, size)
		return
	}
	m.endRaise(now)
	m.advance(now)
}

// advance moves to the next phase when this one has nothing left to learn.
func (m *mtuState) advance(now Time) {
	if m.phase == mtuStandard {
		for i, s := range standardSizes {
			if m.pending&(1<<i) != 0 || m.wantsStandard(i, s) {
				return
			}
		}
		m.phase = mtuSearch
	}
	if m.phase == mtuSearch && m.probing == 0 && m.ceiling-m.size <= m.grain() {
		m.phase = mtuDone
		m.raiseAt = now.Add(raiseInterval)
	}
}

// endRaise ends a raise, since the size still does not pass.
func (m *mtuState) endRaise(now Time) {
	if m.phase == mtuRaise {
		m.phase = mtuDone
		m.raiseAt = now.Add(raiseInterval)
	}
}

// grain is the gap that the search leaves.
func (m *mtuState) grain() int {
	switch {
	case m.ceiling == m.limit+1:
		return 1 // the limit itself has not failed: it is worth one probe
	case m.size < standardSizes[len(standardSizes)-1]:
		return minSearchGrain
	}
	return m.size / searchGrain
}

// packetAcked takes the arrival of a packet that was no probe.
func (m *mtuState) packetAcked(size int) {
	if size <= baseDatagram {
		m.hole.smallAcked = true
		return
	}
	if size >= m.hole.smallest {
		m.hole.bursts = 0
	}
}

// burstLost takes the loss of packets, none smaller than smallest. It reports whether the path has
// become a black hole for large packets, and has then fallen back to the base size. Bursts closer
// together than apart are one.
// spec: REL-29
func (m *mtuState) burstLost(now Time, smallest int, apart time.Duration) bool {
	h := &m.hole
	if smallest <= baseDatagram || m.size <= baseDatagram {
		h.bursts = 0 // small ones die too: that is loss, not size
		return false
	}
	if !h.smallAcked || !h.last.IsZero() && h.bursts > 0 && now.Sub(h.last) < apart {
		return false
	}
	if h.bursts == 0 || smallest < h.smallest {
		h.smallest = smallest
	}
	h.bursts++
	h.smallAcked, h.last = false, now
	if h.bursts < blackHoleBursts {
		return false
	}
	m.fall(now, h.smallest)
	return true
}

// fall goes back to the base size and searches again below size.
func (m *mtuState) fall(now Time, size int) {
	m.size = baseDatagram
	m.hole = blackHole{}
	m.start(now)
	m.ceiling = min(m.ceiling, size)
	m.advance(now)
}
