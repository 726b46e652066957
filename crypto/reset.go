package crypto

import "crypto/cipher"

// ResetTokenSize is the length in bytes of a stateless reset token.
const ResetTokenSize = 16

// ResetKey makes the stateless reset tokens of a server's session IDs. It needs nothing but the ID,
// so that a server which was restarted can still end the sessions it forgot. One caller at a time.
type ResetKey struct{ mac *macKey }

// NewResetKey returns the key made of 32 secret bytes.
func NewResetKey(key [32]byte) *ResetKey { return &ResetKey{newMACKey(key[:])} }

// Token returns the reset token of a session ID: HMAC(key, config rotation ‖ ID)[:16], where the
// rotation is that of the ID. Make it only for IDs of this server; EndpointKeys.ResetToken does both.
//
// spec: PROT-27
func (k *ResetKey) Token(id [IDSize]byte) (token [ResetTokenSize]byte) {
	k.mac.input[0] = id[0] >> idRotationShift
	n := 1 + copy(k.mac.input[1:], id[:])
	copy(token[:], k.mac.of(n))
	return token
}

// Zero drops the key. It cannot be used afterwards.
func (k *ResetKey) Zero() { *k = ResetKey{} }

// TokenLookup turns reset tokens into keys for a map, so that looking up the end of a forged packet
// tells nothing about the tokens inside, by time or by collision: it is a permutation (AES-128 under
// a random key) of the 16 bytes. One caller at a time.
type TokenLookup struct {
	block   cipher.Block
	in, out [ResetTokenSize]byte
}

// NewTokenLookup returns a lookup under a key of 16 random bytes that the process makes for itself.
func NewTokenLookup(key [16]byte) *TokenLookup { return &TokenLookup{block: newAES(key[:])} }

// Key returns the map key of a token.
//
// spec: PROT-29
func (l *TokenLookup) Key(token [ResetTokenSize]byte) [ResetTokenSize]byte {
	l.in = token
	l.block.Encrypt(l.out[:], l.in[:])
	return l.out
}
