package crypto

import "encoding/binary"

const (
	// IDSize is the length in bytes of a server's session IDs.
	IDSize = 8
	// MaxIDRotation is the highest config rotation; 7 is kept for IDs that cannot be routed.
	MaxIDRotation = 6
	// MaxIDNonce is the highest nonce of an ID, 40 bits.
	MaxIDNonce = 1<<40 - 1

	idRotationShift = 5
	idRandomBits    = 1<<idRotationShift - 1
)

// IDKey makes session IDs that carry the number of the server, readable only to whoever has the key
// (a load balancer or the servers themselves). Octet 0 holds the config rotation and 5 random bits,
// the other 7 octets hold server ID (2) and nonce (5) under a permutation. One caller at a time.
type IDKey struct {
	rotation uint8
	feistel  *feistel
}

// NewIDKey returns the key of a config rotation, 0 to MaxIDRotation; another rotation is a bug and
// panics.
func NewIDKey(key [16]byte, rotation uint8) *IDKey {
	if rotation > MaxIDRotation {
		panic("BUG: crypto: ID config rotation above 6")
	}
	return &IDKey{rotation: rotation, feistel: newFeistel(key[:])}
}

// Encode returns the session ID of a server and a nonce (at most MaxIDNonce, never used before under
// this key and server; a larger one is a bug and panics). Of random the lowest 5 bits are used.
//
// spec: PROT-24
func (k *IDKey) Encode(serverID uint16, nonce uint64, random byte) (id [IDSize]byte) {
	if nonce > MaxIDNonce {
		panic("BUG: crypto: ID nonce above 40 bits")
	}
	binary.BigEndian.PutUint64(id[:], nonce)
	binary.BigEndian.PutUint16(id[1:], serverID)
	k.feistel.encrypt(id[1:])
	id[0] = k.rotation<<idRotationShift | random&idRandomBits
	return id
}

// Decode returns what a session ID carries. ok is false when the ID is of another config rotation.
// Any other 8 bytes decode to something: compare the server ID.
//
// spec: PROT-24
func (k *IDKey) Decode(id [IDSize]byte) (serverID uint16, nonce uint64, ok bool) {
	if id[0]>>idRotationShift != k.rotation {
		return 0, 0, false
	}
	k.feistel.decrypt(id[1:], feistelRounds)
	serverID = binary.BigEndian.Uint16(id[1:])
	id[0], id[1], id[2] = 0, 0, 0
	return serverID, binary.BigEndian.Uint64(id[:]), true
}

// ServerID returns only the server of a session ID, in three of the four rounds; ok as for Decode.
func (k *IDKey) ServerID(id [IDSize]byte) (serverID uint16, ok bool) {
	if id[0]>>idRotationShift != k.rotation {
		return 0, false
	}
	k.feistel.decrypt(id[1:], feistelRounds-1)
	return binary.BigEndian.Uint16(id[1:]), true
}

// Zero drops the key. It cannot be used afterwards.
func (k *IDKey) Zero() { *k = IDKey{} }

// IDSource hands out the session IDs of one shard of one server, each nonce once. The nonce counts
// from a random start and is advanced until the last octet of the ID, modulo the number of shards, is
// the shard: so a packet filter can steer by one octet. Shards of a server share key and server ID
// and still never make the same ID, since each ID has one last octet. One caller at a time.
type IDSource struct {
	key           *IDKey
	serverID      uint16
	shards, shard uint8
	nonce         uint64 // the next one to try
	left          uint64 // nonces not tried yet
}

// NewIDSource returns the source of one shard; shards is at least 1 and shard below it, else it is a
// bug and panics. start is a random number, of which 40 bits are used.
func NewIDSource(key *IDKey, serverID uint16, shards, shard uint8, start uint64) *IDSource {
	if shard >= shards {
		panic("BUG: crypto: no such shard")
	}
	return &IDSource{key: key, serverID: serverID, shards: shards, shard: shard, nonce: start & MaxIDNonce, left: MaxIDNonce + 1}
}

// Next returns a new session ID, or false when the nonces of the key are used up (after 2^40). Of
// random the lowest 5 bits are used. It tries as many nonces as there are shards, on average.
//
// spec: PROT-25 PROT-26
func (s *IDSource) Next(random byte) (id [IDSize]byte, ok bool) {
	for s.left > 0 {
		id = s.key.Encode(s.serverID, s.nonce, random)
		s.nonce = (s.nonce + 1) & MaxIDNonce
		s.left--
		if id[IDSize-1]%s.shards == s.shard {
			return id, true
		}
	}
	return [IDSize]byte{}, false
}
