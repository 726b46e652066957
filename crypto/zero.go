package crypto

import (
	"crypto/subtle"
	"runtime"
)

// Zero wipes b. It reaches only the bytes it is given: copies that the garbage collector or the
// standard library made (expanded AES keys, X25519 keys) are dropped, not wiped.
func Zero(b []byte) {
	clear(b)
	runtime.KeepAlive(b)
}

// isZero reports in constant time whether a key's bytes are all zero.
func isZero(b *[KeySize]byte) bool {
	var none [KeySize]byte
	return subtle.ConstantTimeCompare(b[:], none[:]) == 1
}
