package handshake

import (
	"crypto/mlkem"
	"fmt"
	"io"

	"github.com/godwit-net/godwit/crypto"
)

// EphemeralPool holds ephemeral keys of a server that were made in idle time:
// they are a third of the work for a RESP. Each is used once. The zero value is
// an empty pool.
type EphemeralPool struct{ keys []ephemeral }

// ephemeral is the pair that one RESP needs.
type ephemeral struct {
	key  crypto.PrivateKey
	kem  *mlkem.DecapsulationKey768
	seed [kemSeedSize]byte // kem is made from this
}

// MaxPool bounds a pool: 8 kB of heap each, and enough for a burst of 256
// clients.
const MaxPool = 256

// Len is the number of pairs in the pool.
func (p *EphemeralPool) Len() int { return len(p.keys) }

// Fill makes pairs until there are n, at most MaxPool. Each costs about 180 µs,
// so idle loops ask for one more than Len. The error is that of random.
func (p *EphemeralPool) Fill(random io.Reader, n int) error {
	for len(p.keys) < min(n, MaxPool) {
		e, err := newEphemeral(random)
		if err != nil {
			return err
		}
		p.keys = append(p.keys, e)
	}
	return nil
}

// take gives a pair from the pool, or makes one. A nil pool is empty.
//
// spec: HS-39
func (p *EphemeralPool) take(random io.Reader) (ephemeral, error) {
	if p == nil || len(p.keys) == 0 {
		return newEphemeral(random)
	}
	last := len(p.keys) - 1
	e := p.keys[last]
	p.keys[last] = ephemeral{}
	p.keys = p.keys[:last]
	return e, nil
}

func newEphemeral(random io.Reader) (e ephemeral, err error) {
	if e.key, err = crypto.PrivateKeyFromSeed(random); err != nil {
		return e, err
	}
	if _, err = io.ReadFull(random, e.seed[:]); err != nil {
		return e, fmt.Errorf("handshake: reading randomness: %w", err)
	}
	e.kem = expandKEM(&e.seed)
	return e, nil
}

// expandKEM makes a decapsulation key from its seed.
func expandKEM(seed *[kemSeedSize]byte) *mlkem.DecapsulationKey768 {
	k, err := mlkem.NewDecapsulationKey768(seed[:])
	if err != nil {
		panic("BUG: a seed of 64 bytes is no ML-KEM key: " + err.Error())
	}
	return k
}
