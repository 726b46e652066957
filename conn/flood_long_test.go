//go:build godwit_flood && unix && !race

package conn_test

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
)

// TestAttack02HandshakeFloodTable is make flood: the attack at several rates, with more clients than the test
// that runs every time, as a table.
func TestAttack02HandshakeFloodTable(t *testing.T) {
	const dials, within = 300, 10 * time.Second
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "flood/s\tseconds\tread\thonest ok\tp50\tp99\tsession p50\tp99\tpublic-key ops/s\tcores\theap kB\tgoroutines\t\n")
	for _, rate := range []int{1000, 10_000, 50_000, 100_000, 0} {
		cpu := cpuTime(t)
		r := underFlood(t, rate, dials, within, 5*time.Minute)
		cpu = cpuTime(t) - cpu
		s := r.took.Seconds()
		fmt.Fprintf(out, "%.0f\t%.1f\t%.0f%%\t%d/%d\t%v\t%v\t%v\t%v\t%.0f\t%.2f\t%+d\t%+d\t\n",
			r.rate, s, 100*float64(r.seen.Inits)/(r.rate*s), len(r.clients.took), dials+1,
			r.clients.took.at(0.5), r.clients.took.at(0.99), r.pings.at(0.5), r.pings.at(0.99),
			float64(r.seen.Agreements)/s, cpu.Seconds()/s, r.heap>>10, r.goroutines)
	}
	require.NoError(t, out.Flush())
}

// TestAttack04SlowHandshakesOverSockets begins a hundred thousand handshakes and finishes none, at a listener
// that asks nobody for a proof of address.
func TestAttack04SlowHandshakesOverSockets(t *testing.T) {
	const strangers, atOnce = 100_000, 500
	l, err := conn.Listen("127.0.0.1:0", &conn.Config{Shards: 1, Retry: conn.RetryNever})
	require.NoError(t, err)
	defer l.Close()
	go serveEcho(l)
	source := floodSource(t, 0, 1)
	heap, start, most := heapNow(), time.Now(), int64(0)
	var clients honest
	for sent := 0; sent < strangers; sent += atOnce {
		packets := someInits(t, atOnce, l)
		for _, p := range packets {
			_, err := source.WriteToUDPAddrPort(p, l.Addr().(*net.UDPAddr).AddrPort())
			require.NoError(t, err)
		}
		want := uint64(sent + atOnce)
		require.Eventually(t, func() bool { return l.Stats().Inits >= want }, 10*time.Second, time.Millisecond)
		if sent%(20*atOnce) == 0 {
			most = max(most, heapNow()-heap)
			clients.dial(5*time.Second, l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
		}
	}
	fmt.Printf("%d half-open handshakes in %v: heap at most +%d kB, %d in the table; honest clients: %v, failed: %v\n",
		l.Stats().Inits, time.Since(start).Round(time.Millisecond), most>>10, l.Stats().HalfOpen, clients.took, clients.failed)
	require.Empty(t, clients.failed)
	require.Less(t, most, int64(24<<20))
}

// someInits makes first packets on all processors.
func someInits(t testing.TB, n int, l *conn.Listener) (packets [][]byte) {
	parts := make([][][]byte, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() { parts[i] = genuineInits(t, n/len(parts), l.PublicKey()) })
	}
	wg.Wait()
	for _, p := range parts {
		packets = append(packets, p...)
	}
	return packets
}
