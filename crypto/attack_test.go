package crypto

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Attacks on this level; the numbers are those of the list of attacks that the whole project shares.

// spec: PROT-6
func TestAttack07ReflectionOfEveryPacketOnlyCountsFailures(t *testing.T) {
	for _, suite := range bothSuites {
		toServer, toClient := testSecret(1), testSecret(2)
		client := &pair{t, NewSender(suite, toServer), NewReceiver(suite, toClient)}
		server := &pair{t, NewSender(suite, toClient), NewReceiver(suite, toServer)}
		for pn := range uint64(200) {
			if pn == 100 {
				client.send.Update()
				server.send.Update()
			}
			up, down := client.seal(0, pn, "up"), server.seal(0, pn, "down")
			_, updated, err := client.open(up, 0, pn)
			require.ErrorIs(t, err, ErrOpen)
			require.False(t, updated)
			_, _, err = server.open(down, 0, pn)
			require.ErrorIs(t, err, ErrOpen)
			server.mustOpen(up, 0, pn, "up")
			client.mustOpen(down, 0, pn, "down")
		}
		require.Equal(t, uint64(200), client.recv.Failures())
		require.Equal(t, uint64(200), server.recv.Failures())
	}
}

// An off-path attacker guesses reset tokens and cookies: nothing is found, and each guess costs one
// short keyed hash.
//
// spec: PROT-20 PROT-29
func TestAttack08GuessesOfTokensAndCookiesFindNothing(t *testing.T) {
	random := rand.NewChaCha8([32]byte{8})
	lookup := NewTokenLookup([16]byte{8})
	known := make(map[[ResetTokenSize]byte]bool)
	keys := DeriveEndpointKeys(testIdentity(t, 8))
	for nonce := range uint64(16) {
		known[lookup.Key(keys.Reset.Token(keys.ID.Encode(1, nonce, 0)))] = true
	}
	for range 100_000 {
		var token [ResetTokenSize]byte
		random.Read(token[:])
		require.False(t, known[lookup.Key(token)])
	}
	for range 100_000 {
		cookie := keys.Cookie.Seal(cookieNow, cookieAddr, &cookieEphem, cookieNoise)
		random.Read(cookie[cookieMAC:])
		require.False(t, keys.Cookie.Verify(&cookie, cookieNow, cookieAddr, &cookieEphem))
	}
}

// spec: PROT-7
func TestAttack20APacketNumberIsNeverUsedTwice(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, suite)
		p.seal(0, 5, "first")
		for _, again := range []uint64{5, 4, 0} {
			require.Panics(t, func() { p.seal(0, again, "again") })
		}
		p.seal(1, 5, "another path has numbers of its own")
		require.Panics(t, func() { p.seal(1, 5, "again") })
		p.send.Update()
		require.Panics(t, func() { p.seal(0, 5, "numbers go on under the next key") })
		p.seal(0, 6, "next")
		for path := uint32(2); path < 100; path++ {
			p.seal(path, 0, "migration")
			require.Panics(t, func() { p.seal(path, 0, "again") })
			require.Panics(t, func() { p.seal(path-1, 0, "again on the path before") })
		}
	}
}

// A process that starts again, or a copy of a machine, must not come back to keys it had: whatever
// repeats here (identity, IDs, cookies), sealing keys come from fresh ephemeral keys only.
//
// spec: PROT-6
func TestAttack20KeysFromTheIdentityNeverSealPackets(t *testing.T) {
	keys := DeriveEndpointKeys(testIdentity(t, 1))
	again := DeriveEndpointKeys(testIdentity(t, 1))
	require.Equal(t, keys.Cookie.root, again.Cookie.root, "these repeat, and only hash or permute")
	require.NotEqual(t, GeneratePrivateKey().Public(), GeneratePrivateKey().Public(), "ephemeral keys do not")
}

// Two keys under which one ciphertext opens do not help a guesser of pre-shared keys, since a key is
// looked up by its ID, and the ID commits to the key.
//
// spec: PROT-3
func TestAttack25IDsOfPresharedKeysCommitToThem(t *testing.T) {
	seen := make(map[[8]byte]bool)
	for n := range byte(200) {
		psk, err := PresharedKeyFromSeed(bytes.NewReader(testSecret(n)[:]))
		require.NoError(t, err)
		require.False(t, seen[psk.ID()])
		seen[psk.ID()] = true
	}
}

// spec: PROT-8 PROT-10 PROT-20
func TestAttack31RejectingAllocatesNothing(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, suite)
		packet := p.seal(0, 1, "some frames that are long enough")
		packet[len(packet)-1] ^= 1
		_, _, _ = p.open(packet, 0, 1) // makes the next key
		work := make([]byte, len(packet))
		for _, flip := range []byte{0, phaseBit} {
			require.Zero(t, testing.AllocsPerRun(100, func() {
				copy(work, packet)
				work[0] ^= flip
				pnLen, _, phase, _ := p.recv.Unmask(work, testPNOff)
				if _, _, err := p.recv.OpenPacket(work, testPNOff, pnLen, phase, 0, 1); err == nil {
					panic("a forged packet was opened")
				}
				_, _, _, _ = p.recv.Unmask(work[:20], testPNOff)
			}))
		}
	}
	keys := DeriveEndpointKeys(testIdentity(t, 1))
	cookie := keys.Cookie.Seal(cookieNow, cookieAddr, &cookieEphem, cookieNoise)
	cookie[20] ^= 1
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_ = keys.Cookie.Verify(&cookie, cookieNow, cookieAddr, &cookieEphem)
		_, _ = keys.ResetToken(1, [IDSize]byte{1})
	}))
}

// All points of low order and all their encodings, with any private key.
//
// spec: PROT-2
func TestAttack32PointsOfLowOrderAreRefused(t *testing.T) {
	for _, text := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		point := [KeySize]byte(unhex(t, text))
		for _, topBit := range []byte{0, 0x80} { // which X25519 ignores
			point[KeySize-1] ^= topBit
			shared, err := GeneratePrivateKey().ECDH(PublicKeyFromBytes(point))
			require.ErrorIs(t, err, ErrLowOrder, text)
			require.Zero(t, shared)
		}
	}
}
