package conn

import (
	"context"
	"os"
	"sync"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// gate is where callers wait for the core. All its methods are called with the session's lock held; only
// wait gives it up meanwhile. Waiting is on channels, never on a condition variable, so that it can end
// by a deadline or a context and stands still under virtual time.
//
// One caller at a time is inside, as with the file descriptor of a TCP connection: two concurrent Writes
// do not mix their bytes. The others wait for their turn, and a deadline or the end of the session reaches
// them one after the other.
type gate struct {
	wake   chan struct{} // capacity 1; made when somebody first waits
	turn   chan struct{} // capacity 1; made when somebody first waits for another caller
	queued int32         // callers waiting for their turn
	busy   bool          // a caller is inside
	opened bool          // since the caller inside last looked
	waits  bool          // the caller inside waits
}

// enter waits for this caller's turn. If stop ends first, it returns stop's error and the caller is not inside.
func (g *gate) enter(mu *sync.Mutex, stop *stop) error {
	for g.busy {
		if g.turn == nil {
			g.turn = make(chan struct{}, 1)
		}
		g.queued++
		err := stop.wait(mu, g.turn, nil)
		g.queued--
		if err != nil {
			if !g.busy {
				g.pass() // the turn may have come at the same moment
			}
			return err
		}
	}
	g.busy, g.opened = true, false
	return nil
}

// leave lets the next caller in.
func (g *gate) leave() {
	g.busy = false
	g.pass()
}

func (g *gate) pass() {
	if g.queued > 0 {
		signal(g.turn)
	}
}

// wait, called by the caller inside, returns after open or when stop ends; at once if the gate was opened
// since the caller entered or last waited. It may return without any reason, so callers look again in a loop.
func (g *gate) wait(mu *sync.Mutex, stop *stop) error {
	if g.wake == nil {
		g.wake = make(chan struct{}, 1)
	}
	if !g.opened {
		select {
		case <-g.wake: // for what the caller has seen already
		default:
		}
		over := stop.begin()
		g.waits = true
		stop.poll(mu, g.wake)
		err := stop.wait(mu, g.wake, over)
		g.waits = false
		stop.done()
		if err != nil {
			return err
		}
	}
	g.opened = false
	return nil
}

// open wakes the caller inside. It reports whether one waited.
func (g *gate) open() bool {
	g.opened = true
	if g.wake != nil {
		signal(g.wake)
	}
	return g.waits
}

// rest gives memory back if nobody waits, and reports whether that is so.
func (g *gate) rest() bool {
	if g.busy || g.queued > 0 {
		return false
	}
	g.wake, g.turn = nil, nil
	return true
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // a signal is already on its way
	}
}

// stop is what ends a wait early. The zero value never does.
type stop struct {
	ctx      context.Context // may be nil
	deadline *deadline       // may be nil
	over     <-chan struct{} // closed when there is nothing left to wait for; not an error of its own. May be nil
	session  *Session        // whose end is that, instead of over; its lock is held. May be nil

	listens bool          // for what the peer says in its session's dialogue
	polled  bool          // the socket, while it waited
	since   monotime.Time // when it began to wait, if it listens
}

// begin returns the channel that is closed when there is nothing left to wait for; the session keeps it until
// done.
func (s *stop) begin() <-chan struct{} {
	if s.session == nil {
		return s.over
	}
	s.session.waiting++
	if s.listens {
		s.since = s.session.now()
	}
	return s.session.overChan()
}

func (s *stop) done() {
	if s.session == nil {
		return
	}
	s.session.waiting--
	if s.listens {
		s.session.dialogue.heard(s.session.now().Sub(s.since), s.polled)
	}
}

// poll reads the socket for a while, without the lock, where an answer is likely to come at once: until c has a signal.
func (s *stop) poll(mu *sync.Mutex, c <-chan struct{}) {
	if !s.listens || !s.session.dialogue.lively() {
		s.polled = false
		return
	}
	mu.Unlock()
	s.polled = s.session.shard.poll(c)
	mu.Lock()
}

// wait gives the lock up until c gives a signal, over is closed, or the stop comes. The state that decides
// is read again after the lock is back.
func (s *stop) wait(mu *sync.Mutex, c, over <-chan struct{}) error {
	if err := s.err(); err != nil {
		return err
	}
	var done, passed <-chan struct{}
	if s.ctx != nil {
		done = s.ctx.Done()
	}
	if s.deadline != nil {
		passed = s.deadline.wait()
	}
	mu.Unlock()
	select {
	case <-c:
	case <-over:
	case <-done:
	case <-passed:
	}
	mu.Lock()
	return s.err()
}

// err returns the reason to stop that holds now. A deadline that was moved while somebody waited counts
// as it is now.
func (s *stop) err() error {
	if s.deadline != nil && s.deadline.passed {
		return os.ErrDeadlineExceeded
	}
	if s.ctx != nil && s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	return nil
}
