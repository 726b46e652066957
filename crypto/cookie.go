package crypto

import (
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
)

const (
	// CookieSize is the length in bytes of a cookie and of an address token.
	CookieSize = 32
	// CookieLifetime is how many seconds a cookie is good for: one round trip with retransmissions.
	CookieLifetime = 30
	// AddressTokenLifetime is how many seconds an address token is good for: a day.
	AddressTokenLifetime = 24 * 60 * 60
	// CookieClockSkew is how many seconds the clock of the server that made a cookie may be ahead of
	// that of the server which checks it.
	CookieClockSkew = 5

	// epochSeconds is how long one MAC key is used. It is the longest lifetime, so that whatever is
	// still good was made in this epoch or in the one before.
	epochSeconds = AddressTokenLifetime

	cookieFlag       = 0b0000_0000 // a cookie: binds address, port and e_c
	addressTokenFlag = 0b0000_0001 // an address token: binds the address
)

// Layout of a cookie: epoch 1, flags 1, time 4, random 8, MAC 18.
const (
	cookieTime   = 2
	cookieRandom = 6
	cookieMAC    = 14
)

// CookieKey makes and checks the 32-byte proofs of address that let a server answer a first packet
// without keeping anything: cookies, which a RETRY carries, and address tokens, which a session gives
// for the next time. Every server with the same root makes and takes the same ones, whenever it was
// started. The zero value, and a nil CookieKey, match nothing. One caller at a time.
type CookieKey struct {
	root   Secret
	set    bool
	epochs [2][epochSlots]epochKey // by kind (the flag), then by epoch
}

// epochSlots is how many epochs are kept ready: this one, the one before, and the next one when a
// clock of the fleet is ahead; a power of two.
const epochSlots = 4

type epochKey struct {
	number uint32
	mac    *macKey // nil: the slot is empty
}

// NewCookieKey returns the key with the given root. A root of zeros is no key.
func NewCookieKey(root [32]byte) *CookieKey {
	k := &CookieKey{root: root}
	k.set = !isZero(&root)
	return k
}

// Seal returns a cookie for the client at addr whose first packet carries the ephemeral key e_c.
// now is in seconds since 1970, random is 8 fresh random bytes. An unset key and an address that is
// not valid are bugs and panic.
//
// spec: PROT-20
func (k *CookieKey) Seal(now uint32, addr netip.AddrPort, ephemeral *[32]byte, random [8]byte) [CookieSize]byte {
	return k.seal(cookieFlag, now, addr, ephemeral, random)
}

// SealAddressToken returns an address token for the client at addr, whatever its port will be.
// now is in seconds since 1970, random is 8 fresh random bytes. An unset key and an address that is
// not valid are bugs and panic.
//
// spec: PROT-21
func (k *CookieKey) SealAddressToken(now uint32, addr netip.Addr, random [8]byte) [CookieSize]byte {
	return k.seal(addressTokenFlag, now, netip.AddrPortFrom(addr, 0), nil, random)
}

// Verify reports whether the cookie field of a first packet, a cookie or an address token, proves
// that its sender receives what is sent to addr. ephemeral is the packet's e_c.
//
// spec: PROT-20 PROT-21 PROT-22
func (k *CookieKey) Verify(cookie *[CookieSize]byte, now uint32, addr netip.AddrPort, ephemeral *[32]byte) bool {
	if k == nil || !k.set || !addr.Addr().IsValid() { // spec: PROT-23
		return false
	}
	var lifetime uint32
	switch cookie[1] {
	case cookieFlag:
		lifetime = CookieLifetime
	case addressTokenFlag:
		lifetime = AddressTokenLifetime
	default:
		return false
	}
	made := binary.BigEndian.Uint32(cookie[cookieTime:])
	if now-made > lifetime && made-now > CookieClockSkew { // modulo 2^32: the clock wraps in 2106
		return false
	}
	if cookie[0] != byte(made/epochSeconds) {
		return false
	}
	mac := k.mac(cookie, made, addr, ephemeral)
	// spec: PROT-30
	return subtle.ConstantTimeCompare(mac, cookie[cookieMAC:]) == 1
}

func (k *CookieKey) seal(flag byte, now uint32, addr netip.AddrPort, ephemeral *[32]byte, random [8]byte) (c [CookieSize]byte) {
	if k == nil || !k.set || !addr.Addr().IsValid() {
		panic("BUG: crypto: a cookie from a key that is not set, or for no address")
	}
	c[0], c[1] = byte(now/epochSeconds), flag
	binary.BigEndian.PutUint32(c[cookieTime:], now)
	copy(c[cookieRandom:], random[:])
	copy(c[cookieMAC:], k.mac(&c, now, addr, ephemeral))
	return c
}

// mac returns the MAC that belongs into a cookie: over its first 14 bytes, the IP address in 16 bytes
// (IPv4 in the mapped form of RFC 4291 §2.5.5.2) and, for a cookie proper, port and e_c.
func (k *CookieKey) mac(c *[CookieSize]byte, made uint32, addr netip.AddrPort, ephemeral *[32]byte) []byte {
	m := k.epoch(c[1], made/epochSeconds)
	ip := addr.Addr().As16()
	n := copy(m.input[:], c[:cookieMAC])
	n += copy(m.input[n:], ip[:])
	if c[1] == cookieFlag {
		binary.BigEndian.PutUint16(m.input[n:], addr.Port())
		n += 2
		n += copy(m.input[n:], ephemeral[:])
	}
	return m.of(n)[:CookieSize-cookieMAC]
}

// epoch returns the MAC key of an epoch and a kind, expanding it on first use.
//
// spec: PROT-22
func (k *CookieKey) epoch(flag byte, number uint32) *macKey {
	slot := &k.epochs[flag][number%epochSlots]
	if slot.mac == nil || slot.number != number {
		label := "cookie"
		if flag == addressTokenFlag {
			label = "address token"
		}
		key := ExpandLabel(LabelPrefix, k.root[:], label, binary.BigEndian.AppendUint32(nil, number), KeySize)
		*slot = epochKey{number, newMACKey(key)}
		Zero(key)
	}
	return slot.mac
}

// Zero wipes the root. The key matches nothing afterwards.
func (k *CookieKey) Zero() {
	k.root.Zero()
	*k = CookieKey{}
}
