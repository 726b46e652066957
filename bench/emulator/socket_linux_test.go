package emulator

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestECNBitsPassAndTheQueueMarks(t *testing.T) {
	const ect0, ce = 2, 3
	for link, want := range map[string][]uint8{
		"":                               {ect0, ect0},
		"rate=100kbit,ecn=1ms,queue=1MB": {ect0, ce}, // the second waits for the first
		"mangle=bleach":                  {0, 0},
	} {
		server := listen(t)
		client := dial(t, start(t, server, link, nil))
		for range want {
			_, _, err := client.WriteMsgUDPAddrPort(make([]byte, 100), ecnMessage(ect0, netip.IPv4Unspecified()), netip.AddrPort{})
			require.NoError(t, err)
		}
		var got []uint8
		for range want {
			buf, oob := make([]byte, 200), make([]byte, oobSize)
			_, n, _, _, err := server.ReadMsgUDPAddrPort(buf, oob)
			require.NoError(t, err)
			got = append(got, codepoint(oob[:n]))
		}
		require.Equal(t, want, got, link)
	}
}

func TestControlMessagesRoundTrip(t *testing.T) {
	for ecn := range uint8(4) {
		for _, to := range []string{"127.0.0.1", "::1", "::ffff:1.2.3.4"} {
			require.Equal(t, ecn, codepoint(ecnMessage(ecn, netip.MustParseAddr(to))))
		}
	}
	require.Zero(t, codepoint([]byte{1, 2, 3}))
}
