package crypto

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"
)

func testIdentity(t testing.TB, n byte) PrivateKey {
	key, err := PrivateKeyFromSeed(bytes.NewReader(testSecret(n)[:]))
	require.NoError(t, err)
	return key
}

// spec: PROT-27
func TestResetTokenIsAnHMACOfRotationAndID(t *testing.T) {
	k := NewResetKey([32]byte(*testSecret(4)))
	id := [IDSize]byte{3<<5 | 9, 1, 2, 3, 4, 5, 6, 7}
	h := hmac.New(sha256.New, testSecret(4)[:])
	h.Write([]byte{3})
	h.Write(id[:])
	token := k.Token(id)
	require.Equal(t, h.Sum(nil)[:ResetTokenSize], token[:])
	require.Equal(t, token, k.Token(id))
	for bit := range 64 {
		other := id
		other[bit/8] ^= 1 << (bit % 8)
		require.NotEqual(t, token, k.Token(other))
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = k.Token(id) }))
}

// Two servers of a fleet share their keys. A client of one sends it the session IDs of the other's
// sessions, to be told their reset tokens: it gets none.
//
// spec: PROT-27
func TestAttack27ResetTokensOnlyForOwnIDs(t *testing.T) {
	identity := testIdentity(t, 1)
	here, there := DeriveEndpointKeys(identity), DeriveEndpointKeys(identity)
	ours, theirs := NewIDSource(here.ID, 1, 1, 0, 500), NewIDSource(there.ID, 2, 1, 0, 500)
	for range 1000 {
		id, _ := theirs.Next(0)
		token, ok := here.ResetToken(1, id)
		require.False(t, ok, "the ID of the other server")
		require.Zero(t, token)

		id, _ = ours.Next(7)
		token, ok = here.ResetToken(1, id)
		require.True(t, ok)
		require.Equal(t, here.Reset.Token(id), token)

		id[0] = 7<<5 | id[0]&31
		_, ok = here.ResetToken(1, id)
		require.False(t, ok, "an ID that cannot be routed")
	}
	// IDs that nobody issued decode to one server in 65,536.
	found := 0
	id := [IDSize]byte{}
	for i := range 200_000 {
		id[1], id[2], id[3] = byte(i), byte(i>>8), byte(i>>16)
		if _, ok := here.ResetToken(1, id); ok {
			found++
		}
	}
	require.Less(t, found, 20)
}

// spec: PROT-28
func TestEndpointKeysComeBackWithTheIdentity(t *testing.T) {
	first, restarted, other := DeriveEndpointKeys(testIdentity(t, 1)), DeriveEndpointKeys(testIdentity(t, 1)), DeriveEndpointKeys(testIdentity(t, 2))
	cookie := first.Cookie.Seal(cookieNow, cookieAddr, &cookieEphem, cookieNoise)
	require.True(t, restarted.Cookie.Verify(&cookie, cookieNow, cookieAddr, &cookieEphem))
	require.False(t, other.Cookie.Verify(&cookie, cookieNow, cookieAddr, &cookieEphem))

	id := first.ID.Encode(1, 2, 3)
	require.Equal(t, id, restarted.ID.Encode(1, 2, 3))
	require.NotEqual(t, id, other.ID.Encode(1, 2, 3))
	require.Equal(t, first.Reset.Token(id), restarted.Reset.Token(id))
	require.NotEqual(t, first.Reset.Token(id), other.Reset.Token(id))
	require.Panics(t, func() { DeriveEndpointKeys(PrivateKey{}) })
}

// spec: PROT-28
func TestConfigRotationsHaveKeysOfTheirOwn(t *testing.T) {
	old, now := DeriveRotatedEndpointKeys(testIdentity(t, 1), 0), DeriveRotatedEndpointKeys(testIdentity(t, 1), 1)
	oldID, newID := old.ID.Encode(1, 2, 3), now.ID.Encode(1, 2, 3)
	require.NotEqual(t, oldID[1:], newID[1:])
	require.NotEqual(t, old.Reset.Token(oldID), now.Reset.Token(oldID))
	_, _, ok := now.ID.Decode(oldID)
	require.False(t, ok)
	cookie := old.Cookie.Seal(cookieNow, cookieAddr, &cookieEphem, cookieNoise)
	require.True(t, now.Cookie.Verify(&cookie, cookieNow, cookieAddr, &cookieEphem), "cookies have epochs instead")
	now.Zero()
	require.False(t, now.Cookie.Verify(&cookie, cookieNow, cookieAddr, &cookieEphem))
}

// spec: PROT-29
func TestTokensAreLookedUpUnderAKeyOfTheProcess(t *testing.T) {
	l, other := NewTokenLookup([16]byte{1}), NewTokenLookup([16]byte{2})
	token := [ResetTokenSize]byte{5, 6, 7}
	require.Equal(t, l.Key(token), l.Key(token))
	require.NotEqual(t, token, l.Key(token))
	require.NotEqual(t, l.Key(token), other.Key(token))
	require.NotEqual(t, l.Key(token), l.Key([ResetTokenSize]byte{}))
	require.Zero(t, testing.AllocsPerRun(100, func() { token = l.Key(token) }))
}
