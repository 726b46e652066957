package tunnel

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
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

// askPause is after how long a question is asked again: a forward drops what is too old when the machine pauses.
const askPause = time.Second

// ask sends a datagram until one comes to a socket that is not one of those before, and wants it to be the same.
func ask(t *testing.T, from, to *net.UDPConn, data []byte, before ...string) {
	t.Helper()
	buf := make([]byte, maxDatagram+1)
	for end := time.Now().Add(20 * time.Second); ; {
		_, err := from.Write(data)
		require.NoError(t, err)
		require.NoError(t, to.SetReadDeadline(time.Now().Add(askPause)))
		n, err := to.Read(buf)
		for err == nil && slices.Contains(before, string(buf[:n])) {
			n, err = to.Read(buf)
		}
		if err == nil {
			require.Equal(t, data, buf[:n])
			return
		}
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.True(t, time.Now().Before(end), "no answer")
	}
}

func udpForwardTo(t Target, o UDPOptions) Forward {
	return Forward{Listen: "127.0.0.1:0", Target: t, UDP: o}
}

func TestDatagramsKeepTheirSizeThroughTheTunnel(t *testing.T) {
	e := startUDP(t, udpForwardTo(udpEcho(t), UDPOptions{}), udpForwardTo(udpEcho(t), UDPOptions{Deadline: 500 * time.Millisecond}))
	for i := range 2 {
		c := e.program(i)
		var before []string
		for _, size := range []int{0, 1, 100, 1200, 1316, 1380, 1420, 1472, 1500, 9000, 65507} {
			data := make([]byte, size)
			for k := range data {
				data[k] = byte(k * size)
			}
			ask(t, c, c, data, before...)
			before = append(before, string(data))
		}
	}
}

func TestEachProgramGetsItsOwnAnswers(t *testing.T) {
	e := startUDP(t, udpForwardTo(udpEcho(t), UDPOptions{}))
	a, b := e.program(0), e.program(0)
	var beforeA, beforeB []string
	for i := range 20 {
		ofA, ofB := fmt.Sprint("a", i), fmt.Sprint("b", i)
		_, err := b.Write([]byte(ofB))
		require.NoError(t, err)
		ask(t, a, a, []byte(ofA), beforeA...)
		ask(t, b, b, []byte(ofB), beforeB...)
		beforeA, beforeB = append(beforeA, ofA), append(beforeB, ofB)
	}
}

var testUDPKey = crypto.GeneratePresharedKey()

func TestATargetThatStartsLateIsReached(t *testing.T) {
	// spec: TUN-39
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	at := c.LocalAddr().(*net.UDPAddr)
	require.NoError(t, c.Close())
	e := startUDP(t, udpForwardTo(udpTarget(at), UDPOptions{}))
	p := e.program(0)
	for range 5 {
		_, err = p.Write([]byte("nobody listens"))
		require.NoError(t, err)
		require.NoError(t, p.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
		_, err = p.Read(make([]byte, 10))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the program is not told: the port that it writes to is open")
	}
	c, err = net.ListenUDP("udp", at)
	require.NoError(t, err)
	defer c.Close()
	ask(t, p, c, []byte("hello"), "nobody listens")
	require.Equal(t, 1, e.running.Stats().Sessions[0].Targets.UDP.Flows, "the flow went on")
}

func TestABurstOfDatagramsCrossesTheTunnel(t *testing.T) {
	target, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer target.Close()
	_ = target.SetReadBuffer(farBuffer)
	e := startUDP(t, udpForwardTo(udpTarget(target.LocalAddr()), UDPOptions{Deadline: 10 * time.Second}))
	p := e.program(0)
	const bursts, size = 5, 144
	data, in := make([]byte, 1316), make([]byte, 2000)
	got, last := uint64(0), uint32(0)
	taken := func() uint64 { return e.client.Stats().Forwards[0].UDP.In }
	for burst := range bursts {
		for i := range size {
			binary.BigEndian.PutUint32(data, uint32(burst*size+i+1))
			_, err := p.Write(data)
			require.NoError(t, err)
		}
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); { // the system may lose some before the tunnel has them
			require.NoError(t, target.SetReadDeadline(time.Now().Add(askPause)))
			n, err := target.Read(in)
			if err != nil && got == taken() {
				break
			}
			if err != nil {
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				continue
			}
			require.Equal(t, len(data), n)
			require.Greater(t, binary.BigEndian.Uint32(in), last, "in order")
			last = binary.BigEndian.Uint32(in)
			if got++; got == uint64(burst+1)*size {
				break
			}
		}
	}
	require.Equal(t, taken(), got, "all that the tunnel took")
	require.Greater(t, got, uint64(bursts*size/2))
}
