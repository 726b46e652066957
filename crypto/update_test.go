package crypto

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// spec: PROT-12 PROT-13
func TestAKeyUpdateFlipsThePhaseAndIsFollowed(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, suite)
		pn := uint64(0)
		for generation := range 5 {
			require.Equal(t, generation%2 == 1, p.send.Phase())
			for i := range 3 {
				want := fmt.Sprint("generation ", generation)
				updated := p.mustOpen(p.seal(0, pn, want), 0, pn, want)
				require.Equal(t, generation > 0 && i == 0, updated, "the first packet brings the update")
				pn++
			}
			p.send.Update()
		}
	}
}

// spec: PROT-12
func TestAKeyUpdateKeepsTheHeaderKeyAndChangesThePacketKey(t *testing.T) {
	for _, suite := range bothSuites {
		s := NewSender(suite, testSecret(1))
		old, mask := *s.key, s.header.Mask(make([]byte, sampleSize))
		first := s.key
		s.Update()
		require.Equal(t, mask, s.header.Mask(make([]byte, sampleSize)))
		require.NotEqual(t, old.iv, s.key.iv)
		require.Zero(t, *first, "the old key is gone")

		secret := NextSecret(testSecret(1))
		require.Equal(t, NewPacketKey(suite, &secret).iv, s.key.iv)
		require.NotEqual(t, *testSecret(1), secret)
	}
}

// spec: PROT-13
func TestPacketsReorderedAroundAnUpdateStillOpen(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, suite)
		late := p.seal(0, 1, "late")
		later := p.seal(0, 2, "later")
		p.send.Update()
		require.True(t, p.mustOpen(p.seal(0, 3, "new"), 0, 3, "new"))
		p.mustOpen(late, 0, 1, "late")
		p.mustOpen(p.seal(0, 4, "newer"), 0, 4, "newer")

		p.recv.DropPrevious()
		_, _, err := p.open(later, 0, 2)
		require.ErrorIs(t, err, ErrOpen, "the previous key is gone")
	}
}

// spec: PROT-13
func TestThePreviousKeyOpensNothingAboveTheUpdate(t *testing.T) {
	p := newPair(t, AES256GCM)
	below, above := p.seal(0, 4, "below"), p.seal(0, 9, "above")
	p.send.numbers = numberGuard{}
	p.send.Update()
	require.True(t, p.mustOpen(p.seal(0, 7, "new"), 0, 7, "new"))
	p.mustOpen(p.seal(0, 8, "newer"), 0, 8, "newer")
	_, _, err := p.open(above, 0, 9)
	require.ErrorIs(t, err, ErrOpen)
	p.mustOpen(below, 0, 4, "below")
}

// spec: PROT-13
func TestAReorderedStartOfAnUpdateMovesTheBoundary(t *testing.T) {
	p := newPair(t, AES256GCM)
	old := p.seal(0, 5, "old")
	p.send.Update()
	first, second := p.seal(0, 6, "first"), p.seal(0, 8, "second")
	require.True(t, p.mustOpen(second, 0, 8, "second"))
	require.False(t, p.mustOpen(first, 0, 6, "first"), "the same update is told once")
	require.Equal(t, uint64(6), p.recv.starts.lowest[0])
	p.mustOpen(old, 0, 5, "old")
}

// spec: PROT-13
func TestEveryPathHasItsOwnBoundaryOfAnUpdate(t *testing.T) {
	p := newPair(t, ChaCha20Poly1305)
	elsewhere := p.seal(1, 100, "other path")
	silent := p.seal(2, 100, "path without new packets")
	p.send.Update()
	require.True(t, p.mustOpen(p.seal(0, 3, "new"), 0, 3, "new"))
	p.mustOpen(elsewhere, 1, 100, "other path")
	p.mustOpen(silent, 2, 100, "path without new packets")
	p.mustOpen(p.seal(1, 101, "new there"), 1, 101, "new there")
	p.send.Update()
	require.True(t, p.mustOpen(p.seal(1, 102, "second update"), 1, 102, "second update"), "known path: no waiting for DropPrevious")
}

// spec: PROT-13
func TestMorePathsThanTheTableHoldsWaitForDropPrevious(t *testing.T) {
	p := newPair(t, AES256GCM)
	p.send.Update()
	p.mustOpen(p.seal(0, 0, "new"), 0, 0, "new")
	for path := uint32(1); path < 2*guardedPaths; path++ {
		p.mustOpen(p.seal(path, 0, "new"), path, 0, "new")
	}
	require.Equal(t, guardedPaths, p.recv.starts.used)
	p.send.Update()
	next := p.seal(guardedPaths+1, 1, "next")
	_, _, err := p.open(next, guardedPaths+1, 1)
	require.ErrorIs(t, err, ErrOpen, "taken for a reordered packet of the previous key")
	p.recv.DropPrevious()
	require.True(t, p.mustOpen(next, guardedPaths+1, 1, "next"))
}

// spec: PROT-14
func TestForgedPacketsNeverMoveTheKeys(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, suite)
		p.mustOpen(p.seal(0, 1, "ok"), 0, 1, "ok")
		for i := range 200 {
			forged := p.seal(0, uint64(i+2), "forged")
			forged[len(forged)-1] ^= 1
			forged[0] ^= byte(i) & maskedBits
			_, updated, err := p.open(forged, 0, uint64(i+2))
			require.ErrorIs(t, err, ErrOpen)
			require.False(t, updated)
			require.False(t, p.recv.phase)
		}
		p.mustOpen(p.seal(0, 300, "still the same key"), 0, 300, "still the same key")
	}
}

// RFC 9001 §9.5: whether an update is under way must not show in the time a forged packet takes.
//
// spec: PROT-14
func TestTheNextKeyIsReadyBeforeThePhaseIsLookedAt(t *testing.T) {
	for _, flip := range []byte{0, phaseBit} {
		p := newPair(t, AES256GCM)
		require.Nil(t, p.recv.keys[nextKey])
		forged := p.seal(0, 1, "forged")
		forged[len(forged)-1] ^= 1
		forged[0] ^= flip
		_, _, err := p.open(forged, 0, 1)
		require.ErrorIs(t, err, ErrOpen)
		ready := p.recv.keys[nextKey]
		require.NotNil(t, ready, "whatever the phase bit, the next key was made")
		_, _, _ = p.open(forged, 0, 1)
		require.Same(t, ready, p.recv.keys[nextKey], "and is kept")
	}
}

func TestKeysRestWhileIdle(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, suite)
		p.mustOpen(p.seal(0, 1, "a1"), 0, 1, "a1")
		late := p.seal(0, 2, "late")
		p.send.Update()
		require.True(t, p.mustOpen(p.seal(0, 3, "a3"), 0, 3, "a3"))
		for range 2 {
			p.send.Rest()
			p.recv.Rest()
		}
		require.True(t, p.recv.Resting())
		require.Nil(t, p.recv.keys[nextKey])
		require.Nil(t, p.recv.keys[currentKey].aead)
		require.Nil(t, p.send.key.aead)
		p.mustOpen(p.seal(0, 4, "a4"), 0, 4, "a4")
		p.mustOpen(late, 0, 2, "late")
		p.send.Rest()
		p.send.Update()
		p.recv.Rest()
		require.True(t, p.mustOpen(p.seal(0, 5, "a5"), 0, 5, "a5"))
	}
}

// A forged packet that wakes a session must not tell by its time under which key it was tried.
//
// spec: PROT-14
func TestAPacketWakesEveryKeyWhateverItsPhase(t *testing.T) {
	for _, phase := range []bool{false, true} {
		p := newPair(t, AES256GCM)
		p.mustOpen(p.seal(0, 1, "a1"), 0, 1, "a1")
		p.recv.Rest()
		_, _, err := p.recv.OpenPacket(make([]byte, 64), testPNOff, 1, phase, 0, 2)
		require.ErrorIs(t, err, ErrOpen)
		require.NotNil(t, p.recv.keys[currentKey].aead)
		require.NotNil(t, p.recv.keys[nextKey].aead)
	}
}

// What keeps a session alive opens with the key in use. Everything else finds the next key ready as ever.
//
// spec: PROT-14
func TestAFewPacketsNeedNoNextKey(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, suite)
		for pn := range uint64(quietPackets) {
			p.mustOpen(p.seal(0, pn, "hello"), 0, pn, "hello")
			require.Nil(t, p.recv.keys[nextKey])
		}
		p.mustOpen(p.seal(0, 100, "traffic"), 0, 100, "traffic")
		require.NotNil(t, p.recv.keys[nextKey], "many make it")
		cipher := p.recv.keys[currentKey].aead
		p.recv.Doze()
		p.mustOpen(p.seal(0, 101, "still there"), 0, 101, "still there")
		require.Nil(t, p.recv.keys[nextKey])
		require.Same(t, cipher, p.recv.keys[currentKey].aead, "the cipher was kept")

		p.send.phase = !p.send.phase
		wrong := p.seal(0, 102, "the key in use, and the phase of the next one")
		p.send.phase = !p.send.phase
		_, _, err := p.open(wrong, 0, 102)
		require.ErrorIs(t, err, ErrOpen)
		require.NotNil(t, p.recv.keys[nextKey], "what does not open makes it")
		require.Equal(t, uint64(1), p.recv.Failures())

		p.recv.Doze()
		p.send.Update()
		require.True(t, p.mustOpen(p.seal(0, 103, "new key"), 0, 103, "new key"))
	}
}

// spec: PROT-15
func TestLimitsOfAKeyAreCountedInPacketsAndBytes(t *testing.T) {
	p := newPair(t, AES256GCM)
	packet := p.seal(0, 1, "four")
	require.Equal(t, uint64(1), p.send.Packets())
	require.Equal(t, uint64(len(packet)), p.send.Bytes())
	for _, c := range []struct {
		packets, bytes    uint64
		update, exhausted bool
	}{
		{UpdatePackets - 1, UpdateBytes - 1, false, false},
		{UpdatePackets, 0, true, false},
		{0, UpdateBytes, true, false},
		{MaxKeyPackets - 1, MaxKeyBytes - 1, true, false},
		{MaxKeyPackets, 0, true, true},
		{0, MaxKeyBytes, true, true},
	} {
		p.send.packets, p.send.bytes = c.packets, c.bytes
		require.Equal(t, c.update, p.send.NeedsUpdate(), c)
		require.Equal(t, c.exhausted, p.send.Exhausted(), c)
	}
	require.Panics(t, func() { p.seal(0, 2, "over") }, "an exhausted key seals nothing")
	p.send.Update()
	require.Zero(t, p.send.Packets()+p.send.Bytes())
	p.seal(0, 2, "under the next key")
}

// spec: PROT-15
func TestLimitsKeepTheirOrder(t *testing.T) {
	const bits28, bits23, bits36 uint64 = 1 << 28, 1 << 23, 1 << 36
	require.Less(t, uint64(UpdatePackets), uint64(MaxKeyPackets))
	require.Less(t, uint64(UpdateBytes), uint64(MaxKeyBytes))
	require.LessOrEqual(t, uint64(MaxKeyPackets), bits28, "confidentiality of AES-GCM at 2^11 bytes a packet")
	require.LessOrEqual(t, uint64(UpdatePackets), bits23, "confidentiality of AES-GCM at 2^16 bytes a packet")
	require.LessOrEqual(t, uint64(MaxAuthFailures), bits36, "integrity of ChaCha20-Poly1305")
	require.Equal(t, uint64(MaxKeyBytes), uint64(MaxKeyPackets)<<11)
}

// spec: PROT-16
func TestFailuresAreCountedOverAllKeys(t *testing.T) {
	p := newPair(t, ChaCha20Poly1305)
	want := uint64(0)
	for pn := uint64(0); pn < 10; pn++ {
		good := p.seal(0, pn, "good")
		forged := append([]byte(nil), good...)
		forged[len(forged)-1] ^= 1
		_, _, err := p.open(forged, 0, pn)
		require.ErrorIs(t, err, ErrOpen)
		want++
		require.Equal(t, want, p.recv.Failures())
		p.mustOpen(good, 0, pn, "good")
		p.send.Update()
	}
	require.Equal(t, want, p.recv.Failures(), "good packets do not count")
}

// spec: PROT-11
func TestAWrongHeaderIsTheCallersBug(t *testing.T) {
	p := newPair(t, AES256GCM)
	require.Panics(t, func() { p.send.SealPacket(append(header(true, 2, 1), "frames"...), testPNOff, 2, 0, 1) }, "phase")
	require.Panics(t, func() { p.send.SealPacket(append(header(false, 2, 1), "frames"...), testPNOff, 3, 0, 1) }, "length")
	require.Panics(t, func() { p.send.SealPacket(append(header(false, 2, 1), 0), testPNOff, 2, 0, 1) }, "too little for a sample")
	require.NotPanics(t, func() { p.send.SealPacket(append(header(false, 2, 1), 0, 0), testPNOff, 2, 0, 1) })
}
