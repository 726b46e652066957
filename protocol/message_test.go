package protocol

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// numbered makes a message of size bytes, at least 4, that says which one it is.
func numbered(n, size int) []byte {
	b := pattern(n, max(size, 4))
	binary.BigEndian.PutUint32(b, uint32(n))
	return b
}

// mail is everything that an end has received on one channel, in order.
type mail [][]byte

func (m mail) numbers(t testing.TB) (all []int) {
	for _, b := range m {
		n := int(binary.BigEndian.Uint32(b))
		require.Equal(t, numbered(n, len(b)), b, "message %d is not what was sent", n)
		all = append(all, n)
	}
	return all
}

// collect receives all messages that wait at s.
func collect(s *Session, into map[uint16]mail) {
	for {
		b, channel, ok := s.ReceiveMessage(nil)
		if !ok {
			return
		}
		into[channel] = append(into[channel], b)
	}
}

func (p *pair) sendMessage(s *Session, b []byte, o MessageOptions) {
	p.t.Helper()
	require.NoError(p.t, s.SendMessage(p.now, b, o))
}

// lossy drops a share of the datagrams, repeats some and holds some back.
func lossy(seed uint64, percent int) func(bool, int, []byte) int {
	rng := rand.New(rand.NewPCG(seed, 2))
	return func(bool, int, []byte) int {
		switch n := rng.IntN(100); {
		case n < percent:
			return 0
		case n < percent+5:
			return 2
		}
		return 1
	}
}

func TestMessagesOfAllModesArriveOnAGoodPath(t *testing.T) {
	p := connected(t)
	for mode := wire.Unreliable; mode <= wire.ReliableOrdered; mode++ {
		for n := range 20 {
			p.sendMessage(p.cs, numbered(n, 4+n*5), MessageOptions{Channel: uint16(mode), Mode: mode})
		}
	}
	got := map[uint16]mail{}
	p.run(time.Second, func() bool { collect(p.ss, got); return len(got[3]) == 20 })
	for mode := uint16(0); mode < 4; mode++ {
		want := make([]int, 20)
		for i := range want {
			want[i] = i
		}
		require.Equal(t, want, got[mode].numbers(t))
	}
}

func TestReliableMessagesArriveOnceUnderLoss(t *testing.T) {
	for _, mode := range []wire.Mode{wire.ReliableUnordered, wire.ReliableOrdered} {
		for _, size := range []int{10, 1100, 5000, 100_000} {
			p := connected(t)
			p.filter = lossy(uint64(size), 20)
			const count = 100
			sent := 0
			got := map[uint16]mail{}
			done := p.run(300*time.Second, func() bool {
				for sent < count && p.cs.SendMessage(p.now, numbered(sent, size), MessageOptions{Channel: 7, Mode: mode}) == nil {
					sent++
				}
				collect(p.ss, got)
				return len(got[7]) >= count
			})
			require.True(t, done, "mode %v, size %d: %d of %d; %v %v", mode, size, len(got[7]), count, p.cs.Err(), p.ss.Err())
			p.idle(time.Second)
			collect(p.ss, got)
			numbers := got[7].numbers(t)
			require.Len(t, numbers, count)
			seen := map[int]bool{}
			for i, n := range numbers {
				require.False(t, seen[n])
				seen[n] = true
				if mode == wire.ReliableOrdered {
					require.Equal(t, i, n)
				}
			}
			require.True(t, p.cs.delivered())
			require.EqualValues(t, count, p.cs.messages.sum().Acknowledged)
			require.Equal(t, p.cs.streams.sent, p.ss.streams.received)
			require.Equal(t, p.ss.streams.window.consumed, p.ss.streams.received)
		}
	}
}

// settled runs until s has nothing of messages left to deliver.
func (p *pair) settled(s *Session) {
	p.t.Helper()
	require.True(p.t, p.run(30*time.Second, s.delivered))
}

func outcomesOf(s *Session) map[uint64]Outcome {
	all := map[uint64]Outcome{}
	for {
		tag, o, ok := s.PollOutcome()
		if !ok {
			return all
		}
		all[tag] = o
	}
}

// withoutMessages has both ends offer no channels.
func withoutMessages(client, server *Config, _ *EndpointConfig) {
	for _, c := range []*Config{client, server} {
		p := DefaultParameters()
		p.MaxChannels = 0
		c.Params = &p
	}
}

func TestMessagesThatWereNotOfferedCloseTheSession(t *testing.T) { // spec: ERR-3 ERR-1
	for typ, frame := range map[wire.FrameType][]byte{
		wire.FrameMessage: {byte(wire.FrameMessage), 0, 0, 0},
		wire.FrameChannel: wire.Channel{}.Append(nil),
		wire.FrameSkip:    wire.Skip{}.Append(nil),
	} {
		p := connected(t, withoutMessages)
		require.ErrorIs(t, p.cs.SendMessage(p.now, nil, MessageOptions{}), ErrChannelLimit)
		p.toServer(frame...)
		var e *TransportError
		require.ErrorAs(t, p.ss.Err(), &e)
		require.Equal(t, wire.Unsupported, e.Code)
		require.Equal(t, typ, e.Frame)
	}
}

func TestMessageRuleBreakersAreClosedByTheCodeOfTheRule(t *testing.T) {
	channel := func(n int, mode wire.Mode) []byte {
		return wire.Channel{Channel: uint64(n), Mode: mode}.Append(nil)
	}
	message := func(n int, number uint16, size int) []byte {
		return wire.Message{Channel: uint64(n), Wide: true, Number: number, Data: make([]byte, size)}.Append(nil)
	}
	part := func(number uint16, offset, total uint64, size int) []byte {
		return wire.Message{Number: number, Fragment: true, Offset: offset, Total: total, Data: make([]byte, size)}.Append(nil)
	}
	var channels []byte
	for n := range DefaultMaxChannels + 1 {
		channels = append(channels, channel(n, wire.Unreliable)...)
	}
	reliableChannel := channel(0, wire.ReliableUnordered)
	tests := []struct {
		rule   string
		frames [][]byte
		code   wire.ErrorCode
	}{
		{"too many channels", [][]byte{channels}, wire.ProtocolViolation},                                                                                                 // spec: MSG-2
		{"a message without a channel", [][]byte{message(1, 0, 1)}, wire.ProtocolViolation},                                                                               // spec: MSG-4
		{"a skip without a channel", [][]byte{wire.Skip{Next: 1}.Append(nil)}, wire.ProtocolViolation},                                                                    // spec: MSG-4
		{"a size that changes", [][]byte{reliableChannel, part(0, 0, 100, 10), part(0, 20, 101, 10)}, wire.ProtocolViolation},                                             // spec: MSG-5
		{"a whole message of another size", [][]byte{reliableChannel, part(0, 0, 100, 10), message(0, 0, 50)}, wire.ProtocolViolation},                                    // spec: MSG-5
		{"a number far ahead", [][]byte{reliableChannel, message(0, maxSpan, 0)}, wire.ProtocolViolation},                                                                 // spec: MSG-8
		{"a skip far ahead", [][]byte{reliableChannel, wire.Skip{Next: maxSpan + 1, Used: 1 << 30}.Append(nil)}, wire.ProtocolViolation},                                  // spec: MSG-8
		{"a message beyond the limit", [][]byte{reliableChannel, part(0, 0, 1<<20, 1)}, wire.FlowControl},                                                                 // spec: MSG-13
		{"a skip beyond the limit", [][]byte{reliableChannel, wire.Skip{Next: 1, Used: 1 << 30}.Append(nil)}, wire.FlowControl},                                           // spec: MSG-13
		{"a skip that says too little", [][]byte{reliableChannel, message(0, 0, 9), message(0, 2, 9), wire.Skip{Next: 3, Used: 100}.Append(nil)}, wire.ProtocolViolation}, // spec: MSG-13
		{"a malformed channel", [][]byte{{byte(wire.FrameChannel), 0, 9}}, wire.FrameEncoding},
		{"a malformed skip", [][]byte{{byte(wire.FrameSkip), 0}}, wire.FrameEncoding},
	}
	for _, test := range tests {
		p := connected(t)
		for i, f := range test.frames {
			require.NoError(t, p.ss.Err(), "%s, frame %d", test.rule, i)
			p.toServer(f...)
		}
		var e *TransportError
		require.ErrorAs(t, p.ss.Err(), &e, test.rule)
		require.Equal(t, test.code, e.Code, "%s: %v", test.rule, e)
	}
}

func TestTheLargestMessageIsTheOneThatTheReceiverTakes(t *testing.T) { // spec: MSG-3
	p := connected(t, func(client, server *Config, _ *EndpointConfig) {
		params := DefaultParameters()
		params.MaxMessageSize = 5000
		server.Params = &params
	})
	require.ErrorIs(t, p.cs.SendMessage(p.now, make([]byte, 5001), MessageOptions{}), ErrMessageSize)
	p.sendMessage(p.cs, make([]byte, 5000), MessageOptions{Mode: wire.ReliableOrdered})
	p.settled(p.cs)
	_, size, ok := p.ss.NextMessage()
	require.True(t, ok)
	require.Equal(t, 5000, size)
	p.toServer(wire.Channel{Channel: 9}.Append(nil)...)
	p.toServer(wire.Message{Channel: 9, Fragment: true, Total: 5001, Data: []byte("x")}.Append(nil)...)
	var e *TransportError
	require.ErrorAs(t, p.ss.Err(), &e)
	require.Equal(t, wire.ProtocolViolation, e.Code)
}

func TestAMessageOfAMegabyteOpensTheWindowThatItNeeds(t *testing.T) { // spec: MSG-19
	p := connected(t)
	p.filter = lossy(3, 5)
	for n := range 3 {
		p.sendMessage(p.cs, numbered(n, wire.MaxMessageSize/2+n), MessageOptions{Mode: wire.ReliableOrdered, Channel: uint16(n)})
		p.sendMessage(p.cs, numbered(n, wire.MaxMessageSize), MessageOptions{Mode: wire.ReliableOrdered, Channel: uint16(n)})
	}
	got := map[uint16]mail{}
	require.True(t, p.run(60*time.Second, func() bool {
		collect(p.ss, got)
		return len(got[0])+len(got[1])+len(got[2]) == 6
	}))
	require.Len(t, got[2][1], wire.MaxMessageSize)
	require.Equal(t, []int{2, 2}, got[2].numbers(t))
}

func TestAReaderThatStopsHoldsTheSenderBack(t *testing.T) { // spec: MSG-12 MSG-14 MSG-16
	p := connected(t)
	sent := 0
	full := func() bool {
		err := p.cs.SendMessage(p.now, numbered(sent, 1000), MessageOptions{Mode: wire.ReliableOrdered})
		if err == nil {
			sent++
		} else {
			require.ErrorIs(t, err, ErrMessageQueueFull)
		}
		return false
	}
	p.run(20*time.Second, func() bool {
		for range 100 {
			full()
		}
		return false
	})
	require.NoError(t, p.cs.Err(), "a peer that does not read is no reason to end")
	lane := &p.ss.messages.inbox.lanes[reliableLane]
	require.LessOrEqual(t, lane.held(), DefaultSessionWindow+2*(wire.MaxMessageSize+messageCharge))
	require.Less(t, lane.data.memory(), 3<<20)
	require.LessOrEqual(t, p.cs.messages.out[0].held(), p.cs.messages.out[0].limit())
	got := map[uint16]mail{}
	require.True(t, p.run(60*time.Second, func() bool { collect(p.ss, got); return len(got[0]) == sent }), "nothing acknowledged is dropped")
	require.True(t, p.happened(p.cs, EventMessagesWritable))
	for i, n := range got[0].numbers(t) {
		require.Equal(t, i, n)
	}
	require.Zero(t, lane.data.memory())
}

func TestAWindowThatIsWidenedForALargeMessageDoesNotDoubleToo(t *testing.T) { // spec: MSG-19
	w := newRecvWindow(1000)
	t0 := Time(time.Second)
	w.started(t0)
	s := streamsState{window: w, cfg: streamsConfig{local: &wire.Parameters{MaxChannels: 1, MaxMessageSize: 2000 - messageCharge}}}
	s.handleDataBlocked(1000)
	require.EqualValues(t, 4000, s.window.raise(t0+1, time.Second, 1<<20, maxOffset), "nothing was consumed")
	s.window.consume(2000)
	require.EqualValues(t, 10000, s.window.raise(t0+2, time.Second, 1<<20, maxOffset), "half of it within two round trips doubles it")
}

func TestUnreliableMessagesBeyondTheBufferDropTheOldest(t *testing.T) { // spec: MSG-15
	p := connected(t)
	const count = 5000
	for n := range count {
		p.sendMessage(p.cs, numbered(n, 1000), MessageOptions{Mode: wire.Unreliable})
		p.run(time.Millisecond, nil)
	}
	p.run(time.Second, nil)
	got := map[uint16]mail{}
	collect(p.ss, got)
	kept := DefaultMessageBuffer / (1000 + messageCharge)
	numbers := got[0].numbers(t)
	require.Len(t, numbers, kept)
	require.Equal(t, count-1, numbers[kept-1], "the newest are kept")
	require.EqualValues(t, count-kept, p.ss.messages.sum().Overflowed)
}

func TestOutcomesSayWhatBecameOfMessages(t *testing.T) { // spec: MSG-9 MSG-11
	p := connected(t)
	p.sendMessage(p.cs, []byte("arrives"), MessageOptions{Tag: 1})
	p.settled(p.cs)
	p.run(time.Second, nil)
	require.Equal(t, map[uint64]Outcome{1: Acknowledged}, outcomesOf(p.cs))
	start := p.now
	p.filter = func(toServer bool, _ int, _ []byte) int {
		if toServer && p.now.Sub(start) < 100*time.Millisecond {
			return 0
		}
		return 1
	}
	p.sendMessage(p.cs, []byte("is lost"), MessageOptions{Tag: 2})
	p.sendMessage(p.cs, []byte("is late"), MessageOptions{Tag: 3, Channel: 1, Mode: wire.ReliableOrdered, Deadline: 20 * time.Millisecond})
	p.sendMessage(p.cs, []byte("is sent again"), MessageOptions{Tag: 4, Channel: 2, Mode: wire.ReliableOrdered})
	p.sendMessage(p.cs, []byte("has time"), MessageOptions{Tag: 5, Channel: 3, Mode: wire.ReliableUnordered, Deadline: 5 * time.Second})
	p.run(5*time.Second, nil)
	require.Equal(t, map[uint64]Outcome{2: Lost, 3: Expired, 4: Acknowledged, 5: Acknowledged}, outcomesOf(p.cs))
	st := p.cs.messages.sum()
	require.Equal(t, [3]uint64{3, 1, 1}, [3]uint64{st.Acknowledged, st.Lost, st.Expired})
	require.EqualValues(t, 1, p.ss.messages.sum().Skipped, "the receiver was told")
	p.sendMessage(p.cs, []byte("next"), MessageOptions{Channel: 1, Mode: wire.ReliableOrdered, Deadline: 20 * time.Millisecond})
	got := map[uint16]mail{}
	require.True(t, p.run(time.Second, func() bool { collect(p.ss, got); return len(got[1]) == 1 }), "order goes on")
	require.Equal(t, "next", string(got[1][0]))
}

func TestAnOrderedMessageWaitsNoLongerThanItsOwnDeadline(t *testing.T) { // spec: MSG-10
	p := connected(t)
	o := MessageOptions{Mode: wire.ReliableOrdered, Deadline: 30 * time.Millisecond}
	p.sendMessage(p.cs, numbered(0, 4), o)
	p.settled(p.cs)
	p.filter = func(toServer bool, _ int, _ []byte) int {
		if toServer {
			return 0
		}
		return 1
	}
	p.sendMessage(p.cs, numbered(1, 4), o)
	p.drain()
	p.filter = nil
	sent := p.now
	p.sendMessage(p.cs, numbered(2, 4), o)
	p.drain()
	p.filter = func(toServer bool, _ int, _ []byte) int { return 0 } // nothing is repaired any more
	got := map[uint16]mail{}
	require.True(t, p.run(time.Second, func() bool { collect(p.ss, got); return len(got[0]) == 2 }))
	require.Equal(t, []int{0, 2}, got[0].numbers(t))
	require.InDelta(t, float64(p.delay+o.Deadline), float64(p.now.Sub(sent)), float64(2*time.Millisecond))
	require.EqualValues(t, 1, p.ss.messages.sum().Skipped)
}

func TestASmallMessageCostsThirtyBytes(t *testing.T) {
	for deadline, want := range map[time.Duration]int{0: 30, 100 * time.Millisecond: 32} {
		p := connected(t)
		o := MessageOptions{Mode: wire.ReliableOrdered, Deadline: deadline}
		for n := range 5 {
			p.sendMessage(p.cs, numbered(n, 50), o)
			p.settled(p.cs)
		}
		var sizes []int
		p.filter = func(toServer bool, _ int, data []byte) int {
			if toServer {
				sizes = append(sizes, len(data)-50)
			}
			return 1
		}
		p.sendMessage(p.cs, numbered(5, 50), o)
		p.drain()
		require.Equal(t, []int{want - 1}, sizes, "with packet numbers of one byte, on a short session")
		p.run(5*time.Second, nil)
	}
}

func TestReliableMessagesAreAcknowledgedAtOnce(t *testing.T) { // spec: MSG-18
	for _, mode := range []wire.Mode{wire.Unreliable, wire.Sequenced, wire.ReliableUnordered, wire.ReliableOrdered} {
		p := connected(t)
		o := MessageOptions{Mode: mode, Tag: 1}
		for range 10 { // an end that is new to a path acknowledges at once
			p.sendMessage(p.cs, []byte("x"), o)
			p.run(time.Second, nil)
		}
		outcomesOf(p.cs)
		p.sendMessage(p.cs, []byte("x"), o)
		p.drain()
		start := p.now
		require.True(t, p.run(time.Second, func() bool { return len(outcomesOf(p.cs)) == 1 }))
		if reliable(mode) {
			require.Equal(t, 2*p.delay, p.now.Sub(start), mode)
		} else {
			require.Greater(t, p.now.Sub(start), 2*p.delay, mode)
		}
	}
}

func TestAPacketThatWasHeldBackIsNotReadAsAnotherMessage(t *testing.T) { // spec: MSG-6 MSG-7
	for _, mode := range []wire.Mode{wire.Unreliable, wire.Sequenced, wire.ReliableUnordered, wire.ReliableOrdered} {
		for _, later := range []int{3, 20, 130, 150, 200, 256, 300, 600} {
			p := connected(t)
			o := MessageOptions{Mode: mode}
			p.sendMessage(p.cs, numbered(0, 4), o)
			p.settled(p.cs)
			p.run(time.Second, nil)
			var kept []byte
			p.filter = func(toServer bool, _ int, data []byte) int {
				if toServer && kept == nil {
					kept = append(kept, data...)
					return 0
				}
				return 1
			}
			send := func(n int) {
				p.sendMessage(p.cs, numbered(n, 4), o)
				if n == 1 || n%8 == 0 { // several share a packet: those of the window of packets must not hide it
					p.run(30*time.Millisecond, nil)
				}
			}
			for n := 1; n <= later; n++ {
				send(n)
			}
			p.run(30*time.Millisecond, nil)
			received := p.ss.stats.PacketsReceived
			p.give(p.ss, kept, p.clientAddr)
			require.Equal(t, received+1, p.ss.stats.PacketsReceived, "the packet is taken as authentic and new")
			for n := later + 1; n <= later+300; n++ {
				send(n)
			}
			p.run(time.Second, nil)
			require.NoError(t, p.ss.Err())
			got := map[uint16]mail{}
			collect(p.ss, got)
			seen := map[int]bool{}
			for _, n := range got[0].numbers(t) {
				require.False(t, seen[n], "message %d came twice", n)
				seen[n] = true
			}
			seen[1] = seen[1] || !reliable(mode) // it may be lost
			require.Len(t, seen, later+301, "mode %v, %d later: nothing else is harmed", mode, later)
		}
	}
}

func TestChannelsShareWithStreamsByPriorityAndWeight(t *testing.T) {
	limits := wideLimits()
	limits.MaxChannels = 4
	e := newMessagesEnd(t, true, limits)
	s := e.openStream(true)
	writeStream(t, s, make([]byte, 200_000))
	push := func(channel uint16, priority uint8) {
		for range 200 {
			require.NoError(t, e.messages.send(e.now, make([]byte, 1000), &MessageOptions{
				Channel: channel, Mode: wire.ReliableOrdered, Priority: priority}))
		}
	}
	push(1, defaultPriority)
	push(2, defaultPriority)
	push(3, 0)
	e.messages.out[2].weight = 2 * defaultWeight
	counts := map[any]int{}
	for range 100 {
		for _, f := range framesOf(t, e.packet(testPacket).data) {
			switch f := f.(type) {
			case wire.StreamFrame:
				counts["stream"] += len(f.Data)
			case wire.Message:
				counts[f.Channel] += len(f.Data)
			}
		}
	}
	require.Zero(t, counts["stream"]+counts[uint64(1)]+counts[uint64(2)], "the higher priority first")
	for range 350 {
		for _, f := range framesOf(t, e.packet(testPacket).data) {
			switch f := f.(type) {
			case wire.StreamFrame:
				counts["stream"] += len(f.Data)
			case wire.Message:
				counts[f.Channel] += len(f.Data)
			}
		}
	}
	require.Equal(t, 200_000, counts[uint64(3)])
	require.InDelta(t, 2, float64(counts[uint64(2)])/float64(counts[uint64(1)]), 0.3)
	require.InDelta(t, 1, float64(counts["stream"])/float64(counts[uint64(1)]), 0.3)
}

func TestShutdownDeliversReliableMessagesFirst(t *testing.T) {
	p := connected(t)
	p.filter = lossy(1, 20)
	for n := range 200 {
		p.sendMessage(p.cs, numbered(n, 500), MessageOptions{Mode: wire.ReliableOrdered})
	}
	p.cs.Shutdown(p.now)
	require.ErrorIs(t, p.cs.SendMessage(p.now, nil, MessageOptions{}), ErrSessionClosed)
	p.run(10*time.Second, func() bool { return p.ss.Err() != nil })
	got := map[uint16]mail{}
	collect(p.ss, got)
	require.Len(t, got[0].numbers(t), 200, "what had arrived is received after the end")
}

func TestChannelsKeepModeAndDeadline(t *testing.T) { // spec: MSG-1
	p := connected(t)
	p.sendMessage(p.cs, nil, MessageOptions{Mode: wire.ReliableOrdered})
	for _, o := range []MessageOptions{{}, {Mode: wire.ReliableOrdered, Deadline: time.Second}} {
		require.ErrorIs(t, p.cs.SendMessage(p.now, nil, o), ErrChannelMode)
	}
	for _, o := range []MessageOptions{{Mode: 4}, {Deadline: -1}, {Deadline: 31 * time.Second}} {
		require.ErrorIs(t, p.cs.SendMessage(p.now, nil, o), ErrMessageOptions)
	}
	for n := 1; n < DefaultMaxChannels; n++ {
		p.sendMessage(p.cs, nil, MessageOptions{Channel: uint16(n * 1000)})
	}
	require.ErrorIs(t, p.cs.SendMessage(p.now, nil, MessageOptions{Channel: 9}), ErrChannelLimit)
	p.run(time.Second, nil)
	require.NoError(t, p.ss.Err())
	require.Len(t, p.ss.messages.in, DefaultMaxChannels)
}

func TestMessagesCostNoAllocationInSteadyState(t *testing.T) {
	for mode := wire.Unreliable; mode <= wire.ReliableOrdered; mode++ {
		limits := wideLimits()
		limits.MaxChannels, limits.MessageBuffer = 1, 1<<20
		a, b := newMessagesEnd(t, true, limits), newMessagesEnd(t, false, limits)
		data, out, in := make([]byte, 1000), make([]byte, 0, 1500), make([]byte, 0, 1500)
		facts := make([]fact, 0, 8)
		var pn uint64
		turn := func() {
			if a.messages.send(a.now, data, &MessageOptions{Mode: mode, Deadline: time.Second, Tag: 1}) != nil {
				panic("refused")
			}
			facts = facts[:0]
			a.beginPacket(1400)
			out = a.trimTail(a.appendData(out[:0], 1400, &facts, false))
			pn++
			for p := out; len(p) > 0; {
				typ, n := wire.ConsumeFrameType(p)
				at := arrival{now: b.now, place: packetPlace{pn: pn}}
				used, err := b.messages.handle(typ, p[n:], &at)
				if err != nil || used < 0 {
					panic("BUG: refused")
				}
				p = p[n+used:]
			}
			in, _, _ = b.messages.receive(in[:0])
			if len(in) != len(data) {
				panic("BUG: nothing came")
			}
			for _, f := range facts {
				a.messages.ackedFact(f, false)
			}
			if o, _ := a.messages.pollOutcome(); o.outcome != Acknowledged {
				panic("BUG: no outcome")
			}
			a.messages.pollOutcome()
			b.messages.receive(in)
			a.events, b.events = a.events[:0], b.events[:0]
		}
		for range 100 {
			turn()
		}
		require.Zero(t, testing.AllocsPerRun(1000, turn), "mode %v", mode)
	}
}

// spec: MSG-17
func TestSequencedMessagesNeverGoBack(t *testing.T) {
	p := connected(t)
	p.toServer(wire.Channel{Mode: wire.Sequenced}.Append(nil)...)
	for _, n := range []int{0, 2, 1, 3} {
		p.toServer(wire.Message{Wide: true, Number: uint16(n), Data: numbered(n, 4)}.Append(nil)...)
	}
	got := map[uint16]mail{}
	collect(p.ss, got)
	require.Equal(t, []int{0, 2, 3}, got[0].numbers(t))
	require.EqualValues(t, 1, p.ss.messages.sum().Stale)
}
