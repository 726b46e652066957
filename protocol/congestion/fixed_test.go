package congestion

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFixedHoldsItsRateWhateverIsLost(t *testing.T) {
	for _, loss := range []float64{0, 0.2, 0.5} {
		p := newTestPath(t, NewFixed(Config{}, 2_000_000))
		p.loss = loss
		p.run(time.Second)
		require.InEpsilon(t, 2e6*(1-loss), p.run(10*time.Second), 0.02, "loss %v", loss)
	}
}

func TestFixedKeepsToItsCaps(t *testing.T) {
	f := NewFixed(Config{}, 1<<60)
	require.Equal(t, uint64(MaxFixedRate), f.PacingRate())
	for _, rtt := range []time.Duration{0, time.Millisecond, time.Second, time.Hour} {
		f.Acked(AckSample{MinRTT: rtt, SmoothedRTT: rtt})
		require.Equal(t, uint64(MaxFixedRate), f.PacingRate())
		require.LessOrEqual(t, f.Window(), MaxFixedWindow)
	}
	require.Equal(t, MaxFixedWindow, f.Window())

	f = NewFixed(Config{}, 0)
	require.Equal(t, uint64(defaultMaxDatagram), f.PacingRate(), "a datagram a second")
	require.Equal(t, minWindowPackets*defaultMaxDatagram, f.Window())
}

func TestFixedHasRoomForTwoRoundTripsAndNoMore(t *testing.T) {
	f := NewFixed(Config{}, 1_000_000)
	f.Acked(AckSample{MinRTT: 100 * time.Millisecond, SmoothedRTT: time.Second})
	require.Equal(t, 250_000, f.Window(), "a queue does not make it larger")
	f.SetMaxDatagram(0)
	f.SetMaxDatagram(200_000)
	require.Equal(t, 400_000, f.Window(), "two datagrams at least")
}

func TestFixedDoesNotFloodAPathThatDied(t *testing.T) {
	p := newTestPath(t, NewFixed(Config{}, 2_000_000))
	p.run(time.Second)
	p.silent = true
	for p.nextSend() != 0 { // nothing is acknowledged, and so nothing declared lost
		p.now = max(p.now, p.nextSend())
		p.send()
	}
	require.LessOrEqual(t, p.inFlight, p.cc.Window())
	require.InEpsilon(t, 2e6*(2*0.040+0.050), p.cc.Window(), 0.01)
}

func TestFixedFallsToTheMinimumUntilSomethingArrives(t *testing.T) {
	f := NewFixed(Config{}, 1_000_000)
	f.Lost(LossSample{Persistent: true, Episode: true, Packets: 9})
	require.Equal(t, 2400, f.Window())
	require.Equal(t, uint64(7207), f.PacingRate(), "two datagrams in the round trip that is assumed")
	f.Acked(AckSample{MinRTT: 50 * time.Millisecond, SmoothedRTT: 100 * time.Millisecond, Bytes: 1200, RecoveryBytes: 1200})
	require.Equal(t, 2400, f.Window(), "it left before")
	require.Equal(t, uint64(24000), f.PacingRate())
	f.Lost(LossSample{Episode: true, Packets: 1})
	require.Equal(t, 2400, f.Window())
	f.Acked(AckSample{MinRTT: 50 * time.Millisecond, SmoothedRTT: 100 * time.Millisecond, Bytes: 2400, RecoveryBytes: 1200})
	require.Equal(t, 150_000, f.Window())
	require.Equal(t, uint64(1_000_000), f.PacingRate())

	f.Lost(LossSample{Episode: true, Packets: 100})
	require.Equal(t, uint64(1_000_000), f.PacingRate(), "loss alone changes nothing")
}

func TestFixedHasNoNameToBePickedBy(t *testing.T) {
	_, ok := Named(NewFixed(Config{}, 1).Name())
	require.False(t, ok)
	require.Equal(t, MarkNone, NewFixed(Config{}, 1).Marking())
}
