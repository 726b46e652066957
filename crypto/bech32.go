package crypto

import (
	"errors"
	"strings"
)

// The text forms of keys use the Bech32 encoding of BIP-173: a readable prefix, the digit one as the
// separator, the bytes in an alphabet without look-alikes, and a checksum that finds any four wrong
// characters. Bech32's known weakness (a q added before a final p goes unnoticed) does not matter
// here, since every key has one exact length.

const (
	bech32Alphabet    = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	bech32ChecksumLen = 6

	// maxBech32Text is the bound of BIP-173, within which the checksum keeps its promise.
	maxBech32Text = 90
)

var (
	errBech32Length    = errors.New("the text is too long or too short")
	errBech32Case      = errors.New("the text mixes upper and lower case")
	errBech32Separator = errors.New("the text has no prefix such as gwpub1")
	errBech32Character = errors.New("the text has a character that no key contains")
	errBech32Checksum  = errors.New("the checksum does not match, so a character is wrong or missing")
	errBech32Padding   = errors.New("the text has stray bits at its end")
)

// bech32Encode returns the text form of data under a prefix in lower case.
func bech32Encode(prefix string, data []byte) string {
	values := regroup(data, 8, 5, true)
	sum := bech32Sum(prefix, append(values[:len(values):len(values)], make([]byte, bech32ChecksumLen)...)) ^ 1
	var b strings.Builder
	b.Grow(len(prefix) + 1 + len(values) + bech32ChecksumLen)
	b.WriteString(prefix)
	b.WriteByte('1')
	for _, v := range values {
		b.WriteByte(bech32Alphabet[v])
	}
	for i := range bech32ChecksumLen {
		b.WriteByte(bech32Alphabet[sum>>(5*(bech32ChecksumLen-1-i))&31])
	}
	clear(values)
	return b.String()
}

// bech32Decode splits a text into its prefix and its bytes. Errors never quote the text, which may
// be a secret.
func bech32Decode(text string) (prefix string, data []byte, err error) {
	if len(text) > maxBech32Text || len(text) < bech32ChecksumLen+2 {
		return "", nil, errBech32Length
	}
	for i := range len(text) {
		if text[i] < '!' || text[i] > '~' {
			return "", nil, errBech32Character
		}
	}
	lower := strings.ToLower(text)
	if lower != text && strings.ToUpper(text) != text {
		return "", nil, errBech32Case
	}
	separator := strings.LastIndexByte(lower, '1')
	if separator < 1 || len(lower)-separator-1 < bech32ChecksumLen {
		return "", nil, errBech32Separator
	}
	prefix = lower[:separator]
	values := make([]byte, 0, len(lower)-separator-1)
	for i := separator + 1; i < len(lower); i++ {
		v := strings.IndexByte(bech32Alphabet, lower[i])
		if v < 0 {
			return prefix, nil, errBech32Character
		}
		values = append(values, byte(v))
	}
	if bech32Sum(prefix, values) != 1 {
		return prefix, nil, errBech32Checksum
	}
	data = regroup(values[:len(values)-bech32ChecksumLen], 5, 8, false)
	clear(values)
	if data == nil {
		return prefix, nil, errBech32Padding
	}
	return prefix, data, nil
}

// bech32Sum is the checksum of BIP-173: a BCH code over GF(32). It is 1 for a text that is whole.
func bech32Sum(prefix string, values []byte) uint32 {
	sum := uint32(1)
	for i := range len(prefix) {
		sum = bech32Step(sum, prefix[i]>>5)
	}
	sum = bech32Step(sum, 0)
	for i := range len(prefix) {
		sum = bech32Step(sum, prefix[i]&31)
	}
	for _, v := range values {
		sum = bech32Step(sum, v)
	}
	return sum
}

// bech32Step feeds one five-bit value into the checksum.
func bech32Step(sum uint32, value byte) uint32 {
	generator := [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3}
	top := sum >> 25
	sum = (sum&0x1ffffff)<<5 ^ uint32(value)
	for i, g := range generator {
		if top>>i&1 == 1 {
			sum ^= g
		}
	}
	return sum
}

// regroup turns values of one bit width into values of another. With pad, left-over bits are filled
// with zeros; without, it returns nil unless the left-over bits are fewer than one value and zero.
func regroup(in []byte, from, to uint, pad bool) []byte {
	out := make([]byte, 0, (len(in)*int(from)+int(to)-1)/int(to))
	var held, bits uint
	for _, v := range in {
		held = held<<from | uint(v)
		for bits += from; bits >= to; {
			bits -= to
			out = append(out, byte(held>>bits&(1<<to-1)))
		}
		held &= 1<<bits - 1
	}
	if pad {
		if bits > 0 {
			out = append(out, byte(held<<(to-bits)&(1<<to-1)))
		}
		return out
	}
	if bits >= from || held != 0 {
		return nil
	}
	return out
}
