package crypto

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// endpointSalt is the HKDF salt under which the keys of an endpoint come out of its identity, so that
// the private key serves the handshake and this, and neither tells about the other.
const endpointSalt = "godwit endpoint keys"

// EndpointKeys are the keys of the stateless side of a server, one for each purpose. One caller at a
// time; every shard derives its own.
type EndpointKeys struct {
	Cookie *CookieKey
	ID     *IDKey
	Reset  *ResetKey
}

// DeriveEndpointKeys returns the keys of config rotation 0 for an identity. The same identity gives
// the same keys, so that a restarted server still takes its cookies and can reset its old sessions.
// An identity that is not set is a bug and panics: a server without one makes one at start.
//
// spec: PROT-28
func DeriveEndpointKeys(identity PrivateKey) EndpointKeys {
	return DeriveRotatedEndpointKeys(identity, 0)
}

// DeriveRotatedEndpointKeys is DeriveEndpointKeys for a config rotation, 0 to MaxIDRotation. Keys for
// session IDs and resets differ between rotations; cookies do not, since they have epochs.
//
// spec: PROT-28
func DeriveRotatedEndpointKeys(identity PrivateKey, rotation uint8) EndpointKeys {
	if identity.IsZero() {
		panic("BUG: crypto: endpoint keys of an identity that is not set")
	}
	private := (*identity.key).Bytes()
	defer Zero(private)
	root, err := hkdf.Extract(sha256.New, private, []byte(endpointSalt))
	if err != nil {
		panic("BUG: crypto: HKDF refused the identity: " + err.Error())
	}
	defer Zero(root)
	expand := func(label string, context []byte, n int) []byte {
		return ExpandLabel(LabelPrefix, root, label, context, n)
	}
	return EndpointKeys{
		Cookie: NewCookieKey([32]byte(expand("cookie root", nil, 32))),
		ID:     NewIDKey([16]byte(expand("session id", []byte{rotation}, 16)), rotation),
		Reset:  NewResetKey([32]byte(expand("reset", []byte{rotation}, 32))),
	}
}

// ResetToken returns the reset token of a session ID that decodes to this server. For the ID of
// another server ok is false: answering for those would let a client of one server of a fleet, which
// shares the key, collect the tokens of another's sessions.
//
// spec: PROT-27
func (k *EndpointKeys) ResetToken(serverID uint16, id [IDSize]byte) (token [ResetTokenSize]byte, ok bool) {
	owner, ok := k.ID.ServerID(id)
	if !ok || owner != serverID {
		return token, false
	}
	return k.Reset.Token(id), true
}

// Zero wipes what can be wiped. The keys cannot be used afterwards.
func (k *EndpointKeys) Zero() {
	k.Cookie.Zero()
	k.ID.Zero()
	k.Reset.Zero()
}
