package handshake

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
)

// Headers as chapter 1 of the specification lays them out.
var (
	clientID = []byte{0xc1, 0xc2, 0xc3, 0xc4}
	firstID  = []byte{1, 2, 3, 4, 5, 6, 7, 8}
	serverID = []byte{0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58}
)

func longHeader(first byte, version uint32, dcid, scid []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{first}, version)
	b = append(b, byte(len(dcid)))
	b = append(b, dcid...)
	b = append(b, byte(len(scid)))
	return append(b, scid...)
}

func finHeader(version uint32, dcid []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{6}, version)
	b = append(b, byte(len(dcid)))
	return append(b, dcid...)
}

func initHeader() []byte   { return longHeader(4, Version1, firstID, clientID) }
func respHeader() []byte   { return longHeader(5, Version1, clientID, serverID) }
func retryHeader() []byte  { return append(longHeader(7, Version1, clientID, serverID), 1) }
func rejectHeader() []byte { return append(longHeader(7, Version1, clientID, serverID), 2) }

// seeded is a reproducible source of randomness.
func seeded(seed uint64) *rand.ChaCha8 {
	var b [32]byte
	binary.BigEndian.PutUint64(b[:], seed)
	return rand.NewChaCha8(b)
}

func privateKey(t testing.TB, seed uint64) crypto.PrivateKey {
	t.Helper()
	k, err := crypto.PrivateKeyFromSeed(seeded(seed))
	require.NoError(t, err)
	return k
}

func presharedKey(t testing.TB, seed uint64) crypto.PresharedKey {
	t.Helper()
	k, err := crypto.PresharedKeyFromSeed(seeded(seed))
	require.NoError(t, err)
	return k
}

// ends is a client and a server that were meant for each other.
type ends struct {
	t      testing.TB
	client *Client
	server *Server
	in     Init
	hello  *Hello
	half   *Half
}

// setting says who the ends are; the zero value is an anonymous client that
// pins the server's key.
type setting struct {
	identity bool // client has a static key
	psk      bool // both have the pre-shared key
	noPin    bool // client knows the server by the pre-shared key only

	client func(*ClientConfig)
	server func(*ServerConfig)
}

func newEnds(t testing.TB, s setting) *ends {
	t.Helper()
	key := privateKey(t, 1)
	psk := presharedKey(t, 2)
	cc := ClientConfig{Rand: seeded(3), PeerKey: key.Public(), Params: []byte("client parameters"), AppProtocols: []string{"game/2", "game/1"}}
	sc := ServerConfig{Rand: seeded(4), Identities: []crypto.PrivateKey{key}}
	if s.identity {
		cc.Identity = privateKey(t, 5)
	}
	if s.psk {
		cc.PSK = psk
		sc.LookupPSK = LookupOne(NewPSK(psk))
	}
	if s.noPin {
		cc.PeerKey = crypto.PublicKey{}
	}
	if s.client != nil {
		s.client(&cc)
	}
	if s.server != nil {
		s.server(&sc)
	}
	client, err := NewClient(cc, initHeader())
	require.NoError(t, err)
	server, err := NewServer(sc)
	require.NoError(t, err)
	return &ends{t: t, client: client, server: server}
}

func testResponse() Response {
	return Response{
		Suite:       crypto.ChaCha20Poly1305,
		AppProtocol: "game/1",
		Params:      []byte("server parameters"),
		ResetToken:  [16]byte{9, 8, 7},
		Observed:    netip.MustParseAddrPort("192.0.2.7:4433"),
	}
}

// receiveInit runs a server's steps for an INIT up to Open.
func (e *ends) receiveInit(datagram []byte) error {
	if err := e.server.ParseInit(&e.in, datagram, len(initHeader())); err != nil {
		return err
	}
	if err := e.server.CheckMAC(&e.in); err != nil {
		return err
	}
	hello, err := e.server.Open(&e.in)
	e.hello = hello
	return err
}

// respond runs the handshake up to a RESP.
func (e *ends) respond() {
	e.t.Helper()
	require.NoError(e.t, e.receiveInit(e.client.AppendInit(nil)))
	half, err := e.server.Respond(&e.in, respHeader(), testResponse())
	require.NoError(e.t, err)
	e.half = half
}

// deliver hands the client both fragments and makes its FIN.
func (e *ends) deliver() (fin []byte, result Result) {
	e.t.Helper()
	done, err := e.client.HandleFragment(e.half.AppendFragment(nil, 0), len(respHeader()))
	require.NoError(e.t, err)
	require.False(e.t, done)
	done, err = e.client.HandleFragment(e.half.AppendFragment(nil, 1), len(respHeader()))
	require.NoError(e.t, err)
	require.True(e.t, done)
	result, err = e.client.Finish(finHeader(Version1, serverID))
	require.NoError(e.t, err)
	return e.client.AppendFin(nil), result
}

// run is a whole handshake without losses.
func (e *ends) run() (client, server Result) {
	e.t.Helper()
	e.respond()
	fin, client := e.deliver()
	server, err := e.half.HandleFin(fin, len(finHeader(Version1, serverID)))
	require.NoError(e.t, err)
	return client, server
}

// requireSame says that two ends finished the same handshake.
func requireSame(t testing.TB, client, server Result) {
	t.Helper()
	require.Equal(t, client.Client[:], server.Client[:])
	require.Equal(t, client.Server[:], server.Server[:])
	require.Equal(t, client.Exporter[:], server.Exporter[:])
	require.Equal(t, client.Resumption[:], server.Resumption[:])
	require.Equal(t, client.ChannelBinding, server.ChannelBinding)
	require.Equal(t, client.Suite, server.Suite)
	require.Equal(t, client.PSKID, server.PSKID)
	require.False(t, bytes.Equal(client.Client[:], client.Server[:]))
}

var settings = map[string]setting{
	"NK anonymous client, pinned server":      {},
	"XK client with a static key":             {identity: true},
	"PSK only, server known by the group key": {psk: true, noPin: true},
	"PSK and pin":                        {psk: true},
	"PSK, pin and client key":            {psk: true, identity: true},
	"PSK only, client with a static key": {psk: true, noPin: true, identity: true},
}

func TestBothEndsFinishWithTheSameSecrets(t *testing.T) {
	for name, s := range settings {
		t.Run(name, func(t *testing.T) {
			e := newEnds(t, s)
			client, server := e.run()
			requireSame(t, client, server)
		})
	}
}

var testSuites = []crypto.Suite{crypto.AES256GCM, crypto.ChaCha20Poly1305}

func addrPort(s string) netip.AddrPort {
	if s == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(s)
}
