//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/godwit-net/godwit/bench/alarm"
	"github.com/godwit-net/godwit/conn"
)

// What a game sends: inputs up, snapshots down. Both begin with the time at which the plan has them leave.
var (
	inputs    = conn.MessageOptions{Mode: conn.ReliableOrdered, More: true}
	snapshots = conn.MessageOptions{Mode: conn.Sequenced, More: true}
)

const (
	inputSize    = 32  // bytes
	snapshotSize = 300 // bytes
	hz           = 20  // of players and rooms
	period       = time.Second / hz
	roomSize     = 100 // players whose snapshots are due at the same time
	// poll is how often both ends look for what came and what is due.
	poll = 500 * time.Microsecond
	// warmUp is how long the game runs before anything counts, settle how long stragglers are waited for at its end.
	warmUp = 2 * time.Second
	settle = time.Second
	// longest is the largest latency that is told apart.
	longest = 10 * time.Second
)

// window is when messages are due that count.
type window struct{ from, to time.Duration }

func (w *window) counts(due time.Duration) bool { return due >= w.from && due < w.to }

// tally is one direction of the game, as one end has it: what it has sent, or when it got what the other end sent.
type tally struct {
	window
	Sent, Refused int64 // messages that count; those that the session did not take
	late          *hdrhistogram.Histogram
}

func newTally(w window) *tally {
	return &tally{window: w, late: hdrhistogram.New(1, longest.Microseconds(), 3)}
}

// send sends a message that is due.
func (t *tally) send(s *conn.Session, b []byte, due time.Duration, o conn.MessageOptions) {
	binary.BigEndian.PutUint64(b, uint64(due))
	err := s.SendMessage(b, o)
	if !t.counts(due) {
		return
	}
	t.Sent++
	if err != nil {
		t.Refused++
	}
}

// receive takes what has come.
func (t *tally) receive(batch []conn.Received, take func([]conn.Received) int) {
	for n := len(batch); n == len(batch); {
		n = take(batch)
		now := alarm.Now()
		for i := range batch[:n] {
			if due := time.Duration(binary.BigEndian.Uint64(batch[i].Data)); t.counts(due) {
				_ = t.late.RecordValue(min(max((now-due).Microseconds(), 1), longest.Microseconds())) // it is inside
			}
		}
	}
}

// side is what one end tells of the game when it is over.
type side struct {
	Sent, Refused, Received int64
	P50, P99, P999          time.Duration // from when a message was due until this end had it
	CPU                     time.Duration // of the process, while the game ran
	Datagrams               uint64        // sent, while the game ran
}

func sideOf(sent, received *tally) side {
	at := func(q float64) time.Duration {
		return time.Duration(received.late.ValueAtQuantile(q)) * time.Microsecond
	}
	return side{
		Sent: sent.Sent, Refused: sent.Refused, Received: received.late.TotalCount(),
		P50: at(50), P99: at(99), P999: at(99.9),
	}
}

func (s *side) String() string {
	return fmt.Sprintf("%s / %s / %s", millis(s.P50), millis(s.P99), millis(s.P999))
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }

func datagramsSent(sessions []*conn.Session) (n uint64) {
	for _, s := range sessions {
		n += s.Stats().DatagramsSent
	}
	return n
}

// looks is the rhythm in which an end looks.
type looks struct {
	alarm *alarm.Alarm
	last  time.Duration
}

func newLooks() *looks {
	a, err := alarm.New()
	if err != nil {
		panic("BUG: " + err.Error()) // every Linux has these timers
	}
	return &looks{alarm: a, last: alarm.Now()}
}

func (l *looks) close() { _ = l.alarm.Close() }

// next waits until poll after the last look, or not at all when that is over.
func (l *looks) next() {
	if err := l.alarm.Wait(l.last + poll); err != nil {
		panic("BUG: " + err.Error()) // nobody else has the timer
	}
	l.last = alarm.Now()
}
