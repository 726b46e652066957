package conn

import (
	"github.com/godwit-net/godwit/conn/udp"
	"github.com/godwit-net/godwit/protocol"
)

// EndpointStats is what an endpoint has seen so far, all its sockets together. Datagrams that were dropped
// in silence are counted here or in the Stats of their session.
type EndpointStats struct {
	protocol.EndpointStats

	Sockets      int      // that sessions are spread over
	Granted      udp.Info // by the system, of the first socket
	ReadErrors   uint64   // reads that failed
	SendErrors   uint64   // datagrams that the system refused to send
	NotListening uint64   // first packets of clients that came before Listen

	Memory      int64 // what the sessions and handshakes hold now, in bytes, as Config.MemoryLimit counts it
	MemoryLimit int64 // 0: none
	HeldBack    int   // sessions in which something waits for memory now: a writer, or the peer for credit
}

// Stats returns the counters of the endpoint.
func (e *Endpoint) Stats() EndpointStats {
	st := EndpointStats{Sockets: len(e.shards), Granted: e.shards[0].sock.Info()}
	for _, sh := range e.shards {
		sh.mu.Lock()
		st.add(sh.core.Stats())
		sh.mu.Unlock()
		st.ReadErrors += sh.unread.Load()
		st.SendErrors += sh.unsent.Load()
		st.NotListening += sh.ignored.Load()
	}
	st.Memory, st.MemoryLimit, st.HeldBack = e.memory.used(), e.memory.limit, int(e.memory.heldBack.Load())
	return st
}

// Stats returns the counters of the listener's endpoint.
func (l *Listener) Stats() EndpointStats { return l.endpoint.Stats() }

// add adds the counters of one shard.
func (st *EndpointStats) add(c protocol.EndpointStats) {
	st.Inits += c.Inits
	st.Fins += c.Fins
	st.Retries += c.Retries
	st.Rejects += c.Rejects
	st.Versions += c.Versions
	st.Resets += c.Resets
	st.Accepted += c.Accepted
	st.Agreements += c.Agreements
	st.Malformed += c.Malformed
	st.Unmatched += c.Unmatched
	st.Forged += c.Forged
	st.Overload += c.Overload
	st.NoMemory += c.NoMemory
	st.HalfOpen += c.HalfOpen
	st.Sessions += c.Sessions
}
