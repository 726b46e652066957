package protocol_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/sim"
)

// The count of packets that were lost in truth is exact, however much was reordered. Of data that overtakes the end
// of the handshake a part is kept, the rest is lost like what the network dropped. No packet is read with a wrong
// number, however many overtook it.
//
// spec: REL-14
// spec: WIRE-43
func TestNeedlessRetransmissionsAreCountedExactly(t *testing.T) {
	for _, link := range []string{"rate=10mbit,delay=20ms,queue=1bdp,jitter=10ms", "dsl,jitter=10ms", "rate=10mbit,delay=20ms,queue=1bdp,reorder=2%,reorderby=30ms,loss=1%"} {
		for seed := range uint64(3) {
			s, session, stop := bulkSession(t, seed, link)
			var served *protocol.Session
			s.server.Event = func(session *protocol.Session, e protocol.Event) {
				served = session
				readAll(func(int) {})(session, e)
			}
			dropped := 0 // datagrams with more than acknowledgements
			s.Capture = func(at sim.Sighting) {
				if !at.Arrival && at.Cause != sim.Carried && at.Packet.Src == s.client.Addr() && session.LastElicits() {
					dropped++
				}
			}
			s.Run(s.Now().Add(3 * time.Second))
			stop()
			s.Run(s.Now().Add(2 * time.Second)) // everything is acknowledged, however late it comes
			st := session.Stats()
			require.Greater(t, st.PacketsSpurious, uint64(0), link)
			require.Zero(t, served.Stats().Dropped.Forged, "%s, seed %d", link, seed)
			refused := int(s.server.Endpoint().Stats().Overload)
			require.Equal(t, dropped+refused, int(st.PacketsLost-st.PacketsSpurious), "%s, seed %d: of %d losses %d were none, the network dropped %d and the server refused %d",
				link, seed, st.PacketsLost, st.PacketsSpurious, dropped, refused)
		}
	}
}

func TestReorderingCostsFewNeedlessRetransmissions(t *testing.T) {
	const capacity = 48.0 // Mbit/s of data that 50 Mbit/s carry
	for link, most := range map[string]float64{"dsl,jitter=2ms": 0.005, "dsl,jitter=10ms": 0.02} {
		for seed := range uint64(1) {
			s, session, _ := bulkSession(t, seed, link)
			got := 0
			s.server.Event = readAll(func(n int) { got += n })
			s.Run(s.Now().Add(2 * time.Second))
			before := got
			s.Run(s.Now().Add(5 * time.Second))
			st := session.Stats()
			require.Less(t, float64(st.PacketsSpurious), most*float64(st.PacketsSent), "%s, seed %d", link, seed)
			require.Greater(t, float64(8*(got-before))/5e6, 0.9*capacity, "%s, seed %d", link, seed)
		}
	}
}

// transferTime is how long 10 MB take, from Dial to the last byte read.
func transferTime(t *testing.T, seed uint64, link string) time.Duration {
	t.Helper()
	const size = 10_000_000
	s := newSimulation(t, seed, link, "adaptive")
	got, left := 0, size
	s.server.Event = readAll(func(n int) { got += n })
	s.client.Event = func(session *protocol.Session, e protocol.Event) {
		if e.Kind != protocol.EventEstablished && e.Kind != protocol.EventStreamWritable {
			return
		}
		for left > 0 {
			n, err := session.Stream0().Write(filler[:min(left, len(filler))])
			require.NoError(t, err)
			if left -= n; n == 0 {
				return
			}
		}
		session.Stream0().CloseWrite()
	}
	start := s.Now()
	_, err := s.client.Dial(&s.config, s.server.Addr())
	require.NoError(t, err)
	require.True(t, s.RunUntil(start.Add(time.Minute), func() bool { return got == size }))
	return s.Now().Sub(start)
}

func TestTenMegabytesTakeLittleMoreThanTheirTime(t *testing.T) {
	for link, most := range map[string]time.Duration{
		"rate=20mbit,delay=40ms,queue=1bdp":            5 * time.Second,
		"rate=10mbit,delay=40ms,jitter=7ms,queue=1bdp": 10500 * time.Millisecond,
	} {
		for seed := range uint64(3) {
			took := transferTime(t, seed, link)
			require.LessOrEqual(t, took, most, "%s, seed %d", link, seed)
		}
	}
}
