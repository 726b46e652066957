package crypto

// Limits of one key generation. The confidentiality bound of AES-256-GCM is the one that matters:
// 2^28 packets of at most 2^11 bytes, or 2^23 of 2^16 bytes, keep an attacker's advantage below 2^-57
// (RFC 9001 §6.6 and appendix B). ChaCha20-Poly1305 has no such bound in practice, but shares the
// numbers, so that the two behave alike.
const (
	// UpdatePackets is how many packets make a key update due. 2^23 keeps the bound even when every
	// packet has 2^16 bytes; at 1 million packets a second it comes every 8 s and costs about 3 µs.
	UpdatePackets = 1 << 23
	// UpdateBytes is how many bytes make a key update due: 64 GiB.
	UpdateBytes = 1 << 36
	// MaxKeyPackets is how many packets one key seals at most: half of 2^28.
	MaxKeyPackets = 1 << 27
	// MaxKeyBytes is how many bytes one key seals at most: 256 GiB, the bound of 2^27 packets of 2^11.
	MaxKeyBytes = 1 << 38
	// MaxAuthFailures is how many packets may fail to open in the life of a session before it must be
	// closed: the integrity bound of ChaCha20-Poly1305, used for both suites.
	MaxAuthFailures = 1 << 36
)
