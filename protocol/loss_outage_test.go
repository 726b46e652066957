package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// spec: REL-19
func TestAnOutageIsProbedOnceARoundTripAndThenMoreAndMoreSeldom(t *testing.T) {
	s := newSender(t)
	s.sendOne()
	pto := s.l.pto()
	next := func() time.Duration {
		last := s.now
		s.wake(lossTimerProbe)
		for s.l.probesWanted > 0 {
			s.sendOne()
		}
		return s.now.Sub(last)
	}
	require.Equal(t, pto, next())
	begin := s.now
	for s.now.Sub(begin) < outageProbing {
		require.Equal(t, testRTT, next(), "a path that comes back is noticed at once")
	}
	require.LessOrEqual(t, int(s.l.stats.packetsSent), 2+int(outageProbing/testRTT)+1, "one packet each")
	for _, want := range []time.Duration{2 * pto, 4 * pto} {
		require.Equal(t, want, next())
	}
	for range 100 {
		next()
	}
	require.Equal(t, maxProbeInterval, next(), "not more seldom than that")

	s.ack(0, s.l.list.next)
	require.Zero(t, s.l.ptoCount, "an answer ends the backoff")
	s.sendOne()
	at, _ := s.l.deadline()
	require.Equal(t, s.l.pto(), at.Sub(s.now))
}

// spec: REL-19
func TestProbesAreNeverCloserThanTwentyMilliseconds(t *testing.T) {
	s := newSender(t)
	s.l.rtt.reset(0)
	s.l.sampleRTT(s.now, time.Millisecond)
	s.sendOne()
	s.wake(lossTimerProbe)
	at, _ := s.l.deadline()
	require.Equal(t, minOutageProbe, at.Sub(s.now), "although the probe could not leave")
}

func TestARoundTripThatGrewIsNoOutageForLong(t *testing.T) {
	s := newSender(t)
	first := s.sendOne()
	probes := 0
	for begin := s.now; s.now.Sub(begin) < 10*testRTT; probes++ {
		s.wake(lossTimerProbe)
		s.sendOne()
	}
	require.Less(t, probes, 10, "one a round trip of before")
	s.ack(first, first+1)
	require.Empty(t, s.lost, "an expiry declares nothing lost")
	require.Greater(t, s.l.pto(), 10*testRTT, "and the next one waits longer")
}

// spec: REL-33
func TestTheFirstWordAfterAnOutageSaysWhereToGoOn(t *testing.T) {
	s := newSender(t)
	s.send(10, time.Millisecond)
	s.wake(lossTimerProbe)
	s.sendOne()
	s.probed = nil
	s.ack(0, 6) // repeated by the peer, sent before any probe came
	require.Empty(t, s.lost, "nothing later has arrived")
	require.Equal(t, []uint64{6}, s.probed, "the oldest that has not arrived")
	require.Equal(t, 1, s.l.probesWanted, "at once")
	s.sendOne()
	require.Zero(t, s.l.probesWanted)
}

// spec: REL-22
func TestInSilenceUrgentDataThatIsOverdueDoesNotUseUpTheAllowance(t *testing.T) {
	s := newSender(t)
	s.cc.size = 4 * testSize
	s.send(4, 0)
	for range latencyPackets {
		s.sendUrgent()
	}
	urgent := func() bool {
		ok, _ := s.l.canSend(s.now, testSize, sendLatency)
		return ok
	}
	begin := s.now
	s.advance(s.l.patience() - time.Millisecond)
	require.False(t, urgent(), "they may be on the path")
	s.advance(time.Millisecond)
	require.True(t, urgent(), "nothing is acknowledged, and they are overdue")
	for range latencyPackets {
		s.sendUrgent()
	}
	require.False(t, urgent(), "four more, not eight")

	s.advance(begin.Add(s.l.patience() + latencySilence*s.l.rtt.smoothed).Sub(s.now))
	require.True(t, urgent())
	s.advance(time.Millisecond)
	require.False(t, urgent(), "the path is gone for good, or full")

	s.ack(0, 1)
	require.False(t, urgent(), "one arrived: it is no silence")
	require.NoError(t, s.l.checkInvariants())
}
