package conn

import "github.com/godwit-net/godwit/protocol"

// AddStats adds the counters of one shard n times.
func AddStats(one protocol.EndpointStats, n int) protocol.EndpointStats {
	var st EndpointStats
	for range n {
		st.add(one)
	}
	return st.EndpointStats
}

// Listed is how many sessions a listener remembers for ReceiveBatch.
func (l *Listener) Listed() (n int) {
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	for s := l.mail.first; s != nil; s = s.mail.behind {
		n++
	}
	return n
}

// InUse reports whether sessions of an endpoint that are no new ones are in use.
func InUse(l *Listener) bool { return l.endpoint.inUse(l.endpoint.now()) }

// Resting reports whether nothing has happened in a session for so long that it has given memory back.
func Resting(s *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.Resting()
}

// SendTogether has one outbox take what sessions of one endpoint have to send. It returns how many datagrams of how
// many sessions are in it before anything is written, and writes them.
func SendTogether(sessions []*Session) (datagrams, senders int) {
	o := outbox{shard: sessions[0].shard}
	for _, s := range sessions {
		s.mu.Lock()
		o.take(s)
		s.mu.Unlock()
	}
	datagrams, senders = len(o.batch.msgs), len(o.batch.parcels)
	o.close()
	return datagrams, senders
}

// MemoryForNewSession reports whether an endpoint with so many sessions has memory for another one.
func MemoryForNewSession(limit, data, sessions int64) bool {
	m := memory{limit: limit}
	m.data.Store(data)
	m.sessions.Store(sessions)
	return m.forNewSession()
}

// MemoryShare is how much data one session may hold when others hold so much.
func MemoryShare(limit, data int64) int {
	m := memory{limit: limit}
	m.data.Store(data)
	most, _ := m.share()
	return most
}
