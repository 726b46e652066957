package handshake

import (
	"crypto/rand"
	"errors"
	"io"
	"slices"

	"github.com/godwit-net/godwit/crypto"
)

// ServerConfig is what a server answers to.
type ServerConfig struct {
	Rand io.Reader // randomness; nil: crypto/rand
	// Identities are the static keys that clients may have pinned, the present
	// one first, earlier ones behind it. Each costs a short MAC for an INIT
	// that knows none of them.
	Identities []crypto.PrivateKey
	// LookupPSK finds a pre-shared key by its ID, or returns nil. It is called
	// once for an INIT that names one, before anything is known about the
	// sender. A server that has it refuses clients without a pre-shared key.
	// nil: no pre-shared keys.
	LookupPSK func(id [8]byte) *PSK
	Versions  []uint32       // all versions spoken, best first; nil: Version1
	Pool      *EphemeralPool // where ephemeral keys come from first; may be nil
}

// Server is the server's side of all handshakes. It keeps no state between
// datagrams.
type Server struct {
	config  ServerConfig
	statics []static

	agreements uint64 // X25519 operations that clients caused

	// Where a FIN is tried, so that a forged one allocates nothing.
	work symmetric
	text [kemTextSize]byte
}

// NewServer makes a server. The error says what is wrong with the
// configuration.
func NewServer(config ServerConfig) (*Server, error) {
	if config.Rand == nil {
		config.Rand = rand.Reader
	}
	if config.Versions == nil {
		config.Versions = []uint32{Version1}
	}
	if err := checkLists(config.Versions, crypto.PreferredSuites(), nil); err != nil {
		return nil, err
	}
	s := &Server{config: config}
	for _, k := range config.Identities {
		if k.IsZero() {
			return nil, errors.New("handshake: a zero key is no identity")
		}
		s.statics = append(s.statics, newStatic(k))
	}
	if len(s.statics) == 0 && config.LookupPSK == nil {
		return nil, errors.New("handshake: a server needs an identity or a pre-shared key")
	}
	return s, nil
}

// Worker returns a server with the same keys, and a pool of its own, for another
// goroutine than the one that checks what comes: Open and Respond, and the FINs
// of what Respond has made.
func (s *Server) Worker(pool *EphemeralPool) *Server {
	w := &Server{config: s.config, statics: s.statics}
	w.config.Pool = pool
	return w
}

// Agreements is the number of X25519 operations that INITs and FINs have
// caused: what an attacker tries to drive up.
func (s *Server) Agreements() uint64 { return s.agreements }

func (s *Server) speaks(version uint32) bool { return slices.Contains(s.config.Versions, version) }
