package conn

import (
	"math"
	"runtime"
	"time"
)

const (
	// maxYields is how often a writer lets others run before it sends: after one yield half of a hundred readers have
	// still not written, after four one in ten (decision 24). A yield in vain takes less than a microsecond.
	maxYields = 4
	// maxGathering is how long a writer lets others run. A hundred short answers take less.
	maxGathering = time.Millisecond
	// maxApart is how many waves at most are sent one by one because others took longer than that.
	maxApart = 1 << 10
)

// wave is the readers of streams that have been woken and have not run since. What they write leaves together: the
// first of them to write lets the others run before it sends, and those leave it their bytes, as they do while it is
// in a system call. Whether they write at all, and soon, nobody knows; hence the bounds.
type wave struct {
	number  uint32 // what its streams have in Stream.wave, minus one
	pending int32  // how many
	apart   uint16 // waves that are sent one by one from now on
	penalty uint16 // what apart was the last time
}

// join counts a stream whose reader is about to run.
func (w *wave) join(t *Stream) {
	if t.wave != w.number+1 {
		t.wave = w.number + 1
		w.pending++
	}
}

// leave is for the reader of a stream to say that it runs.
func (w *wave) leave(t *Stream) {
	if t.wave == w.number+1 {
		t.wave = 0
		w.pending--
	}
}

// end forgets those who have not run.
func (w *wave) end() {
	if w.pending > 0 {
		w.number = (w.number + 1) % math.MaxUint32 // one more is never 0, which is no wave
		w.pending = 0
	}
}

// together reports whether to wait for the wave at hand: not when one took long a short while ago.
func (w *wave) together() bool {
	if w.apart > 0 {
		w.apart--
		return false
	}
	return true
}

// took takes note of how long a wave took. Readers that think before they write soon cost the others nothing.
func (w *wave) took(d time.Duration) {
	if d < maxGathering {
		w.penalty /= 2
		return
	}
	w.penalty = min(2*w.penalty+1, maxApart)
	w.apart = w.penalty
}

// flushWave is flush for what an application's goroutine says on a stream.
func (s *Session) flushWave() {
	if s.wave.pending > 0 && !s.flushing {
		if s.wave.together() {
			s.gather()
		}
		s.wave.end()
	}
	s.flush()
}

// gather lets the readers run that were woken with the caller. The session counts as sending meanwhile.
func (s *Session) gather() {
	s.flushing = true
	start := s.now()
	took := time.Duration(0)
	for i := 0; i < maxYields && s.wave.pending > 0 && took < maxGathering; i++ {
		s.mu.Unlock()
		runtime.Gosched()
		s.mu.Lock()
		took = s.now().Sub(start)
	}
	s.flushing = false
	s.wave.took(took)
}
