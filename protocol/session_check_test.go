package protocol

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInvariantsFindBooksThatDoNotAddUp(t *testing.T) {
	p := connected(t)
	s := p.cs
	_, err := s.Stream0().Write(make([]byte, 5000))
	require.NoError(t, err)
	require.NotEmpty(t, p.pump(s))
	require.NoError(t, s.CheckInvariants())
	l, streams := &s.paths.active.loss, &s.streams
	for what, spoil := range map[string]func(by int){
		"bytes (":           func(by int) { l.bytesInFlight += by },
		"urgent) and":       func(by int) { l.latencyInFlight += by },
		"packets in flight": func(by int) { l.outstanding += by },
		"below the cursor":  func(by int) { l.cursor += uint64(by) * 1000 },
		"bytes sent":        func(by int) { streams.sent -= uint64(by) },
		"bytes received":    func(by int) { streams.zero.recv.highest += uint64(by) },
		"gaps":              func(by int) { streams.gaps += by },
		"something":         func(by int) { streams.unsettled += by },
	} {
		spoil(1)
		require.ErrorContains(t, s.CheckInvariants(), what)
		spoil(-1)
		require.NoError(t, s.CheckInvariants())
	}
}

// Paths come and go; what happened on them stays counted.
func TestCountersOutliveTheirPaths(t *testing.T) {
	p := connected(t)
	p.cs.paths.active.loss.stats.spurious = 3
	p.cs.paths.active.loss.stats.blackHoles = 2
	before := p.cs.Stats()
	p.cs.CloseWithError(p.now, 1, "")
	require.True(t, p.run(maxDrain, func() bool { return p.cs.Dead() }))
	require.Equal(t, before.PacketsSpurious, p.cs.Stats().PacketsSpurious)
	require.Equal(t, before.BlackHoles, p.cs.Stats().BlackHoles)
}
