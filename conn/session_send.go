package conn

import (
	"github.com/godwit-net/godwit/conn/udp"
	"github.com/godwit-net/godwit/protocol"
)

// flush sends what the core has to send, tells the application what happened, and sets the session's
// timer. It gives the lock up while it writes. One caller at a time sends, so that datagrams leave in the
// order in which they were made; another one that comes meanwhile leaves it the work. While others keep a
// session busy there is no end to that, so whoever has sent maxTurns batches hands the rest to a goroutine:
// a reader or a wheel has other sessions to look after, and a Close returns at once.
func (s *Session) flush() {
	s.letGo()
	if s.flushing {
		s.again = true
		return
	}
	s.flushing = true
	b := newBatch()
	if s.send(b, maxTurns) {
		s.sent()
		b.free()
		return
	}
	go func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for !s.send(b, maxTurns) {
		}
		s.sent()
		b.free()
	}()
}

// letGo notes that nothing waits for a Flush any more: everything is on its way.
func (s *Session) letGo() {
	if s.mail != nil {
		s.mail.holding = false
	}
}

// flushCredit tells the peer of room that the application has made by reading.
func (s *Session) flushCredit() {
	if s.core.CreditDue() {
		s.flush()
		return
	}
	s.account()
}

// flushNews is flush, unless all there is to send is an acknowledgement that the next answer takes along.
//
// spec: REL-43
func (s *Session) flushNews() {
	if !s.core.CanWait() {
		s.flush()
		return
	}
	s.deliver()
	s.account()
	s.arm()
}

// maxTurns is how many batches one caller sends before it hands the rest over: a MiB of data, a millisecond
// or two of a processor's time.
const maxTurns = 16

// send sends batches until there is nothing left to send, or turns times. It reports whether all is sent.
func (s *Session) send(b *batch, turns int) (all bool) {
	for more := true; more || s.again; turns-- {
		if turns == 0 {
			return false
		}
		s.again = false
		b.reset()
		more = b.fill(s.now(), s.core)
		s.deliver()
		s.tellFates()
		if len(b.msgs) == 0 {
			continue
		}
		s.mu.Unlock()
		s.shard.write(b)
		s.mu.Lock()
		s.tooBig(b.msgs)
	}
	return true
}

// sent ends a flush.
func (s *Session) sent() {
	s.flushing = false
	s.account()
	if s.quiet != nil {
		close(s.quiet)
		s.quiet = nil
	}
	s.arm()
}

// tooBig tells the core which of its datagrams the system refused as larger than its interface carries.
func (s *Session) tooBig(msgs []udp.Message) {
	for i := range msgs {
		if m := &msgs[i]; m.TooBig {
			s.core.TooBig(s.now(), protocol.AddrPair{Local: m.Local, Remote: m.Remote}, len(m.Data))
		}
	}
}

// awaitQuiet returns when nobody sends the session's datagrams any more.
func (s *Session) awaitQuiet() {
	s.mu.Lock()
	if !s.flushing {
		s.mu.Unlock()
		return
	}
	if s.quiet == nil {
		s.quiet = make(chan struct{})
	}
	quiet := s.quiet
	s.mu.Unlock()
	<-quiet
}
