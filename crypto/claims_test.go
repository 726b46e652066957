package crypto

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Everybody can make cookies under a key of zeros, so a key that was never set must not take them.
//
// spec: PROT-23
func TestAttack03ACookieUnderAKeyOfZerosIsNotTaken(t *testing.T) {
	everybodys := &CookieKey{set: true}
	cookie := everybodys.Seal(cookieNow, cookieAddr, &cookieEphem, cookieNoise)
	token := everybodys.SealAddressToken(cookieNow, cookieAddr.Addr(), cookieNoise)
	require.True(t, everybodys.Verify(&cookie, cookieNow, cookieAddr, &cookieEphem))
	for _, k := range []*CookieKey{nil, {}, NewCookieKey([32]byte{})} {
		require.False(t, k.Verify(&cookie, cookieNow, cookieAddr, &cookieEphem))
		require.False(t, k.Verify(&token, cookieNow, cookieAddr, &cookieEphem))
	}
}
