package protocol_test

import (
	"net/netip"
	"testing"
	"testing/cryptotest"

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
