package crypto

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// spec: PROT-8
func TestTheWholeHeaderIsAuthenticated(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, suite)
		packet := p.seal(0, 7, "frames")
		for bit := range len(packet) * 8 {
			forged := bytes.Clone(packet)
			forged[bit/8] ^= 1 << (bit % 8)
			_, updated, err := p.open(forged, 0, 7)
			require.ErrorIs(t, err, ErrOpen, "bit %d", bit)
			require.False(t, updated)
		}
		p.mustOpen(packet, 0, 7, "frames")
	}
}

// spec: PROT-7
func TestTheNonceHoldsPathAndWholeNumber(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, suite)
		packet := p.seal(3, 1<<40|5, "frames")
		for _, wrong := range []struct {
			path uint32
			pn   uint64
		}{{0, 1<<40 | 5}, {3, 5}, {3, 1<<41 | 5}, {3, 1<<40 | 1<<16 | 5}, {3 << 24, 1<<40 | 5}} {
			_, _, err := p.open(packet, wrong.path, wrong.pn)
			require.ErrorIs(t, err, ErrOpen)
		}
		p.mustOpen(packet, 3, 1<<40|5, "frames")

		key := NewPacketKey(suite, testSecret(1))
		key.setNonce(0x01020304, 0x0506070809101112)
		want := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 0x10, 0x11, 0x12}
		for i := range want {
			require.Equal(t, want[i]^key.iv[i], key.nonce[i])
		}
	}
}

// spec: PROT-7
func TestNumbersAbove62BitsAreABug(t *testing.T) {
	key := NewPacketKey(AES256GCM, testSecret(1))
	require.NotPanics(t, func() { key.Seal(make([]byte, 20, 40), 10, 0, MaxPacketNumber) })
	require.Panics(t, func() { key.Seal(make([]byte, 20, 40), 10, 0, MaxPacketNumber+1) })
}

// spec: PROT-6
func TestEverySecretSuiteAndPurposeHasItsOwnKey(t *testing.T) {
	plain := make([]byte, 40)
	seen := make(map[string]bool)
	for _, suite := range bothSuites {
		for n := byte(1); n < 4; n++ {
			sealed := NewPacketKey(suite, testSecret(n)).Seal(bytes.Clone(plain), 10, 0, 1)
			seen[string(sealed)] = true
			mask := NewHeaderKey(suite, testSecret(n)).Mask(plain)
			seen[string(mask[:])] = true
		}
	}
	require.Len(t, seen, 12)
	for _, bad := range []Suite{0, 3, 255} {
		require.False(t, bad.Valid())
		require.Panics(t, func() { NewPacketKey(bad, testSecret(1)) })
		require.Panics(t, func() { NewHeaderKey(bad, testSecret(1)) })
	}
}

func TestPacketsAreSealedWhereTheyLie(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, suite)
		buf := append(header(false, testPNLen, 1), "frames"...)
		packet := p.send.SealPacket(buf, testPNOff, testPNLen, 0, 1)
		require.Same(t, &buf[0], &packet[0])
		require.Len(t, packet, len(buf)+TagSize)
		pnLen, _, phase, err := p.recv.Unmask(packet, testPNOff)
		require.NoError(t, err)
		plain, _, err := p.recv.OpenPacket(packet, testPNOff, pnLen, phase, 0, 1)
		require.NoError(t, err)
		require.Same(t, &packet[testPNOff+testPNLen], &plain[0])
	}
}

func TestPacketsAreOpenedWhereTheirPlaintextShallLie(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, suite)
		packet := p.seal(0, 1, "frames")
		pnLen, _, phase, err := p.recv.Unmask(packet, testPNOff)
		require.NoError(t, err)
		dst := make([]byte, len("frames"))
		plain, updated, err := p.recv.OpenPacketInto(dst, packet, testPNOff, pnLen, phase, 0, 1)
		require.NoError(t, err)
		require.False(t, updated)
		require.Equal(t, "frames", string(plain))
		require.True(t, p.recv.Resting())
		require.NotSame(t, &dst[0], &plain[0], "after a rest it is opened where it lies")
		_, _, err = p.recv.OpenPacketInto(dst, packet, testPNOff, pnLen, phase, 0, 2)
		require.ErrorIs(t, err, ErrOpen)
		require.False(t, p.recv.Resting(), "which ends with what does not open at once")

		packet = p.seal(0, 3, "others")
		pnLen, _, phase, err = p.recv.Unmask(packet, testPNOff)
		require.NoError(t, err)
		came := bytes.Clone(packet)
		plain, _, err = p.recv.OpenPacketInto(dst, packet, testPNOff, pnLen, phase, 0, 3)
		require.NoError(t, err)
		require.Equal(t, "others", string(plain))
		require.Same(t, &dst[0], &plain[0])
		require.Equal(t, came, packet, "the packet stays as it came")
	}
}

// A stateless reset is found by its last 16 bytes, after opening it has failed.
func TestAFailedOpeningLeavesTheLast16BytesAlone(t *testing.T) {
	for _, suite := range bothSuites {
		for size := testPNOff + MinAfterPacketNumber; size < 100; size++ {
			p := newPair(t, suite)
			packet := bytes.Repeat([]byte{0xa7}, size)
			pnLen, _, phase, err := p.recv.Unmask(packet, testPNOff)
			require.NoError(t, err)
			_, _, err = p.recv.OpenPacket(packet, testPNOff, pnLen, phase, 0, 1)
			require.ErrorIs(t, err, ErrOpen)
			require.Equal(t, bytes.Repeat([]byte{0xa7}, TagSize), packet[size-TagSize:])
		}
	}
}

func TestOpenRefusesWhatHoldsNoTag(t *testing.T) {
	p := newPair(t, AES256GCM)
	for n := range testPNOff + testPNLen + TagSize {
		_, _, err := p.recv.OpenPacket(make([]byte, n), testPNOff, testPNLen, false, 0, 1)
		require.ErrorIs(t, err, ErrPacketTooShort)
	}
	p.mustOpen(p.seal(0, 1, "xy"), 0, 1, "xy")
}

func TestSuitesHaveNamesAndAnOrder(t *testing.T) {
	require.Equal(t, "AES-256-GCM", AES256GCM.String())
	require.Equal(t, "ChaCha20-Poly1305", ChaCha20Poly1305.String())
	require.Equal(t, "suite 9", Suite(9).String())
	require.ElementsMatch(t, bothSuites, PreferredSuites())
	require.Equal(t, hasAES(), PreferredSuites()[0] == AES256GCM)
}

// spec: PROT-5
func TestExpandLabelSeparatesItsInputs(t *testing.T) {
	seen := make(map[string]bool)
	for _, secret := range []string{"a", "b"} {
		for _, prefix := range []string{LabelPrefix, "tls13 "} {
			for _, label := range []string{"key", "iv", "ke"} {
				for _, context := range []string{"", "y"} {
					seen[string(ExpandLabel(prefix, []byte(secret), label, []byte(context), 32))] = true
				}
			}
		}
	}
	require.Len(t, seen, 2*2*3*2)
	require.NotEqual(t, ExpandLabel("", nil, "x", nil, 16), ExpandLabel("", nil, "x", nil, 32)[:16], "the length is an input")
	long := string(make([]byte, 256))
	require.Panics(t, func() { ExpandLabel("", nil, long, nil, 32) })
	require.Panics(t, func() { ExpandLabel("", nil, "", []byte(long), 32) })
	require.Panics(t, func() { ExpandLabel("", nil, "", nil, 255*32+1) })
}

func TestPacketProtectionAllocatesNothing(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, suite)
		buf := make([]byte, 1200, 1200+TagSize)
		pn := uint64(0)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			pn++
			copy(buf, header8[:])
			p.send.SealPacket(buf, testPNOff, 1, 0, pn)
		}), "%v seal", suite)
		sealed := newPair(t, suite)
		packet := sealed.seal(0, 9, string(make([]byte, 1170)))
		_, _, _ = sealed.open(packet, 0, 9) // makes the next key
		work := make([]byte, len(packet))
		require.Zero(t, testing.AllocsPerRun(100, func() {
			copy(work, packet)
			pnLen, _, phase, _ := sealed.recv.Unmask(work, testPNOff)
			_, _, _ = sealed.recv.OpenPacket(work, testPNOff, pnLen, phase, 0, 9)
		}), "%v open", suite)
	}
}

// header8 is the start of a short packet with a packet number of one byte, phase 0.
var header8 = [testPNOff + 1]byte{0b1000, 1, 2, 3, 4, 5, 6, 7, 8, 0}

func TestZeroingTakesTheKeysAway(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, suite)
		p.mustOpen(p.seal(0, 1, "x1"), 0, 1, "x1")
		p.send.Update()
		p.mustOpen(p.seal(0, 2, "x2"), 0, 2, "x2")
		p.send.Zero()
		p.recv.Zero()
		require.Zero(t, p.send.next)
		require.Zero(t, *p.send.key)
		require.Zero(t, p.send.header)
		require.Zero(t, p.recv.secret)
		require.Nil(t, p.recv.keys[currentKey])
		require.Nil(t, p.recv.keys[previousKey])
		require.Nil(t, p.recv.keys[nextKey])
	}
	s := testSecret(1)
	s.Zero()
	require.Zero(t, *s)
}
