package conn

import (
	"runtime"
	"sync/atomic"

	"github.com/godwit-net/godwit/protocol"
)

const (
	// defaultMemoryLimit is Config.MemoryLimit unless it says otherwise: 130,000 sessions, which take half of it, and
	// as much again for what they hold. A machine that serves so many has it to spare; one that has less should say so.
	defaultMemoryLimit = 2 << 30
	// minMemoryLimit is the least that makes sense: a few hundred sessions, and megabytes for what they hold.
	minMemoryLimit = 16 << 20
	// sessionsShare: sessions by themselves may take one half, so that those that are there can work.
	sessionsShare = 2
	// reserveShare: one eighth is kept for ends of what has begun, which give memory back, and for sessions that hold
	// little.
	reserveShare = 8
	// maxShare: one session holds an eighth of what data may take at most.
	maxShare = 8
	// halvings: with each twelfth of that which is in use, the part of one session is halved. So n sessions whose
	// readers or peers have stopped leave about one part in 12 n to the next one, whether they came together or one
	// after the other, up to 2,700 of them.
	halvings = 12
	// leastShare is what a session may always hold in bytes, as long as there is memory at all: ten packets.
	leastShare = 16 << 10
	// newSessionMemory is the least part with which a new session can work, in bytes.
	newSessionMemory = 32 << 10
)

// memory is an endpoint's bound on memory, and what its sessions hold of it, all shards together: where the sessions are is
// up to the addresses of clients. Sessions count for themselves and bring the sum up to date when they have sent; in
// between it lags by what a batch of datagrams holds for each processor.
type memory struct {
	limit    int64        // in bytes; 0: none
	sessions atomic.Int64 // each takes protocol.SessionMemory
	data     atomic.Int64 // what they hold beside that, in bytes, and handshakes
	heldBack atomic.Int64 // sessions in which something waits for memory
}

func (m *memory) used() int64 { return m.sessions.Load()*protocol.SessionMemory + m.data.Load() }

// share returns how much data one session may hold, and whether there is some to spare.
func (m *memory) share() (most int, spare bool) {
	sessions, data := m.sessions.Load()*protocol.SessionMemory, m.data.Load()
	if all := m.limit - m.limit/reserveShare - sessions; data < all {
		return max(int(all/maxShare>>(halvings*data/all)), leastShare), true
	}
	if sessions+data < m.limit {
		return leastShare, true
	}
	return 0, false
}

// forNewSession reports whether there is memory for a new session.
//
// spec: SESS-30
func (m *memory) forNewSession() bool {
	if m.limit == 0 {
		return true
	}
	most, _ := m.share()
	return most >= newSessionMemory && m.sessions.Load()*protocol.SessionMemory < m.limit/sessionsShare
}

// countCore brings up to date what the core of the shard holds, under the shard's lock.
func (sh *shard) countCore() {
	n := sh.core.Memory()
	if n != sh.counted {
		sh.memory.data.Add(int64(n - sh.counted))
		sh.counted = n
	}
}

// tellMemory tells the core how much it may hold, before it is given something.
func (s *Session) tellMemory() {
	if m := s.shard.memory; m.limit > 0 && !s.dead {
		s.core.SetMemory(m.share())
	}
}

// account counts what the session holds now.
func (s *Session) account() {
	if s.dead {
		if s.legacy != nil {
			s.legacy.set(s.leaves())
		}
		return
	}
	s.count(s.core.Memory(), s.core.HeldBack())
}

func (s *Session) count(held int, back bool) {
	m := s.shard.memory
	if held != s.counted {
		m.data.Add(int64(held - s.counted))
		s.counted = held
	}
	if back != s.heldBack {
		s.heldBack = back
		n := int64(1)
		if !back {
			n = -1
		}
		m.heldBack.Add(n)
	}
}

// legacy is what a session that is over still holds: data that had arrived, for the application to read. It counts
// until that is read, or the session is closed, or nobody has it any more.
type legacy struct {
	memory *memory
	held   atomic.Int64
}

func (l *legacy) set(n int) { l.memory.data.Add(int64(n) - l.held.Swap(int64(n))) }

// leave ends the account of a session whose core is dead.
func (s *Session) leave() {
	s.count(0, false)
	if n := s.leaves(); n > 0 {
		s.legacy = &legacy{memory: s.shard.memory}
		s.legacy.set(n)
		runtime.AddCleanup(s, func(l *legacy) { l.set(0) }, s.legacy)
	}
}

// leaves is what a session that is over holds.
func (s *Session) leaves() int {
	if s.closed {
		return 0
	}
	return s.core.Memory()
}
