package realtime

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/sim"
	"github.com/godwit-net/godwit/protocol/wire"
)

// log knows when each message was written and read. A message begins with its number in four octets.
type log struct {
	link    sim.Config
	load    *Load
	notes   []note
	frames  int
	counted int // messages that count
	bytes   uint64
	text    [maxMessage]byte
}

type note struct {
	at     protocol.Time
	took   time.Duration // 0: it has not been read
	frame  int32
	counts bool
}

func (l *log) newFrame() { l.frames++ }

// message makes the next message, of at least four bytes. It is valid until the next one.
func (l *log) message(now protocol.Time, size int, counts bool) []byte {
	b := l.text[:max(size, 4)]
	binary.BigEndian.PutUint32(b, uint32(len(l.notes)))
	l.notes = append(l.notes, note{at: now, frame: int32(l.frames), counts: counts})
	if counts {
		l.counted++
		l.bytes += uint64(len(b))
	}
	return b
}

func (l *log) arrived(now protocol.Time, b []byte) {
	n := &l.notes[binary.BigEndian.Uint32(b)]
	n.took = max(now.Sub(n.at), 1)
}

// grace is by how much a message may be late: deadlines are counted in milliseconds on the wire.
const grace = time.Millisecond

// limit is when a message is late. A reliable one that has not come counts as if it had come then; others are
// in no time.
func (l *log) limit() time.Duration {
	if d := l.load.Options.Deadline; d > 0 {
		return l.link.Delay + d + grace
	}
	return drain
}

// fill puts what was measured into a result.
func (l *log) fill(r *Result) {
	limit := l.limit()
	r.Sent, r.SentBytes = uint64(l.counted), l.bytes
	r.latency = make([]time.Duration, 0, l.counted)
	frame := int32(-1)
	for i := range l.notes {
		n := &l.notes[i]
		if !n.counts {
			continue
		}
		took := n.took
		switch {
		case took == 0:
			r.Missing++
			if l.load.Options.Mode < wire.ReliableUnordered {
				continue
			}
			took = limit
		case took > limit:
			r.Late++
		}
		r.latency = append(r.latency, took)
		if n.frame != frame {
			frame = n.frame
			r.frames = append(r.frames, 0)
		}
		last := &r.frames[len(r.frames)-1]
		*last = max(*last, took)
	}
	slices.Sort(r.latency)
	slices.Sort(r.frames)
}
