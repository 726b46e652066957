package crypto

import (
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

const cookieNow = uint32(1_800_000_000)

var (
	cookieAddr   = netip.MustParseAddrPort("192.0.2.7:4433")
	cookieRoot   = [32]byte(*testSecret(77))
	cookieEphem  = [32]byte(*testSecret(78))
	cookieNoise  = [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	anotherEphem = [32]byte(*testSecret(79))
)

// spec: PROT-20
func TestACookieProvesAddressPortAndKey(t *testing.T) {
	k := NewCookieKey(cookieRoot)
	c := k.Seal(cookieNow, cookieAddr, &cookieEphem, cookieNoise)
	require.True(t, k.Verify(&c, cookieNow, cookieAddr, &cookieEphem))
	require.True(t, NewCookieKey(cookieRoot).Verify(&c, cookieNow, cookieAddr, &cookieEphem), "a restarted server takes it")
	require.True(t, k.Verify(&c, cookieNow, netip.MustParseAddrPort("[::ffff:192.0.2.7]:4433"), &cookieEphem), "the two forms of IPv4 are one")

	require.False(t, k.Verify(&c, cookieNow, netip.MustParseAddrPort("192.0.2.8:4433"), &cookieEphem))
	require.False(t, k.Verify(&c, cookieNow, netip.MustParseAddrPort("192.0.2.7:4434"), &cookieEphem))
	require.False(t, k.Verify(&c, cookieNow, cookieAddr, &anotherEphem))
	require.False(t, k.Verify(&c, cookieNow, netip.AddrPort{}, &cookieEphem))
	require.False(t, NewCookieKey(anotherEphem).Verify(&c, cookieNow, cookieAddr, &cookieEphem))
	for bit := range len(c) * 8 {
		forged := c
		forged[bit/8] ^= 1 << (bit % 8)
		require.False(t, k.Verify(&forged, cookieNow, cookieAddr, &cookieEphem), "bit %d", bit)
	}
}

// spec: PROT-20
func TestACookieIsGoodFor30Seconds(t *testing.T) {
	k := NewCookieKey(cookieRoot)
	for _, made := range []uint32{cookieNow, cookieNow/epochSeconds*epochSeconds - 1, ^uint32(0) - 3} {
		c := k.Seal(made, cookieAddr, &cookieEphem, cookieNoise)
		for age, good := range map[int32]bool{0: true, CookieLifetime: true, CookieLifetime + 1: false, -CookieClockSkew: true, -CookieClockSkew - 1: false, 86400: false, -86400: false, 1 << 30: false} {
			require.Equal(t, good, k.Verify(&c, made+uint32(age), cookieAddr, &cookieEphem), "made %d, age %d", made, age)
		}
	}
}

// spec: PROT-21
func TestAnAddressTokenProvesTheAddressForADay(t *testing.T) {
	k := NewCookieKey(cookieRoot)
	for _, made := range []uint32{cookieNow, cookieNow / epochSeconds * epochSeconds, cookieNow/epochSeconds*epochSeconds - 1} {
		c := k.SealAddressToken(made, cookieAddr.Addr(), cookieNoise)
		for age, good := range map[int32]bool{0: true, 3600: true, AddressTokenLifetime: true, AddressTokenLifetime + 1: false, -CookieClockSkew: true, -CookieClockSkew - 1: false} {
			require.Equal(t, good, k.Verify(&c, made+uint32(age), cookieAddr, &cookieEphem), "made %d, age %d", made, age)
		}
		require.True(t, k.Verify(&c, made, netip.AddrPortFrom(cookieAddr.Addr(), 9), &anotherEphem), "any port, any key")
		require.False(t, k.Verify(&c, made, netip.MustParseAddrPort("192.0.2.8:4433"), &cookieEphem))
	}
}

// spec: PROT-21
func TestCookiesAndAddressTokensAreNotEachOther(t *testing.T) {
	k := NewCookieKey(cookieRoot)
	cookie := k.Seal(cookieNow, cookieAddr, &cookieEphem, cookieNoise)
	token := k.SealAddressToken(cookieNow, cookieAddr.Addr(), cookieNoise)
	cookie[1] ^= addressTokenFlag
	token[1] ^= addressTokenFlag
	require.False(t, k.Verify(&cookie, cookieNow, cookieAddr, &cookieEphem))
	require.False(t, k.Verify(&token, cookieNow, cookieAddr, &cookieEphem))
}

// spec: PROT-22
func TestEpochsHaveKeysOfTheirOwn(t *testing.T) {
	k := NewCookieKey(cookieRoot)
	seen := make(map[string]bool)
	for epoch := range uint32(10) {
		for _, flag := range []byte{cookieFlag, addressTokenFlag} {
			m := k.epoch(flag, epoch)
			m.input[0] = 1
			seen[hex.EncodeToString(m.of(1))] = true
		}
	}
	require.Len(t, seen, 20)
	old := k.SealAddressToken(cookieNow, cookieAddr.Addr(), cookieNoise)
	for later := range uint32(300) { // the octet of the epoch comes round after 256 days
		now := cookieNow + (later+2)*epochSeconds
		require.False(t, k.Verify(&old, now, cookieAddr, &cookieEphem))
	}
}

func TestTheLongestLifetimeFitsTwoEpochs(t *testing.T) {
	require.LessOrEqual(t, AddressTokenLifetime, epochSeconds)
	require.LessOrEqual(t, CookieLifetime, AddressTokenLifetime)
	require.Zero(t, epochSlots&(epochSlots-1))
	require.GreaterOrEqual(t, maxMACInput, cookieMAC+16+2+32)
}

// A listener cannot be made to take anything by forgetting its key.
//
// spec: PROT-23
func TestAttack03AnUnsetCookieKeyMatchesNothing(t *testing.T) {
	good := NewCookieKey(cookieRoot).Seal(cookieNow, cookieAddr, &cookieEphem, cookieNoise)
	zeroed := NewCookieKey(cookieRoot)
	zeroed.Zero()
	for _, k := range []*CookieKey{nil, {}, NewCookieKey([32]byte{}), zeroed} {
		require.False(t, k.Verify(&good, cookieNow, cookieAddr, &cookieEphem))
		require.False(t, k.Verify(new([CookieSize]byte), cookieNow, cookieAddr, &cookieEphem))
		require.False(t, k.Verify(new([CookieSize]byte), 0, cookieAddr, &cookieEphem))
		require.Panics(t, func() { k.Seal(cookieNow, cookieAddr, &cookieEphem, cookieNoise) })
		require.Panics(t, func() { k.SealAddressToken(cookieNow, cookieAddr.Addr(), cookieNoise) })
	}
	require.False(t, NewCookieKey(cookieRoot).Verify(new([CookieSize]byte), 0, cookieAddr, &cookieEphem), "an INIT without a cookie has zeros there")
}

func TestCookiesAllocateNothing(t *testing.T) {
	k := NewCookieKey(cookieRoot)
	c := k.Seal(cookieNow, cookieAddr, &cookieEphem, cookieNoise)
	forged := c
	forged[31] ^= 1
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_ = k.Seal(cookieNow, cookieAddr, &cookieEphem, cookieNoise)
		_ = k.Verify(&c, cookieNow, cookieAddr, &cookieEphem)
		_ = k.Verify(&forged, cookieNow, cookieAddr, &cookieEphem)
	}))
}
