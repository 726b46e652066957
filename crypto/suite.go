package crypto

import (
	"fmt"

	"golang.org/x/sys/cpu"
)

// Suite is the cipher that protects the packets of a session. Everything else (X25519, ML-KEM-768,
// SHA-256) is fixed by the protocol version. The zero value is no suite.
type Suite uint8

// The suites of version 1; the values are those on the wire.
const (
	AES256GCM        Suite = 1 // AES-256-GCM, header masks by AES-256
	ChaCha20Poly1305 Suite = 2 // ChaCha20-Poly1305 (RFC 8439), header masks by ChaCha20
)

// Valid reports whether s is a suite of this version.
func (s Suite) Valid() bool { return s == AES256GCM || s == ChaCha20Poly1305 }

// String returns the usual name of the cipher.
func (s Suite) String() string {
	switch s {
	case AES256GCM:
		return "AES-256-GCM"
	case ChaCha20Poly1305:
		return "ChaCha20-Poly1305"
	}
	return fmt.Sprintf("suite %d", uint8(s))
}

// PreferredSuites returns the suites this machine offers, best first: AES-256-GCM where the processor
// has instructions for it, since only there it is fast and its time independent of the key.
func PreferredSuites() []Suite {
	if hasAES() {
		return []Suite{AES256GCM, ChaCha20Poly1305}
	}
	return []Suite{ChaCha20Poly1305, AES256GCM}
}

// hasAES reports whether AES and the multiplication of GCM are processor instructions.
func hasAES() bool {
	switch {
	case cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ && cpu.X86.HasSSE41:
		return true
	case cpu.ARM64.HasAES && cpu.ARM64.HasPMULL:
		return true
	case cpu.S390X.HasAES && cpu.S390X.HasAESGCM:
		return true
	}
	return false
}
