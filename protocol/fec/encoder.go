package fec

import (
	"fmt"
	"slices"
)

// Encoder holds the contents of the newest Window source packets, and makes symbols over runs of them.
// It takes at most 96 KiB for contents.
type Encoder struct {
	next    uint16 // sequence of the next content
	held    int    // contents there, ending before next
	seed    uint8
	vectors [Window][]byte // by index of their sequence
}

// Reset makes the encoder empty, with next as the sequence of the next content.
func (e *Encoder) Reset(next uint16) { *e = Encoder{next: next} }

// Next returns the sequence that the next Add gives: what SOURCE says.
func (e *Encoder) Next() uint16 { return e.next }

// Add takes the content of a source packet, in two parts so that nobody has to join them, copies it, and
// returns its sequence. The oldest content goes when there are more than Window. The two parts have 1 to
// MaxContent bytes together.
func (e *Encoder) Add(head, body []byte) uint16 {
	if n := len(head) + len(body); n < 1 || n > MaxContent {
		panic(fmt.Sprintf("BUG: a content of %d bytes cannot be covered", n))
	}
	s := e.next
	v := &e.vectors[index(s)]
	*v = fillVector(*v, head, body)
	e.next++
	e.held = min(e.held+1, Window)
	return s
}

// Held returns the run of contents that symbols can cover now: the sequence of the oldest, and how many
// there are, 0 to Window. Any part of it is a good range.
func (e *Encoder) Held() (first uint16, count int) { return e.next - uint16(e.held), e.held }

// NextSeed returns a seed for a symbol: the one that was not used for the longest time. Symbols over
// ranges that overlap need different ones.
func (e *Encoder) NextSeed() uint8 {
	s := e.seed
	e.seed = (e.seed + 1) % Seeds // spec: FEC-5
	return s
}

// Size returns the coded bytes of a symbol over a range: those of the longest content in it.
func (e *Encoder) Size(first uint16, count uint8) int {
	e.check(first, count)
	n := 0
	for i := range uint16(count) {
		n = max(n, len(e.vectors[index(first+i)])) // spec: FEC-2
	}
	return n
}

// AppendSymbol appends the coded bytes of the symbol over the range [first, first+count), which Held
// has, with a seed below Seeds. They depend on nothing but these and the contents: a symbol can be made
// at any time, and again.
func (e *Encoder) AppendSymbol(b []byte, first uint16, count, seed uint8) []byte {
	if seed >= Seeds {
		panic("BUG: a seed that the code does not have")
	}
	start := len(b)
	n := e.Size(first, count)
	b = slices.Grow(b, n)[:start+n]
	symbol := b[start:]
	clear(symbol)
	for i := range uint16(count) {
		s := first + i
		mulAdd(coefficient(seed, s), e.vectors[index(s)], symbol) // spec: FEC-4
	}
	return b
}

// check sees to it that a range is held.
func (e *Encoder) check(first uint16, count uint8) {
	if back := e.next - first; count == 0 || int(back) > e.held || uint16(count) > back {
		panic(fmt.Sprintf("BUG: a symbol over %d sources from %d, of %d before %d", count, first, e.held, e.next))
	}
}

// Memory returns the bytes that contents take now.
func (e *Encoder) Memory() int {
	n := 0
	for i := range e.vectors {
		n += cap(e.vectors[i])
	}
	return n
}
