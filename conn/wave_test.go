package conn

import (
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAWaveCountsAReaderOnce(t *testing.T) {
	var w wave
	a, b, idle := new(Stream), new(Stream), new(Stream)
	w.join(a)
	w.join(a)
	w.join(b)
	w.leave(idle)
	require.EqualValues(t, 2, w.pending)
	w.leave(a)
	w.leave(a)
	require.EqualValues(t, 1, w.pending)
	w.end()
	require.Zero(t, w.pending)
	w.leave(b) // it runs late: another wave has begun
	require.Zero(t, w.pending)
	w.join(b)
	require.EqualValues(t, 1, w.pending)
}

// A stream that is in no wave is in none after four billion either.
func TestTheNumbersOfWavesBeginAnew(t *testing.T) {
	w := wave{number: math.MaxUint32 - 2}
	var a, idle Stream
	for range 3 {
		w.join(&a)
		w.leave(&idle)
		require.EqualValues(t, 1, w.pending)
		w.end()
	}
	require.EqualValues(t, 1, w.number)
}

// Readers that think for long before they write are not waited for, more and more seldom.
func TestAWaveThatTakesLongIsNotWaitedFor(t *testing.T) {
	var w wave
	long := func() (apart int) {
		require.True(t, w.together())
		w.took(maxGathering)
		for !w.together() {
			apart++
		}
		return apart
	}
	for _, apart := range []int{1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, maxApart, maxApart} {
		require.Equal(t, apart, long())
	}
	for range 11 {
		w.took(maxGathering - 1)
	}
	require.Equal(t, 1, long())
}

// openPair returns two streams of a session between two ends on this machine, and what the other end has accepted.
func openPair(t *testing.T) (s *Session, near [2]*Stream, far [2]*Stream) {
	t.Helper()
	l, err := Listen("127.0.0.1:0", nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	s, err = Dial(t.Context(), l.Addr().String(), &Config{PeerKey: l.PublicKey()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	peer, err := l.AcceptSession(t.Context())
	require.NoError(t, err)
	for i := range near {
		near[i], err = s.OpenStream(t.Context())
		require.NoError(t, err)
		_, err = near[i].Write([]byte("?"))
		require.NoError(t, err)
		far[i], err = peer.AcceptStream(t.Context())
		require.NoError(t, err)
		_, err = far[i].Read(make([]byte, 1))
		require.NoError(t, err)
	}
	return s, near, far
}

// One processor runs the second reader as soon as the first one lets it, unless the runtime has something else to do.
func TestReadersWokenTogetherAnswerTogether(t *testing.T) {
	const rounds = 50
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s, near, far := openPair(t)
	together := 0
	for range rounds {
		s.mu.Lock()
		s.wave.apart, s.wave.penalty = 0, 0
		s.wave.join(near[1])
		s.mu.Unlock()
		var second sync.WaitGroup
		second.Go(func() {
			s.mu.Lock()
			s.wave.leave(near[1])
			left := s.flushing // to the first one
			s.mu.Unlock()
			_, err := near[1].Write([]byte("b"))
			require.NoError(t, err)
			if left {
				together++
			}
		})
		_, err := near[0].Write([]byte("a"))
		require.NoError(t, err)
		second.Wait()
		for i, want := range []string{"a", "b"} {
			got := make([]byte, 1)
			_, err := far[i].Read(got)
			require.NoError(t, err)
			require.Equal(t, want, string(got))
		}
	}
	require.NotZero(t, together, "of %d", rounds)
}

// A reader that was woken and never runs keeps nobody's answer.
func TestAReaderThatDoesNotRunKeepsNoAnswerBack(t *testing.T) {
	s, near, far := openPair(t)
	for range 3 {
		s.mu.Lock()
		s.wave.join(near[1])
		s.mu.Unlock()
		_, err := near[0].Write([]byte("a"))
		require.NoError(t, err)
		require.NoError(t, far[0].SetReadDeadline(time.Now().Add(time.Minute)))
		_, err = far[0].Read(make([]byte, 1))
		require.NoError(t, err)
		s.mu.Lock()
		require.Zero(t, s.wave.pending)
		s.mu.Unlock()
	}
}
