//go:build godwit_flood && unix && !race

package conn_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

// What comes from outside in the table of sessions during floods.
const (
	outsideNothing    = "nothing"
	outsideComputing  = "a program that computes" // and sends nothing: what sharing the processors alone does
	outsideForged     = "forged first packets"
	outsideHandshakes = "new sessions"
)

// outsideVariable tells the other process what to do: kind, address and key, one a line.
const outsideVariable = "GODWIT_FLOOD"

// TestFloodFromOutside is the other process of the table below, and nothing without it.
func TestFloodFromOutside(t *testing.T) {
	var address, key string
	kind := os.Getenv(outsideVariable)
	if kind == "" {
		return
	}
	address, key = os.Getenv(outsideVariable+"_ADDRESS"), os.Getenv(outsideVariable+"_KEY")
	server, err := crypto.ParsePublicKey(key)
	require.NoError(t, err)
	addr, err := net.ResolveUDPAddr("udp", address)
	require.NoError(t, err)
	if kind == outsideComputing {
		static, err := ecdh.X25519().GenerateKey(rand.Reader)
		require.NoError(t, err)
		perSecond(runtime.GOMAXPROCS(0), time.Hour, func() { bareHandshake(t, static) })
	}
	if kind == outsideForged {
		f := startFlood(t, addr, 0, time.Hour, floodSets(t, server))
		<-f.ctx.Done()
		return
	}
	endpoint := newClients(t)
	perSecond(64, time.Hour, func() {
		s, err := endpoint.Dial(context.Background(), address, &conn.Config{PeerKey: server})
		if err == nil {
			_ = s.CloseWithError(0, "") // its end counts for nothing
		}
	})
}

// startOutside starts the other process, as polite as the system has it: it stands for other machines. It
// returns what ends it.
func startOutside(t *testing.T, kind string, l *conn.Listener) (end func()) {
	if kind == outsideNothing {
		return func() {}
	}
	p := exec.Command("nice", "-n", "19", os.Args[0], "-test.run", "^TestFloodFromOutside$")
	p.Env = append(os.Environ(), outsideVariable+"="+kind, outsideVariable+"_ADDRESS="+l.Addr().String(),
		outsideVariable+"_KEY="+l.PublicKey().String())
	require.NoError(t, p.Start())
	return func() {
		require.NoError(t, p.Process.Kill())
		_ = p.Wait() // it was killed
	}
}

// TestSessionsDuringFloodsTable is part of make flood: what a session that was there before sees of floods that
// come from another process as fast as it can, and of first packets that end in sessions. All take turns.
func TestSessionsDuringFloodsTable(t *testing.T) {
	const (
		rounds = 5
		lead   = 700 * time.Millisecond // the other process starts
		during = 1500 * time.Millisecond
	)
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(t, err)
	defer l.Close()
	go serveEcho(l)
	kinds := []string{outsideNothing, outsideComputing, outsideForged, outsideHandshakes}
	p50, p99, firsts, accepted := map[string][]float64{}, map[string][]float64{}, map[string][]float64{}, map[string][]float64{}
	for range rounds {
		for _, kind := range kinds {
			session := startPings(t, l)
			session.counts.Store(false)
			end := startOutside(t, kind, l)
			time.Sleep(lead)
			session.counts.Store(true)
			before := l.Stats()
			time.Sleep(during)
			session.end(t)
			end()
			after := l.Stats()
			ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
			p50[kind] = append(p50[kind], ms(session.took.at(0.5)))
			p99[kind] = append(p99[kind], ms(session.took.at(0.99)))
			firsts[kind] = append(firsts[kind], float64(after.Inits-before.Inits)/during.Seconds())
			accepted[kind] = append(accepted[kind], float64(after.Accepted-before.Accepted)/during.Seconds())
		}
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "from outside (medians of %d)\tfirst packets/s\tsessions/s\tp50 ms\tp99 ms\tlowest\thighest\t\n", rounds)
	for _, kind := range kinds {
		p := p99[kind]
		fmt.Fprintf(out, "%s\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t\n",
			kind, median(firsts[kind]), median(accepted[kind]), median(p50[kind]), median(p), slices.Min(p), slices.Max(p))
	}
	require.NoError(t, out.Flush())
}
