package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/godwit-net/godwit/conn"
)

// receiver is a player.
type receiver struct {
	start time.Time

	next    int // number of the frame that is expected
	missing int // frames that never came
	damaged int // frames whose checksum is wrong: there is a bug
	bytes   int
	delays  []time.Duration // from the sender's clock to ours, whatever they show
	first   time.Duration   // when the first frame was shown
	took    time.Duration   // from then to the last one
}

func newReceiver() *receiver { return &receiver{start: time.Now()} }

// run receives the frames of one session until the sender closes it.
func (r *receiver) run(ctx context.Context, l *conn.Listener) error {
	defer l.Close()
	session, err := l.AcceptSession(ctx)
	if err != nil {
		return err
	}
	defer session.Close()
	buf := make([]byte, 1<<20) // the largest message
	for {
		m, err := session.ReceiveMessageInto(ctx, buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r.show(m.Data)
	}
}

// show takes a frame. A decoder would get it here; what did not come in time was skipped.
func (r *receiver) show(frame []byte) {
	body := frame[:max(len(frame)-frameSum, 0)]
	if len(body) < frameHeader || crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(frame[len(body):]) {
		r.damaged++
		return
	}
	number := int(binary.BigEndian.Uint32(body))
	r.missing += number - r.next
	r.next = number + 1
	r.bytes += len(frame)
	now, clock := time.Since(r.start), time.Duration(binary.BigEndian.Uint64(body[4:]))
	if r.took = now - r.first; len(r.delays) == 0 {
		r.took, r.first = 0, now
	}
	r.delays = append(r.delays, now-clock)
}

// report tells how it was. The clocks of two machines cannot be compared, so delays are told beyond that of the
// quickest frame. With play-out all of them are the same, but for what the machine does beside.
func (r *receiver) report(w io.Writer) {
	if len(r.delays) == 0 {
		fmt.Fprintln(w, "receiver: nothing came")
		return
	}
	slices.Sort(r.delays)
	beyond := func(q float64) time.Duration {
		return (r.delays[int(q*float64(len(r.delays)-1))] - r.delays[0]).Round(100 * time.Microsecond)
	}
	fmt.Fprintf(w, "receiver: %d frames shown, %d missing, %d damaged; %.2f Mbit/s\n", len(r.delays), r.missing, r.damaged,
		float64(r.bytes*8)/1e6/max(r.took, time.Second).Seconds())
	fmt.Fprintf(w, "delay beyond the quickest: p50 %v, p99 %v, all %v\n", beyond(0.5), beyond(0.99), beyond(1))
}
