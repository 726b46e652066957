package conn

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
)

// originAt is a server at a port.
func originAt(port int) tokenOrigin {
	return tokenOrigin{server: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(port))}
}

func TestTokenIsTakenOnceAndTheNewestOneCounts(t *testing.T) {
	var c tokenCache
	require.Zero(t, c.take(originAt(1)))
	c.put(originAt(1), addressToken{1})
	c.put(originAt(1), addressToken{2})
	require.Zero(t, c.take(originAt(2)), "another server's")
	require.Equal(t, addressToken{2}, c.take(originAt(1)))
	require.Zero(t, c.take(originAt(1)))
}

func TestTokensOfTheServersDialedLongestAgoAreForgotten(t *testing.T) {
	var c tokenCache
	for port := range maxTokens {
		c.put(originAt(port), addressToken{1})
	}
	c.put(originAt(0), addressToken{2}) // dialed again
	c.put(originAt(maxTokens), addressToken{3})
	require.Len(t, c.places, maxTokens)
	require.Equal(t, maxTokens, c.order.Len())
	require.Zero(t, c.take(originAt(1)))
	require.Equal(t, addressToken{2}, c.take(originAt(0)))
	require.Equal(t, addressToken{3}, c.take(originAt(maxTokens)))
}

func TestTokenOfOneIdentityIsNotShownByAnother(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:1")
	configs := []*Config{
		{},
		{Identity: crypto.GeneratePrivateKey()},
		{PeerKey: crypto.GeneratePrivateKey().Public()},
		{PresharedKey: crypto.GeneratePresharedKey()},
	}
	seen := make(map[tokenOrigin]bool)
	for _, c := range configs {
		seen[*newTokenOrigin(at, c)] = true
		seen[*newTokenOrigin(at, c)] = true
	}
	require.Len(t, seen, len(configs))
}
