//go:build e2e

package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/bench/emulator"
	"github.com/godwit-net/godwit/protocol/sim"
)

// connectUDP starts tunnel server and tunnel client for a forward, with what between makes between them: it gets
// the server's address and returns the one that the client dials.
func connectUDP(t *testing.T, between func(t *testing.T, to string) string, forward string) (listen string) {
	t.Helper()
	psk := keyFile(t, t.TempDir(), "psk", "--psk")
	server := start(t, godwit, "tunnel", "server", "--listen", "127.0.0.1:0", "--psk", psk, "--allow", "udp://127.0.0.1:1-65535")
	entry := between(t, server.wait(`msg=listening on=(\S+)`))
	client := start(t, godwit, "tunnel", "client", "--server", entry, "--psk", psk, "--forward", forward)
	listen = client.wait(`msg=listening on=(\S+)`)
	client.wait("msg=connected")
	return listen
}

// udpPair is a program at the client, a program at the server, and a tunnel between them over a link that counts.
type udpPair struct {
	near, far *net.UDPConn
	flow      net.Addr // the tunnel server's address for the flow, as the far program sees it
	link      *emulator.Emulator
}

func pairOverTunnel(t *testing.T, link string) *udpPair {
	t.Helper()
	p := &udpPair{}
	var err error
	p.far, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	listen := connectUDP(t, p.emulate(link), "udp://127.0.0.1:0=udp://"+p.far.LocalAddr().String())
	near, err := net.Dial("udp", listen)
	require.NoError(t, err)
	p.near = near.(*net.UDPConn)
	for _, sock := range []*net.UDPConn{p.near, p.far} {
		_ = sock.SetReadBuffer(4 << 20)
		t.Cleanup(func() { _ = sock.Close() })
	}
	require.Eventually(t, func() bool {
		_, err := p.near.Write([]byte("hello"))
		require.NoError(t, err)
		require.NoError(t, p.far.SetReadDeadline(time.Now().Add(time.Second)))
		_, p.flow, err = p.far.ReadFrom(make([]byte, 2000))
		return err == nil
	}, patience, time.Millisecond)
	return p
}

// emulate puts a link, in this process, in front of a server.
func (p *udpPair) emulate(link string) func(t *testing.T, to string) string {
	return func(t *testing.T, to string) string {
		config, err := sim.ParseLink(link)
		require.NoError(t, err)
		p.link, err = emulator.New(emulator.Config{To: to, Link: config})
		require.NoError(t, err)
		t.Cleanup(func() { _ = p.link.Close() })
		return p.link.Addr().String()
	}
}

// up has count datagrams go from near to far.
func (p *udpPair) up(t *testing.T, size, count int) (arrived float64) {
	return flood(t, func(b []byte) { _, _ = p.near.Write(b) }, p.far, size, count)
}

// down has them go the other way.
func (p *udpPair) down(t *testing.T, size, count int) (arrived float64) {
	return flood(t, func(b []byte) { _, _ = p.far.WriteTo(b, p.flow) }, p.near, size, count)
}

// flood sends datagrams of one size, each different, a thousand a second, and returns the part of them that
// arrived. All must be as they were sent, and none may come twice.
func flood(t *testing.T, send func([]byte), to *net.UDPConn, size, count int) (arrived float64) {
	require.NoError(t, to.SetReadDeadline(time.Time{})) // that of the flood before is over
	received := make(chan int)
	go func() {
		seen := make(map[uint64]bool)
		buf := make([]byte, 1<<16)
		for {
			n, err := to.Read(buf)
			if err != nil {
				received <- len(seen)
				return
			}
			number := binary.BigEndian.Uint64(buf)
			assert.False(t, seen[number], "datagram %d came twice", number)
			assert.Equal(t, datagram(number, size), buf[:n])
			seen[number] = true
		}
	}()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for number := 0; number < count; {
		<-ticker.C
		for range 5 {
			send(datagram(uint64(number), size))
			number++
		}
	}
	require.NoError(t, to.SetReadDeadline(time.Now().Add(time.Second)))
	return float64(<-received) / float64(count)
}

// datagram is the one with this number.
func datagram(number uint64, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(number) + byte(i)
	}
	binary.BigEndian.PutUint64(b, number)
	return b
}

// almostAll allows for a machine that has something else to do for a moment: a datagram of which nothing was said
// is worth something for 250 ms, and nobody sends it again.
const almostAll = 0.98

func TestDatagramsOfWireGuardsSizesCrossTheTunnelBothWays(t *testing.T) {
	// A path of Ethernet's size: a datagram of 1,380 bytes fits a packet, one of 1,472 does not.
	for _, size := range []int{1380, 1420, 1472} {
		p := pairOverTunnel(t, "delay=10ms,mtu=1500")
		p.up(t, size, 200) // meanwhile the path's size is found
		before := p.link.Stats().Up.Sent
		require.GreaterOrEqual(t, p.up(t, size, 1000), almostAll)
		packets := float64(p.link.Stats().Up.Sent-before) / 1000
		t.Logf("%d bytes: %.2f packets a datagram", size, packets)
		if size == 1380 {
			require.LessOrEqual(t, packets, 1.1)
		}
		both := make(chan float64)
		go func() { both <- p.up(t, size, 2000) }()
		down := p.down(t, size, 2000)
		require.GreaterOrEqual(t, down, almostAll)
		require.GreaterOrEqual(t, <-both, almostAll)
	}
}

// Without a deadline the tunnel neither repairs nor delays: a protocol inside, such as WireGuard with TCP in it,
// sees the losses of the path and no others.
func TestDatagramsWithoutADeadlineAreLostAsTheLinkLosesThem(t *testing.T) {
	p := pairOverTunnel(t, "delay=10ms,mtu=1500,loss=5%")
	arrived := p.up(t, 1380, 3000)
	require.InDelta(t, 0.95, arrived, 0.03)
}

// dnsServer answers every query for an address with 192.0.2.53, and counts queries.
func dnsServer(t *testing.T) (addr string, queries func() int) {
	t.Helper()
	sock, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	done, count := make(chan struct{}), 0
	go func() {
		defer close(done)
		buf := make([]byte, 2000)
		for {
			n, from, err := sock.ReadFrom(buf)
			if err != nil {
				return
			}
			count++
			_, _ = sock.WriteTo(dnsAnswer(buf[:n]), from)
		}
	}()
	queries = func() int {
		_ = sock.Close()
		<-done
		return count
	}
	t.Cleanup(func() { queries() })
	return sock.LocalAddr().String(), queries
}

// dnsAnswer is the answer to a query with one question (RFC 1035, section 4.1).
func dnsAnswer(query []byte) []byte {
	const header = 12
	end := header
	for query[end] != 0 { // the labels of the name
		end += 1 + int(query[end])
	}
	end += 1 + 4 // the root, type and class
	answer := append([]byte(nil), query[:end]...)
	copy(answer[2:], []byte{0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0})                      // an answer; one question, one record
	return append(answer, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 53) // the name of the question, A, IN, 60 s
}

func TestNamesAreResolvedThroughTheTunnel(t *testing.T) {
	addr, queries := dnsServer(t)
	var p udpPair
	listen := connectUDP(t, p.emulate("delay=10ms"), "udp://127.0.0.1:0=udp://"+addr)
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", listen)
	}}
	const names = 50
	for i := range names {
		addrs, err := resolver.LookupNetIP(t.Context(), "ip4", fmt.Sprintf("host%d.example.", i))
		require.NoError(t, err)
		require.Equal(t, "192.0.2.53", fmt.Sprint(addrs[0]))
	}
	require.Equal(t, names, queries(), "a datagram each way, and no more")
}
