package tunnel

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAConnectionToTheRedirectPortItselfIsReset(t *testing.T) {
	// spec: TUN-22
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
		e := startWithKeys(t)
		e.startClient(ClientConfig{
			Server: e.server.Listen, PeerKey: e.server.Identity.Public(), Identity: e.clientKey, Redirect: listen,
			Wait: time.Second,
		})
		(&fakeTunnel{t: t, client: e.client}).wantReset(0)
		e.wantLog(e.clientLog, "connection refused")
		require.NotContains(t, e.serverLog.String(), "connection refused", "the server was not asked")
	}
}

func TestTheOwnAddressIsToldApartInEveryForm(t *testing.T) {
	// spec: TUN-22
	for other, want := range map[string]bool{
		"10.0.0.1:12345": true, "[::ffff:10.0.0.1]:12345": true, "10.0.0.1:12346": false, "10.0.0.2:12345": false,
	} {
		require.Equal(t, want, sameAddrPort(netip.MustParseAddrPort("10.0.0.1:12345"), netip.MustParseAddrPort(other)), other)
	}
	require.True(t, sameAddrPort(netip.MustParseAddrPort("[fe80::1]:1"), netip.MustParseAddrPort("[fe80::1%lo]:1")))
}
