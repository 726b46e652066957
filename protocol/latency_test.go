package protocol_test

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/sim"
)

// simulation is a client and a server in virtual time with a link between them.
type simulation struct {
	*sim.World
	client, server *sim.Node
	config         protocol.Config
}

func newSimulation(t *testing.T, seed uint64, link, controller string) *simulation {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed) // ML-KEM takes its randomness from the system
	w := sim.NewWorld(seed)
	w.Violation = func(message string) { t.Fatal(message) }
	key, err := crypto.PrivateKeyFromSeed(w.Reader())
	require.NoError(t, err)
	a, b := netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("198.51.100.1:4433")
	newController, ok := congestion.Named(controller)
	require.True(t, ok, controller)
	s := &simulation{World: w, config: protocol.Config{PeerKey: key.Public(), NewController: newController}}
	serving := protocol.Config{Identity: key, NewController: newController}
	s.server, err = w.NewNode(b, protocol.EndpointConfig{Session: serving, Listen: true, UnixAtZero: 1})
	require.NoError(t, err)
	s.client, err = w.NewNode(a, protocol.EndpointConfig{})
	require.NoError(t, err)
	c, err := sim.ParseLink(link)
	require.NoError(t, err)
	require.NoError(t, w.Connect(a, b, c))
	return s
}

// readAll is an application that reads what comes.
func readAll(got func(n int)) func(*protocol.Session, protocol.Event) {
	buf := make([]byte, 64<<10)
	return func(_ *protocol.Session, e protocol.Event) {
		if e.Kind != protocol.EventStreamOpened && e.Kind != protocol.EventStreamReadable {
			return
		}
		for {
			n, err := e.Stream.Read(buf)
			got(n)
			if n == 0 || err != nil {
				return
			}
		}
	}
}

var filler [64 << 10]byte

// writeAll fills a stream.
func writeAll(s *protocol.Stream) {
	for {
		if n, err := s.Write(filler[:]); n < len(filler) || err != nil {
			return
		}
	}
}

// besideBulk writes 64 bytes 60 times a second on an urgent stream while another one sends as fast as it
// may, and returns how long the slowest of them waited at the sender.
func besideBulk(t *testing.T, seed uint64, link, controller string) (worst time.Duration) {
	const messages, warmup = 600, time.Second
	s := newSimulation(t, seed, link, controller)
	var bulk, urgent *protocol.Stream
	s.server.Event = readAll(func(int) {})
	s.client.Event = func(session *protocol.Session, e protocol.Event) {
		switch {
		case e.Kind == protocol.EventEstablished:
			var err error
			bulk, err = session.OpenStream(true)
			require.NoError(t, err)
			urgent, err = session.OpenStream(true)
			require.NoError(t, err)
			urgent.SetPriority(128)
			writeAll(bulk)
		case e.Kind == protocol.EventStreamWritable:
			writeAll(e.Stream)
		}
	}
	session, err := s.client.Dial(&s.config, s.server.Addr())
	require.NoError(t, err)
	s.Run(s.Now().Add(warmup))
	var written protocol.Time
	s.Capture = func(at sim.Sighting) {
		if !written.IsZero() && urgent.Unsent() == 0 {
			worst = max(worst, at.At.Sub(written))
			written = 0
		}
	}
	for range messages {
		_, err := urgent.Write(filler[:64])
		require.NoError(t, err)
		if written.IsZero() {
			written = s.Now()
		}
		s.client.Wake(session)
		s.Run(s.Now().Add(time.Second / 60))
	}
	require.True(t, written.IsZero(), "the last one left")
	return worst
}

// spec: REL-22
func TestUrgentDataIsNotBlockedByBulkDataOfTheSameSession(t *testing.T) {
	for _, controller := range []string{"cubic", "adaptive"} {
		for _, loss := range []string{"0%", "5%"} {
			t.Run(fmt.Sprintf("%s at %s", controller, loss), func(t *testing.T) {
				for seed := range uint64(3) {
					worst := besideBulk(t, seed, "dsl,loss="+loss, controller)
					require.LessOrEqual(t, worst, time.Millisecond, "seed %d: from Write to the datagram that carries it", seed)
				}
			})
		}
	}
}
