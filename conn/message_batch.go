package conn

import (
	"slices"
	"sync"
)

// mailList is the accepted sessions of a listener that have messages.
type mailList struct {
	mu       sync.Mutex // innermost: taken after a session's lock, and no other is taken under it
	sessions []*Session
	turn     []*Session // of ReceiveBatch
	batching sync.Mutex // one ReceiveBatch at a time; taken before a session's lock
}

// acceptedBy lets the session's messages be received with those of the listener's other sessions.
func (s *Session) acceptedBy(l *Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mail.listener = l
	if _, _, ok := s.core.NextMessage(); ok {
		s.post()
	}
}

// post puts the session on its listener's list.
func (s *Session) post() {
	l := s.mail.listener
	if l == nil || s.mail.posted {
		return
	}
	s.mail.posted = true
	l.mail.mu.Lock()
	l.mail.sessions = append(l.mail.sessions, s)
	l.mail.mu.Unlock()
}

// ReceiveBatch takes messages that have come from all accepted sessions of the listener, without waiting, and
// returns how many it put into buf. Their Data uses the room of what is in buf, so a buffer that is given again
// costs no allocation. When it returns less than len(buf), there were no more. Sessions take turns.
//
// It is for programs that work in ticks: everything that came, then SendMessage with More, then Flush.
func (l *Listener) ReceiveBatch(buf []Received) int {
	m := &l.mail
	m.batching.Lock()
	defer m.batching.Unlock()
	m.mu.Lock()
	m.turn, m.sessions = m.sessions, m.turn[:0]
	m.mu.Unlock()
	n := 0
	for i, s := range m.turn {
		if n == len(buf) {
			m.mu.Lock()
			m.sessions = slices.Insert(m.sessions, 0, m.turn[i:]...) // they come first next time
			m.mu.Unlock()
			break
		}
		n += s.receiveBatch(buf[n:])
	}
	clear(m.turn)
	return n
}

// receiveBatch takes messages of one session that is not on the list any more.
func (s *Session) receiveBatch(buf []Received) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mail.posted = false
	for ; n < len(buf) && !s.closed; n++ {
		data, channel, ok := s.core.ReceiveMessage(buf[n].Data[:0])
		if !ok {
			break
		}
		buf[n] = Received{Session: s, Message: Message{Channel: channel, Data: data}}
	}
	if n == len(buf) {
		s.post()
	}
	if n > 0 {
		s.flush()
	}
	return n
}
