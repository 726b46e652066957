package protocol

import (
	"math/rand/v2"
	"time"

	"github.com/godwit-net/godwit/crypto/handshake"
	"github.com/godwit-net/godwit/protocol/wire"
)

// Limits on handshakes that wait for their last packet.
const (
	// maxHalfOpen bounds the table: a slow client holds an entry for halfOpenLifetime, so that this
	// many entries allow 800 honest handshakes a second from the slowest clients.
	maxHalfOpen = 4096
	// maxExpanded is how many of them keep their KEM key ready, at 8 kB each; older ones keep a seed.
	maxExpanded = 1024
	// halfOpenLifetime is the time that a client has for its FIN.
	halfOpenLifetime = 5 * time.Second
	// busyHalfOpen is where a listener starts to ask for proofs of address.
	busyHalfOpen = 256
	// sweepInterval is how often expired entries are looked for.
	sweepInterval = time.Second
	// maxResends is how often the answer to one INIT is sent again, once for each copy of the INIT that
	// comes at least resendInterval after the last answer.
	maxResends     = 8
	resendInterval = 100 * time.Millisecond
)

// halfOpen is a handshake that a server has answered and the client has not finished.
type halfOpen struct {
	id        wire.ID
	token     wire.ResetToken
	hash      [handshake.HashSize]byte
	half      *handshake.Half
	addr      AddrPair // where the answer went
	clientID  wire.ID
	validated bool // a cookie had proved addr

	appProtocol string
	params      *wire.Parameters

	expires  Time
	answered Time // when the answer was sent last
	resends  int
	at       int  // place in halfOpenTable.list; -1: it has left
	working  bool // its FIN is being worked on: half is somebody else's

	early      []Datagram
	earlyBytes int
}

// keepEarly keeps a 1-RTT packet that came before the FIN, from the address that the handshake runs
// with. What does not fit is lost, and sent again by its sender; then it returns false.
func (h *halfOpen) keepEarly(d *Datagram) bool {
	// spec: SESS-2
	most, bytes := maxEarly, maxEarlyBytes
	if h.working { // the FIN is here; what follows it is a first window of data
		most, bytes = maxWorkingEarly, maxWorkingEarlyBytes
	}
	if d.Addr.Remote != h.addr.Remote || len(h.early) >= most || h.earlyBytes+len(d.Data) > bytes {
		return false
	}
	h.early = append(h.early, Datagram{Data: append([]byte(nil), d.Data...), Addr: d.Addr, ECN: d.ECN})
	h.earlyBytes += len(d.Data)
	return true
}

// halfOpenTable holds the half-open handshakes of an endpoint. Its size is bounded; when it is full,
// a random entry goes, those without a proved address first, so that a flood cannot tell which.
type halfOpenTable struct {
	list      []*halfOpen
	byID      map[wire.ID]*halfOpen
	byHash    map[[handshake.HashSize]byte]*halfOpen
	expanded  []*halfOpen // ring of the newest, whose keys are ready
	next      int         // place in expanded
	unproved  int
	sweepAt   Time
	evictions uint64

	earlyBytes int // of all
}

func (t *halfOpenTable) add(now Time, rng *rand.Rand, h *halfOpen) {
	if t.byID == nil {
		t.byID = make(map[wire.ID]*halfOpen)
		t.byHash = make(map[[handshake.HashSize]byte]*halfOpen)
	}
	if len(t.list) >= maxHalfOpen { // spec: SESS-11
		t.evictions++
		t.remove(t.victim(rng))
	}
	h.expires = now.Add(halfOpenLifetime)
	h.at = len(t.list)
	t.list = append(t.list, h)
	t.byID[h.id], t.byHash[h.hash] = h, h
	if !h.validated {
		t.unproved++
	}
	t.expand(h)
	if t.sweepAt == 0 {
		t.sweepAt = now.Add(sweepInterval)
	}
}

// expand counts h among those that keep their KEM key, and takes it from the oldest of them.
func (t *halfOpenTable) expand(h *halfOpen) {
	if len(t.expanded) < maxExpanded {
		t.expanded = append(t.expanded, h)
		return
	}
	if old := t.expanded[t.next]; old != nil && old.at >= 0 && !old.working {
		old.half.Compact()
	}
	t.expanded[t.next] = h
	t.next = (t.next + 1) % maxExpanded
}

// victim picks the entry to evict.
func (t *halfOpenTable) victim(rng *rand.Rand) *halfOpen {
	at := rng.IntN(len(t.list))
	if t.unproved == 0 {
		return t.list[at]
	}
	for i := range t.list {
		if h := t.list[(at+i)%len(t.list)]; !h.validated {
			return h
		}
	}
	panic("BUG: count of unproved half-open handshakes is wrong")
}

func (t *halfOpenTable) remove(h *halfOpen) {
	last := t.list[len(t.list)-1]
	t.list[h.at], last.at = last, h.at
	t.list[len(t.list)-1] = nil
	t.list = t.list[:len(t.list)-1]
	h.at = -1
	delete(t.byID, h.id)
	delete(t.byHash, h.hash)
	if !h.validated {
		t.unproved--
	}
	if !h.working {
		h.half.Clear()
	}
	t.earlyBytes -= h.earlyBytes
	h.early = nil // the ring of expanded keys may still point to h
}

// sweep forgets what has expired.
func (t *halfOpenTable) sweep(now Time) {
	if t.sweepAt == 0 || now.Before(t.sweepAt) {
		return
	}
	for i := len(t.list) - 1; i >= 0; i-- {
		if !now.Before(t.list[i].expires) {
			t.remove(t.list[i])
		}
	}
	t.sweepAt = now.Add(sweepInterval)
	if len(t.list) == 0 {
		*t = halfOpenTable{evictions: t.evictions}
	}
}
