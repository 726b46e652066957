package conn

import (
	"crypto/rand"
	"runtime"

	"github.com/godwit-net/godwit/crypto/handshake"
	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/monotime"
)

// keysAhead is how many pairs of ephemeral keys a shard makes when it has nothing else to do: a burst of so many
// clients is answered a third faster. Each takes 8 kB.
const keysAhead = 32

// handshakeWorker does the public-key work of a shard's handshakes in a goroutine of its own, one piece at a time:
// the reader, and whoever needs the shard's lock, never wait for it. One is enough, since what strangers may cause
// is bounded to a part of one processor, and shards have one each.
type handshakeWorker struct {
	more chan struct{} // capacity 1: there is work
	stop chan struct{} // closed with the socket; nil: there is no worker
	pool *handshake.EphemeralPool
}

func (sh *shard) startHandshakes() {
	h := &sh.handshakes
	h.more, h.stop = make(chan struct{}, 1), make(chan struct{})
	h.pool = sh.core.LeaveWork()
	sh.endpoint.readers.Go(sh.shakeHands)
}

func (sh *shard) stopHandshakes() {
	if sh.handshakes.stop != nil {
		close(sh.handshakes.stop)
	}
}

// shakeHands is the goroutine.
func (sh *shard) shakeHands() {
	h := &sh.handshakes
	r := reader{touched: make([]bool, len(sh.endpoint.shards))}
	turn := &turn{endpoint: sh.endpoint}
	begun := false
	for {
		switch w := sh.nextWork(); {
		case w != nil:
			begun = true
			turn.giveWay(sh.shake(&r, w))
			runtime.Gosched() // sessions that are there come first
		case begun && h.pool.Len() < keysAhead:
			turn.giveWay(sh.makeKeys())
			runtime.Gosched()
		default:
			select {
			case <-h.more:
			case <-h.stop:
				return
			}
		}
	}
}

func (sh *shard) nextWork() *protocol.Work {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	w, _ := sh.core.NextWork()
	return w
}

// shake does one piece of work, and returns from when to when.
func (sh *shard) shake(r *reader, w *protocol.Work) (start, now monotime.Time) {
	start = sh.endpoint.now()
	w.Do()
	now = sh.endpoint.now()
	sh.mu.Lock()
	if w.First() {
		sh.spend(start, now)
	}
	sh.core.Finish(now, w)
	sh.collect(r)
	sh.unlock()
	sh.deliver(r, now)
	return start, now
}

// makeKeys makes one pair of keys for later, and returns from when to when. It counts as work on a first packet, which
// it is.
func (sh *shard) makeKeys() (start, now monotime.Time) {
	h := &sh.handshakes
	start = sh.endpoint.now()
	_ = h.pool.Fill(rand.Reader, h.pool.Len()+1) // the system's randomness does not fail
	now = sh.endpoint.now()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.spend(start, now)
	return start, now
}
