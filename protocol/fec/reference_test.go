package fec

import (
	"encoding/binary"
	"maps"
	"slices"
)

// The field, the code and the solution of its equations once more, in the plainest way: from the words
// of chapter 9, with nothing of the package and nothing of the library.

// refMul multiplies in GF(2^8) modulo 0x11d, bit by bit.
func refMul(a, b byte) byte {
	product, x := 0, int(a)
	for ; b != 0; b >>= 1 {
		if b&1 != 0 {
			product ^= x
		}
		if x <<= 1; x&0x100 != 0 {
			x ^= 0x11d
		}
	}
	return byte(product)
}

var refProducts = func() (t [256][256]byte) {
	for a := range t {
		for b := range t[a] {
			t[a][b] = refMul(byte(a), byte(b))
		}
	}
	return t
}()

// refInv finds the inverse by trying all elements.
func refInv(a byte) byte { return byte(slices.Index(refProducts[a][:], 1)) }

func refCoefficient(seed, sequence int) byte { return refInv(byte((64 + seed) ^ (sequence % 64))) }

// refSymbol codes contents, which begin at a sequence.
func refSymbol(contents [][]byte, first, seed int) []byte {
	var symbol []byte
	for i, c := range contents {
		vector := append(binary.BigEndian.AppendUint16(nil, uint16(len(c))), c...)
		symbol = refAdd(symbol, refCoefficient(seed, first+i), vector)
	}
	return symbol
}

// refAdd adds c times b to a, the shorter one continued with zeros.
func refAdd(a []byte, c byte, b []byte) []byte {
	if len(a) < len(b) {
		a = append(a, make([]byte, len(b)-len(a))...)
	}
	for i, x := range b {
		a[i] ^= refProducts[c][x]
	}
	return a
}

// equation says that a sum of unknown vectors, by full sequence, with factors, is data.
type equation struct {
	factors map[int]byte
	data    []byte
}

func (e *equation) add(c byte, other equation) {
	for s, f := range other.factors {
		if e.factors[s] ^= refProducts[c][f]; e.factors[s] == 0 {
			delete(e.factors, s)
		}
	}
	e.data = refAdd(e.data, c, other.data)
}

func (e *equation) know(s int, vector []byte) {
	if c, there := e.factors[s]; there {
		delete(e.factors, s)
		e.data = refAdd(e.data, c, vector)
	}
}

// oracle keeps every equation that a decoder was in a position to use, for ever, and solves them anew
// each time. Sequences are full numbers. It knows the window only to tell what comes too late.
type oracle struct {
	first, end int
	known      map[int][]byte // vectors, in the window or once in it
	equations  []equation
}

func newOracle() *oracle { return &oracle{known: make(map[int][]byte), end: -1} }

// admit is the rule for the window, in full numbers.
func (o *oracle) admit(first, end int) bool {
	if o.end < 0 {
		o.first, o.end = end-Window, end
	}
	if first < o.first {
		return false
	}
	o.end = max(o.end, end)
	o.first = max(o.first, o.end-Window)
	return true
}

// source takes a source that arrived and returns what it makes known beside itself.
func (o *oracle) source(s int, content []byte) map[int][]byte {
	if !o.admit(s, s+1) || o.known[s] != nil {
		return nil
	}
	o.learn(s, append(binary.BigEndian.AppendUint16(nil, uint16(len(content))), content...))
	return o.solve()
}

func (o *oracle) learn(s int, vector []byte) {
	o.known[s] = vector
	for i := range o.equations {
		o.equations[i].know(s, vector)
	}
}

// symbol takes a symbol that arrived and returns the contents that it makes known.
func (o *oracle) symbol(first, count, seed int, data []byte) map[int][]byte {
	if !o.admit(first, first+count) {
		return nil
	}
	e := equation{factors: make(map[int]byte), data: slices.Clone(data)}
	for s := first; s < first+count; s++ {
		e.factors[s] = refCoefficient(seed, s)
	}
	for s := first; s < first+count; s++ {
		if v := o.known[s]; v != nil {
			e.know(s, v)
		}
	}
	o.equations = append(o.equations, e)
	return o.solve()
}

// solve finds every unknown that the equations determine, and returns those in the window.
func (o *oracle) solve() map[int][]byte {
	var solved []equation
	for _, e := range o.equations {
		e = equation{factors: maps.Clone(e.factors), data: slices.Clone(e.data)}
		for _, s := range solved {
			e.add(e.factors[s.pivot()], s)
		}
		if len(e.factors) == 0 {
			continue
		}
		p := e.pivot()
		scaled := equation{factors: make(map[int]byte)}
		scaled.add(refInv(e.factors[p]), e)
		for i := range solved {
			solved[i].add(solved[i].factors[p], scaled)
		}
		solved = append(solved, scaled)
	}
	o.equations = slices.DeleteFunc(o.equations, func(e equation) bool { return len(e.factors) == 0 })
	found := make(map[int][]byte)
	for _, e := range solved {
		s := e.pivot()
		if len(e.factors) != 1 || s < o.first {
			continue
		}
		n := int(binary.BigEndian.Uint16(e.data))
		found[s] = e.data[2 : 2+n]
	}
	for s, content := range found {
		o.learn(s, append(binary.BigEndian.AppendUint16(nil, uint16(len(content))), content...))
	}
	return found
}

// pivot is the youngest unknown: unlike the decoder's choice, which must not matter. An equation without
// unknowns has none.
func (e *equation) pivot() int {
	if len(e.factors) == 0 {
		return -1
	}
	return slices.Max(slices.Collect(maps.Keys(e.factors)))
}
