package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/godwit-net/godwit/conn"
)

// receiver takes the messages of one session and their times.
type receiver struct {
	session *conn.Session
	load    *load
	start   time.Time     // of its clock
	offset  time.Duration // add to (own time - time in a message) for its latency

	came chan struct{} // something came since the last look

	mu       sync.Mutex
	received int64
	late     int64
	last     int64 // number of the newest message; -1: none
	least    time.Duration
	messages [2]*histogram // without and with a transfer beside them
	frames   *histogram    // from the write of a frame to the read of its last message
	frame    int64         // that is being read
	parts    int           // of it that came
	whole    int64         // frames that came
}

func newReceiver(session *conn.Session, l *load, start time.Time, offset time.Duration) *receiver {
	return &receiver{
		session: session, load: l, start: start, offset: offset, came: make(chan struct{}, 1), last: -1, least: maxLatency,
		messages: [2]*histogram{newHistogram(), newHistogram()}, frames: newHistogram(),
	}
}

// run takes messages until ctx ends.
func (r *receiver) run(ctx context.Context) error {
	buf := make([]byte, MaxMessage)
	for {
		m, err := r.session.ReceiveMessageInto(ctx, buf)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if err := r.take(m.Data, time.Since(r.start)); err != nil {
			return err
		}
		select {
		case r.came <- struct{}{}:
		default:
		}
	}
}

var errShortMessage = errors.New("the peer sent a message that is too short")

// lateness is by how much a message may come after its deadline: sockets and timers are not exact.
const lateness = time.Millisecond

// take counts one message.
func (r *receiver) take(b []byte, now time.Duration) error {
	if len(b) < MinMessage {
		return errShortMessage
	}
	word := binary.BigEndian.Uint64(b)
	number, beside := int64(word&^flagBits), word>>63
	took := now - time.Duration(binary.BigEndian.Uint64(b[8:])) + r.offset
	r.mu.Lock()
	defer r.mu.Unlock()
	skipped := number != r.last+1
	if r.load.ordered() && (number <= r.last || skipped && r.load.reliable() && r.load.DeadlineMS == 0) {
		return fmt.Errorf("message %d came after message %d", number, r.last)
	}
	r.last = max(r.last, number)
	if word&warmBit != 0 {
		return nil
	}
	r.received++
	r.least = min(r.least, took)
	if d := r.load.deadline(); d > 0 && took > r.least+d+lateness {
		r.late++
	}
	r.messages[beside].add(took)
	r.part(number, took)
	return nil
}

// part counts a message as a part of its frame. Frames are told of ordered messages.
func (r *receiver) part(number int64, took time.Duration) {
	if frame := number / int64(r.load.Frame); frame != r.frame {
		r.frame, r.parts = frame, 0
	}
	if r.parts++; r.parts == r.load.Frame {
		r.frames.add(took)
		r.whole++
	}
}

// settle waits until all messages that were sent have come, or what is to come had its time.
func (r *receiver) settle(ctx context.Context, sent int64) {
	limit := settleTime + r.load.deadline()
	if r.load.reliable() && r.load.DeadlineMS == 0 {
		limit = patience / 2
	}
	over := time.NewTimer(limit)
	defer over.Stop()
	for r.count() < sent {
		select {
		case <-r.came:
		case <-over.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (r *receiver) count() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.received
}

// heard is what a receiver counted, as it travels to the other end.
type heard struct {
	Received int64    `json:"received"`
	Late     int64    `json:"late,omitempty"`
	Buckets  []bucket `json:"buckets"`
	Beside   []bucket `json:"beside,omitempty"` // while a transfer ran
	Frames   []bucket `json:"frames,omitempty"`
}

// heard sums up, of so many messages that were sent. Those with a deadline that never came count at their deadline.
func (r *receiver) heard(sent int64) heard {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.load.deadline(); d > 0 && r.load.reliable() && r.received > 0 {
		limit := (r.least + d).Microseconds()
		if missing := sent - r.received; missing > 0 {
			r.messages[0].addMicros(limit, missing)
		}
		if missing := sent/int64(r.load.Frame) - r.whole; missing > 0 {
			r.frames.addMicros(limit, missing)
		}
	}
	h := heard{Received: r.received, Late: r.late, Buckets: r.messages[0].buckets(), Beside: r.messages[1].buckets()}
	if r.load.Frame > 1 {
		h.Frames = r.frames.buckets()
	}
	return h
}
