package handshake

// Version1 is the only version that this package speaks: "GW", 0, 1. A version
// fixes every algorithm of the handshake.
const Version1 uint32 = 0x47570001

// Sizes of messages, in bytes. Chapter 2 of the specification has the tables.
const (
	// InitSize is the exact size of an INIT datagram. It is the smallest path
	// MTU that the protocol asks for, and the credit that a server answers from.
	InitSize = 1200
	// FinSize is the exact size of a FIN datagram whose destination ID has the
	// eight bytes of every server ID.
	FinSize = 1200
	// FragmentSize is the largest datagram of a RESP.
	FragmentSize = 1200
	// CookieSize is the size of the cookie field of an INIT and of a RETRY.
	CookieSize = 32
	// HashSize is the size of the hash that names an INIT.
	HashSize = 32
	// MaxFragments is the number of datagrams that one RESP may take.
	MaxFragments = 2
	// ResetTokenSize is the size of a stateless-reset token.
	ResetTokenSize = 16
	// MinPayload is the smallest RESP payload that is sent: shorter ones are
	// padded, so that their sizes do not tell one server from another.
	MinPayload = 120
	// MaxPayload is the largest RESP payload: with it a RESP is still two
	// datagrams and 1.6 times the INIT that asked for it.
	MaxPayload = 512
)

// Limits on what is read from the network or taken from a configuration.
const (
	// MaxVersions bounds a version list: eight real ones, and grease.
	MaxVersions = 9
	// MaxSuites bounds the list of packet ciphers.
	MaxSuites = 8
	// MaxAppProtocols bounds the list of application protocols.
	MaxAppProtocols = 16
	// MaxAppProtocol is the longest name of an application protocol, in bytes.
	MaxAppProtocol = 255
	// MaxHint is the longest hint of a REJECT, in bytes.
	MaxHint = 32
	// MaxRetries is the number of RETRY datagrams that one INIT follows. An
	// observer who knows the server's key can forge them; each costs the client
	// one more round trip, and no more than this many do.
	MaxRetries = 3
	// MaxResponders is the number of servers whose RESP is put together at the
	// same time. Two can answer one INIT, after eviction or in a fleet.
	MaxResponders = 4
)

const (
	keySize      = 32   // X25519 keys, SHA-256 outputs, ChaCha20-Poly1305 keys
	tagSize      = 16   // AEAD tags and truncated MACs
	kemKeySize   = 1184 // ML-KEM-768 encapsulation key
	kemTextSize  = 1088 // ML-KEM-768 ciphertext
	kemSeedSize  = 64   // ML-KEM-768 decapsulation key, as a seed
	pskIDSize    = 8
	confirmSize  = 16
	finFlagsSize = 2
	finPayload   = confirmSize + finFlagsSize

	// The version is at the same place in every long header of every version.
	minHeader = 7
	// first octet, version, two ID lengths, two IDs of 8 bytes, subtype
	maxHeader = 24

	tokenHeader = 3 // kind 1, length 2
	// initTail is what follows the INIT's sealed payload: cookie and mac1.
	initTail = CookieSize + tagSize
	// maxToken leaves room in an INIT for a payload of half a kilobyte.
	maxToken = maxConnectToken

	minCore        = keySize + kemKeySize + tagSize + tagSize
	maxCore        = minCore + MaxPayload
	fragmentHeader = 4 // offset 2, total 2

	finBody = kemTextSize + tagSize + keySize + tagSize + finPayload + tagSize

	rejectFixed = 3 // code 2, hint length 1
)
