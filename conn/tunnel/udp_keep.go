package tunnel

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/godwit-net/godwit/crypto"
)

const (
	// keptTime is how long the sockets of flows outlive their session, so that a client that comes back goes on with
	// them and their targets see the same port: a client that lost its session is back within lastPause and
	// sessionTimeout, three times over.
	keptTime = 30 * time.Second
	// maxKept is how many sockets wait for their clients: those of one session that was as large as it may be.
	maxKept = maxSessionFlows
)

// flowToken names a flow across sessions. Its randomness is what keeps others from asking for it.
type flowToken [16]byte

func newFlowToken() (t flowToken) {
	_, _ = rand.Read(t[:]) // it never fails
	return t
}

// keptKey is whose flow it is, and to which target.
type keptKey struct {
	client crypto.PublicKey // zero: anonymous
	token  flowToken
	target Target
}

// keptFlows are the flows of a server that can be resumed: those of its sessions, and sockets of sessions that
// were lost.
type keptFlows struct {
	mu     sync.Mutex
	over   bool
	open   map[keptKey]*farFlow
	lost   map[keptKey]lostFlow
	expire *time.Timer
}

type lostFlow struct {
	conn  udpConn
	until time.Time
}

// enter takes note of a flow that is open.
func (k *keptFlows) enter(f *farFlow) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open == nil {
		k.open = make(map[keptKey]*farFlow)
	}
	k.open[f.key] = f
}

// leave forgets a flow that has ended. If its session was lost, its socket is kept. It returns whether it was.
func (k *keptFlows) leave(f *farFlow, c udpConn, sessionLost bool) (kept bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open[f.key] != f {
		return false
	}
	delete(k.open, f.key)
	if !sessionLost || k.over || len(k.lost) >= maxKept {
		return false
	}
	if k.lost == nil {
		k.lost = make(map[keptKey]lostFlow)
	}
	k.lost[f.key] = lostFlow{c, time.Now().Add(keptTime)}
	if k.expire == nil {
		k.expire = time.AfterFunc(keptTime, k.sweep)
	}
	return true
}

// take returns the socket of a flow of the same client, token and target, nil if there is none. A session that
// still has it loses it: its client has left it. spec: TUN-45
func (k *keptFlows) take(key keptKey) udpConn {
	k.mu.Lock()
	l, ok := k.lost[key]
	delete(k.lost, key)
	f := k.open[key]
	delete(k.open, key)
	k.mu.Unlock()
	if ok {
		return l.conn
	}
	if f == nil {
		return nil
	}
	return f.mux.giveUp(f)
}

// sweep closes sockets whose clients have not come back.
func (k *keptFlows) sweep() {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, l := range k.lost {
		if !l.until.After(now) {
			_ = l.conn.Close()
			delete(k.lost, key)
		}
	}
	k.expire = nil
	if len(k.lost) > 0 {
		k.expire = time.AfterFunc(keptTime/10, k.sweep)
	}
}

// close closes all sockets; nothing is kept from now on.
func (k *keptFlows) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	for _, l := range k.lost {
		_ = l.conn.Close()
	}
	k.lost = nil
	if k.expire != nil {
		k.expire.Stop()
	}
}

// giveUp takes a flow out of its session without closing its socket, which it returns; nil if it has ended.
func (m *udpMux) giveUp(f *farFlow) udpConn {
	m.mu.Lock()
	c := f.conn
	if c != nil {
		delete(m.far, f.sending.id)
		m.lanes.release(f.sending.channel)
		f.count.flows.Add(-1)
		f.ended, f.conn = true, nil
	}
	m.mu.Unlock()
	if c == nil {
		return nil
	}
	f.stopReading(c)
	f.release()
	return c
}

// stopReading ends the reading of a flow whose socket stays open.
func (f *farFlow) stopReading(c udpConn) {
	_ = c.SetReadDeadline(time.Unix(1, 0)) // long ago
	<-f.unread
	_ = c.SetReadDeadline(time.Time{})
}
