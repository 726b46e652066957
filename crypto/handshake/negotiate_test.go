package handshake

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
)

// spec: HS-18
func TestSuiteIsAESOnlyWhereBothEndsPreferIt(t *testing.T) {
	const aes, chacha = crypto.AES256GCM, crypto.ChaCha20Poly1305
	list := func(s ...crypto.Suite) []crypto.Suite { return s }
	for _, c := range []struct {
		client, server []crypto.Suite
		want           crypto.Suite
		ok             bool
	}{
		{list(aes, chacha), list(aes, chacha), aes, true},
		{list(chacha, aes), list(aes, chacha), chacha, true},
		{list(aes, chacha), list(chacha, aes), chacha, true},
		{list(chacha, aes), list(chacha, aes), chacha, true},
		{list(aes), list(chacha, aes), aes, true},
		{list(99, aes), list(aes), aes, true},
		{list(99), list(aes, chacha), 0, false},
		{nil, list(aes), 0, false},
	} {
		got, ok := SelectSuite(c.client, c.server)
		require.Equal(t, c.want, got, "%v %v", c.client, c.server)
		require.Equal(t, c.ok, ok)
	}
}

// spec: HS-19
func TestAppProtocolIsTheServersFirstThatTheClientNames(t *testing.T) {
	for _, c := range []struct {
		client, server []string
		want           string
		ok             bool
	}{
		{nil, nil, "", true},
		{[]string{"a", "b"}, []string{"b", "a"}, "b", true},
		{[]string{"a"}, []string{"b"}, "", false},
		{[]string{"a"}, nil, "", false},
		{nil, []string{"b"}, "", false},
	} {
		got, ok := SelectAppProtocol(c.client, c.server)
		require.Equal(t, c.want, got, "%v %v", c.client, c.server)
		require.Equal(t, c.ok, ok)
	}
}

// spec: HS-21
func TestEachVersionListHasGreaseThatNobodyChooses(t *testing.T) {
	grease := func(list []uint32) (n int) {
		for _, v := range list {
			if IsGrease(v) {
				n++
			}
		}
		return n
	}
	places := map[int]bool{}
	for seed := range uint64(40) {
		e := newEnds(t, setting{
			client: func(c *ClientConfig) { c.Rand = seeded(seed) },
			server: func(c *ServerConfig) { c.Rand = seeded(seed + 1000) },
		})
		e.run()
		require.Equal(t, 1, grease(e.hello.Versions))
		require.Equal(t, 1, grease(e.client.Response().Versions))
		places[map[bool]int{true: 0, false: 1}[IsGrease(e.hello.Versions[0])]] = true
	}
	require.Len(t, places, 2, "its place is random")
	_, ok := BestVersion([]uint32{0x1a2a3a4a}, []uint32{0x1a2a3a4a})
	require.False(t, ok)
	require.False(t, IsGrease(Version1))
}

const version2 = 0x47570002

// newer gives ends that speak two versions, of which the second is the worse.
func newer(t *testing.T, original uint32) *ends {
	t.Helper()
	return newEnds(t, setting{
		client: func(c *ClientConfig) { c.Versions, c.Original = []uint32{version2, Version1}, original },
	})
}

// spec: HS-4
func TestInitOfAVersionThatIsNotSpokenIsNotRead(t *testing.T) {
	e := newEnds(t, setting{})
	b := e.client.AppendInit(nil)
	b[4] = 2
	require.ErrorIs(t, e.receiveInit(b), ErrVersion)
	require.ErrorIs(t, e.receiveInit(append(b, 0)), ErrVersion, "another version may have a longer INIT")
	require.ErrorIs(t, e.receiveInit(b[:1199]), ErrMalformed, "and no shorter one")
	require.Zero(t, e.server.Agreements())
}

// TestAttack18Downgrade edits all that could lead two ends to less than the best
// that they have in common.
//
// spec: HS-17 HS-27 HS-28
func TestAttack18Downgrade(t *testing.T) {
	t.Run("a forged version negotiation is found out by the server", func(t *testing.T) {
		e := newer(t, version2)
		e.server.config.Versions = []uint32{version2, Version1}
		err := e.receiveInit(e.client.AppendInit(nil))
		var abort *AbortError
		require.ErrorAs(t, err, &abort)
		require.Equal(t, RejectVersion, abort.Code)
		require.NotEmpty(t, e.server.AppendReject(nil, rejectHeader(), &e.in, abort.Code, ""), "it can be answered")
	})
	t.Run("also when the client does not say that it began with another version", func(t *testing.T) {
		e := newer(t, Version1)
		e.server.config.Versions = []uint32{version2, Version1}
		var abort *AbortError
		require.ErrorAs(t, e.receiveInit(e.client.AppendInit(nil)), &abort)
		require.Equal(t, RejectVersion, abort.Code)
	})
	t.Run("and by the client", func(t *testing.T) {
		e := newer(t, version2)
		require.NoError(t, e.receiveInit(e.client.AppendInit(nil)))
		response := testResponse()
		response.Versions = []uint32{version2, Version1} // speaks the better one and did not look
		half, err := e.server.Respond(&e.in, respHeader(), response)
		require.NoError(t, err)
		abort := requireAbort(t, e.client, respHeader(), coreOf(half))
		require.Contains(t, abort.Reason, "downgrade")
	})
	t.Run("an original version that the server speaks is a forgery too", func(t *testing.T) {
		e := newEnds(t, setting{client: func(c *ClientConfig) { c.Original = version2 }})
		e.server.config.Versions = []uint32{Version1, version2}
		var abort *AbortError
		require.ErrorAs(t, e.receiveInit(e.client.AppendInit(nil)), &abort)
	})
	t.Run("a true version negotiation goes through", func(t *testing.T) {
		client, server := newer(t, version2).run()
		requireSame(t, client, server)
	})
	t.Run("a server that does not list the version in use", func(t *testing.T) {
		e := newEnds(t, setting{})
		require.NoError(t, e.receiveInit(e.client.AppendInit(nil)))
		response := testResponse()
		response.Versions = []uint32{version2}
		half, err := e.server.Respond(&e.in, respHeader(), response)
		require.NoError(t, err)
		requireAbort(t, e.client, respHeader(), coreOf(half))
	})
	for name, edit := range map[string]func(*Response){
		"a cipher that was not offered":   func(r *Response) { r.Suite = crypto.AES256GCM },
		"a cipher that does not exist":    func(r *Response) { r.Suite = 99 },
		"a protocol that was not offered": func(r *Response) { r.AppProtocol = "game/0" },
		"no protocol where some were":     func(r *Response) { r.AppProtocol = "" },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnds(t, setting{client: func(c *ClientConfig) { c.Suites = []crypto.Suite{crypto.ChaCha20Poly1305, 99} }})
			require.NoError(t, e.receiveInit(e.client.AppendInit(nil)))
			response := testResponse()
			edit(&response)
			half, err := e.server.Respond(&e.in, respHeader(), response)
			require.NoError(t, err)
			requireAbort(t, e.client, respHeader(), coreOf(half))
		})
	}
	t.Run("the same keys in another version do not meet", func(t *testing.T) {
		e := newEnds(t, setting{})
		e.server.config.Versions = []uint32{version2, Version1}
		b := e.client.AppendInit(nil)
		b[4] = 2
		require.ErrorIs(t, e.receiveInit(remac(b, e.client.mac1Key)), ErrAuth)
	})
}
