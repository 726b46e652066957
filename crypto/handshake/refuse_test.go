package handshake

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
)

func TestResultsSayWhoThePeerIs(t *testing.T) {
	e := newEnds(t, setting{identity: true, psk: true})
	client, server := e.run()
	require.Equal(t, privateKey(t, 1).Public(), client.PeerStatic, "the pinned key")
	require.Equal(t, privateKey(t, 5).Public(), server.PeerStatic, "the client's key")
	require.Equal(t, presharedKey(t, 2).ID(), server.PSKID)
	require.Equal(t, presharedKey(t, 2).ID(), e.hello.PSKID)

	e = newEnds(t, setting{psk: true, noPin: true})
	client, server = e.run()
	require.True(t, client.PeerStatic.IsZero(), "the group key proves membership, not an identity")
	require.True(t, server.PeerStatic.IsZero(), "an anonymous client has no key")

	e = newEnds(t, setting{})
	_, server = e.run()
	require.Zero(t, server.PSKID)
	require.Zero(t, e.hello.PSKID)
}

func TestServerAndClientSeeWhatTheOtherSaid(t *testing.T) {
	e := newEnds(t, setting{})
	e.run()
	require.Equal(t, []byte("client parameters"), e.hello.Params)
	require.Equal(t, []string{"game/2", "game/1"}, e.hello.AppProtocols)
	require.Equal(t, Version1, e.hello.Original)
	require.False(t, e.hello.EarlyData)
	got, want := e.client.Response(), testResponse()
	require.Equal(t, want.Params, got.Params)
	require.Equal(t, want.Suite, got.Suite)
	require.Equal(t, want.AppProtocol, got.AppProtocol)
	require.Equal(t, want.ResetToken, got.ResetToken)
	require.Equal(t, want.Observed, got.Observed)
}

// requireSilence says that a server drops an INIT without public-key work.
func requireSilence(t *testing.T, e *ends, want error) {
	t.Helper()
	require.ErrorIs(t, e.receiveInit(e.client.AppendInit(nil)), want)
	require.Zero(t, e.server.Agreements(), "no X25519 for a stranger")
	_, err := e.server.Open(&e.in)
	require.ErrorIs(t, err, ErrUnexpected, "Open is no way around mac1")
	_, err = e.server.Respond(&e.in, respHeader(), testResponse())
	require.ErrorIs(t, err, ErrUnexpected)
}

// spec: HS-5
func TestWrongPinGetsSilenceAndNoPublicKeyWork(t *testing.T) {
	e := newEnds(t, setting{client: func(c *ClientConfig) { c.PeerKey = privateKey(t, 99).Public() }})
	requireSilence(t, e, ErrAuth)
}

// spec: HS-5 HS-6
func TestWrongPSKGetsSilenceAndNoPublicKeyWork(t *testing.T) {
	e := newEnds(t, setting{psk: true, client: func(c *ClientConfig) { c.PSK = presharedKey(t, 99) }})
	requireSilence(t, e, ErrUnknownPSK)
	e = newEnds(t, setting{client: func(c *ClientConfig) { c.PSK = presharedKey(t, 99) }})
	requireSilence(t, e, ErrUnknownPSK) // the server has no pre-shared keys at all

	e = newEnds(t, setting{psk: true})
	e.client.mac1Key = mac1Key(&e.client.server, bytes.Repeat([]byte{7}, 32)) // knows the ID, not the key
	e.client.SetCookie([32]byte{})
	requireSilence(t, e, ErrAuth)
}

// spec: HS-7
func TestServerWithAPSKDropsClientsWithoutOne(t *testing.T) {
	e := newEnds(t, setting{psk: true, client: func(c *ClientConfig) { c.PSK = crypto.PresharedKey{} }})
	requireSilence(t, e, ErrNoPSK)
}

// spec: HS-8
func TestGroupKeyIsServedBesideTheIdentityAndOnlyUnderItsPSK(t *testing.T) {
	psk, other := presharedKey(t, 2), presharedKey(t, 20)
	server := func(c *ServerConfig) {
		c.LookupPSK = func(id [8]byte) *PSK {
			for _, k := range []crypto.PresharedKey{psk, other} {
				if id == k.ID() {
					return NewPSK(k)
				}
			}
			return nil
		}
	}
	for _, s := range []setting{{psk: true}, {psk: true, noPin: true}} {
		s.server = server
		client, got := newEnds(t, s).run()
		requireSame(t, client, got)
	}
	e := newEnds(t, setting{psk: true, server: server, client: func(c *ClientConfig) {
		c.PSK, c.PeerKey = other, psk.GroupKey().Public()
	}})
	requireSilence(t, e, ErrAuth)

	e = newEnds(t, setting{client: func(c *ClientConfig) { c.PeerKey = psk.GroupKey().Public() }})
	requireSilence(t, e, ErrAuth)
}

// spec: HS-8
func TestServerWithoutAnIdentityServesTheGroup(t *testing.T) {
	e := newEnds(t, setting{psk: true, noPin: true, server: func(c *ServerConfig) { c.Identities = nil }})
	client, server := e.run()
	requireSame(t, client, server)
}

func TestEarlierIdentityIsStillServed(t *testing.T) {
	e := newEnds(t, setting{server: func(c *ServerConfig) {
		c.Identities = append([]crypto.PrivateKey{privateKey(t, 50)}, c.Identities...)
	}})
	client, server := e.run()
	requireSame(t, client, server)
}

// spec: HS-9
func TestClientWithoutPinAndPSKIsRefused(t *testing.T) {
	_, err := NewClient(ClientConfig{}, initHeader())
	require.ErrorContains(t, err, "needs the server's key or a pre-shared key")
}

func TestConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	pin := privateKey(t, 1).Public()
	many := make([]uint32, MaxVersions)
	for name, c := range map[string]ClientConfig{
		"version of the header is not spoken": {PeerKey: pin, Versions: []uint32{7}},
		"too many versions":                   {PeerKey: pin, Versions: append(many, Version1)},
		"no versions":                         {PeerKey: pin, Versions: []uint32{}},
		"no suites":                           {PeerKey: pin, Suites: []crypto.Suite{}},
		"too many protocols":                  {PeerKey: pin, AppProtocols: make([]string, MaxAppProtocols+1)},
		"empty protocol":                      {PeerKey: pin, AppProtocols: []string{""}},
		"protocol too long":                   {PeerKey: pin, AppProtocols: []string{string(make([]byte, 256))}},
		"parameters too long":                 {PeerKey: pin, Params: make([]byte, 1100)},
		"no randomness":                       {PeerKey: pin, Rand: bytes.NewReader(nil)},
		"little randomness":                   {PeerKey: pin, Rand: bytes.NewReader(make([]byte, 33))},
	} {
		_, err := NewClient(c, initHeader())
		require.Error(t, err, name)
	}
	for _, header := range [][]byte{nil, make([]byte, minHeader-1), make([]byte, maxHeader+1)} {
		_, err := NewClient(ClientConfig{PeerKey: pin}, header)
		require.ErrorContains(t, err, "header of")
	}
	for name, s := range map[string]ServerConfig{
		"no key":        {},
		"zero identity": {Identities: []crypto.PrivateKey{{}}},
		"no versions":   {Identities: []crypto.PrivateKey{privateKey(t, 1)}, Versions: []uint32{}},
	} {
		_, err := NewServer(s)
		require.Error(t, err, name)
	}
	require.Nil(t, NewPSK(crypto.PresharedKey{}), "an unset key matches nothing")
	require.Nil(t, LookupOne(nil)([8]byte{}))
}

func TestDefaultsWorkWithoutAnyChoice(t *testing.T) {
	key := crypto.GeneratePrivateKey()
	client, err := NewClient(ClientConfig{PeerKey: key.Public()}, initHeader())
	require.NoError(t, err)
	server, err := NewServer(ServerConfig{Identities: []crypto.PrivateKey{key}})
	require.NoError(t, err)
	e := &ends{t: t, client: client, server: server}
	require.NoError(t, e.receiveInit(client.AppendInit(nil)))
	e.half, err = server.Respond(&e.in, respHeader(), Response{Suite: e.hello.Suites[0]})
	require.NoError(t, err)
	fin, c := e.deliver()
	s, err := e.half.HandleFin(fin, len(finHeader(Version1, serverID)))
	require.NoError(t, err)
	requireSame(t, c, s)
}

func TestRespondReportsWhatItCannotDo(t *testing.T) {
	e := newEnds(t, setting{})
	require.NoError(t, e.receiveInit(e.client.AppendInit(nil)))
	response := testResponse()
	response.Params = make([]byte, MaxPayload)
	_, err := e.server.Respond(&e.in, respHeader(), response)
	require.ErrorIs(t, err, errTooLong)
	_, err = e.server.Respond(&e.in, nil, testResponse())
	require.ErrorContains(t, err, "header of 0 bytes")
	e.server.config.Rand = bytes.NewReader(make([]byte, 5))
	_, err = e.server.Respond(&e.in, respHeader(), testResponse())
	require.Error(t, err, "no randomness for a key")
	e.server.config.Rand = bytes.NewReader(nil)
	_, err = e.server.Respond(&e.in, respHeader(), testResponse())
	require.Error(t, err, "no randomness")
}

func TestClearForgetsKeys(t *testing.T) {
	e := newEnds(t, setting{identity: true, psk: true})
	e.respond()
	fin, _ := e.deliver()
	e.half.Clear()
	_, err := e.half.HandleFin(fin, len(finHeader(Version1, serverID)))
	require.ErrorIs(t, err, ErrUnexpected)
	e.client.Clear()
	require.Equal(t, symmetric{}, e.client.sym)
	require.True(t, e.client.config.Identity.IsZero())
	require.Empty(t, e.client.AppendInit(nil))
	require.Equal(t, fin, e.client.AppendFin(nil), "the FIN can still be sent again")
	e.client.SetCookie([32]byte{})

	e = newEnds(t, setting{})
	e.client.Clear()
	require.ErrorIs(t, e.client.HandleRetry(make([]byte, len(retryHeader())+48), len(retryHeader())), ErrUnexpected)
	_, err = e.client.Finish(finHeader(Version1, serverID))
	require.ErrorIs(t, err, ErrUnexpected)
}
