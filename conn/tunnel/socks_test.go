package tunnel

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// spoken is a SOCKS client that says everything at once, and what it is told.
type spoken struct {
	io.Reader
	bytes.Buffer
}

func (s *spoken) Read(p []byte) (int, error)  { return s.Reader.Read(p) }
func (s *spoken) Write(p []byte) (int, error) { return s.Buffer.Write(p) }

func octets(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	require.NoError(t, err)
	return b
}

func TestSOCKSRequestsAreRead(t *testing.T) {
	for said, want := range map[string]Target{
		"05 01 00  05 01 00 01 7f000001 0050":                            {Addr: netip.MustParseAddr("127.0.0.1"), Port: 80},
		"05 02 00 02  05 01 00 04 00000000000000000000000000000001 0050": {Addr: netip.IPv6Loopback(), Port: 80},
		"05 01 00  05 01 00 03 09 4578616d706c652e63 0050":               {Name: "example.c", Port: 80},
		"05 01 00  05 01 00 03 09 3132372e302e302e31 0050":               {Addr: netip.MustParseAddr("127.0.0.1"), Port: 80},
		"05 01 00  05 01 00 04 00000000000000000000ffff7f000001 0050":    {Addr: netip.MustParseAddr("127.0.0.1"), Port: 80},
		"05 01 00  05 03 00 01 00000000 0000":                            {Addr: netip.IPv4Unspecified()},
	} {
		c := &spoken{Reader: bytes.NewReader(append(octets(t, said), "rest"...))}
		r, err := readSocks(c, nil)
		require.NoError(t, err, said)
		require.Equal(t, want, r.target, said)
		require.Equal(t, octets(t, "05 00"), c.Bytes(), said)
		rest, _ := io.ReadAll(c.Reader)
		require.Equal(t, "rest", string(rest), "not an octet more is read")
	}
}

func TestSOCKSUsersLogIn(t *testing.T) {
	users := newSocksUsers(map[string]string{"bob": "secret"})
	const request = " 05 01 00 01 7f000001 0050"
	for said, want := range map[string]struct {
		err    error
		answer string
	}{
		"05 02 00 02  01 03 626f62 06 736563726574" + request: {nil, "05 02 01 00"},
		"05 01 02  01 03 626f62 06 736563726575" + request:    {errSocksUser, "05 02 01 01"},
		"05 01 02  01 03 626f63 06 736563726574" + request:    {errSocksUser, "05 02 01 01"},
		"05 01 02  01 00 00" + request:                        {errSocksUser, "05 02 01 01"},
		"05 01 02  05 03 626f62 06 736563726574" + request:    {errSocksVersion, "05 02"},
		"05 01 00" + request:                                  {errSocksMethod, "05 ff"},
		"05 00" + request:                                     {errSocksMethod, "05 ff"},
	} {
		c := &spoken{Reader: bytes.NewReader(octets(t, said))}
		_, err := readSocks(c, users)
		require.ErrorIs(t, err, want.err, said)
		require.Equal(t, octets(t, want.answer), c.Bytes(), said)
	}
	c := &spoken{Reader: bytes.NewReader(octets(t, "05 01 02"+request))}
	_, err := readSocks(c, nil)
	require.ErrorIs(t, err, errSocksMethod, "a client that only has a password is not asked for it in vain")
	require.False(t, newSocksUsers(map[string]string{}).admits([]byte("x"), nil), "no user is not everybody")
}

func TestBadSOCKSRequestsAreAnswered(t *testing.T) {
	for said, want := range map[string]socksReply{
		"05 02 00 01 7f000001 0050":                            socksBadCommand, // BIND
		"05 09 00 01 7f000001 0050":                            socksBadCommand,
		"05 01 00 02 7f000001 0050":                            socksBadAddress,
		"05 01 00 03 00 0050":                                  socksNoHost,
		"05 01 00 03 03 612f62 0050":                           socksNoHost,
		"05 01 00 03 05 3132372e31 0050":                       socksNoHost, // 127.1
		"05 01 00 01 7f000001 0000":                            socksNoHost,
		"05 01 00 03 ff " + strings.Repeat("61", 255) + "0050": socksNoHost,
	} {
		_, err := readSocks(&spoken{Reader: bytes.NewReader(octets(t, "05 01 00"+said))}, nil)
		require.Error(t, err, said)
		reply, ok := socksReplyTo(err)
		require.True(t, ok, said)
		require.Equal(t, want, reply, said)
	}
	_, err := readSocks(&spoken{Reader: strings.NewReader("GET / HTTP/1.1\r\n\r\n")}, nil)
	require.ErrorIs(t, err, errSocksVersion)
	_, ok := socksReplyTo(err)
	require.False(t, ok, "who speaks something else is not answered in SOCKS")
}

func TestRefusalsHaveSOCKSReplies(t *testing.T) {
	for code, want := range map[Code]socksReply{
		CodeNotAllowed: 2, CodeNameUnknown: 4, CodeUnreachable: 4, CodeRefused: 5, CodeTimeout: 6, CodeUnsupported: 7,
		CodeBusy: 1, CodeFailed: 1, CodeStopping: 1, CodeMalformed: 1, 99: 1,
	} {
		reply, _ := socksReplyTo(&RefusedError{Code: code})
		require.Equal(t, want, reply, code.String())
	}
	reply, _ := socksReplyTo(errors.New("no session"))
	require.Equal(t, socksFailed, reply)
}

// startSOCKS is a tunnel with a SOCKS port.
func startSOCKS(t *testing.T, users map[string]string, allow ...string) *ends {
	e := startWithKeys(t)
	e.apply(func(c *ServerConfig) { c.Allow = rules(t, allow...) })
	e.startClient(ClientConfig{
		Server: e.server.Listen, PeerKey: e.server.Identity.Public(), Identity: e.clientKey,
		SOCKS5: "127.0.0.1:0", SOCKS5Users: users, Wait: time.Second,
	})
	return e
}

// socks says something on a new connection to the SOCKS port and returns the answer of the same length as want.
func (e *ends) socks(t *testing.T, said []byte, want string) *net.TCPConn {
	t.Helper()
	c := e.connect(0)
	_, err := c.Write(said)
	require.NoError(t, err)
	got := make([]byte, len(octets(t, want)))
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, octets(t, want), got)
	return c
}

func socksConnectTo(t Target) []byte {
	return appendSocksAddress([]byte{5, 1, 0, 5, socksConnect, 0}, t)
}

func TestASOCKSClientIsConnected(t *testing.T) {
	service := echoServer(t)
	e := startSOCKS(t, nil, anyPort, "tcp://localhost:1-65535")
	c := e.socks(t, socksConnectTo(service), "05 00  05 00 00 01 00000000 0000")
	echo(t, c, "by address")
	c = e.socks(t, socksConnectTo(Target{Name: "localhost", Port: service.Port}), "05 00  05 00 00 01 00000000 0000")
	echo(t, c, "by a name that the server resolves")
	require.EqualValues(t, 2, e.client.Stats().Forwards[0].Total)
}

func TestARefusedSOCKSRequestIsAnsweredAndClosed(t *testing.T) {
	e := startSOCKS(t, nil, anyPort)
	c := e.socks(t, socksConnectTo(target(t, "tcp://192.0.2.7:22")), "05 00  05 02 00 01 00000000 0000")
	_, err := c.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	e.wantLog(e.clientLog, "SOCKS request refused")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := TargetFromAddr(l.Addr().(*net.TCPAddr).AddrPort())
	require.NoError(t, l.Close())
	e.socks(t, socksConnectTo(closed), "05 00  05 05 00 01 00000000 0000")
	e.socks(t, octets(t, "05 01 00 05 02 00 01 7f000001 0050"), "05 00  05 07 00 01 00000000 0000")
	require.Eventually(t, func() bool { return e.client.Stats().Forwards[0].Refused == 3 }, 20*time.Second, time.Millisecond)
}

func TestASOCKSUserWithoutPasswordIsTurnedAway(t *testing.T) {
	service := echoServer(t)
	e := startSOCKS(t, map[string]string{"bob": "secret"}, anyPort)
	e.socks(t, socksConnectTo(service), "05 ff")
	said := append(octets(t, "05 01 02  01 03 626f62 06 736563726574"), socksConnectTo(service)[3:]...)
	echo(t, e.socks(t, said, "05 02 01 00  05 00 00 01 00000000 0000"), "with it")

	require.NoError(t, e.reconfigure(func(c *ClientConfig) { c.SOCKS5Users = map[string]string{"bob": "other"} }))
	e.socks(t, said, "05 02 01 01")
}

func FuzzReadSOCKS(f *testing.F) {
	f.Add(octets(f, "05 01 00  05 01 00 01 7f000001 0050"), false)
	f.Add(octets(f, "05 02 00 02  01 03 626f62 06 736563726574 05 03 00 03 09 4578616d706c652e63 0050"), true)
	users := newSocksUsers(map[string]string{"bob": "secret"})
	f.Fuzz(func(t *testing.T, said []byte, passwords bool) {
		var u socksUsers
		if passwords {
			u = users
		}
		c := &spoken{Reader: bytes.NewReader(said)}
		r, err := readSocks(c, u)
		require.LessOrEqual(t, c.Len(), 4, "a method and a status")
		if err != nil {
			return
		}
		if r.command == socksConnect { // what is accepted can be asked of a server
			r.target.Network = NetworkTCP
			again, err := readRequest(bytes.NewReader(appendRequest(nil, r.target)))
			require.NoError(t, err)
			require.Equal(t, r.target, again)
		}
	})
}

func FuzzParseSOCKSDatagram(f *testing.F) {
	f.Add(octets(f, "000000 01 7f000001 0050 68"))
	f.Add(octets(f, "000000 03 09 4578616d706c652e63 0050"))
	f.Add(octets(f, "000001 01 7f000001 0050"))
	f.Fuzz(func(t *testing.T, b []byte) {
		target, data, ok := parseSocksDatagram(b)
		if !ok {
			return
		}
		again, rest, ok := parseSocksDatagram(append(appendSocksAddress([]byte{0, 0, 0}, target), data...))
		require.True(t, ok)
		require.Equal(t, target, again)
		require.Equal(t, data, rest)
	})
}
