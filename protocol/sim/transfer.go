package sim

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/godwit-net/godwit/protocol"
)

// defaultPause is how long a slow reader or writer looks away.
const defaultPause = 5 * time.Millisecond

// Transfer is an application at both ends of one session that knows only the contract: what was
// written on a stream is read at the other end, whole, in order, once, and then its end. The client
// opens the streams; both ends write on all of them (the client alone on one-way streams) and finish.
type Transfer struct {
	Streams    int            // two-way streams beside stream 0
	UniStreams int            // one-way streams of the client
	Bytes      int            // that each writer writes on each stream
	Messages   int            // that each end sends on each of the channels of chat.go
	ReadLimit  int            // bytes that a reader takes before it pauses; 0: all there is
	WriteLimit int            // bytes that a writer writes before it pauses; 0: all that fits
	Pause      time.Duration  // 0 means 5 ms
	Turn       func(end *End) // called at every turn of an end, for what a scenario adds; may be nil

	Client, Server *End
}

// End is one end of a Transfer.
type End struct {
	Session *protocol.Session
	Node    *Node
	Streams []*protocol.Stream // in the order in which they came
	Closed  error              // why the session ended, once it did
	Dead    bool
	Resets  int // directions that ended early, by somebody's will

	transfer *Transfer
	chat     *chat // nil without messages
	client   bool
	read     int // directions read to their end
	written  int // directions written and finished
	opened   int // streams opened by the client
	buf      []byte
}

// flow is what an end knows of one stream.
type flow struct {
	in, out  uint64
	inEnded  bool
	outEnded bool
	paused   bool // neither reads nor writes until the pause is over
}

// newEnd attaches an end to its session.
func (t *Transfer) newEnd(n *Node, s *protocol.Session, client bool) *End {
	e := &End{Session: s, Node: n, transfer: t, client: client, buf: make([]byte, 16<<10)}
	s.SetContext(e)
	return e
}

// Start dials from client to server, whose node takes any session, and attaches both ends.
func (t *Transfer) Start(client, server *Node, c *protocol.Config) error {
	server.Event = func(s *protocol.Session, e protocol.Event) {
		if t.Server == nil {
			t.Server = t.newEnd(server, s, false)
		}
		if t.Server.Session == s {
			t.Server.handle(e)
		}
	}
	client.Event = func(s *protocol.Session, e protocol.Event) {
		if end, ok := s.Context().(*End); ok {
			end.handle(e)
		}
	}
	s, err := client.Dial(c, server.Addr())
	if err == nil {
		t.Client = t.newEnd(client, s, true)
	}
	return err
}

// directions is how many directions of streams end at the client and at the server.
func (t *Transfer) directions() (toClient, toServer int) {
	return 1 + t.Streams, 1 + t.Streams + t.UniStreams
}

// Done reports whether everything was written and read, at both ends.
func (t *Transfer) Done() bool {
	toClient, toServer := t.directions()
	return t.Server != nil && t.Client.read == toClient && t.Server.read == toServer &&
		t.Client.written == toServer && t.Server.written == toClient && t.Client.chatted() && t.Server.chatted()
}

// Over reports whether both ends are dead. A server that never heard of the session has nothing to
// end.
func (t *Transfer) Over() bool { return t.Client.Dead && (t.Server == nil || t.Server.Dead) }

// handle is the application's reaction to an event.
func (e *End) handle(event protocol.Event) {
	switch event.Kind {
	case protocol.EventEstablished:
		e.add(e.Session.Stream0())
		e.open()
		e.startChat()
	case protocol.EventStreamsAvailable:
		e.open()
	case protocol.EventStreamOpened:
		e.add(event.Stream)
	case protocol.EventStreamReadable:
		e.readFrom(event.Stream)
	case protocol.EventStreamWritable:
		e.writeTo(event.Stream)
	case protocol.EventClosed:
		e.Closed = event.Err
		e.receiveChat() // what is left
	case protocol.EventMessagesReadable:
		e.receiveChat()
	case protocol.EventMessageOutcomes:
		e.takeFates()
	case protocol.EventDead:
		e.Dead = true
	}
	if t := e.transfer; t.Turn != nil && !e.Dead {
		t.Turn(e)
	}
}

// open opens as many of the client's streams as the peer allows.
func (e *End) open() {
	t := e.transfer
	for e.client && e.opened < t.Streams+t.UniStreams && e.Closed == nil {
		s, err := e.Session.OpenStream(e.opened >= t.Streams)
		if err != nil {
			if !errors.Is(err, protocol.ErrStreamLimit) && e.Session.Err() == nil {
				e.wrong("OpenStream: %v", err)
			}
			return
		}
		e.opened++
		e.add(s)
	}
}

// add takes a stream into use: writes what fits, reads what is there.
func (e *End) add(s *protocol.Stream) {
	if s.Context() != nil {
		e.wrong("stream %d opened twice", s.ID())
		return
	}
	s.SetContext(new(flow))
	e.Streams = append(e.Streams, s)
	e.writeTo(s)
	e.readFrom(s)
}

func (e *End) writes(s *protocol.Stream) bool { return !s.Unidirectional() || s.Local() }
func (e *End) reads(s *protocol.Stream) bool  { return !s.Unidirectional() || !s.Local() }

// writeTo writes what the stream takes, and its end behind the last byte.
func (e *End) writeTo(s *protocol.Stream) {
	f, _ := s.Context().(*flow)
	if f == nil || f.outEnded || f.paused || !e.writes(s) {
		return
	}
	limit := e.transfer.WriteLimit
	for begin := f.out; f.out < uint64(e.transfer.Bytes); {
		n := min(len(e.buf), e.transfer.Bytes-int(f.out))
		if limit > 0 {
			if n = min(n, limit-int(f.out-begin)); n <= 0 {
				e.pause(f, s)
				return
			}
		}
		fill(e.buf[:n], s.ID(), e.client, f.out)
		wrote, err := s.Write(e.buf[:n])
		if wrote < 0 || wrote > n {
			e.wrong("Write of %d bytes took %d", n, wrote)
		}
		f.out += uint64(wrote)
		if err != nil {
			e.early(s, &f.outEnded, &e.written, err)
			return
		}
		if wrote < n {
			return // EventStreamWritable comes
		}
	}
	s.CloseWrite()
	f.outEnded = true
	e.written++
}

// readFrom reads what is there and compares it with what must have been written.
func (e *End) readFrom(s *protocol.Stream) {
	f, _ := s.Context().(*flow)
	if f == nil || f.inEnded || f.paused || !e.reads(s) {
		return
	}
	for taken := 0; ; {
		if limit := e.transfer.ReadLimit; limit > 0 && taken >= limit {
			e.pause(f, s)
			return
		}
		n, err := s.Read(e.buf)
		if at := mismatch(e.buf[:n], s.ID(), !e.client, f.in); at >= 0 {
			e.wrong("stream %d: wrong byte at offset %d", s.ID(), f.in+uint64(at))
		}
		f.in += uint64(n)
		taken += n
		switch {
		case errors.Is(err, io.EOF) && f.in != uint64(e.transfer.Bytes):
			if e.Session.Err() == nil {
				e.wrong("stream %d: end after %d of %d bytes", s.ID(), f.in, e.transfer.Bytes)
			}
			f.inEnded = true
			return
		case errors.Is(err, io.EOF):
			f.inEnded = true
			e.read++
			return
		case err != nil:
			e.early(s, &f.inEnded, &e.read, err)
			return
		case n == 0:
			return // EventStreamReadable comes
		}
	}
}

// pause lets a slow reader or writer go on later.
func (e *End) pause(f *flow, s *protocol.Stream) {
	if f.paused {
		return
	}
	f.paused = true
	e.Node.world.After(orDefault(e.transfer.Pause, defaultPause), func() {
		f.paused = false
		if e.Dead {
			return
		}
		e.readFrom(s)
		e.writeTo(s)
		e.Node.Wake(e.Session)
	})
}

// early ends a direction that somebody reset or that ended with the session.
func (e *End) early(s *protocol.Stream, ended *bool, count *int, err error) {
	var reset *protocol.StreamError
	switch {
	case *ended:
	case errors.As(err, &reset), errors.Is(err, protocol.ErrReadCanceled), errors.Is(err, protocol.ErrWriteClosed):
		*ended = true
		*count++
		e.Resets++
	case e.Session.Err() != nil:
		*ended = true
	default:
		e.wrong("stream %d: %v", s.ID(), err)
	}
}

// Disturb resets, cancels or reorders a stream by chance.
func (e *End) Disturb(rng *rand.Rand) {
	if len(e.Streams) == 0 || e.Closed != nil {
		return
	}
	s := e.Streams[rng.IntN(len(e.Streams))]
	f, _ := s.Context().(*flow)
	switch rng.IntN(5) {
	case 0:
		if e.writes(s) && !f.outEnded {
			s.ResetAt(7, rng.Uint64N(f.out+1))
			f.outEnded = true
			e.written++
			e.Resets++
		}
	case 1:
		if e.reads(s) && !f.inEnded {
			s.CancelRead(9)
			f.inEnded = true
			e.read++
			e.Resets++
		}
	case 2:
		s.SetPriority(uint8(rng.Uint32()))
	case 3:
		s.SetWeight(uint16(rng.Uint32()))
	case 4:
		e.Session.ForceKeyUpdate(e.Node.Now())
	}
}

// wrong reports a broken contract.
func (e *End) wrong(format string, args ...any) {
	role := "server"
	if e.client {
		role = "client"
	}
	e.Node.violation("%s: %s", role, fmt.Sprintf(format, args...))
}

// fill writes the bytes that belong at an offset of one direction of a stream. Neighbouring bytes,
// streams and directions differ, so that no mix-up goes unseen.
func fill(b []byte, stream uint64, fromClient bool, offset uint64) {
	for i := range b {
		b[i] = content(stream, fromClient, offset+uint64(i))
	}
}

// mismatch returns the index of the first byte that does not belong there, or -1.
func mismatch(b []byte, stream uint64, fromClient bool, offset uint64) int {
	for i := range b {
		if b[i] != content(stream, fromClient, offset+uint64(i)) {
			return i
		}
	}
	return -1
}

func content(stream uint64, fromClient bool, offset uint64) byte {
	v := offset + stream*0x9e3779b9
	if fromClient {
		v ^= 0x5555
	}
	return byte((v * 0x2545f4914f6cdd1d) >> 56)
}
