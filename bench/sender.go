package bench

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/conn"
)

// A message holds its number, and the time on the sender's clock when it was written, both in 8 octets,
// big-endian, and is zero up to its size. The top bits of the number say that a transfer ran beside it, and that it
// was sent while the session warmed up, so that it counts nowhere.
const (
	besideBit = 1 << 63
	warmBit   = 1 << 62
	flagBits  = besideBit | warmBit
)

// warmup is how long messages are sent before they count: the search for the MTU and the first measurement of the
// path belong to the start of a session, which takes longer than what is beyond a p99.
func warmup(d time.Duration) time.Duration { return min(time.Second, d/2) }

// sender writes the messages of one session.
type sender struct {
	session *conn.Session
	load    *load
	start   time.Time   // of its clock
	beside  atomic.Bool // a transfer runs
	next    uint64      // number
	warm    bool
	before  conn.Stats // of the session, when it was warm
	sent    int64      // since then
	bytes   int64
	buf     []byte
}

// run writes one frame each tick, for d and a warm-up before it. The first tick is drawn, so that many sessions do not all send at once.
func (s *sender) run(ctx context.Context, d time.Duration) error {
	step := time.Duration(float64(time.Second) / s.load.Hz)
	s.buf = make([]byte, max(s.load.Size, s.load.MaxSize))
	begin := time.Now().Add(warmup(d))
	phase := begin.Add(time.Duration(rand.Int64N(int64(step))))
	early := warmup(d) / step
	for tick := phase.Add(-early * step); tick.Sub(begin) < d; tick = tick.Add(step) {
		stamp := tick
		if wait := time.Until(tick); wait > 0 {
			if err := sleep(ctx, wait); err != nil {
				return err
			}
			stamp = time.Now()
		}
		if !s.warm && !tick.Before(begin) {
			s.warm, s.before = true, s.session.Stats()
		}
		// When the next tick is past already, the frame counts from its tick: waiting at the sender is
		// latency too.
		if err := s.frame(stamp); err != nil {
			return err
		}
	}
	return nil
}

func (s *sender) frame(stamp time.Time) error {
	options := conn.MessageOptions{Mode: s.load.Mode, Deadline: s.load.deadline(), Twice: s.load.Twice}
	for i := range s.load.Frame {
		b := s.buf[:s.load.Size]
		if s.load.MaxSize > s.load.Size {
			b = s.buf[:s.load.Size+rand.IntN(s.load.MaxSize-s.load.Size+1)]
		}
		number := s.next
		s.next++
		switch {
		case !s.warm:
			number |= warmBit
		case s.beside.Load():
			number |= besideBit
		}
		binary.BigEndian.PutUint64(b, number)
		binary.BigEndian.PutUint64(b[8:], uint64(stamp.Sub(s.start)))
		options.More = i < s.load.Frame-1
		if err := s.session.SendMessage(b, options); err != nil {
			return err
		}
		if s.warm {
			s.sent++
			s.bytes += int64(len(b))
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
