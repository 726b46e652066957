package protocol

import (
	"encoding/binary"
	"math/rand/v2"
)

// random makes numbers that an observer cannot predict and that protect no secret: for skips, padding and
// challenges, never for keys. Its generator takes 300 bytes; at rest it is a seed.
type random struct {
	seed [32]byte      // of the next generator
	gen  *rand.ChaCha8 // nil: at rest
}

// Uint64 returns the next number.
func (r *random) Uint64() uint64 {
	if r.gen == nil {
		r.gen = rand.NewChaCha8(r.seed)
	}
	return r.gen.Uint64()
}

// rest gives the memory of the generator back until the next number.
func (r *random) rest() {
	if r.gen == nil {
		return
	}
	for i := 0; i < len(r.seed); i += 8 {
		binary.LittleEndian.PutUint64(r.seed[i:], r.gen.Uint64())
	}
	r.gen = nil
}

// bytes fills b.
func (r *random) bytes(b []byte) {
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, r.Uint64())
		b = b[8:]
	}
	if len(b) > 0 {
		v := r.Uint64()
		for i := range b {
			b[i] = byte(v >> (8 * i))
		}
	}
}
