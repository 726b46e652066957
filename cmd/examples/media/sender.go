package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"time"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/crypto"
)

const (
	framesPerSecond = 30
	keyFrameEvery   = 30 // frames
	keyFrameFactor  = 4  // times the size of the others

	// A frame begins with its number and the sender's clock in ns, and ends with a checksum.
	frameHeader = 4 + 8
	frameSum    = 4
)

// sent is what the sender tells at the end.
type sent struct {
	frames, bytes int
	refused       int // frames that the queue had no room for
	took          time.Duration
	stats         conn.Stats
}

// send sends a video, frame by frame, each one as a message.
func send(ctx context.Context, o *options, addr string, key crypto.PublicKey) (*sent, error) {
	s := &sent{}
	session, err := conn.Dial(ctx, addr, &conn.Config{PeerKey: key})
	if err != nil {
		return s, err
	}
	defer session.Close() // what is under way is still delivered
	begin := time.Now()
	ticker := time.NewTicker(time.Second / framesPerSecond)
	defer ticker.Stop()
	// All that there is to say: frames have an order, are worth something for so long, and are given to the player
	// at a constant time after they were made, as if the path had always needed the whole budget.
	video := conn.MessageOptions{Mode: conn.ReliableOrdered, Deadline: o.budget, Playout: o.budget}
	for number := range int(o.length.Seconds() * framesPerSecond) {
		select {
		case <-ctx.Done():
			return s, nil
		case <-ticker.C:
		}
		frame := encode(number, o.rate, time.Since(begin))
		switch err := session.SendMessage(frame, video); err {
		case nil:
			s.frames++
			s.bytes += len(frame)
		case conn.ErrMessageQueueFull:
			s.refused++ // the path is too slow: a real sender lowers its rate
		default:
			return s, err
		}
	}
	time.Sleep(o.budget) // the last frames are still to be shown; Close would have them shown at once
	s.took = time.Since(begin)
	s.stats = session.Stats()
	return s, nil
}

// encode makes a frame. It stands for an encoder: of 30 frames one is large.
func encode(number, rate int, clock time.Duration) []byte {
	size := rate / 8 / framesPerSecond * keyFrameEvery / (keyFrameEvery - 1 + keyFrameFactor)
	if number%keyFrameEvery == 0 {
		size *= keyFrameFactor
	}
	frame := make([]byte, frameHeader, frameHeader+size+frameSum)
	binary.BigEndian.PutUint32(frame, uint32(number))
	binary.BigEndian.PutUint64(frame[4:], uint64(clock))
	for len(frame) < frameHeader+size {
		frame = append(frame, byte(rand.Uint32()))
	}
	return binary.BigEndian.AppendUint32(frame, crc32.ChecksumIEEE(frame))
}

func (s *sent) report(w io.Writer) {
	m, r := s.stats.Messages, s.stats.Repair
	fmt.Fprintf(w, "sender: %d frames, %d kB on average; %d refused, %d given up\n", s.frames, s.bytes/max(s.frames, 1)/1000, s.refused, m.Expired)
	fmt.Fprintf(w, "repair: %d packets recovered by %d symbols, %d parts sent again; %.1f %% of %d kB more\n",
		r.Recovered, r.Symbols, m.Retransmitted, 100*float64(r.ExtraBytes)/float64(max(r.FirstBytes, 1)), r.FirstBytes/1000)
}
