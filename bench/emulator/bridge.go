package emulator

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
	"github.com/godwit-net/godwit/protocol/sim"
)

// Bridge carries IP packets between two devices through the link model: what is between them may be
// the kernel's own TCP. Its methods are safe for concurrent use.
//
// The sizes of the model are those of IP packets, so that a link means the same for TCP here and for
// datagrams in the simulator. Packets are not fragmented: larger ones than the link's MTU vanish.
type Bridge struct {
	overhead  int
	start     time.Time
	near, far io.ReadWriteCloser
	up, down  *lane[io.Writer]
	tasks     sync.WaitGroup
	refused   atomic.Uint64

	mu     sync.Mutex
	closed bool
	failed error // reading a device failed while the bridge was open
}

// NewBridge starts a bridge. A device gives one IP packet for each Read, takes one for each Write, and
// ends its Read when it is closed. The bridge owns both from here on; Close ends them and it.
func NewBridge(near, far io.ReadWriteCloser, link sim.Config) (*Bridge, error) {
	if link.Corrupt > 0 || link.Rebind > 0 {
		return nil, errors.New("a bridge neither corrupts nor rebinds: it leaves checksums and addresses to the ends")
	}
	if link.Overhead == 0 {
		link.Overhead = sim.DefaultOverhead
	}
	up, down, err := sim.NewPair(link, clockOrigin)
	if err != nil {
		return nil, err
	}
	b := &Bridge{overhead: link.Overhead, start: time.Now(), near: near, far: far}
	if b.up, err = newLane(up, DefaultMaxQueued, b.now, writePacket); err != nil {
		return nil, err
	}
	if b.down, err = newLane(down, DefaultMaxQueued, b.now, writePacket); err != nil {
		b.up.close()
		return nil, err
	}
	b.tasks.Go(func() { b.carry(near, b.up, far) })
	b.tasks.Go(func() { b.carry(far, b.down, near) })
	return b, nil
}

func (b *Bridge) now() monotime.Time { return clockOrigin.Add(time.Since(b.start)) }

// writePacket is the far end of both lanes.
func writePacket(to io.Writer, packet []byte, ecn uint8) error {
	setPacketECN(packet, ecn)
	_, err := to.Write(packet)
	return err
}

// carry moves packets from a device into the model until the device ends.
func (b *Bridge) carry(from io.Reader, l *lane[io.Writer], to io.Writer) {
	buf := make([]byte, maxDatagram)
	for {
		n, err := from.Read(buf)
		if err != nil {
			b.ended(err)
			return
		}
		if !isPacket(buf[:n]) {
			b.refused.Add(1)
			continue
		}
		l.sendSized(to, buf[:n], n-b.overhead, packetECN(buf[:n]))
	}
}

// ended keeps why a device ended, unless it was asked to.
func (b *Bridge) ended(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed && !errors.Is(err, os.ErrClosed) {
		b.failed = errors.Join(b.failed, err)
	}
}

// Backlog returns how long a packet that came now from the near end would wait for its turn.
func (b *Bridge) Backlog() time.Duration { return b.up.backlog() }

// Stats returns the counters. Up is from the near end to the far end; Refused counts what was no IP packet.
func (b *Bridge) Stats() Stats {
	s := Stats{Refused: b.refused.Load()}
	b.up.report(&s, &s.Up)
	b.down.report(&s, &s.Down)
	return s
}

// Close closes both devices and forgets what is on its way. The error says what broke before.
func (b *Bridge) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	b.mu.Unlock()
	err := errors.Join(b.near.Close(), b.far.Close()) // first: a lane may be writing to one
	b.tasks.Wait()
	b.up.close()
	b.down.close()
	return errors.Join(b.failed, err)
}
