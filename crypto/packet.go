package crypto

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	// TagSize is the length in bytes of the tag that both suites add.
	TagSize = 16
	// nonceSize is that of both suites: path ID 4 bytes, packet number 8.
	nonceSize = 12

	// MaxPacketNumber is the highest packet number, 62 bits as RFC 9000 has it.
	MaxPacketNumber = 1<<62 - 1
)

// Errors of opening a packet. They carry no detail, since the difference would help only a forger.
var (
	ErrPacketTooShort = errors.New("crypto: the packet is too short to hold a sample and a tag")
	ErrOpen           = errors.New("crypto: the packet is not authentic")
)

// labels are the words of the key schedule for one direction of packets.
type labels struct{ prefix, key, iv, hp, ku string }

// ourLabels are those of this protocol.
var ourLabels = labels{prefix: LabelPrefix, key: "key", iv: "iv", hp: "hp", ku: "ku"}

// PacketKey seals and opens packets in one direction and one key generation. It has scratch space:
// one caller at a time.
//
// The key itself stays beside the cipher that is made from it, which is eleven times as large: Rest drops
// the cipher, and the next packet makes it again.
type PacketKey struct {
	aead  cipher.AEAD // nil: at rest
	suite Suite
	size  uint8 // of the key in bytes
	key   [KeySize]byte
	iv    [nonceSize]byte
	nonce [nonceSize]byte // here rather than on the stack, where the call through cipher.AEAD would move it to the heap
	audit auditID
}

// NewPacketKey returns the key that belongs to a secret. A suite that is not Valid is a bug and panics.
//
// spec: PROT-6
func NewPacketKey(suite Suite, secret *Secret) *PacketKey {
	return newPacketKey(suite, secret, &ourLabels)
}

func newPacketKey(suite Suite, secret *Secret, l *labels) *PacketKey {
	var key [KeySize]byte
	var iv [nonceSize]byte
	expandLabel(key[:], l.prefix, secret[:], l.key, nil)
	expandLabel(iv[:], l.prefix, secret[:], l.iv, nil)
	defer Zero(key[:])
	return newRawPacketKey(suite, key[:], iv[:])
}

// newRawPacketKey takes key and IV themselves; 16 bytes are AES-128, which only vectors use.
func newRawPacketKey(suite Suite, key, iv []byte) *PacketKey {
	k := &PacketKey{suite: suite, size: uint8(len(key)), iv: [nonceSize]byte(iv), audit: newAuditID(key)}
	copy(k.key[:], key)
	k.wake()
	return k
}

// ready sees to it that there is a cipher.
func (k *PacketKey) ready() {
	if k.aead == nil {
		k.wake()
	}
}

// wake makes the cipher.
func (k *PacketKey) wake() {
	var err error
	key := k.key[:k.size]
	switch k.suite {
	case AES256GCM:
		k.aead, err = cipher.NewGCM(newAES(key))
	case ChaCha20Poly1305:
		k.aead, err = chacha20poly1305.New(key)
	default:
		panic("BUG: crypto: packet key for " + k.suite.String())
	}
	if err != nil {
		panic("BUG: crypto: the cipher refused its key: " + err.Error())
	}
}

// Rest gives back the memory of the cipher, some 800 bytes, until the next packet, which takes half a
// microsecond more.
func (k *PacketKey) Rest() { k.aead = nil }

// setNonce makes the nonce of a packet: the IV XOR the path ID (32 bits) and the packet number (64).
//
// spec: PROT-7
func (k *PacketKey) setNonce(path uint32, pn uint64) {
	binary.BigEndian.PutUint32(k.nonce[:4], binary.BigEndian.Uint32(k.iv[:4])^path)
	binary.BigEndian.PutUint64(k.nonce[4:], binary.BigEndian.Uint64(k.iv[4:])^pn)
}

// Seal encrypts buf[hdrLen:] where it lies, with buf[:hdrLen] as associated data, and returns buf
// with the tag. Give buf a spare capacity of TagSize, else the packet is copied. A packet number
// above MaxPacketNumber is a bug and panics; so is, in spirit, one that was used before on this path,
// which Sender watches.
//
// spec: PROT-8
func (k *PacketKey) Seal(buf []byte, hdrLen int, path uint32, pn uint64) []byte {
	return k.SealFrom(buf[:hdrLen], buf[hdrLen:], path, pn)
}

// SealFrom is Seal for plaintext that lies elsewhere: it appends the encrypted plaintext and the tag to header. The
// two must not overlap, unless the plaintext is just behind the header.
func (k *PacketKey) SealFrom(header, plain []byte, path uint32, pn uint64) []byte {
	if pn > MaxPacketNumber {
		panic("BUG: crypto: packet number above 62 bits")
	}
	k.ready()
	k.setNonce(path, pn)
	k.audit.sealed(&k.nonce, header, plain)
	return k.aead.Seal(header, k.nonce[:], plain, header)
}

// Open decrypts buf[hdrLen:] where it lies, with buf[:hdrLen] as associated data, and returns the
// plaintext within buf. On failure it returns ErrOpen; the bytes between header and tag are then
// undefined, header and tag (the last 16 bytes) are as they came.
//
// spec: PROT-8
func (k *PacketKey) Open(buf []byte, hdrLen int, path uint32, pn uint64) ([]byte, error) {
	return k.OpenInto(nil, buf, hdrLen, path, pn)
}

// OpenInto is Open with the plaintext in dst, which is as long and must not overlap buf; nil: where it lies. On failure dst
// is undefined, and buf as it came.
func (k *PacketKey) OpenInto(dst, buf []byte, hdrLen int, path uint32, pn uint64) ([]byte, error) {
	if len(buf) < hdrLen+TagSize {
		return nil, ErrPacketTooShort
	}
	if dst == nil {
		dst = buf[hdrLen:]
	}
	k.ready()
	k.setNonce(path, pn)
	plain, err := k.aead.Open(dst[:0], k.nonce[:], buf[hdrLen:], buf[:hdrLen])
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// Zero wipes key and IV and drops the cipher. The key cannot be used afterwards.
func (k *PacketKey) Zero() { *k = PacketKey{} }

// NextSecret returns the secret of the next key generation. Wipe the old one when its keys are made.
//
// spec: PROT-12
func NextSecret(secret *Secret) Secret { return expandSecret(secret, ourLabels.ku) }
