package protocol

import "math/bits"

// heldRing holds messages that are not complete, or whose turn has not come, by number. All lie less than maxSpan
// above the oldest number that is not settled, so a ring has room for them, and each costs the same in whatever
// order they come. The zero value is empty.
type heldRing struct {
	slots []*heldMessage // by number modulo the length, a power of two
	taken []uint64       // a bit for each slot that is
	done  []uint64       // a bit for each complete message
	n     int
}

// minHeld is the length of the smallest ring: one word of bits. An empty ring keeps no larger one.
const minHeld = 64

// memory is what the ring takes in bytes.
func (r *heldRing) memory() int { return 8*len(r.slots) + 8*(len(r.taken)+len(r.done)) }

func (r *heldRing) bit(number uint64) (word int, mask uint64) {
	i := number & uint64(len(r.slots)-1)
	return int(i / 64), 1 << (i % 64)
}

// at returns the message with a number, nil if there is none.
func (r *heldRing) at(number uint64) *heldMessage {
	if r.n == 0 {
		return nil
	}
	if h := r.slots[number&uint64(len(r.slots)-1)]; h != nil && h.number == number {
		return h
	}
	return nil
}

// put takes a message in, of a number from base on that is not there. All others are from base on too.
func (r *heldRing) put(h *heldMessage, base uint64) {
	if need := h.number - base + 1; need > uint64(len(r.slots)) {
		r.grow(need)
	}
	r.n++
	r.slots[h.number&uint64(len(r.slots)-1)] = h
	word, mask := r.bit(h.number)
	r.taken[word] |= mask
	if h.done {
		r.done[word] |= mask
	}
}

func (r *heldRing) grow(need uint64) {
	size := uint64(minHeld)
	for size < need {
		size *= 2
	}
	old := r.slots
	*r = heldRing{slots: make([]*heldMessage, size), taken: make([]uint64, size/64), done: make([]uint64, size/64)}
	for _, h := range old {
		if h != nil {
			r.put(h, h.number)
		}
	}
}

// completed notes that a message that is there has come in full.
func (r *heldRing) completed(number uint64) {
	word, mask := r.bit(number)
	r.done[word] |= mask
}

// take takes the message with a number out.
func (r *heldRing) take(number uint64) *heldMessage {
	i := number & uint64(len(r.slots)-1)
	h := r.slots[i]
	r.slots[i] = nil
	word, mask := r.bit(number)
	r.taken[word] &^= mask
	r.done[word] &^= mask
	if r.n--; r.n == 0 && len(r.slots) > minHeld {
		*r = heldRing{}
	}
	return h
}

// first returns the message with the lowest number, which is base at least, nil if there is none.
func (r *heldRing) first(base uint64) *heldMessage { return r.next(r.taken, base) }

// firstDone returns the first complete one.
func (r *heldRing) firstDone(base uint64) *heldMessage { return r.next(r.done, base) }

func (r *heldRing) next(marks []uint64, base uint64) *heldMessage {
	if r.n == 0 {
		return nil
	}
	for n, end := base, base+uint64(len(r.slots)); n < end; n = (n | 63) + 1 {
		word, _ := r.bit(n)
		if left := marks[word] >> (n % 64); left != 0 {
			n += uint64(bits.TrailingZeros64(left))
			if h := r.at(n); h != nil {
				return h
			}
		}
	}
	return nil
}
