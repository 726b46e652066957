package congestion

import (
	"time"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/sim"
)

// Load is what an application sends.
type Load uint8

// The loads.
const (
	Bulk  Load = iota // as fast as it leaves
	Game              // 64 B, 60 times a second, on a stream of the latency class
	Media             // 6 Mbit/s: 60 frames a second, each 12,500 B at once, on an ordinary stream
)

// pace is a load that comes by the clock.
type pace struct {
	size     int // bytes
	every    time.Duration
	priority uint8 // of the stream; from 128 on it is of the latency class
}

var paces = map[Load]pace{
	Game:  {size: 64, every: time.Second / 60, priority: 200},
	Media: {size: 10 * 1250, every: time.Second / 60, priority: 64},
}

// leastDatagram is the size of datagrams that every path carries: a piece that is smaller leaves in one.
const leastDatagram = 1200

// source writes what comes by the clock, and knows when each piece was written, sent and read.
type source struct {
	pace
	stream  *protocol.Stream
	due     []piece // written, and not yet read to their end
	waiting []protocol.Time
	written uint64 // bytes by the application
	taken   uint64 // of them, by the stream
	read    uint64 // of them, at the other end
	counts  bool   // the warm-up is over
	out     *FlowResult
}

type piece struct {
	end   uint64
	at    protocol.Time
	count bool
}

// tick writes one piece.
func (s *source) tick(now protocol.Time) error {
	s.written += uint64(s.size)
	s.due = append(s.due, piece{end: s.written, at: now, count: s.counts})
	if s.counts && s.size < leastDatagram {
		s.waiting = append(s.waiting, now)
	}
	return s.write()
}

// write gives the stream what it has not taken yet.
func (s *source) write() error {
	for s.taken < s.written {
		n, err := s.stream.Write(bulk[:min(s.written-s.taken, uint64(len(bulk)))])
		s.taken += uint64(n)
		if n == 0 || err != nil {
			return err
		}
	}
	return nil
}

// sent notes a datagram of the session. The data of a stream of the latency class comes first in it, if
// it has room.
func (s *source) sent(now protocol.Time, size int) {
	if size < s.size {
		return
	}
	for _, at := range s.waiting {
		s.out.Blocked.Add(now.Sub(at))
	}
	s.waiting = s.waiting[:0]
}

// arrived notes bytes that the other end has read.
func (s *source) arrived(now protocol.Time, n int) {
	s.read += uint64(n)
	for len(s.due) > 0 && s.due[0].end <= s.read {
		s.count(now)
	}
}

func (s *source) count(now protocol.Time) {
	if p := s.due[0]; p.count {
		s.out.Latency.Add(now.Sub(p.at))
	}
	s.due = s.due[1:]
}

// finish counts what has not arrived with the time that it has taken so far.
func (s *source) finish(now protocol.Time) {
	for len(s.due) > 0 {
		s.count(now)
	}
	s.sent(now, leastDatagram)
}

var (
	latencyOf = func(f *FlowResult) *sim.Histogram { return &f.Latency }
	blockedOf = func(f *FlowResult) *sim.Histogram { return &f.Blocked }
)
