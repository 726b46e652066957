package handshake

import (
	"slices"

	"github.com/godwit-net/godwit/crypto"
)

// IsGrease reports whether v is one of the versions 0x?a?a?a?a, which nobody
// speaks and everybody skips.
func IsGrease(v uint32) bool { return v&0x0f0f0f0f == 0x0a0a0a0a }

// greaseVersion makes such a version from four random bytes.
func greaseVersion(random [4]byte) (v uint32) {
	for _, b := range random {
		v = v<<8 | uint32(b&0xf0) | 0x0a
	}
	return v
}

// BestVersion is the first version of the client's list that the server's list
// has too, and whether there is one. Grease never matches.
//
// spec: HS-21
func BestVersion(client, server []uint32) (uint32, bool) {
	for _, v := range client {
		if !IsGrease(v) && slices.Contains(server, v) {
			return v, true
		}
	}
	return 0, false
}

// SelectSuite chooses the packet cipher: the first of both lists when they
// begin alike, which is AES-256-GCM where both ends have AES instructions; else
// ChaCha20-Poly1305, which is fast without; else the first of the server's that
// the client has. It reports false when there is none.
//
// spec: HS-18
func SelectSuite(client, server []crypto.Suite) (crypto.Suite, bool) {
	if len(client) > 0 && len(server) > 0 && client[0] == server[0] {
		return server[0], true
	}
	const fallback = crypto.ChaCha20Poly1305
	if slices.Contains(client, fallback) && slices.Contains(server, fallback) {
		return fallback, true
	}
	for _, s := range server {
		if slices.Contains(client, s) {
			return s, true
		}
	}
	return 0, false
}

// SelectAppProtocol chooses the application protocol: the first of the server's
// that the client names. Two ends that name none agree on the empty one; one
// end alone that names none agrees with nobody.
//
// spec: HS-19
func SelectAppProtocol(client, server []string) (string, bool) {
	if len(client) == 0 && len(server) == 0 {
		return "", true
	}
	for _, p := range server {
		if slices.Contains(client, p) {
			return p, true
		}
	}
	return "", false
}
