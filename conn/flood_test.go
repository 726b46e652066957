//go:build !race

package conn_test // not with the race detector: it makes key exchanges fifty times as dear, and this is about their cost

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/crypto/handshake"
	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/sim"
	"github.com/godwit-net/godwit/protocol/wire"
)

// What a flood is made of. The packets are made before it begins, and sent again and again: a sender that
// computes is a slow one.
const (
	floodPackets  = 1000 // of each kind but one
	floodCaptured = 20   // that real clients sent
	floodSources  = 64   // addresses that each sender sends from in turn
	floodTick     = time.Millisecond
	floodBurst    = 1000        // packets that a sender makes up for after it had to wait
	floodLead     = time.Second // before the first client comes: the server's first budgets are used up
)

// initHeader is the long header of a first packet with IDs that nobody has.
func initHeader() []byte {
	return wire.Long{
		Kind: wire.KindInit, Version: wire.Version1,
		DCID: wire.MakeID(randomBytes(8)), SCID: wire.MakeID(randomBytes(4)),
	}.Append(nil)
}

// randomInits have the shape of a first packet, and nothing else. They cost a server one MAC each.
func randomInits(n int) (packets [][]byte) {
	for range n {
		p := append(initHeader(), byte(handshake.TokenNone), 0, 0)
		packets = append(packets, append(p, randomBytes(wire.MinInitSize-len(p))...))
	}
	return packets
}

// signedInits are what somebody who knows the server's key makes for the price of two hashes each: mac1 is
// valid, nothing else is. A server that believes mac1 pays for a public-key operation each time.
func signedInits(n int, server crypto.PublicKey) [][]byte {
	const tail = handshake.CookieSize + 16 // cookie and mac1
	s := server.Bytes()
	key := sha256.Sum256(append([]byte("mac1"), s[:]...))
	packets := randomInits(n)
	for _, p := range packets {
		clear(p[len(p)-tail:])
		covered := sha256.Sum256(p[:len(p)-tail])
		mac := hmac.New(sha256.New, key[:])
		mac.Write(covered[:])
		mac.Write(p[len(p)-tail : len(p)-16])
		copy(p[len(p)-16:], mac.Sum(nil))
	}
	return packets
}

// genuineInits are the first packets of handshakes that nobody will finish, each with keys of its own.
func genuineInits(t testing.TB, n int, server crypto.PublicKey) (packets [][]byte) {
	params := protocol.DefaultParameters()
	config := handshake.ClientConfig{PeerKey: server, Params: params.Append(nil)}
	for range n {
		c, err := handshake.NewClient(config, initHeader())
		require.NoError(t, err)
		packets = append(packets, c.AppendInit(nil))
	}
	return packets
}

// capturedInits are first packets that real clients of the server sent, caught by somebody on the path.
func capturedInits(t testing.TB, n int, server crypto.PublicKey) (packets [][]byte) {
	path, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer path.Close()
	for range n {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _ = conn.Dial(ctx, path.LocalAddr().String(), &conn.Config{PeerKey: server}) }() // never answered
		b := make([]byte, wire.MinInitSize)
		_, _, err := path.ReadFromUDP(b)
		require.NoError(t, err)
		cancel()
		packets = append(packets, b)
	}
	return packets
}

// flood is forged first packets on their way to one server. They never leave this machine.
type flood struct {
	sent  atomic.Int64
	began time.Time
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup
}

// startFlood has one sender for each set of packets send them to the server on the loopback interface, each
// its share of a rate in packets a second, for a time. 0: as fast as the system takes them.
func startFlood(t testing.TB, server net.Addr, rate int, most time.Duration, sets [][][]byte) *flood {
	t.Helper()
	target := server.(*net.UDPAddr).AddrPort()
	require.True(t, target.Addr().IsLoopback(), "a flood stays on this machine")
	f := &flood{began: time.Now()}
	f.ctx, f.stop = context.WithTimeout(context.Background(), most)
	for i, packets := range sets {
		sources := make([]*net.UDPConn, floodSources)
		for k := range sources {
			sources[k] = floodSource(t, i, k)
		}
		f.wg.Go(func() { f.send(target, rate/len(sets), sources, packets) })
	}
	t.Cleanup(f.end)
	return f
}

// floodSource opens a socket of the flood. On Linux all of 127.0.0.0/8 is this machine, and each source is
// another prefix for the server's budgets.
func floodSource(t testing.TB, set, k int) *net.UDPConn {
	t.Helper()
	ip := net.IPv4(127, 0, 0, 1)
	if runtime.GOOS == "linux" {
		ip = net.IPv4(127, 1, byte(set), byte(k))
	}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: ip})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (f *flood) send(target netip.AddrPort, rate int, sources []*net.UDPConn, packets [][]byte) {
	due, last := 0, time.Now()
	for n := 0; f.ctx.Err() == nil; n++ {
		source := sources[n%len(sources)]
		if _, err := source.WriteToUDPAddrPort(packets[n%len(packets)], target); err == nil {
			f.sent.Add(1)
		}
		for due--; rate > 0 && due < 0; {
			time.Sleep(floodTick)
			now := time.Now()
			due = min(due+int(float64(rate)*now.Sub(last).Seconds()), floodBurst)
			last = now
		}
	}
}

// end stops the flood.
func (f *flood) end() {
	f.stop()
	f.wg.Wait()
}

// honest are clients that connect, are echoed, and close.
type honest struct {
	mu     sync.Mutex
	took   times
	failed []error
}

// dialEach does n round trips, some at a time, each with its own socket and at most limit long.
func (h *honest) dialEach(n, atOnce int, limit time.Duration, address string, config *conn.Config) {
	var wg sync.WaitGroup
	turns := make(chan struct{}, n)
	for range n {
		turns <- struct{}{}
	}
	close(turns)
	for range atOnce {
		wg.Go(func() {
			for range turns {
				h.dial(limit, address, config)
			}
		})
	}
	wg.Wait()
}

func (h *honest) dial(limit time.Duration, address string, config *conn.Config) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	start := time.Now()
	err := roundTrip(ctx, address, config, randomBytes(1000))
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.failed = append(h.failed, err)
		return
	}
	h.took = append(h.took, time.Since(start))
}

// floodSets are the three kinds of forged first packets.
func floodSets(t testing.TB, server crypto.PublicKey) [][][]byte {
	t.Helper()
	return [][][]byte{
		randomInits(floodPackets),
		append(signedInits(floodPackets, server), genuineInits(t, floodPackets, server)...),
		capturedInits(t, floodCaptured, server),
	}
}

// floodResult is what a flood did to a server and to its honest clients.
type floodResult struct {
	rate       float64 // forged packets a second that were sent
	took       time.Duration
	clients    honest
	during     int   // clients that were done before the flood was
	pings      times // of a session that was there before
	heap       int64 // growth in bytes
	goroutines int   // growth
	seen       conn.EndpointStats
}

// underFlood floods a listener of two shards while dials clients connect, are echoed and close. The flood ends
// when they are done, and at most after a time.
func underFlood(t testing.TB, rate, dials int, within, most time.Duration) *floodResult {
	t.Helper()
	l, err := conn.Listen("127.0.0.1:0", &conn.Config{Shards: 2})
	require.NoError(t, err)
	defer l.Close()
	go serveEcho(l)
	key := l.PublicKey()
	sets := floodSets(t, key)
	established := startPings(t, l)
	r := &floodResult{}
	r.clients.dialEach(1, 1, within, l.Addr().String(), &conn.Config{PeerKey: key}) // what is made once is made now
	heap, goroutines := heapNow(), runtime.NumGoroutine()
	f := startFlood(t, l.Addr(), rate, most, sets)
	ended := make(chan struct{})
	context.AfterFunc(f.ctx, func() {
		defer close(ended)
		took := time.Since(f.began)
		r.clients.mu.Lock()
		defer r.clients.mu.Unlock()
		r.took, r.during = took, len(r.clients.took)-1
		r.rate = float64(f.sent.Load()) / took.Seconds()
	})
	time.Sleep(floodLead)
	r.clients.dialEach(dials, 5, within, l.Addr().String(), &conn.Config{PeerKey: key})
	r.heap = heapNow() - heap
	r.goroutines = runtime.NumGoroutine() - goroutines
	f.end()
	<-ended
	r.seen = l.Stats()
	established.end(t)
	r.pings = established.took
	return r
}

// operationsAllowed is how many public-key operations a listener of two shards may do for strangers in a time,
// and for some clients that prove their address. A stranger's first packet costs two, 500 of them a second and
// 125 at once are a fifth of one core; a client's whole handshake costs three and may begin twice.
func operationsAllowed(took time.Duration, clients int) float64 {
	return 2*(125+500*took.Seconds())*2 + float64(clients*5)
}

func TestAttack02HandshakeFlood(t *testing.T) {
	const heapGrowth = 32 << 20 // two tables of half-open handshakes and what waits to be sent
	for _, c := range []struct {
		name         string
		rate, dials  int
		within, most time.Duration // generous: this machine may be busy with other things than the flood
	}{
		{"at fifty thousand a second", 50_000, 30, 5 * time.Second, time.Minute},
		{"as fast as loopback carries it", 0, 10, time.Minute, 6 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := underFlood(t, c.rate, c.dials, c.within, c.most)
			t.Logf("%.0f forged packets/s for %v, %d read", r.rate, r.took.Round(time.Millisecond), r.seen.Inits)
			t.Logf("honest clients: %v, %d of them during the flood; session that was there before: %v",
				r.clients.took, r.during, r.pings)
			t.Logf("heap %+d kB, %d public-key operations, %d handshakes half open", r.heap>>10, r.seen.Agreements, r.seen.HalfOpen)
			require.Empty(t, r.clients.failed, "every honest client connects")
			require.Positive(t, r.during)
			require.NotEmpty(t, r.pings)
			require.Less(t, r.heap, int64(heapGrowth))
			require.LessOrEqual(t, r.goroutines, len(r.clients.took)*3+5, "those of clients that still close, and the flood's own")
			require.Less(t, float64(r.seen.Agreements), operationsAllowed(r.took+time.Second, c.dials+2))
			require.Positive(t, r.seen.Retries)
			require.Positive(t, r.seen.Forged)
		})
	}
}

// Half-open handshakes that are never finished fill a table of fixed size, and leave it after 5 s. The listener
// asks nobody for a proof of address here: with one, strangers get 256 places.
func TestAttack04SlowHandshakes(t *testing.T) {
	const (
		strangers  = 5000
		places     = 4096
		heapGrowth = 24 << 20 // 1,024 keys of 8 kB and 4,096 entries
	)
	identity := crypto.GeneratePrivateKey()
	packets := genuineInits(t, strangers, identity.Public())
	inBubble(t, sim.Config{}, &conn.Config{Identity: identity, Retry: conn.RetryNever}, func(t *testing.T, w *world) {
		stranger, err := w.net.Listen(netip.MustParseAddrPort("10.6.6.6:6"))
		require.NoError(t, err)
		require.NoError(t, roundTripBetween(w.pair()))
		heap := heapNow()
		for i, p := range packets {
			_, err := stranger.WriteToUDPAddrPort(p, serverAddr)
			require.NoError(t, err)
			if i%100 == 0 {
				time.Sleep(time.Microsecond) // the server reads what is there
			}
		}
		time.Sleep(time.Microsecond)
		require.Equal(t, places, w.listener.Stats().HalfOpen)
		grown := heapNow() - heap
		t.Logf("%d kB for %d half-open handshakes", grown>>10, places)
		require.Less(t, grown, int64(heapGrowth))
		require.NoError(t, roundTripBetween(w.pair()), "an honest client connects")

		time.Sleep(10 * time.Second)
		require.Zero(t, w.listener.Stats().HalfOpen)
		require.Less(t, heapNow()-heap, int64(1<<20), "the memory came back")
		require.NoError(t, stranger.Close())
	})
}

// roundTripBetween says something on a session and hears it back.
func roundTripBetween(c, s *conn.Session) error {
	go func() { _, _ = io.Copy(s, s) }() // the client sees what is missing
	defer s.Close()
	defer c.Close()
	question, answer := randomBytes(1000), make([]byte, 1000)
	if _, err := c.Write(question); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, answer); err != nil {
		return err
	}
	if !slices.Equal(question, answer) {
		return errors.New("the answer differs from the question")
	}
	return nil
}
