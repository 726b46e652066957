package protocol

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// smallDatagrams keeps a session from finding out that the wire of a pair carries 64 kB at once.
func smallDatagrams(c, s *Config, _ *EndpointConfig) { c.MaxDatagram, s.MaxDatagram = 1400, 1400 }

// readAll reads what has arrived at a stream.
func readAll(t *testing.T, s *Stream) (got []byte) {
	t.Helper()
	buf := make([]byte, 64<<10)
	for {
		n, err := s.Read(buf)
		require.NoError(t, err)
		if n == 0 {
			return got
		}
		got = append(got, buf[:n]...)
	}
}

// writeAll has the client write data on stream 0 as fast as it is taken, and step by step does what is given.
func (p *pair) writeAll(data []byte, d time.Duration, each func() (done bool)) bool {
	p.t.Helper()
	return p.run(d, func() bool {
		n, err := p.cs.Stream0().Write(data)
		require.NoError(p.t, err)
		data = data[n:]
		return each()
	})
}

// spec: SESS-26
func TestDataForWhichThereIsNoMemoryIsSentAgain(t *testing.T) {
	p := connected(t, smallDatagrams)
	const free = 100 << 10
	data := pattern(1, 400_000)
	var got []byte
	p.writeAll(data, 5*time.Second, func() bool {
		p.ss.SetMemory(free, false)
		return false
	})
	held := p.ss.streams.book.held
	require.GreaterOrEqual(t, held, free, "it takes what it may")
	require.Less(t, held, free+blockSize+MinDatagram, "and no more")
	require.Positive(t, p.ss.Stats().Dropped.Memory)
	acked := p.cs.Stream0().send.pipe.start
	require.LessOrEqual(t, acked, p.ss.Stream0().recv.ready, "what is acknowledged is there")

	require.True(t, p.writeAll(data[len(data):], 60*time.Second, func() bool {
		p.ss.SetMemory(free, false)
		got = append(got, readAll(t, p.ss.Stream0())...)
		_, err := p.cs.Stream0().Write(data[min(len(data), int(p.cs.Stream0().send.pipe.end)):])
		require.NoError(t, err)
		return len(got) == len(data)
	}), "when it is read all of it arrives, %d bytes did", len(got))
	require.True(t, bytes.Equal(data, got))
	require.NoError(t, p.ss.CheckInvariants())
}

// The peer would take the silence of an end that has no memory for the end of the session.
//
// spec: SESS-26
func TestASessionWithoutMemoryStaysAlive(t *testing.T) {
	p := connected(t, smallDatagrams)
	data := pattern(1, 50_000)
	p.writeAll(data, 3*DefaultIdleTimeout, func() bool {
		p.ss.SetMemory(0, false)
		return false
	})
	require.True(t, p.cs.Established())
	require.True(t, p.ss.Established())
	p.ss.SetMemory(1<<20, false)
	var got []byte
	require.True(t, p.run(30*time.Second, func() bool {
		got = append(got, readAll(t, p.ss.Stream0())...)
		return len(got) == len(data)
	}))
	require.Equal(t, data, got)
}

// spec: SESS-27
func TestAHoleIsFilledThoughThereIsNoMemory(t *testing.T) {
	p := connected(t, smallDatagrams)
	data := pattern(3, 60_000)
	first := true
	p.filter = func(toServer bool, _ int, b []byte) int {
		if toServer && len(b) > 1000 && first {
			first = false
			return 0
		}
		return 1
	}
	var got []byte
	full := false
	require.True(t, p.writeAll(data, 20*time.Second, func() bool {
		if r := &p.ss.Stream0().recv; !full && len(r.got) > 0 && r.got.size() > 8000 {
			full = true
			p.ss.SetMemory(0, true)
		}
		got = append(got, readAll(t, p.ss.Stream0())...)
		return full && len(p.ss.Stream0().recv.got) == 0
	}))
	require.Greater(t, len(got), 9000, "what was behind the hole is read")
}

// spec: SESS-27
func TestWhatReadersWaitForIsTakenBeyondTheBoundOnlySoFar(t *testing.T) {
	p := connected(t, smallDatagrams)
	var ours []*Stream
	for range 200 {
		s, err := p.cs.OpenStream(true)
		require.NoError(t, err)
		_, err = s.Write([]byte("x"))
		require.NoError(t, err)
		ours = append(ours, s)
	}
	require.True(t, p.run(5*time.Second, func() bool { return len(p.ss.streams.table) == 200 && p.ss.streams.received == 200 }))
	for _, s := range p.ss.streams.table {
		require.Len(t, readAll(t, s), 1)
	}
	p.ss.SetMemory(0, true)
	for _, s := range ours {
		_, err := s.Write(make([]byte, 1000)) // the first bytes that each reader waits for
		require.NoError(t, err)
		p.run(50*time.Millisecond, nil) // in a packet of its own
	}
	taken := p.ss.streams.received - p.ss.streams.window.consumed
	require.Greater(t, int(taken), fillMemory*3/4)
	require.LessOrEqual(t, int(taken), fillMemory)
}

// spec: SESS-28
func TestCreditIsHeldBackWhileThereIsNoMemory(t *testing.T) {
	p := connected(t, smallDatagrams)
	s := p.ss.Stream0()
	p.ss.SetMemory(0, true)
	limit := p.ss.streams.window.limit
	var got int
	p.writeAll(make([]byte, 2<<20), 20*time.Second, func() bool {
		p.ss.SetMemory(0, true)
		got += len(readAll(t, s))
		return false
	})
	w := &p.ss.streams.window
	require.Greater(t, w.limit, limit, "a reader that reads goes on")
	require.EqualValues(t, DefaultStreamWindow, s.recv.window.size, "but windows do not grow")
	require.LessOrEqual(t, int(w.size), 2*(wire.MaxMessageSize+messageCharge), "beyond what a message may need")
	require.LessOrEqual(t, int(w.limit-p.ss.streams.received), minCredit, "and the peer is promised no more than the least")
	require.Less(t, got, 2<<20)

	p.ss.SetMemory(64<<20, false)
	require.True(t, p.run(2*memoryRetry, func() bool { return w.limit >= w.consumed+w.size }), "credit is given when there is memory")
}

// spec: SESS-29
func TestAWriterWaitsForMemory(t *testing.T) {
	p := connected(t, smallDatagrams)
	const free = 60 << 10
	p.cs.SetMemory(free, false)
	p.filter = func(bool, int, []byte) int { return 0 } // nothing is acknowledged
	n, err := p.cs.Stream0().Write(make([]byte, 200_000))
	require.NoError(t, err)
	require.Equal(t, free, n)
	p.run(time.Second, func() bool { return false })
	require.False(t, p.happened(p.cs, EventStreamWritable))
	require.True(t, p.cs.HeldBack())
	require.ErrorIs(t, p.cs.SendMessage(p.now, []byte("x"), MessageOptions{}), ErrMessageQueueFull)
	require.False(t, p.happened(p.cs, EventMessagesWritable))

	p.cs.SetMemory(4<<20, false)
	require.True(t, p.run(2*memoryRetry, func() bool { return p.happened(p.cs, EventStreamWritable) }), "it is woken when there is memory")
	require.True(t, p.happened(p.cs, EventMessagesWritable))
	n, err = p.cs.Stream0().Write(make([]byte, 200_000))
	require.NoError(t, err)
	require.EqualValues(t, 200_000, n)
}

// spec: SESS-26
func TestMessagesForWhichThereIsNoMemoryAreSentAgainOrDropped(t *testing.T) {
	p := connected(t, smallDatagrams)
	for mode := wire.Unreliable; mode <= wire.ReliableOrdered; mode++ {
		p.sendMessage(p.cs, numbered(0, 100), MessageOptions{Channel: uint16(mode), Mode: mode})
	}
	p.run(time.Second, nil)
	p.ss.SetMemory(0, false)
	for i := 1; i <= 20; i++ {
		for mode := wire.Unreliable; mode <= wire.ReliableOrdered; mode++ {
			p.sendMessage(p.cs, numbered(i, 100), MessageOptions{Channel: uint16(mode), Mode: mode})
		}
	}
	p.run(3*time.Second, func() bool { p.ss.SetMemory(0, false); return false })
	got := make(map[uint16]mail)
	p.ss.SetMemory(1<<20, false)
	p.run(20*time.Second, func() bool { collect(p.ss, got); return len(got[uint16(wire.ReliableOrdered)]) == 21 })
	require.Len(t, got[uint16(wire.ReliableUnordered)], 21)
	require.Len(t, got[uint16(wire.ReliableOrdered)].numbers(t), 21)
	require.Less(t, len(got[uint16(wire.Unreliable)]), 21, "the mode says that they may be lost")
	require.NoError(t, p.ss.CheckInvariants())
}

// What opens streams is not taken without memory for them, and comes again.
//
// spec: SESS-26
func TestStreamsForWhichThereIsNoMemoryOpenLater(t *testing.T) {
	p := connected(t, smallDatagrams)
	p.ss.SetMemory(0, false)
	for range 20 {
		s, err := p.cs.OpenStream(false)
		require.NoError(t, err)
		_, err = s.Write([]byte("hello"))
		require.NoError(t, err)
	}
	p.run(3*time.Second, func() bool { p.ss.SetMemory(0, false); return false })
	require.Empty(t, p.ss.streams.table)
	p.ss.SetMemory(1<<20, false)
	require.True(t, p.run(20*time.Second, func() bool { return len(p.ss.streams.table) == 20 }))
	require.GreaterOrEqual(t, p.ss.Memory(), 20*streamMemory)
}

// Counting must not drift: whatever was held and is not any more leaves nothing in the book.
func TestMemoryIsGivenBackInTheBook(t *testing.T) {
	p := connected(t, smallDatagrams)
	before := p.ss.Memory() + p.cs.Memory()
	p.filter = lossy(7, 10)
	for i := range 5 {
		s, err := p.cs.OpenStream(false)
		require.NoError(t, err)
		p.transfer(s, func() *Stream { return p.ss.streams.table[s.ID()] }, 100_000*(i+1), false)
		s.Reset(1)
		s.CancelRead(1)
		p.ss.streams.table[s.ID()].Reset(1)
		p.ss.streams.table[s.ID()].CancelRead(1)
		p.run(5*time.Second, func() bool { return len(p.cs.streams.table) == 0 && len(p.ss.streams.table) == 0 })
		require.NoError(t, p.ss.CheckInvariants())
		require.NoError(t, p.cs.CheckInvariants())
	}
	p.run(restAfter+time.Second, nil)
	require.LessOrEqual(t, p.ss.Memory()+p.cs.Memory(), before)
	require.Zero(t, p.ss.streams.book.held+p.cs.streams.book.held)
}

// spec: SESS-30
func TestAClientIsRefusedByNameWhenThereIsNoMemoryForItsSession(t *testing.T) {
	p := newPair(t)
	p.server.SetFull(true)
	p.run(5*time.Second, func() bool { return p.cs.Dead() })
	var refused *RejectError
	require.ErrorAs(t, p.cs.Err(), &refused)
	require.Equal(t, wire.RejectFull, refused.Code)
	require.EqualValues(t, 1, p.server.Stats().NoMemory)
	require.EqualValues(t, 1, p.server.Stats().Rejects)
	require.Zero(t, p.server.Memory(), "and nothing is kept")

	p = newPair(t)
	p.server.SetFull(true)
	p.server.SetFull(false)
	p.connect()
}
