package handshake

import (
	"encoding/binary"

	"github.com/godwit-net/godwit/crypto"
)

// protocolName names both patterns: a server cannot tell them apart when it
// reads an INIT.
const protocolName = "Godwit1_XKpsk0-NKpsk0+rkem_25519+MLKEM768_ChaChaPoly_SHA256"

// Labels of what is drawn from the chaining key or the master secret.
const (
	labelFragment   = "frag"       // MACs of RESP fragments
	labelReject     = "reject"     // MACs of REJECT
	labelConfirm    = "confirm"    // confirmation in FIN
	labelMaster     = "master"     // what the rest is drawn from
	labelClient     = "c ap"       // packets of the client
	labelServer     = "s ap"       // packets of the server
	labelExporter   = "exporter"   // for the application
	labelResumption = "resumption" // for tickets
)

// startTranscript is the state that both ends share before the first message.
//
// spec: HS-14
func startTranscript(version uint32, static *[keySize]byte) symmetric {
	s := newSymmetric(protocolName)
	s.mixHash(prologue(version))
	s.mixHash(static[:])
	return s
}

// prologue is magic, version and the labels of the two roles.
func prologue(version uint32) []byte {
	b := binary.BigEndian.AppendUint32([]byte("GODWIT"), version)
	return append(b, "client server"...)
}

// mixEphemeral adds an ephemeral public key. Patterns with a pre-shared key
// also mix it into the key, so that nonces never repeat under one (Noise,
// section 9.2).
func (s *symmetric) mixEphemeral(e []byte) {
	s.mixHash(e)
	s.mixKey(e)
}

// side draws a key that never feeds back into the chain.
func (s *symmetric) side(label string) (key [keySize]byte) {
	copy(key[:], crypto.ExpandLabel(crypto.LabelPrefix, s.ck[:], label, s.h[:], keySize))
	return key
}

// Result is what a finished handshake leaves.
type Result struct {
	Suite      crypto.Suite  // cipher of the packets
	Client     crypto.Secret // first secret of the client's packets
	Server     crypto.Secret // first secret of the server's packets
	Exporter   crypto.Secret // for keys that the application draws
	Resumption crypto.Secret // for the keys of tickets

	// ChannelBinding is the hash of the whole handshake, the same at both ends
	// and at no other session.
	ChannelBinding [HashSize]byte
	// PeerStatic is the peer's static key. It is zero for an anonymous client,
	// and for a server that is known by the pre-shared key alone.
	PeerStatic crypto.PublicKey
	// PSKID names the pre-shared key in use; zero without one.
	PSKID [8]byte
}

// finish draws the secrets of a session from the state after the FIN.
//
// spec: HS-36
func (s *symmetric) finish() Result {
	master := s.side(labelMaster)
	draw := func(label string) (out crypto.Secret) {
		copy(out[:], crypto.ExpandLabel(crypto.LabelPrefix, master[:], label, nil, keySize))
		return out
	}
	r := Result{
		Client:         draw(labelClient),
		Server:         draw(labelServer),
		Exporter:       draw(labelExporter),
		Resumption:     draw(labelResumption),
		ChannelBinding: s.h,
	}
	clear(master[:])
	return r
}
