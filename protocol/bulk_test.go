package protocol_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol"
)

// oneStream returns the goodput in Mbit/s of one stream with default windows, after the first seconds.
func oneStream(t *testing.T, seed uint64, link string, warmup, duration time.Duration) float64 {
	t.Helper()
	s := newSimulation(t, seed, link, "adaptive")
	got := 0
	s.server.Event = readAll(func(n int) { got += n })
	s.client.Event = func(session *protocol.Session, e protocol.Event) {
		switch e.Kind {
		case protocol.EventEstablished:
			writeAll(session.Stream0())
		case protocol.EventStreamWritable:
			writeAll(e.Stream)
		}
	}
	session, err := s.client.Dial(&s.config, s.server.Addr())
	require.NoError(t, err)
	s.Run(s.Now().Add(warmup))
	before := got
	s.Run(s.Now().Add(duration))
	require.NoError(t, session.Err())
	return 8 * float64(got-before) / duration.Seconds() / 1e6
}

func TestOneStreamFillsALineThatLoses(t *testing.T) {
	for loss, least := range map[string]float64{"1%": 45.5, "5%": 42, "10%": 39} { // 48 (1 - p) can be had
		require.Greater(t, oneStream(t, 1, "dsl,loss="+loss, 3*time.Second, 5*time.Second), least, "at %s", loss)
	}
}

func TestOneStreamSurvivesManyHolesOnALongLine(t *testing.T) {
	require.Greater(t, oneStream(t, 1, "long,loss=10%", 5*time.Second, 2*time.Second), 50.0)
}
