package udp

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// The bytes are those of a 64-bit Windows, by ws2def.h and ws2ipdef.h.
func TestControlDataOfWindows(t *testing.T) {
	if wsaAlign != 8 {
		return // lengths are narrower
	}
	room := func() []byte { return make([]byte, 0, oobSize) }
	for name, c := range map[string]struct{ got, want []byte }{
		"ECN of IPv4": {appendWSAECN(room(), true, ECT1), []byte{20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 50, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}},
		"ECN of IPv6": {appendWSAECN(room(), false, CE), []byte{20, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 50, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0}},
		"a run":       {appendWSASegment(room(), 1452), []byte{20, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 2, 0, 0, 0, 0xac, 5, 0, 0, 0, 0, 0, 0}},
		"from IPv4":   {appendWSALocal(room(), netip.MustParseAddr("192.0.2.1")), []byte{24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 19, 0, 0, 0, 192, 0, 2, 1, 0, 0, 0, 0}},
		"from IPv6": {appendWSALocal(room(), netip.MustParseAddr("2001:db8::1")), append([]byte{36, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 19, 0, 0, 0,
			0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 8)...)},
	} {
		require.Equal(t, c.want, c.got, name)
	}
}

func TestControlDataOfWindowsIsReadAsItIsWritten(t *testing.T) {
	for _, local := range []string{"192.0.2.7", "2001:db8::7"} {
		a := netip.MustParseAddr(local)
		oob := appendWSALocal(make([]byte, 0, oobSize), a)
		oob = appendWSASegment(oob, 1200) // is passed over
		oob = appendWSAECN(oob, a.Is4(), ECT0)
		require.Equal(t, control{local: a, ecn: ECT0}, parseWSA(oob))
		for n := range oob {
			_ = parseWSA(oob[:n]) // cut off anywhere
		}
	}
	for _, oob := range [][]byte{nil, {1}, make([]byte, 64), bytes.Repeat([]byte{0xff}, 64)} {
		require.Zero(t, parseWSA(oob))
	}
}
