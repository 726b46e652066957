package fec

import (
	"encoding/binary"

	"github.com/klauspost/reedsolomon"
)

// row is what a place holds: a symbol, as the sum of unknown vectors with factors, or a vector that is
// known, in which case only data counts.
type row struct {
	factors [Window]byte // by index
	unknown set          // where the factors are not 0
	data    []byte       // at most MaxSymbol; what is beyond its end is zero
}

// load brings a symbol into the spare row, without what is known of it.
func (d *Decoder) load(first uint16, count, seed uint8, data []byte) {
	r := &d.spare
	r.data = append(resize(r.data[:0], len(data))[:0], data...)
	r.factors, r.unknown = [Window]byte{}, 0
	for s := first; s != first+uint16(count); s++ {
		i, c := index(s), coefficient(seed, s)
		if d.known&bit(i) != 0 {
			d.addData(r, c, &d.places[i])
		} else {
			r.factors[i] = c
			r.unknown |= bit(i)
		}
	}
}

// addData adds c times the data of one row to that of another.
func (d *Decoder) addData(to *row, c byte, from *row) {
	if len(to.data) < len(from.data) {
		to.data = resize(to.data, len(from.data))
	}
	mulAdd(c, from.data, to.data)
	d.work++
}

// eliminate takes the unknown at an index out of a row by means of the symbol in the place of that
// index.
func (d *Decoder) eliminate(r, by *row, i int) {
	c := r.factors[i]
	if c == 0 {
		return
	}
	mulAdd(c, by.factors[:], r.factors[:])
	r.unknown = nonzero(&r.factors)
	d.addData(r, c, by)
}

// substitute puts the content at an index, which has become known, into a row.
func (d *Decoder) substitute(r *row, i int) {
	c := r.factors[i]
	if c == 0 {
		return
	}
	r.factors[i] = 0
	r.unknown &^= bit(i)
	d.addData(r, c, &d.places[i])
}

// place moves the spare row into the place of its oldest unknown, which no symbol stands in, and takes
// that unknown out of all others. A row without unknowns says nothing, or something that is not true.
func (d *Decoder) place() Result {
	if d.spare.unknown == 0 {
		if isZero(d.spare.data) {
			return Needless
		}
		return Contradictory // spec: FEC-10
	}
	i := index(d.oldest(d.spare.unknown))
	d.spare, d.places[i] = d.places[i], d.spare
	p := &d.places[i]
	// x + (a+1)x = ax, in place.
	scale := reedsolomon.Inv(p.factors[i]) ^ 1
	mulAdd(scale, p.factors[:], p.factors[:])
	d.addData(p, scale, p)
	for rest := d.rows; rest != 0; {
		d.eliminate(&d.places[rest.pop()], p, i)
	}
	d.rows |= bit(i)
	return Taken
}

// settle turns symbols with one unknown into contents, and drops those that are none. It reports whether
// all were good.
func (d *Decoder) settle() bool {
	good := true
	for rest := d.rows; rest != 0; {
		i := rest.pop()
		p := &d.places[i]
		if p.unknown != bit(i) {
			continue
		}
		d.rows &^= bit(i)
		n, ok := contentLen(p.data)
		if !ok {
			good = false // spec: FEC-10
			continue
		}
		p.data = p.data[:lengthSize+n]
		d.known |= bit(i)
		d.fresh |= bit(i) // spec: FEC-11
	}
	return good
}

// nonzero returns the indexes of factors that are not 0.
func nonzero(factors *[Window]byte) set {
	const low7, gather = 0x7f7f7f7f7f7f7f7f, 0x0102040810204080
	var s set
	for k := 0; k < Window; k += 8 {
		x := binary.LittleEndian.Uint64(factors[k:])
		tops := ((x&low7 + low7) | x) &^ low7 >> 7 // 1 in each byte that is not 0
		s |= set(tops*gather>>56) << k
	}
	return s
}
