package conn

import (
	"math/bits"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// The shape of a timing wheel: each level has wheelSlots slots, each as wide as the whole level below.
const (
	// wheelTick is one slot of the lowest level: 2^20 ns, about 1.05 ms, which is what a pacing quantum
	// and the runtime's idle timers are good for anyway.
	wheelTick = 1 << wheelTickBits

	wheelTickBits = 20
	wheelSlotBits = 6
	wheelSlots    = 1 << wheelSlotBits
	// wheelLevels reach as far as the clock does: 63 bits of nanoseconds are 43 bits of ticks. The upper
	// ones cost 512 bytes each and save a rule for what lies beyond.
	wheelLevels = (63 - wheelTickBits + wheelSlotBits - 1) / wheelSlotBits
)

// wheel is a hierarchical timing wheel: any number of deadlines, constant time to set, move and remove
// one, and no timer of the runtime. It knows no clock and has no lock; its owner has both. Deadlines are
// rounded up to the next tick and so never come early.
type wheel struct {
	tick     uint64 // everything due at or before it has been handed out
	occupied [wheelLevels]uint64
	slots    [wheelLevels][wheelSlots]*wheelNode
}

// wheelNode is the place of one deadline in a wheel. Its owner embeds it, so setting a deadline allocates nothing.
type wheelNode struct {
	next, prev *wheelNode
	owner      *Session // nil: a deadline of the shard
	tick       uint64   // when it is due
	level      uint8
	slot       uint8
	linked     bool
}

// set puts n at a time, wherever it was before.
func (w *wheel) set(n *wheelNode, at monotime.Time) {
	w.remove(n)
	n.tick = max((uint64(at)+wheelTick-1)>>wheelTickBits, w.tick+1)
	w.link(n)
}

// link sorts n into the level in which its tick first differs from the wheel's. There its slot is ahead
// of the wheel's position, so no slot ever holds deadlines of two turns.
func (w *wheel) link(n *wheelNode) {
	level := (bits.Len64((n.tick^w.tick)|(wheelSlots-1)) - 1) / wheelSlotBits
	slot := (n.tick >> (level * wheelSlotBits)) % wheelSlots
	n.level, n.slot, n.linked = uint8(level), uint8(slot), true
	head := &w.slots[level][slot]
	n.prev, n.next = nil, *head
	if n.next != nil {
		n.next.prev = n
	}
	*head = n
	w.occupied[level] |= 1 << slot
}

// remove takes n out; it may not be in.
func (w *wheel) remove(n *wheelNode) {
	if !n.linked {
		return
	}
	if n.next != nil {
		n.next.prev = n.prev
	}
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		w.slots[n.level][n.slot] = n.next
		if n.next == nil {
			w.occupied[n.level] &^= 1 << n.slot
		}
	}
	n.next, n.prev, n.linked = nil, nil, false
}

// next returns when advance has something to do, 0 for never. For deadlines far off that is earlier than
// the deadline: a slot of a higher level comes up and is sorted into the lower ones.
func (w *wheel) next() monotime.Time {
	tick, _, _, ok := w.first()
	if !ok {
		return 0
	}
	return monotime.Time(tick << wheelTickBits)
}

// first finds the slot that comes up first. Lower levels come before higher ones, since a level holds
// only what lies within the current slot of the level above.
func (w *wheel) first() (tick uint64, level, slot int, ok bool) {
	for level = range wheelLevels {
		if w.occupied[level] == 0 {
			continue
		}
		slot = bits.TrailingZeros64(w.occupied[level])
		shift := level * wheelSlotBits
		turn := w.tick >> (shift + wheelSlotBits) << (shift + wheelSlotBits)
		return turn + uint64(slot)<<shift, level, slot, true
	}
	return 0, 0, 0, false
}

// advance moves the wheel to now and appends the nodes that are due to out; they are out of the wheel.
func (w *wheel) advance(now monotime.Time, out []*wheelNode) []*wheelNode {
	target := uint64(now) >> wheelTickBits
	for {
		tick, level, slot, ok := w.first()
		if !ok || tick > target {
			break
		}
		w.tick = tick
		for n := w.slots[level][slot]; n != nil; n = w.slots[level][slot] {
			w.remove(n)
			if n.tick <= tick {
				out = append(out, n)
			} else {
				w.link(n)
			}
		}
	}
	w.tick = max(w.tick, target)
	return out
}
