package crypto

import "math/bits"

const (
	// MinReplayBits is the size a window starts with; most sessions are idle, and 16 bytes are enough
	// for a path without loss.
	MinReplayBits = 128
	// DefaultReplayBits is the size a window grows to: reordering by 7.8 ms at 10 Gbit/s and 78 ms at
	// 1 Gbit/s in packets of 1,200 bytes, for 1 kB a path.
	DefaultReplayBits = 8192
	// MaxReplayBits is the largest size that can be asked for, 8 kB a path.
	MaxReplayBits = 65536

	wordBits = 64
)

// ReplayWindow remembers which packet numbers of one path were received, so that each is taken once.
// It holds a ring of bits for the numbers below the highest received. The ring starts small and
// doubles when moving it would forget a number that may still arrive; below the ring, numbers are
// either received or given up. The zero value is a window that grows to DefaultReplayBits. One caller
// at a time.
type ReplayWindow struct {
	next  uint64   // one above the highest number received; 0: none was
	words []uint64 // a power of two of them; the bit of number n is n mod 64·len(words)
	limit int      // in bits; 0: DefaultReplayBits
}

// NewReplayWindow returns a window that grows to limit bits, rounded up to a power of two and kept
// between MinReplayBits and MaxReplayBits; 0 stands for DefaultReplayBits.
func NewReplayWindow(limit int) ReplayWindow {
	if limit == 0 {
		limit = DefaultReplayBits
	}
	limit = min(max(limit, MinReplayBits), MaxReplayBits)
	return ReplayWindow{limit: 1 << bits.Len(uint(limit-1))}
}

// Check reports whether pn is fresh: not received yet, and not so old that nobody knows. It may be
// asked before the packet is known to be authentic, as a filter.
//
// spec: PROT-17
func (w *ReplayWindow) Check(pn uint64) bool {
	if pn >= w.next {
		return true
	}
	return w.next-pn <= w.size() && !w.has(pn)
}

// Set notes that an authentic packet with this number was received. Calling it for a number that is
// not fresh changes nothing.
//
// spec: PROT-17 PROT-18 PROT-19
func (w *ReplayWindow) Set(pn uint64) {
	if pn < w.next {
		if w.next-pn <= w.size() {
			w.words[w.index(pn)] |= 1 << (pn % wordBits)
		}
		return
	}
	for w.words == nil || w.forgets(pn) && w.size() < w.maximum() {
		w.grow()
	}
	w.clear(w.next, pn)
	w.words[w.index(pn)] |= 1 << (pn % wordBits)
	w.next = pn + 1
}

// Size returns the number of bits in use at present.
func (w *ReplayWindow) Size() int { return int(w.size()) }

func (w *ReplayWindow) size() uint64 { return uint64(len(w.words)) * wordBits }

func (w *ReplayWindow) maximum() uint64 {
	if w.limit == 0 {
		return DefaultReplayBits
	}
	return uint64(w.limit)
}

func (w *ReplayWindow) index(pn uint64) uint64 { return pn / wordBits & uint64(len(w.words)-1) }

func (w *ReplayWindow) has(pn uint64) bool {
	return w.words[w.index(pn)]>>(pn%wordBits)&1 == 1
}

// forgets reports whether moving the ring up to pn would drop a number that has not been received.
func (w *ReplayWindow) forgets(pn uint64) bool {
	size := w.size()
	if pn < size {
		return false // the ring still reaches down to 0
	}
	end := pn + 1 - size // lowest number that stays
	if end > w.next {
		return true
	}
	start := uint64(0)
	if w.next > size {
		start = w.next - size
	}
	for n := start; n < end; {
		mask, count := wordMask(n, end)
		if w.words[w.index(n)]&mask != mask {
			return true
		}
		n += count
	}
	return false
}

// clear makes the bits of the numbers from start up to, not including, end and of end itself zero, at
// most one turn of the ring.
func (w *ReplayWindow) clear(start, end uint64) {
	end++
	if end-start >= w.size() {
		clear(w.words)
		return
	}
	for n := start; n < end; {
		mask, count := wordMask(n, end)
		w.words[w.index(n)] &^= mask
		n += count
	}
}

// wordMask returns the bits, within the word of number n, of the numbers from n up to end, and how
// many they are.
func wordMask(n, end uint64) (mask, count uint64) {
	low := n % wordBits
	count = min(wordBits-low, end-n)
	return (^uint64(0) >> (wordBits - count)) << low, count
}

// grow doubles the ring. Numbers that the smaller ring had dropped were all received, or it would
// have grown before; they are noted as such.
func (w *ReplayWindow) grow() {
	if w.words == nil {
		w.words = make([]uint64, MinReplayBits/wordBits)
		return
	}
	old := *w
	w.words = make([]uint64, 2*len(old.words))
	for i := range w.words {
		w.words[i] = ^uint64(0)
	}
	start := uint64(0)
	if w.next > old.size() {
		start = w.next - old.size()
	}
	for n := start; n < w.next; {
		mask, count := wordMask(n, w.next)
		i := w.index(n)
		w.words[i] = w.words[i]&^mask | old.words[old.index(n)]&mask
		n += count
	}
}
