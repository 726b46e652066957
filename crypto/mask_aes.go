package crypto

import (
	"encoding/binary"
	"math/bits"
)

// aes256Rounds is the number of rounds of AES with a key of 32 bytes (FIPS 197, section 5).
const aes256Rounds = 14

// aesMask returns the first five bytes of AES-256 (FIPS 197) of one block, from the key itself: it expands the key as it
// goes, and keeps nothing.
//
// A cipher of the standard library holds the expanded key, 512 bytes on the heap, and cannot be given another one. That
// is the right thing for traffic: it takes a hundredth of the time. For a session that is only kept alive it would be 1 kB
// for both directions, to mask two packets in 15 s. Only such sessions come here, and only their headers: what they say
// is sealed by the standard library. It is tested against the standard library and the vector of FIPS 197.
//
// The function has no branch and no table index that depends on the key or the sample.
func aesMask(key *[8]uint32, sample *[16]byte) (mask [5]byte) {
	k := *key
	var s [4]uint32 // the state, a column each, its first row in the lowest byte
	for i := range s {
		s[i] = binary.LittleEndian.Uint32(sample[4*i:]) ^ k[i]
	}
	for round := 1; round <= aes256Rounds; round++ {
		half := k[round&1*4:][:4] // round keys are made in turns from the first and the second half
		last := k[(round+1)&1*4+3]
		constant := uint32(0)
		if round&1 == 0 {
			last = bits.RotateLeft32(last, -8)
			constant = 1 << (round/2 - 1)
		}
		last = subBytes(&s, last)
		if round > 1 { // the second half of the key is the first round key as it is
			half[0] ^= last ^ constant
			half[1] ^= half[0]
			half[2] ^= half[1]
			half[3] ^= half[2]
		}
		shiftRows(&s)
		for i := range s {
			if round < aes256Rounds {
				s[i] = mixColumn(s[i])
			}
			s[i] ^= half[i]
		}
	}
	binary.LittleEndian.PutUint32(mask[:], s[0])
	mask[4] = byte(s[1])
	return mask
}

// subBytes applies the S-box to the bytes of a state, and of one word of the key, which it returns.
func subBytes(s *[4]uint32, word uint32) uint32 {
	a := transpose(uint64(s[0]) | uint64(s[1])<<32)
	b := transpose(uint64(s[2]) | uint64(s[3])<<32)
	c := transpose(uint64(word))
	var p [8]uint32
	for i := range p {
		p[i] = uint32(a>>(8*i)&0xff | b>>(8*i)&0xff<<8 | c>>(8*i)&0xff<<16)
	}
	subPlanes(&p)
	a, b, c = 0, 0, 0
	for i, x := range p {
		a |= uint64(x&0xff) << (8 * i)
		b |= uint64(x>>8&0xff) << (8 * i)
		c |= uint64(x>>16&0xff) << (8 * i)
	}
	a, b = transpose(a), transpose(b)
	*s = [4]uint32{uint32(a), uint32(a >> 32), uint32(b), uint32(b >> 32)}
	return uint32(transpose(c))
}

// transpose turns a matrix of 8 times 8 bits around: bit j of byte i becomes bit i of byte j (Warren, Hacker's Delight,
// section 7-3).
func transpose(x uint64) uint64 {
	t := (x ^ x>>7) & 0x00aa00aa00aa00aa
	x ^= t ^ t<<7
	t = (x ^ x>>14) & 0x0000cccc0000cccc
	x ^= t ^ t<<14
	t = (x ^ x>>28) & 0x00000000f0f0f0f0
	return x ^ t ^ t<<28
}

// shiftRows moves row i by i columns.
func shiftRows(s *[4]uint32) {
	old := *s
	for i := range s {
		s[i] = old[i]&0xff | old[(i+1)%4]&0xff00 | old[(i+2)%4]&0xff0000 | old[(i+3)%4]&0xff000000
	}
}

// mixColumn multiplies a column with the matrix of FIPS 197, section 5.1.3.
func mixColumn(c uint32) uint32 {
	next := bits.RotateLeft32(c, -8)
	sum := c ^ next
	twice := sum&0x7f7f7f7f<<1 ^ sum>>7&0x01010101*0x1b
	return twice ^ next ^ bits.RotateLeft32(c, -16) ^ bits.RotateLeft32(c, -24)
}

// subPlanes is the S-box for 32 bytes at once: p[i] holds bit i of each. It is the circuit of Boyar and Peralta ("A
// depth-16 circuit for the AES S-box", 2011, figures 5 to 8) with their names: x0 is the highest bit of what goes in, s0
// of what comes out.
func subPlanes(p *[8]uint32) {
	x7, x6, x5, x4, x3, x2, x1, x0 := p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]

	y14, y13, y9, y8, t0 := x3^x5, x0^x6, x0^x3, x0^x5, x1^x2
	y1, y12 := t0^x7, y13^y14
	y4, y2, y5, t1 := y1^x3, y1^x0, y1^x6, x4^y12
	y3, y15, y20 := y5^y8, t1^x5, t1^x1
	y6, y10, y11 := y15^x7, y15^t0, y20^y9
	y7, y17, y19, y16 := x7^y11, y10^y11, y10^y8, t0^y11
	y21, y18 := y13^y16, x0^y16

	t2, t7, t12 := y12&y15, y13&y16, y9&y11
	t4, t6 := y3&y6^t2, y4&x7^t2
	t9, t11 := y5&y1^t7, y2&y7^t7
	t14, t16 := y14&y17^t12, y8&y10^t12
	t21, t22, t23, t24 := t4^t14^y20, t6^t16^y19, t9^t14^y21, t11^t16^y18
	t25, t26 := t21^t22, t21&t23
	t27, t30, t31 := t24^t26, t23^t24, t22^t26
	t29, t33 := t25&t27^t22, t31&t30^t24
	t34, t35 := t23^t33, t27^t33
	t36 := t24 & t35
	t37, t38 := t36^t34, t27^t36
	t40 := t25 ^ t29&t38
	t41, t42, t43, t44 := t40^t37, t29^t33, t29^t40, t33^t37
	t45 := t42 ^ t41

	z0, z1, z2, z3, z4, z5 := t44&y15, t37&y6, t33&x7, t43&y16, t40&y1, t29&y7
	z6, z7, z8, z9, z10, z11 := t42&y11, t45&y17, t41&y10, t44&y12, t37&y3, t33&y4
	z12, z13, z14, z15, z16, z17 := t43&y13, t40&y5, t29&y2, t42&y9, t45&y14, t41&y8

	t46, t47, t48, t49, t50 := z15^z16, z10^z11, z5^z13, z9^z10, z2^z12
	t51, t52, t53, t54, t55 := z2^z5, z7^z8, z0^z3, z6^z7, z16^z17
	t56, t57, t58, t59 := z12^t48, t50^t53, z4^t46, z3^t54
	t60, t61, t62, t63, t64 := t46^t57, z14^t57, t52^t58, t49^t58, z4^t59
	t65, t66 := t61^t62, z1^t63
	t67 := t64 ^ t65
	s3 := t53 ^ t66
	p[7], p[6], p[5], p[4] = t59^t63, t64^^s3, t55^^t67, s3
	p[3], p[2], p[1], p[0] = t51^t66, t47^t65, t56^^t62, t48^^t60
}
