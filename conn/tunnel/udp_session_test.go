package tunnel

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
)

// anyUDP allows all of loopback.
const anyUDP = "udp://127.0.0.0/8:1-65535"

// udpEcho answers every datagram with itself until the test ends.
func udpEcho(t testing.TB) Target {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	_ = c.SetReadBuffer(farBuffer)
	go func() {
		buf := make([]byte, maxDatagram)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	return udpTarget(c.LocalAddr())
}

func udpTarget(a net.Addr) Target {
	ap := a.(*net.UDPAddr).AddrPort()
	return Target{Network: NetworkUDP, Addr: ap.Addr(), Port: ap.Port()}
}

// startUDP is a tunnel over real sessions and sockets with UDP forwards.
func startUDP(t testing.TB, forwards ...Forward) *ends {
	e := &ends{t: t}
	e.server = ServerConfig{Listen: "127.0.0.1:0", PresharedKey: testUDPKey, Allow: rules(t, anyUDP)}
	e.server.Listen = e.startServer().String()
	e.startClient(ClientConfig{Server: e.server.Listen, PresharedKey: testUDPKey, Forwards: forwards})
	e.wantLog(e.clientLog, "msg=connected")
	return e
}

// program is a local program that talks to the i-th forward.
func (e *ends) program(i int) *net.UDPConn {
	e.t.Helper()
	c, err := net.DialUDP("udp", nil, e.client.Addrs()[i].(*net.UDPAddr))
	require.NoError(e.t, err)
	e.t.Cleanup(func() { c.Close() })
	require.NoError(e.t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
	return c
}

func wantDatagram(t *testing.T, c *net.UDPConn, want []byte) {
	t.Helper()
	buf := make([]byte, maxDatagram+1)
	n, err := c.Read(buf)
	require.NoError(t, err)
	require.Equal(t, want, buf[:n])
}

func udpForwardTo(t Target, o UDPOptions) Forward {
	return Forward{Listen: "127.0.0.1:0", Target: t, UDP: o}
}

func TestDatagramsKeepTheirSizeThroughTheTunnel(t *testing.T) {
	e := startUDP(t, udpForwardTo(udpEcho(t), UDPOptions{}), udpForwardTo(udpEcho(t), UDPOptions{Deadline: 500 * time.Millisecond}))
	for i := range 2 {
		c := e.program(i)
		for _, size := range []int{0, 1, 100, 1200, 1316, 1380, 1420, 1472, 1500, 9000, 65507} {
			data := make([]byte, size)
			for k := range data {
				data[k] = byte(k * size)
			}
			_, err := c.Write(data)
			require.NoError(t, err)
			wantDatagram(t, c, data)
		}
	}
}

func TestEachProgramGetsItsOwnAnswers(t *testing.T) {
	e := startUDP(t, udpForwardTo(udpEcho(t), UDPOptions{}))
	a, b := e.program(0), e.program(0)
	for i := range 20 {
		for who, c := range map[string]*net.UDPConn{"a": a, "b": b} {
			_, err := c.Write([]byte(who + string(rune('a'+i))))
			require.NoError(t, err)
		}
		wantDatagram(t, a, []byte("a"+string(rune('a'+i))))
		wantDatagram(t, b, []byte("b"+string(rune('a'+i))))
	}
	_ = netip.Addr{}
}

var testUDPKey = crypto.GeneratePresharedKey()
