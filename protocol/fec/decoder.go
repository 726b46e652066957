package fec

import "math/bits"

// Decoder takes the source packets and symbols that arrive, in any order, and gives back sources that
// did not arrive.
//
// It looks at a window of at most Window sequences that ends with the newest one that it has heard of.
// Each has one place, for its content or, while it is unknown, for a symbol; never for more. So contents
// and symbols together take at most Window times MaxSymbol bytes, whatever a peer sends.
//
// Symbols are kept in reduced row echelon form over the unknown sources, the oldest first: the symbol in
// the place of a sequence has factor 1 there, factors of younger unknowns after it, and no other symbol
// has that sequence. Three things follow. A source comes back as soon as the symbols determine it. A
// sequence that leaves the window is in one symbol at most, which goes with it, and nothing else is
// lost. And a source or symbol costs at most two operations on vectors for each place: it is reduced by
// what is in the other places, scaled, and taken out of the other symbols.
type Decoder struct {
	started bool
	first   uint16 // window [first, end)
	end     uint16
	known   set         // contents that are there
	rows    set         // unknown, with a symbol in their place
	fresh   set         // recovered, and not asked for yet
	places  [Window]row // spec: FEC-8
	spare   row         // at work; its buffer moves into a place
	work    int         // vector operations of the last call, for tests
}

// set is a set of sequences of the window, by index.
type set uint64

func bit(i int) set { return 1 << i }

// span is the set of count sequences, 1 to Window, from first on.
func span(first uint16, count int) set {
	return set(bits.RotateLeft64(^uint64(0)>>(Window-count), index(first)))
}

// pop takes an index out of a set that is not empty.
func (s *set) pop() int {
	i := bits.TrailingZeros64(uint64(*s))
	*s &= *s - 1
	return i
}

// oldest returns the sequence in the window that is the oldest of a set that is not empty.
func (d *Decoder) oldest(s set) uint16 {
	return d.first + uint16(bits.TrailingZeros64(bits.RotateLeft64(uint64(s), -index(d.first))))
}

// AddSource takes the content of a source packet that arrived, in two parts as Encoder.Add. After each
// call, Next has what it brought back.
func (d *Decoder) AddSource(sequence uint16, head, body []byte) Result {
	d.work = 0
	if n := len(head) + len(body); n < 1 || n > MaxContent {
		return Malformed
	}
	if !d.admit(sequence, sequence+1) {
		return Late
	}
	i := index(sequence)
	if d.known&bit(i) != 0 {
		return Needless
	}
	held := d.rows&bit(i) != 0
	if held {
		d.spare, d.places[i] = d.places[i], d.spare
		d.rows &^= bit(i)
	}
	p := &d.places[i]
	p.data = fillVector(p.data, head, body)
	d.known |= bit(i)
	agree := true
	if held { // no other symbol has it
		d.substitute(&d.spare, i)
		agree = d.place() != Contradictory
	}
	for rest := d.rows; rest != 0; {
		d.substitute(&d.places[rest.pop()], i)
	}
	if !d.settle() || !agree {
		return Contradictory
	}
	return Taken
}

// AddSymbol takes a symbol that arrived: the fields of REPAIR. After each call, Next has what it brought
// back.
func (d *Decoder) AddSymbol(first uint16, count, seed uint8, data []byte) Result {
	d.work = 0
	// spec: FEC-6
	if count < 1 || count > Window || seed >= Seeds || len(data) < minSymbol || len(data) > MaxSymbol {
		return Malformed
	}
	if !d.admit(first, first+uint16(count)) {
		return Late
	}
	covered := span(first, int(count))
	if covered&^d.known == 0 {
		return Needless // spec: FEC-9 (before any work: the usual case)
	}
	for rest := covered & d.known; rest != 0; {
		if len(d.places[rest.pop()].data) > len(data) {
			return Contradictory // spec: FEC-10
		}
	}
	d.load(first, count, seed, data)
	for rest := d.spare.unknown & d.rows; rest != 0; {
		i := rest.pop()
		d.eliminate(&d.spare, &d.places[i], i)
	}
	result := d.place()
	if !d.settle() {
		return Contradictory
	}
	return result
}

// Next returns a source packet that was recovered and was not returned yet, the oldest first. The
// content is valid until the next call of another method.
func (d *Decoder) Next() (sequence uint16, content []byte, ok bool) {
	if d.fresh == 0 {
		return 0, nil, false
	}
	sequence = d.oldest(d.fresh)
	i := index(sequence)
	d.fresh &^= bit(i)
	return sequence, d.places[i].data[lengthSize:], true
}

// Expire forgets all sequences before the given one, because their deadline has passed. Symbols that
// cover any of them are late from now on.
func (d *Decoder) Expire(sequence uint16) {
	if n := int16(sequence - d.first); d.started && n > 0 {
		d.forget(min(int(n), int(d.end-d.first)))
	}
}

// admit moves the window so that it ends with or after end, and reports whether it begins with or before
// first. Sequences are at most 2^15 apart. Those before the first one that it hears of may still come.
func (d *Decoder) admit(first, end uint16) bool {
	if !d.started {
		d.started, d.first, d.end = true, end-Window, end
	}
	if int16(first-d.first) < 0 {
		return false // spec: FEC-7
	}
	n := int(end - d.first)
	if n > int(d.end-d.first) {
		d.end = end
	}
	d.forget(n - Window)
	return true
}

// forget takes the n oldest sequences out of the window.
func (d *Decoder) forget(n int) {
	if n <= 0 {
		return
	}
	gone := ^set(0)
	if n < Window {
		gone = span(d.first, n)
	}
	d.known &^= gone
	d.rows &^= gone // no other symbol has these
	d.fresh &^= gone
	d.first += uint16(n)
}

// Memory returns the bytes that contents and symbols take now.
func (d *Decoder) Memory() int {
	n := cap(d.spare.data)
	for i := range d.places {
		n += cap(d.places[i].data)
	}
	return n
}
