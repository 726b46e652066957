package sim

import (
	"errors"
	"fmt"
	"math/bits"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol"
)

// patternBits is how many datagrams from the moment of interest are dropped or not in all possible
// ways: 4,096 runs.
const patternBits = 12

// stride is 1, or with -short a number that leaves a sample with all bits in it.
func stride() int {
	if testing.Short() {
		return 37
	}
	return 1
}

// dropPattern drops the datagrams that the bits of pattern name, counted from now on.
func dropPattern(w *World, pattern int) {
	from := -1
	w.Filter = func(n int, _ Packet) Cause {
		if from < 0 {
			from = n
		}
		if i := n - from; i < patternBits && pattern>>i&1 == 1 {
			return Scripted
		}
		return Carried
	}
}

// everyPattern runs play in a fresh world for each pattern. It reports the pattern of a failure.
func everyPattern(t *testing.T, play func(t *testing.T, s *session, drop func()) error) {
	for pattern := 0; pattern < 1<<patternBits; pattern += stride() {
		s := newSession(t, 1, "delay=10ms", nil)
		s.Violation = func(message string) { t.Fatalf("pattern %012b: %s", pattern, message) }
		if err := play(t, s, func() { dropPattern(s.World, pattern) }); err != nil {
			t.Fatalf("pattern %012b (first datagram rightmost) at %v: %v", pattern, time.Duration(s.Now()), err)
		}
	}
}

// small is a transfer of a few datagrams.
func small() *Transfer { return &Transfer{Streams: 1, Bytes: 1500} }

const patternLimit = time.Minute // of virtual time, for a transfer whose first 12 datagrams may all be lost

func TestHandshakeSurvivesEveryLossOfItsFirstTwelveDatagrams(t *testing.T) {
	for _, retry := range []protocol.RetryMode{protocol.RetryAdaptive, protocol.RetryAlways} {
		t.Run(fmt.Sprintf("retry mode %d", retry), func(t *testing.T) { handshakeUnderEveryLoss(t, retry) })
	}
}

// mustWork is how many lost datagrams every handshake survives. The times of retransmission and the
// server's patience with half-open handshakes have room for more in most patterns, not in all.
const mustWork = 2

func handshakeUnderEveryLoss(t *testing.T, retry protocol.RetryMode) {
	worked := 0
	for pattern := 0; pattern < 1<<patternBits; pattern += stride() {
		s := newSession(t, 1, "delay=10ms", func(c *protocol.EndpointConfig) { c.Retry = retry })
		dropPattern(s.World, pattern)
		x := small()
		require.NoError(t, x.Start(s.client, s.server, &s.clientConfig))
		over := func() bool { return x.Done() || x.Client.Closed != nil }
		require.True(t, s.RunUntil(s.now.Add(patternLimit), over), "pattern %012b is stuck", pattern)
		// A server that never saw the end of the handshake forgets its beginning, and says so.
		gaveUp := errors.Is(x.Client.Closed, protocol.ErrNoAnswer) ||
			errors.Is(x.Client.Closed, protocol.ErrStatelessReset) && x.Server == nil
		switch {
		case x.Done():
			worked++
		case !gaveUp || bits.OnesCount(uint(pattern)) <= mustWork:
			t.Errorf("pattern %012b (first datagram rightmost): ended by %v", pattern, x.Client.Closed)
		}
	}
	t.Logf("%d of %d worked", worked, 1<<patternBits/stride())
}

func TestCloseSurvivesEveryLossOfTwelveDatagrams(t *testing.T) {
	clean := 0
	everyPattern(t, func(t *testing.T, s *session, drop func()) error {
		x := small()
		require.NoError(t, x.Start(s.client, s.server, &s.clientConfig))
		if !s.RunUntil(s.now.Add(patternLimit), x.Done) {
			return errors.New("no transfer")
		}
		drop()
		x.Client.Session.Shutdown(s.client.Now())
		s.client.Wake(x.Client.Session)
		if !s.RunUntil(s.now.Add(2*patternLimit), x.Over) {
			return fmt.Errorf("not over: client %s, server %s", describe(x.Client), describe(x.Server))
		}
		var app *protocol.ApplicationError
		if !errors.As(x.Client.Closed, &app) || app.Remote || app.Code != 0 {
			return fmt.Errorf("the end that closed ended by %w", x.Client.Closed)
		}
		if errors.As(x.Server.Closed, &app) && app.Remote && app.Code == 0 {
			clean++
		} else if !errors.Is(x.Server.Closed, protocol.ErrIdleTimeout) && !errors.Is(x.Server.Closed, protocol.ErrStatelessReset) {
			return fmt.Errorf("the other end ended by %w", x.Server.Closed)
		}
		return nil
	})
	t.Logf("%d of %d heard why", clean, 1<<patternBits/stride())
}

func TestKeyUpdateSurvivesEveryLossOfTwelveDatagrams(t *testing.T) {
	everyPattern(t, func(t *testing.T, s *session, drop func()) error {
		x := &Transfer{Streams: 1, Bytes: 8000, WriteLimit: 2000, Pause: 20 * time.Millisecond}
		require.NoError(t, x.Start(s.client, s.server, &s.clientConfig))
		confirmed := func() bool { return x.Server != nil && x.Client.Session.Confirmed() }
		if !s.RunUntil(s.now.Add(patternLimit), confirmed) {
			return errors.New("no handshake")
		}
		drop()
		x.Client.Session.ForceKeyUpdate(s.client.Now())
		x.Server.Session.ForceKeyUpdate(s.server.Now())
		s.client.Wake(x.Client.Session)
		s.server.Wake(x.Server.Session)
		if !s.RunUntil(s.now.Add(patternLimit), x.Done) {
			return fmt.Errorf("stuck: client %s, server %s", describe(x.Client), describe(x.Server))
		}
		if x.Client.Session.Stats().KeyUpdates == 0 || x.Client.Closed != nil {
			return fmt.Errorf("no update, or closed by %w", x.Client.Closed)
		}
		return nil
	})
}
