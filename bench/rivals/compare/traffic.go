package compare

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/bench/rivals/transport"
)

// load is messages that come by the clock, in frames of several at once.
type load struct {
	class   transport.Class
	size    int // bytes
	maxSize int // when it is more, each size is drawn
	frame   int // messages at once
	hz      float64
}

// A message holds its number, and the time when it was due, both in 8 octets, and is zero up to its size.
const (
	stampSize = 16
	// maxMessage bounds what is received, in bytes.
	maxMessage = 2048
)

func stamp(b []byte, number uint64, due time.Duration) {
	binary.BigEndian.PutUint64(b, number)
	binary.BigEndian.PutUint64(b[8:], uint64(due))
}

func unstamp(b []byte) (number uint64, due time.Duration) {
	return binary.BigEndian.Uint64(b), time.Duration(binary.BigEndian.Uint64(b[8:]))
}

// settleTime is how long receivers wait for what is under way when the senders have ended. What comes later is missing.
const settleTime = 2 * time.Second

// traffic is messages of one load in several sessions, from the near ends to the far ends.
type traffic struct {
	*load
	begin, end time.Duration // what is due in between counts
	sent       atomic.Int64
	received   atomic.Int64
	messages   *histogram
	frames     *histogram                                         // from when a frame is due until all of it is there
	take       func(due, took time.Duration) (counted *histogram) // where a message counts too; may be nil
}

func (r *run) newTraffic(l *load) *traffic {
	return &traffic{
		load: l, begin: now() + min(r.warmUp(), time.Second), messages: newHistogram(), frames: newHistogram(),
	}
}

// run sends for a while and waits for what is on its way.
func (t *traffic) run(ctx context.Context, r *run, s *sessionsOf) error {
	t.end = t.begin + r.duration
	for _, far := range s.far {
		go t.receive(far)
	}
	// A transport that carries less than the load blocks its senders. What is not sent in time is missing.
	defer time.AfterFunc(t.end+settleTime-now(), s.close).Stop()
	err := inParallel(ctx, len(s.near), func(ctx context.Context, i int) error { return t.send(ctx, s.near[i]) })
	for err == nil && t.received.Load() < t.sent.Load() && now() < t.end+settleTime {
		err = sleep(ctx, 10*time.Millisecond)
	}
	return err
}

// send writes one frame each tick. The first tick is drawn, so that sessions do not all send at once.
func (t *traffic) send(ctx context.Context, session transport.Session) error {
	step := time.Duration(float64(time.Second) / t.hz)
	buf := make([]byte, max(t.size, t.maxSize))
	number, blocked := uint64(0), false
	for due := now() + time.Duration(rand.Int64N(int64(step))); due < t.end; due += step {
		from := due
		if wait := due - now(); wait > 0 {
			if err := sleep(ctx, wait); err != nil {
				return err
			}
			from = min(now(), due+timerSlack)
		}
		for i := range t.frame {
			if t.counts(from) {
				t.sent.Add(1)
			}
			if blocked = blocked || now() > t.end; blocked {
				continue
			}
			b := buf[:t.size]
			if t.maxSize > t.size {
				b = buf[:t.size+rand.IntN(t.maxSize-t.size+1)]
			}
			stamp(b, number, from)
			number++
			err := session.SendMessage(b, t.class, i < t.frame-1)
			if blocked = err != nil && now() > t.end; !blocked && err != nil && !errors.Is(err, transport.ErrTooLarge) {
				return err
			}
		}
	}
	return nil
}

// timerSlack is by how much a timer of this machine may be late. It is not the transport's latency.
const timerSlack = 2 * time.Millisecond

func (t *traffic) counts(due time.Duration) bool { return due >= t.begin && due < t.end }

// receive takes the messages of one session until it ends.
func (t *traffic) receive(session transport.Session) {
	buf := make([]byte, maxMessage)
	newest := int64(-1)
	frames := make(map[uint64]int)
	for {
		n, err := session.ReceiveMessage(buf, t.class)
		if err != nil || n < stampSize {
			return // the run is over
		}
		at := now()
		number, due := unstamp(buf)
		if t.class == transport.Newest && int64(number) < newest {
			continue // worth nothing any more
		}
		newest = max(newest, int64(number))
		if !t.counts(due) {
			continue
		}
		t.received.Add(1)
		t.messages.add(at - due)
		if t.take != nil {
			t.take(due, at-due).add(at - due)
		}
		if t.frame > 1 {
			frame := number / uint64(t.frame)
			if frames[frame]++; frames[frame] == t.frame {
				t.frames.add(at - due)
				delete(frames, frame)
			}
		}
	}
}

// missing is the part of the messages that did not come, in percent.
func (t *traffic) missing() float64 {
	return 100 * float64(t.sent.Load()-t.received.Load()) / float64(max(t.sent.Load(), 1))
}

// traffic runs a load in the sessions of the run, and tells what it took on the wire.
func (r *run) traffic(ctx context.Context, l *load) (*traffic, Sample, error) {
	n := max(r.sessions, 1)
	if r.about.OneWay {
		n = 1 // each takes programs of its own
	}
	sessions, err := r.connectAll(ctx, n)
	if err != nil {
		return nil, nil, err
	}
	defer sessions.close()
	t := r.newTraffic(l)
	before, cpu := r.wire(), r.cost()
	total := now()
	if err := t.run(ctx, r, &sessions); err != nil {
		return nil, nil, err
	}
	after := r.wire()
	// The wire carried messages before those that count, too.
	sent := float64(max(t.sent.Load(), 1)) * float64(t.end-total) / float64(r.duration)
	s := Sample{
		"missing_percent": t.missing(), "wire_up": (after.up - before.up) / sent, "wire_down": (after.down - before.down) / sent,
	}
	if r.costly() {
		s["cpu_us"] = float64((r.cost() - cpu).Microseconds()) / sent
	}
	return t, s, nil
}
