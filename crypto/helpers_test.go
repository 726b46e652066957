package crypto

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unhex returns the bytes of a hexadecimal text in which spaces and line ends are free.
func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	require.NoError(t, err)
	return b
}

// testSecret returns a secret that is different for every n.
func testSecret(n byte) *Secret {
	s := new(Secret)
	for i := range s {
		s[i] = n ^ byte(i*7+1)
	}
	return s
}

var bothSuites = []Suite{AES256GCM, ChaCha20Poly1305}

// pair is the two ends of one direction.
type pair struct {
	t    testing.TB
	send *Sender
	recv *Receiver
}

func newPair(t testing.TB, suite Suite) *pair {
	return &pair{t, NewSender(suite, testSecret(1)), NewReceiver(suite, testSecret(1))}
}

// testID is the destination ID of the test packets, so that the packet number starts at 9.
var testID = [8]byte{0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8}

const (
	testPNOff = 9
	testPNLen = 2
)

// header returns an unmasked short header with some spare capacity behind it.
func header(phase bool, pnLen int, pn uint64) []byte {
	first := byte(0b1000 | pnLen - 1)
	if phase {
		first |= phaseBit
	}
	b := append(make([]byte, 0, 1500), first)
	b = append(b, testID[:]...)
	for i := pnLen - 1; i >= 0; i-- {
		b = append(b, byte(pn>>(8*i)))
	}
	return b
}

// seal returns a protected packet on a path.
func (p *pair) seal(path uint32, pn uint64, payload string) []byte {
	b := append(header(p.send.Phase(), testPNLen, pn), payload...)
	return p.send.SealPacket(b, testPNOff, testPNLen, path, pn)
}

// open opens a copy of a packet, whose full number the caller knows.
func (p *pair) open(packet []byte, path uint32, pn uint64) (plain string, updated bool, err error) {
	b := append([]byte(nil), packet...)
	pnLen, truncated, phase, err := p.recv.Unmask(b, testPNOff)
	if err != nil {
		return "", false, err
	}
	require.LessOrEqual(p.t, truncated, uint32(1<<(8*pnLen)-1))
	out, updated, err := p.recv.OpenPacket(b, testPNOff, pnLen, phase, path, pn)
	return string(out), updated, err
}

// mustOpen opens a packet and returns whether it brought a key update.
func (p *pair) mustOpen(packet []byte, path uint32, pn uint64, want string) (updated bool) {
	p.t.Helper()
	got, updated, err := p.open(packet, path, pn)
	require.NoError(p.t, err)
	require.Equal(p.t, want, got)
	return updated
}
