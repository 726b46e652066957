package protocol

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkGame has players say 32 bytes and hear 300 twenty times a second, cryptography included, with nothing between
// the two ends: an operation is one message with its share of everything around it, at both ends. With many players
// each finds its state in a cache further away.
func BenchmarkGame(b *testing.B) {
	for _, players := range []int{1, 100, 1000, 2000} {
		b.Run(fmt.Sprintf("players=%d", players), func(b *testing.B) { benchmarkGame(b, players) })
	}
}

func benchmarkGame(b *testing.B, players int) {
	pairs := make([]*exchanger, players)
	for i := range pairs {
		p := newPair(b)
		p.connect()
		pairs[i] = &exchanger{p: p, now: p.now, read: make([]byte, 0, 1024)}
	}
	payload := make([]byte, 300)
	play := func() {
		for _, e := range pairs {
			e.tell(e.p.cs, e.p.ss, payload[:32], gameInput)
		}
		for _, e := range pairs {
			e.tell(e.p.ss, e.p.cs, payload, gameSnapshot)
		}
	}
	for range 60 {
		play()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range (b.N + 2*players - 1) / (2 * players) {
		play()
	}
}

// tell moves one message from one end to the other, half a tick after the one before.
func (e *exchanger) tell(from, to *Session, p []byte, o MessageOptions) {
	e.now = e.now.Add(25 * time.Millisecond)
	e.wake(from, to)
	e.wake(to, from)
	if err := from.SendMessage(e.now, p, o); err != nil {
		panic(err)
	}
	e.flow(from, to)
	for ok := true; ok; {
		_, _, ok = to.ReceiveMessage(e.read)
	}
	for ok := true; ok; {
		_, _, ok = to.PollOutcome()
	}
	if !to.CanWait() {
		e.flow(to, from)
	}
	from.NextTimeout()
	to.NextTimeout()
}

// wake does what a session wants to be woken for.
func (e *exchanger) wake(s, peer *Session) {
	if at, _ := s.NextTimeout(); at != 0 && at <= e.now {
		s.HandleTimeout(e.now)
		e.flow(s, peer)
	}
}
