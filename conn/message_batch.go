package conn

import (
	"sync"
	"sync/atomic"
)

// mailList is the sessions of a listener, or those that an endpoint has dialed, that have messages, those first that
// have waited longest.
type mailList struct {
	mu          sync.Mutex // innermost: taken after a session's lock, and no other is taken under it
	first, last *Session
	used        atomic.Bool // somebody calls ReceiveBatch
}

// push puts a session at the end, unless it is on the list already.
func (l *mailList) push(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := s.mail
	if m.listed {
		return
	}
	m.listed, m.before, m.behind = true, l.last, nil
	if l.last == nil {
		l.first = s
	} else {
		l.last.mail.behind = s
	}
	l.last = s
}

// remove takes a session off the list, if it is there.
func (l *mailList) remove(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unlink(s)
}

// pop takes the first session off the list; nil: there is none.
func (l *mailList) pop() *Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.first
	if s != nil {
		l.unlink(s)
	}
	return s
}

func (l *mailList) unlink(s *Session) {
	m := s.mail
	if !m.listed {
		return
	}
	if m.before == nil {
		l.first = m.behind
	} else {
		m.before.mail.behind = m.behind
	}
	if m.behind == nil {
		l.last = m.before
	} else {
		m.behind.mail.before = m.before
	}
	m.listed, m.before, m.behind = false, nil, nil
}

// acceptedBy lets the session's messages be received with those of the listener's other sessions.
func (s *Session) acceptedBy(l *Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = &l.mail
	if _, _, ok := s.core.NextMessage(); ok {
		s.post()
	}
}

// post puts the session on its list. It stays there until ReceiveBatch takes it or it is over, so
// that those who receive in other ways pay for it once.
func (s *Session) post() {
	if l := s.list; l != nil && !s.mailbox().posted {
		s.mail.posted = true
		l.push(s)
	}
}

// unpost takes a session that is over off the list, if nobody comes for what is there: the list would keep in memory
// every session that ever got a message.
func (s *Session) unpost() {
	if l := s.list; l != nil && s.mail != nil && !l.used.Load() {
		l.remove(s)
	}
}

// ReceiveBatch takes messages that have come from all accepted sessions of the listener, without waiting, and
// returns how many it put into buf. Their Data uses the room of what is in buf, so a buffer that is given again
// costs no allocation. When it returns less than len(buf), there were no more. Sessions take turns.
//
// It is for servers that work in ticks: everything that came, then SendMessage with More, then Flush.
func (l *Listener) ReceiveBatch(buf []Received) int { return l.mail.receive(buf) }

// ReceiveBatch is that of a listener for the sessions that were dialed from the endpoint.
func (e *Endpoint) ReceiveBatch(buf []Received) int { return e.mail.receive(buf) }

func (l *mailList) receive(buf []Received) (n int) {
	l.used.Store(true)
	for n < len(buf) {
		s := l.pop()
		if s == nil {
			break
		}
		n += s.receiveListed(buf[n:])
	}
	return n
}

// receiveListed takes messages of a session that is not on the list any more.
func (s *Session) receiveListed(buf []Received) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mail.posted = false
	n := s.receiveBatch(buf)
	if n == len(buf) {
		s.post()
	}
	return n
}

// ReceiveBatch is that of a listener for one session, of either end: it takes the messages that have come, without
// waiting, and returns how many it put into buf.
func (s *Session) ReceiveBatch(buf []Received) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.receiveBatch(buf)
}

func (s *Session) receiveBatch(buf []Received) (n int) {
	for ; n < len(buf) && !s.closed; n++ {
		data, channel, ok := s.core.ReceiveMessage(buf[n].Data[:0])
		if !ok {
			break
		}
		buf[n] = Received{Session: s, Message: Message{Channel: channel, Data: data}}
	}
	if n > 0 {
		s.flushCredit()
	}
	return n
}
