package protocol_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/sim"
)

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
