package protocol_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol"
)

// outage is what came of a link that carried for 5 s, swallowed everything for 2 s, and carried again.
type outage struct {
	first time.Duration // from its end until the application read new bytes
	back  time.Duration // from its end until 100 ms brought 90 % of the rate
}

// throughAnOutage sends as fast as it may over the link named blackhole, from a phase of its cycle on.
func throughAnOutage(t *testing.T, seed uint64, controller string, phase time.Duration) (o outage) {
	t.Helper()
	const rate, end, bin = 20e6 * 0.96, 7 * time.Second, 100 * time.Millisecond
	s := newSimulation(t, seed, "blackhole", controller)
	start := s.Now()
	bins := make(map[int]int)
	s.server.Event = readAll(func(n int) {
		after := s.Now().Sub(start) - end
		if n == 0 || after < 0 {
			return
		}
		if o.first == 0 {
			o.first = after
		}
		bins[int(after/bin)] += n
	})
	s.client.Event = func(session *protocol.Session, e protocol.Event) {
		switch e.Kind {
		case protocol.EventEstablished:
			writeAll(session.Stream0())
		case protocol.EventStreamWritable:
			writeAll(e.Stream)
		}
	}
	s.Run(start.Add(phase))
	_, err := s.client.Dial(&s.config, s.server.Addr())
	require.NoError(t, err)
	s.Run(start.Add(end + 4*time.Second))
	for i := 0; ; i++ {
		if float64(8*bins[i]) >= 0.9*rate*bin.Seconds() {
			o.back = time.Duration(i) * bin
			return o
		}
		if i == 40 {
			o.back = 4 * time.Second
			return o
		}
	}
}

// spec: REL-32
func TestDataFlowsWithinOneAndAHalfRoundTripsOfTheEndOfAnOutage(t *testing.T) {
	const rtt = 50 * time.Millisecond
	for _, controller := range []string{"cubic", "adaptive"} {
		for seed := uint64(1); seed <= 4; seed++ {
			o := throughAnOutage(t, seed, controller, time.Duration(seed)*37*time.Millisecond)
			require.LessOrEqual(t, o.first, 3*rtt/2, "%s, seed %d", controller, seed)
			require.LessOrEqual(t, o.back, 500*time.Millisecond, "%s, seed %d: 90 %% of the rate", controller, seed)
		}
	}
}
