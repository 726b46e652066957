package conn

import (
	"runtime"
	"sync"
	"time"
)

const (
	// pollFor is how long a reader polls the socket before it sleeps: about as long as its wake-up takes in a virtual
	// machine whose processors have gone idle. Whoever waits for as long as a wake-up costs before going to sleep
	// spends at most twice what would have been best (Karlin, Manasse, McGeoch and Owicki 1990, "Competitive
	// randomized algorithms for non-uniform problems"); Linux's haltpoll governor polls for 200 us.
	pollFor = 100 * time.Microsecond
	// soon is how long an answer to a question takes at most, wake-ups at both ends included, for a poll to be worth a trial.
	soon = 300 * time.Microsecond
	// livelyAfter is how many answers in a row must come soon before a trial.
	livelyAfter = 8
	// maxVain is how many polls in vain, less those with success, end a trial. The peer needs some answers to begin
	// polling itself, which is when they come in time.
	maxVain = 32
	// maxWary is how many answers more at most must come soon after trials in vain.
	maxWary = 1 << 10
)

// dialogue is how soon the peer of a session answers on its streams. While it answers within the time that a wake-up
// takes, readers poll the socket themselves: no goroutine is woken and no other processor. That is so on loopback
// and within a rack; across larger networks, or where somebody thinks for long, nobody polls.
type dialogue struct {
	said bool   // something since the last answer
	soon uint16 // answers in a row that came soon
	wary uint16 // how many more than livelyAfter are needed
	vain int8   // polls in vain that are left; 0: nobody polls
}

// lively reports whether to poll for an answer.
func (d *dialogue) lively() bool { return d.vain > 0 }

// heard notes how long somebody waited for the peer, and whether it polled meanwhile.
func (d *dialogue) heard(took time.Duration, polled bool) {
	answer := d.said
	d.said = false
	switch {
	case d.lively() && !polled: // somebody else does
	case d.lively() && answer && took <= pollFor:
		if d.vain < maxVain {
			d.vain++
		} else {
			d.wary = 0
		}
	case d.lively():
		if d.vain--; d.vain == 0 {
			d.soon, d.wary = 0, min(2*d.wary+livelyAfter, maxWary)
		}
	case !answer || took > soon:
		d.soon = 0
	default:
		if d.soon++; d.soon >= livelyAfter+d.wary {
			d.vain = maxVain
		}
	}
}

// pollers are what sockets are polled with: readers for one buffer.
var pollers = sync.Pool{New: func() any { return new(reader) }}

// poll reads the socket until c has a signal, for as long as pollFor. It reports whether it did: one goroutine at a time
// does. The shard's own reader may find some of the datagrams, or none.
func (sh *shard) poll(c <-chan struct{}) bool {
	if !sh.sock.CanPoll() || !sh.polling.TryLock() {
		return false
	}
	defer sh.polling.Unlock()
	r := pollers.Get().(*reader)
	defer pollers.Put(r)
	if r.in == nil {
		r.in = sh.sock.NewReadBatch(1)
	}
	if missing := len(sh.endpoint.shards) - len(r.touched); missing > 0 {
		r.touched = append(r.touched, make([]bool, missing)...)
	}
	runtime.Gosched() // for who answers for this end, for timers, and for others who wait for a processor
	for begin := sh.endpoint.now(); len(c) == 0 && sh.endpoint.now().Sub(begin) < pollFor; {
		msgs, err := sh.sock.PollBatch(r.in)
		if err != nil {
			sh.unread.Add(1) // if that goes on, the shard's own reader ends it
			break
		}
		if len(msgs) > 0 {
			sh.handle(r, msgs)
		}
	}
	return true
}
