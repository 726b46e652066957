package protocol

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// direction is what the model knows of one direction of a stream: what the writer did and what the
// reader saw. The bytes themselves follow from stream and offset.
type direction struct {
	written uint64
	closed  bool
	reset   bool
	prefix  uint64 // of the reset
	stopped bool   // the reader canceled
	read    uint64
	end     error // that the reader got
}

func streamPattern(id uint64, off uint64, n int) []byte { return pattern(int(id*977+off), n) }

// modelEnd is an end with what its application holds and expects.
type modelEnd struct {
	*streamsEnd
	streams []*Stream             // in the order in which they were opened here
	out     map[uint64]*direction // written here
	in      map[uint64]*direction // written by the peer; shared with its out
	lent    map[*Stream][]byte    // memory of Reads that wait
}

// flight is a packet that was sent and whose fate is not settled.
type flight struct {
	from, to *modelEnd
	packet   sentFrames
	arrived  bool
}

// streamsModel is two ends and a network that loses, delays, reorders and repeats.
type streamsModel struct {
	ends    [2]*modelEnd
	flights []*flight
}

func newStreamsModel(t *rapid.T) *streamsModel {
	client, server := newStreamsEnds(t, testLimits())
	toServer, toClient := map[uint64]*direction{0: {}}, map[uint64]*direction{0: {}}
	return &streamsModel{ends: [2]*modelEnd{
		{client, []*Stream{client.stream0()}, toServer, toClient, map[*Stream][]byte{}},
		{server, []*Stream{server.stream0()}, toClient, toServer, map[*Stream][]byte{}},
	}}
}

func (m *streamsModel) end(t *rapid.T) *modelEnd {
	return m.ends[rapid.IntRange(0, 1).Draw(t, "end")]
}

func (e *modelEnd) stream(t *rapid.T) *Stream {
	return e.streams[rapid.IntRange(0, len(e.streams)-1).Draw(t, "stream")]
}

func (e *modelEnd) adopt(s *Stream) {
	e.streams = append(e.streams, s)
	for _, side := range []map[uint64]*direction{e.in, e.out} {
		if side[s.ID()] == nil {
			side[s.ID()] = &direction{}
		}
	}
}

// takeEvents accepts what the peer opened.
func (e *modelEnd) takeEvents() {
	for _, ev := range e.events {
		if ev.Kind == EventStreamOpened {
			e.adopt(ev.Stream)
		}
	}
	e.events = e.events[:0]
}

func (e *modelEnd) write(t *rapid.T, s *Stream, n int) {
	d := e.out[s.ID()]
	got, err := s.Write(streamPattern(s.ID(), d.written, n))
	if s.send.stopped {
		require.True(t, d.stopped, "nobody canceled the reading")
		require.Equal(t, &StreamError{Code: 2, Remote: true}, err)
		return
	}
	if d.closed || d.reset || !s.canSend() {
		require.ErrorIs(t, err, ErrWriteClosed)
		return
	}
	require.NoError(t, err)
	d.written += uint64(got)
}

// lend begins a Read that waits, and reclaim ends it.
func (e *modelEnd) lend(s *Stream, n int) {
	if e.lent[s] == nil {
		e.lent[s] = make([]byte, n)
		s.Lend(e.lent[s])
	}
}

func (e *modelEnd) reclaim(t *rapid.T, s *Stream) {
	d := e.in[s.ID()]
	n := s.Reclaim()
	if n == 0 {
		delete(e.lent, s)
		return
	}
	require.Equal(t, streamPattern(s.ID(), d.read, n), e.lent[s][:n], "stream %d from %d on, lent", s.ID(), d.read)
	d.read += uint64(n)
	require.LessOrEqual(t, d.read, d.written)
	delete(e.lent, s)
}

func (e *modelEnd) read(t *rapid.T, s *Stream, n int) {
	e.reclaim(t, s)
	d := e.in[s.ID()]
	buf := make([]byte, n)
	got, err := s.Read(buf)
	require.Equal(t, streamPattern(s.ID(), d.read, got), buf[:got], "stream %d from %d on", s.ID(), d.read)
	d.read += uint64(got)
	require.LessOrEqual(t, d.read, d.written)
	if err != nil {
		require.Zero(t, got)
		d.end = err
		if err == io.EOF {
			require.True(t, d.closed)
			require.Equal(t, d.written, d.read, "stream %d ends early", s.ID())
		}
	}
}

func (e *modelEnd) reset(s *Stream, prefix uint64) {
	d := e.out[s.ID()]
	before := s.send.reset
	s.ResetAt(1, prefix)
	if s.canSend() && !before.isSet() && s.send.reset.isSet() && !d.reset {
		d.reset, d.prefix = true, min(prefix, d.written)
	}
}

func (e *modelEnd) closeWrite(s *Stream) {
	if d := e.out[s.ID()]; s.writeError() == nil {
		d.closed = true
	}
	s.CloseWrite()
}

func (e *modelEnd) cancelRead(s *Stream) {
	s.CancelRead(2)
	if s.recv.canceled {
		e.in[s.ID()].stopped = true
	}
}

// send makes a packet and gives it to the network.
func (m *streamsModel) send(e *modelEnd, size int) bool {
	p := e.packet(size)
	if len(p.data) == 0 {
		return false
	}
	to := m.ends[0]
	if to == e {
		to = m.ends[1]
	}
	m.flights = append(m.flights, &flight{from: e, to: to, packet: p})
	return true
}

// deliver lets a packet arrive, for the first time or again.
func (f *flight) deliver() {
	f.arrived = true
	f.to.receive(f.packet)
	f.to.takeEvents()
}

// settle tells the sender of a packet's fate: acknowledged only if it arrived, lost rightly or not.
func (f *flight) settle(acked bool) {
	if acked && f.arrived {
		f.from.ack(f.packet)
	} else {
		f.from.lose(f.packet)
	}
}

func (m *streamsModel) take(t *rapid.T, keep bool) *flight {
	if len(m.flights) == 0 {
		t.Skip("nothing is in flight")
	}
	i := rapid.IntRange(0, len(m.flights)-1).Draw(t, "flight")
	f := m.flights[i]
	if !keep {
		m.flights = append(m.flights[:i], m.flights[i+1:]...)
	}
	return f
}

// check compares the books of an end with its streams.
func (e *modelEnd) check(t *rapid.T) {
	require.LessOrEqual(t, e.sent, e.max, "sent beyond the limit")
	require.LessOrEqual(t, e.received, e.window.limit, "took more than allowed")
	require.LessOrEqual(t, e.window.consumed, e.received, "gave back more than came")
	var received, sent uint64
	gaps, unsettled := 0, 0
	for _, s := range e.streams {
		received += s.recv.highest
		sent += s.send.next
		gaps += len(s.recv.got)
		require.LessOrEqual(t, s.recv.pipe.start, s.recv.ready)
		require.LessOrEqual(t, s.recv.ready, s.recv.highest)
		require.LessOrEqual(t, s.send.next, s.send.max)
		if s.send.unsettled() {
			unsettled++
		}
		wants := s.send.wants()
		if s.forgotten {
			wants = queueNone
		}
		require.Equal(t, wants, s.queue, "stream %d waits in the wrong queue", s.ID())
	}
	require.Equal(t, e.received, received)
	require.Equal(t, e.sent, sent)
	require.Equal(t, e.gaps, gaps)
	require.Equal(t, e.unsettled, unsettled)
}

// heal ends all faults: what is in flight is lost, and from now on everything arrives. The
// applications finish what they began. All must end within a bound.
func (m *streamsModel) heal(t *rapid.T) {
	for _, f := range m.flights {
		f.settle(false)
	}
	m.flights = nil
	for rounds := 0; ; rounds++ {
		require.Less(t, rounds, 2000, "the ends never finish")
		busy := false
		for _, e := range m.ends {
			for i := 0; i < len(e.streams); i++ {
				s := e.streams[i]
				e.closeWrite(s)
				if s.canRecv() && !s.recv.canceled {
					e.read(t, s, 500)
				}
			}
			for m.send(e, testPacket) {
				busy = true
			}
		}
		for _, f := range m.flights {
			f.deliver()
			f.settle(true)
		}
		m.flights = nil
		if !busy && m.readToTheEnd() {
			return
		}
	}
}

func (m *streamsModel) readToTheEnd() bool {
	for _, e := range m.ends {
		for _, s := range e.streams {
			if d := e.in[s.ID()]; s.canRecv() && !s.recv.canceled && d.end == nil {
				return false
			}
		}
	}
	return true
}

// checkEnd checks that everything that was promised came true.
func (m *streamsModel) checkEnd(t *rapid.T) {
	for _, e := range m.ends {
		require.Empty(t, e.table, "a stream was not forgotten")
		require.True(t, e.drained())
		require.Empty(t, e.sched.classes)
		require.Equal(t, e.received, e.window.consumed, "credit was lost")
		for _, s := range e.streams {
			require.True(t, s.forgotten)
			require.Zero(t, s.send.pipe.memory()+s.recv.pipe.memory())
			d := e.in[s.ID()]
			if !s.canRecv() || s.recv.canceled {
				continue
			}
			if d.end == io.EOF {
				require.Equal(t, d.written, d.read)
			} else {
				require.True(t, d.reset)
				require.GreaterOrEqual(t, d.read, d.prefix, "the prefix was not delivered")
			}
		}
	}
}

func TestStreamsAgreeWithTheModelUnderLoss(t *testing.T) { // spec: STR-8 // spec: STR-11 // spec: STR-15
	rapid.Check(t, func(t *rapid.T) {
		m := newStreamsModel(t)
		writeSome := func(t *rapid.T) {
			e := m.end(t)
			e.write(t, e.stream(t), rapid.IntRange(0, 3000).Draw(t, "n"))
		}
		readSome := func(t *rapid.T) {
			e := m.end(t)
			if s := e.stream(t); s.canRecv() && !s.recv.canceled {
				e.read(t, s, rapid.IntRange(1, 3000).Draw(t, "n"))
			}
		}
		sendSome := func(t *rapid.T) { m.send(m.end(t), rapid.IntRange(60, testPacket).Draw(t, "size")) }
		deliver := func(t *rapid.T) { m.take(t, true).deliver() }
		settle := func(t *rapid.T) {
			again := rapid.Bool().Draw(t, "again") // the fate can still change: spurious loss, late arrival
			m.take(t, again).settle(rapid.Bool().Draw(t, "acked"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				e := m.end(t)
				if s, err := e.open(rapid.Bool().Draw(t, "uni")); err == nil {
					e.adopt(s)
				}
			},
			"write": writeSome, "write2": writeSome,
			"read": readSome, "read2": readSome,
			"lend": func(t *rapid.T) {
				e := m.end(t)
				if s := e.stream(t); s.canRecv() {
					e.lend(s, rapid.IntRange(0, 3000).Draw(t, "n"))
				}
			},
			"reclaim": func(t *rapid.T) {
				e := m.end(t)
				e.reclaim(t, e.stream(t))
			},
			"send": sendSome, "send2": sendSome,
			"deliver": deliver, "deliver2": deliver,
			"settle": settle, "settle2": settle,
			"closeWrite": func(t *rapid.T) { e := m.end(t); e.closeWrite(e.stream(t)) },
			"reset": func(t *rapid.T) {
				e := m.end(t)
				e.reset(e.stream(t), rapid.Uint64Range(0, 4000).Draw(t, "prefix"))
			},
			"cancelRead": func(t *rapid.T) { e := m.end(t); e.cancelRead(e.stream(t)) },
			"priority": func(t *rapid.T) {
				e := m.end(t)
				s := e.stream(t)
				s.SetPriority(rapid.SampledFrom([]uint8{0, 64, 128}).Draw(t, "priority"))
				s.SetWeight(rapid.SampledFrom([]uint16{0, 1, 300}).Draw(t, "weight"))
			},
			"time": func(t *rapid.T) {
				for _, e := range m.ends {
					e.advance(time.Duration(rapid.IntRange(1, 200).Draw(t, "ms")) * time.Millisecond)
				}
			},
			"": func(t *rapid.T) {
				for _, e := range m.ends {
					e.check(t)
				}
			},
		})
		m.heal(t)
		m.checkEnd(t)
	})
}
