//go:build e2e

package e2e

import (
	"hash/maphash"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// meter is a UDP socket that notes each datagram that comes, and passes it on.
type meter struct {
	sock *net.UDPConn
	done chan struct{}

	mu   sync.Mutex
	to   *net.UDPAddr // where datagrams go next; nil: nowhere
	file io.Writer    // gets them too; nil: none
	seen []sighting
}

// sighting is a datagram that came.
type sighting struct {
	hash uint64
	at   time.Time
	size int
}

var meterSeed = maphash.MakeSeed()

// meters opens n sockets with adjacent ports, the first of them even, as RTP wants its pairs.
func meters(t *testing.T, n int) []*meter {
	t.Helper()
	for range 100 {
		if all := tryMeters(t, n); all != nil {
			return all
		}
	}
	require.Fail(t, "no adjacent ports are free")
	return nil
}

func tryMeters(t *testing.T, n int) (all []*meter) {
	first := 0
	for i := range n {
		sock, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: first})
		if err != nil {
			break
		}
		t.Cleanup(func() { _ = sock.Close() })
		_ = sock.SetReadBuffer(4 << 20)
		port := sock.LocalAddr().(*net.UDPAddr).Port
		if i == 0 && n > 1 && port%2 == 1 {
			break
		}
		first = port + 1
		all = append(all, &meter{sock: sock, done: make(chan struct{})})
	}
	if len(all) < n {
		return nil
	}
	for _, m := range all {
		go m.run()
	}
	return all
}

func (m *meter) port() int { return m.sock.LocalAddr().(*net.UDPAddr).Port }

// pass has datagrams go on to a port of this machine.
func (m *meter) pass(port int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.to = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
}

// copyTo has datagrams be written to a file, too.
func (m *meter) copyTo(file io.Writer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.file = file
}

func (m *meter) run() {
	defer close(m.done)
	buf := make([]byte, 1<<16)
	for {
		n, _, err := m.sock.ReadFromUDP(buf)
		if err != nil {
			return
		}
		m.mu.Lock()
		m.seen = append(m.seen, sighting{maphash.Bytes(meterSeed, buf[:n]), time.Now(), n})
		if m.to != nil {
			_, _ = m.sock.WriteToUDP(buf[:n], m.to)
		}
		if m.file != nil {
			_, _ = m.file.Write(buf[:n])
		}
		m.mu.Unlock()
	}
}

// stop closes the socket and returns what came.
func (m *meter) stop() []sighting {
	_ = m.sock.Close()
	<-m.done
	return m.seen
}

// freePorts returns n adjacent UDP ports that are free now.
func freePorts(t *testing.T, n int) (ports []int) {
	for _, m := range meters(t, n) {
		m.stop()
		ports = append(ports, m.port())
	}
	return ports
}

// isTaken reports whether somebody listens at a UDP port.
func isTaken(port int) bool {
	sock, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err == nil {
		_ = sock.Close()
	}
	return err != nil
}

// local is the address of a port of this machine.
func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func portOf(t *testing.T, addr string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	port, err := strconv.Atoi(text)
	require.NoError(t, err)
	return port
}

// passage is how a flow of datagrams got from one meter to another.
type passage struct {
	sent, received int             // datagrams, each counted once
	foreign        int             // datagrams that came twice, or that nobody sent
	early          int             // datagrams that never came of the first second, in which the path is learned
	hole           int             // most datagrams missing one after another
	pause          time.Duration   // longest time in which nothing was sent
	silence        time.Duration   // longest time in which nothing came and something had been sent
	delays         []time.Duration // sorted, of those received
	rate           float64         // sent, in bit/s
}

// compare finds each datagram that was sent among those that came.
func compare(sent, came []sighting) *passage {
	p := &passage{sent: len(sent)}
	waiting := make(map[uint64][]int) // numbers of datagrams by their hash, in order
	for i, s := range sent {
		waiting[s.hash] = append(waiting[s.hash], i)
		if i > 0 {
			p.pause = max(p.pause, s.at.Sub(sent[i-1].at))
		}
	}
	arrived := make([]bool, len(sent))
	for i, c := range came {
		numbers := waiting[c.hash]
		if len(numbers) == 0 {
			p.foreign++
			continue
		}
		waiting[c.hash] = numbers[1:]
		arrived[numbers[0]] = true
		p.received++
		p.delays = append(p.delays, c.at.Sub(sent[numbers[0]].at))
		if i > 0 {
			p.silence = max(p.silence, c.at.Sub(came[i-1].at))
		}
	}
	slices.Sort(p.delays)
	hole, bytes := 0, 0
	for i, ok := range arrived {
		if hole++; ok {
			hole = 0
		}
		p.hole = max(p.hole, hole)
		if !ok && sent[i].at.Sub(sent[0].at) < time.Second {
			p.early++
		}
		bytes += sent[i].size
	}
	if n := len(sent); n > 1 {
		p.rate = float64(bytes*8) / sent[n-1].at.Sub(sent[0].at).Seconds()
	}
	return p
}

// missing is the share of datagrams that never came.
func (p *passage) missing() float64 { return 1 - float64(p.received)/float64(max(p.sent, 1)) }

// late is the share of datagrams that came later than the quickest and the budget.
func (p *passage) late(budget time.Duration) float64 {
	if len(p.delays) == 0 {
		return 0
	}
	onTime, _ := slices.BinarySearch(p.delays, p.delays[0]+budget)
	return float64(len(p.delays)-onTime) / float64(p.sent)
}

// beyond is a quantile of the delays, less that of the quickest datagram.
func (p *passage) beyond(q float64) time.Duration {
	if len(p.delays) == 0 {
		return 0
	}
	return p.delays[int(q*float64(len(p.delays)-1))] - p.delays[0]
}
