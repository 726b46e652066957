package emulator

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godwit-net/godwit/protocol/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second // for what must happen: a busy machine may take its time

// listen opens a socket that the test closes.
func listen(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	prepare(conn)
	return conn
}

// start runs a proxy to server with a link.
func start(t *testing.T, server *net.UDPConn, link string, change func(*Config)) *Emulator {
	t.Helper()
	c := Config{To: server.LocalAddr().String()}
	var err error
	c.Link, err = sim.ParseLink(link)
	require.NoError(t, err)
	if change != nil {
		change(&c)
	}
	e, err := New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

func dial(t *testing.T, e *Emulator) *net.UDPConn {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(e.Addr()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

// read returns the next datagram and where it came from.
func read(t *testing.T, conn *net.UDPConn) ([]byte, netip.AddrPort) {
	t.Helper()
	buf := make([]byte, maxDatagram)
	n, from, err := conn.ReadFromUDPAddrPort(buf)
	require.NoError(t, err)
	return buf[:n], from
}

func write(t *testing.T, conn *net.UDPConn, data []byte) {
	t.Helper()
	_, err := conn.Write(data)
	require.NoError(t, err)
}

// echo answers everything until the socket closes.
func echo(server *net.UDPConn) {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := server.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		_, _ = server.WriteToUDPAddrPort(buf[:n], from)
	}
}

func TestDatagramsPassBothWaysWithTheDelayOfEach(t *testing.T) {
	server := listen(t)
	go echo(server)
	client := dial(t, start(t, server, "delay=25ms", nil))
	begin := time.Now()
	write(t, client, []byte("ping"))
	got, _ := read(t, client)
	require.Equal(t, "ping", string(got))
	require.GreaterOrEqual(t, time.Since(begin), 50*time.Millisecond)
}

func TestClientsHaveFlowsOfTheirOwn(t *testing.T) {
	server := listen(t)
	e := start(t, server, "", nil)
	a, b := dial(t, e), dial(t, e)
	write(t, a, []byte("a"))
	_, fromA := read(t, server)
	write(t, b, []byte("b"))
	_, fromB := read(t, server)
	require.NotEqual(t, fromA, fromB)
	_, err := server.WriteToUDPAddrPort([]byte("to b"), fromB)
	require.NoError(t, err)
	got, _ := read(t, b)
	require.Equal(t, "to b", string(got))
	stats := e.Stats()
	require.Equal(t, 2, stats.Flows)
}

func TestJumboDatagramsPassWhenTheLinkIsLargeEnough(t *testing.T) {
	server := listen(t)
	go echo(server)
	client := dial(t, start(t, server, "mtu=65535", nil))
	large := bytes.Repeat([]byte{7}, 65_507)
	write(t, client, large)
	got, _ := read(t, client)
	require.True(t, bytes.Equal(large, got))
}

func TestTooLargeDatagramsVanishAndAreCounted(t *testing.T) {
	server := listen(t)
	go echo(server)
	e := start(t, server, "mtu=1400", nil)
	client := dial(t, e)
	write(t, client, make([]byte, 1373))
	write(t, client, make([]byte, 1372))
	got, _ := read(t, client)
	require.Len(t, got, 1372)
	require.EqualValues(t, 1, e.Stats().Up.Drops[sim.TooBig])
}

func TestEqualDelaysKeepTheOrder(t *testing.T) {
	server := listen(t)
	client := dial(t, start(t, server, "delay=5ms,rate=100mbit,queue=10MB", nil))
	const n = 500
	for i := range n {
		write(t, client, []byte{byte(i), byte(i >> 8)})
	}
	for i := range n {
		got, _ := read(t, server)
		require.Equal(t, []byte{byte(i), byte(i >> 8)}, got)
	}
}

func TestCorruptionFlipsOneBit(t *testing.T) {
	server := listen(t)
	client := dial(t, start(t, server, "corrupt=100%", nil))
	write(t, client, make([]byte, 100))
	got, _ := read(t, server)
	require.NotEqual(t, make([]byte, 100), got)
}

func TestDropsAreTheModels(t *testing.T) {
	server := listen(t)
	client := dial(t, start(t, server, "drop=101", nil))
	for i := range 4 {
		write(t, client, []byte{byte(i)})
	}
	for _, want := range []byte{1, 3} {
		got, _ := read(t, server)
		require.Equal(t, []byte{want}, got)
	}
}

func TestRebindingShowsTheServerANewAddress(t *testing.T) {
	server := listen(t)
	client := dial(t, start(t, server, "rebind=50ms", nil))
	write(t, client, nil)
	_, first := read(t, server)
	require.Eventually(t, func() bool {
		write(t, client, nil)
		_, from := read(t, server)
		return from != first
	}, patience, 10*time.Millisecond)
}

func TestIdleFlowsAreForgottenAndComeBack(t *testing.T) {
	server := listen(t)
	e := start(t, server, "", func(c *Config) { c.Idle = 50 * time.Millisecond })
	client := dial(t, e)
	write(t, client, []byte("1"))
	_, first := read(t, server)
	require.Eventually(t, func() bool { return e.Stats().Flows == 0 }, patience, 5*time.Millisecond)
	write(t, client, []byte("2"))
	_, second := read(t, server)
	require.NotEqual(t, first, second)
}

func TestFlowsAreBounded(t *testing.T) {
	server := listen(t)
	e := start(t, server, "", func(c *Config) { c.MaxFlows = 1 })
	a, b := dial(t, e), dial(t, e)
	write(t, a, []byte("a"))
	read(t, server)
	write(t, b, []byte("b"))
	require.Eventually(t, func() bool { return e.Stats().Refused == 1 }, patience, time.Millisecond)
	require.Equal(t, 1, e.Stats().Flows)
}

func TestBytesOnTheirWayAreBounded(t *testing.T) {
	server := listen(t)
	e := start(t, server, "delay=10m", func(c *Config) { c.MaxQueued = 5000 })
	client := dial(t, e)
	for range 10 {
		write(t, client, make([]byte, 1000))
	}
	require.Eventually(t, func() bool { return e.Stats().Overflow == 5 }, patience, time.Millisecond)
}

func TestProxyOutlivesADeadServer(t *testing.T) {
	dead := listen(t)
	e := start(t, dead, "", nil)
	require.NoError(t, dead.Close())
	client := dial(t, e)
	for range 10 {
		write(t, client, []byte("x"))
		time.Sleep(time.Millisecond)
	}
	alive, err := net.ListenUDP("udp", dead.LocalAddr().(*net.UDPAddr))
	require.NoError(t, err)
	defer func() { _ = alive.Close() }()
	require.NoError(t, alive.SetDeadline(time.Now().Add(patience)))
	write(t, client, []byte("again"))
	got, _ := read(t, alive)
	require.Contains(t, []string{"x", "again"}, string(got))
}

func TestNewRefusesWhatItCannotDo(t *testing.T) {
	for want, c := range map[string]Config{
		"no port":       {To: "127.0.0.1:0"},
		"server":        {To: "nowhere"},
		"listen on":     {To: "127.0.0.1:9", Listen: "x"},
		"loss":          {To: "127.0.0.1:9", Link: sim.Config{Loss: 2}},
		"cannot assign": {To: "127.0.0.1:9", Listen: "192.0.2.1:1"},
	} {
		_, err := New(c)
		require.ErrorContains(t, err, want)
	}
}

func TestCloseTwiceIsFine(t *testing.T) {
	server := listen(t)
	e := start(t, server, "", nil)
	require.NoError(t, e.Close())
	require.NoError(t, e.Close())
}

func TestStatsReadAsOneLine(t *testing.T) {
	server := listen(t)
	go echo(server)
	e := start(t, server, "", nil)
	client := dial(t, e)
	write(t, client, []byte("x"))
	read(t, client)
	stats := e.Stats()
	require.Contains(t, stats.String(), "up: 1 in, 1 out; down: 1 in, 1 out; 1 flows; late p50")
	stats.Refused = 3
	require.Contains(t, stats.String(), "; 3 refused, 0 overflowed, 0 not sent")
}

// BenchmarkEmulator moves datagrams through the proxy one way, as fast as one sender can.
func BenchmarkEmulator(b *testing.B) {
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(b, err)
	prepare(server)
	e, err := New(Config{To: server.LocalAddr().String(), Link: sim.Config{Delay: time.Millisecond}})
	require.NoError(b, err)
	client, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(e.Addr()))
	require.NoError(b, err)
	go func() {
		buf := make([]byte, maxDatagram)
		for {
			if _, err := server.Read(buf); err != nil {
				return
			}
		}
	}()
	data := make([]byte, 1200)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := client.Write(data); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	stats := e.Stats()
	b.ReportMetric(float64(stats.Up.Sent)/float64(b.N), "carried/sent")
	b.ReportMetric(float64(stats.Late.Quantile(0.99).Microseconds()), "late-p99-µs")
	_ = e.Close()
	_ = client.Close()
	_ = server.Close()
}
