package fec

import "github.com/klauspost/reedsolomon"

// The field is GF(2^8) modulo x^8+x^4+x^3+x^2+1 (0x11d), that of RFC 5510, RFC 8681 and klauspost/
// reedsolomon. Addition is exclusive or.

// coefficient is the factor of a source packet in a symbol: an entry of a Cauchy matrix, 1/(x+y), whose
// rows are seeds (x = 64 to 255) and whose columns are sequences (y = 0 to 63). Each square part of such
// a matrix is invertible, so that n symbols with different seeds give n lost packets back, whichever
// they are, if each symbol covers all of them. The column depends on the sequence and not on its place
// in the range: so this holds for symbols over different ranges too.
//
// seed is below Seeds.
func coefficient(seed uint8, sequence uint16) byte {
	return reedsolomon.Inv(Window + seed ^ byte(index(sequence))) // spec: FEC-3
}

// mulAddTables adds c times in to out, which is at least as long. It is for machines without vector
// instructions; the tables of the library would take 32 MiB there.
func mulAddTables(c byte, in, out []byte) {
	var low, high [16]byte // c times 0 to 15, and times 0 to 240 in steps of 16
	for i, p := 1, c; i < 256; i, p = i<<1, double(p) {
		t, n := &low, i
		if i >= 16 {
			t, n = &high, i>>4
		}
		for k := range n {
			t[n+k] = t[k] ^ p
		}
	}
	out = out[:len(in)]
	for i, x := range in {
		out[i] ^= low[x&15] ^ high[x>>4]
	}
}

// double multiplies by x.
func double(a byte) byte {
	const polynomial = 0x1d // without x^8
	if a&0x80 != 0 {
		return a<<1 ^ polynomial
	}
	return a << 1
}
