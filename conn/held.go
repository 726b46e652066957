package conn

import (
	"sync"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// heldList is the sessions of a shard with messages that were sent with MessageOptions.More, those first that have
// waited longest. A session that has sent them by itself stays on the list until its time.
type heldList struct {
	mu    sync.Mutex // taken after a session's lock; of others only the wheel's is taken under it
	queue []held
	spare []held // memory for the next queue
	node  wheelNode
	armed bool // node is in the wheel
}

type held struct {
	session *Session
	until   monotime.Time
}

// hold lets the session's messages wait for a Flush, for maxHold at most, with the session's lock held.
func (s *Session) hold(now monotime.Time) {
	m := s.mailbox()
	m.holding = true
	if m.held {
		return
	}
	m.held = true
	sh := s.shard
	l := &sh.held
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, held{s, now.Add(maxHold)})
	sh.armHeld()
}

// armHeld has the wheel wake the shard for the first session on its list, under the list's lock.
func (sh *shard) armHeld() {
	if l := &sh.held; len(l.queue) > 0 && !l.armed {
		l.armed = true
		sh.timers.set(&l.node, l.queue[0].until)
	}
}

// release sends what sessions hold back whose time is over by now.
func (sh *shard) release(now monotime.Time, o *outbox) {
	l := &sh.held
	l.mu.Lock()
	l.armed = false
	n := 0
	for n < len(l.queue) && !l.queue[n].until.After(now) {
		n++
	}
	due := append(l.spare, l.queue[:n]...)
	l.spare = nil
	l.queue = append(l.queue[:0], l.queue[n:]...)
	sh.armHeld()
	l.mu.Unlock()
	sh.sendHeld(due, o)
}

// releaseAll sends what all sessions hold back.
func (sh *shard) releaseAll() {
	l := &sh.held
	l.mu.Lock()
	due := l.queue
	l.queue, l.spare = l.spare, nil
	l.mu.Unlock()
	o := outbox{shard: sh}
	sh.sendHeld(due, &o)
	o.close()
}

func (sh *shard) sendHeld(due []held, o *outbox) {
	for i := range due {
		s := due[i].session
		s.mu.Lock()
		s.mail.held = false
		if s.mail.holding {
			o.take(s)
		}
		s.mu.Unlock()
	}
	clear(due)
	sh.held.mu.Lock()
	sh.held.spare = due[:0]
	sh.held.mu.Unlock()
}

// Flush sends what the sessions of the endpoint hold back, that is, messages that were sent with
// MessageOptions.More. It ends the tick of a program that has many sessions: what all of them have to send leaves
// together, with few system calls. It does not wait.
func (e *Endpoint) Flush() {
	for _, sh := range e.shards {
		sh.releaseAll()
	}
}

// Flush is Endpoint.Flush for the listener's sessions.
func (l *Listener) Flush() { l.endpoint.Flush() }
