package protocol

import (
	"math/bits"
	"net/netip"
	"time"
)

// What public-key work costs and how much of it may be spent for unproved addresses.
const (
	// initCost is about what one answered INIT costs: one exchange to open it and three operations
	// to answer (a KEM key, an ephemeral key and an exchange).
	initCost = 400 * time.Microsecond
	// workShare is the share of one core that INITs without a proof of address may take.
	workShare = 0.2
	// workBurst is how much work may come at once.
	workBurst = 50 * time.Millisecond

	// unprovedRate and unprovedBurst bound the INITs a second from one prefix that are answered
	// without a proof of address. More of them get a RETRY, never silence.
	unprovedRate  = 20
	unprovedBurst = 5
	// provedRate bounds the INITs with proof of address, and the FINs, a second from one prefix. A FIN
	// costs up to two public-key operations, whatever it is worth.
	provedRate = 2000
	// resetRate bounds the stateless resets a second to one prefix.
	resetRate = 10
)

// bucketBits is the size of the bucket tables. Prefixes that fall into one bucket share it: an
// attacker who finds such a prefix makes the other pay one round trip, and cannot find out which.
const bucketBits = 10

// budget bounds what strangers make an endpoint do.
type budget struct {
	work     Time // work is paid for until this time
	unproved buckets
	proved   buckets
	fins     buckets
	resets   buckets
}

// spend takes the cost of one INIT.
func (b *budget) spend(now Time) {
	paid := now.Add(-workBurst)
	if b.work != 0 {
		paid = max(b.work, paid)
	}
	b.work = paid + Time(float64(initCost)/workShare)
}

// overworked reports whether the share of work for unproved addresses is used up.
func (b *budget) overworked(now Time) bool { return b.work.After(now) }

// buckets is a table of token buckets, allocated when it is first used. Each cell is the time until
// which its tokens are spent (the generic cell rate algorithm).
type buckets struct {
	key   uint64
	cells []Time
}

// take takes one token of the prefix of addr, at rate tokens a second and burst at once, and reports
// whether there was one.
func (t *buckets) take(now Time, random func() uint64, addr netip.Addr, rate, burst int) bool {
	if t.cells == nil {
		t.key = random() | 1
		t.cells = make([]Time, 1<<bucketBits)
	}
	step := Time(time.Second) / Time(rate)
	cell := &t.cells[t.index(addr)]
	full := now - step*Time(burst) // where the cell of an unknown prefix stands; may lie before the start of the clock
	next := full + step
	if *cell != 0 {
		next = max(*cell, full) + step
	}
	if next.After(now) {
		return false
	}
	*cell = next
	return true
}

// index hashes the prefix of an address: all of an IPv4 address, 56 bits of an IPv6 one, which is
// what one customer gets.
func (t *buckets) index(addr netip.Addr) uint64 {
	var v uint64
	if addr = addr.Unmap(); addr.Is4() {
		a := addr.As4()
		v = uint64(a[0])<<24 | uint64(a[1])<<16 | uint64(a[2])<<8 | uint64(a[3])
	} else {
		a := addr.As16()
		for _, o := range a[:7] {
			v = v<<8 | uint64(o)
		}
		v |= 1 << 63
	}
	hi, lo := bits.Mul64(v^t.key, 0x9e3779b97f4a7c15)
	hi, lo = bits.Mul64(hi^lo^t.key, t.key)
	return (hi ^ lo) >> (64 - bucketBits)
}
