package protocol

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godwit-net/godwit/protocol/wire"
)

// messagesEnd is the streams and messages of one end of a session, without the session.
type messagesEnd struct {
	*streamsEnd
	messages *messagesState
	path     lossState // what carry knows of the path
	pn       uint64
	seen     map[uint64]bool // packets of the peer's that were taken
}

func newMessagesEnd(tb testT, client bool, limits wire.Parameters) *messagesEnd {
	e := &messagesEnd{streamsEnd: newStreamsEnd(tb, client, limits, limits), seen: map[uint64]bool{}}
	e.messages = newMessagesState(&e.streamsState, &limits, &limits, func(k EventKind) {
		e.events = append(e.events, Event{Kind: k})
	})
	e.path.rtt.reset(50 * time.Millisecond)
	e.path.cc = &fixedController{size: 1 << 20}
	return e
}

// messageLimits are small enough to be reached.
func messageLimits() wire.Parameters {
	p := testLimits()
	p.MaxData = 10_000
	p.MaxChannels = 12
	p.MaxMessageSize = 4000
	p.MessageBuffer = 6000
	return p
}

// messagePacket is a packet with its number.
type messagePacket struct {
	sentFrames
	pn uint64
}

// packet makes the next packet, with at most size bytes of frames.
func (e *messagesEnd) packet(size int) messagePacket {
	p := messagePacket{pn: e.pn}
	e.beginPacket(size)
	e.messages.timeout(e.now)
	w := frameWriter{limit: size, facts: &p.facts}
	e.messages.appendSkips(&w)
	e.messages.prepareCopies(e.now, &e.path)
	p.data = e.appendControl(w.b, size-len(w.b), &p.facts)
	if e.hasData() || e.messages.carry.due {
		w := copyWriter{b: p.data, limit: size - e.nextWhole(), facts: &p.facts}
		e.messages.appendCopies(&w, e.now)
		p.data = w.b
	}
	p.data = e.appendData(p.data, size-len(p.data), &p.facts, false)
	p.data = e.trimTail(p.data)
	require.LessOrEqual(e.tb, len(p.data), size, "a packet larger than it may be")
	e.pn++
	return p
}

// take gives the frames of a packet to the end once, and reports whether it may be acknowledged.
func (e *messagesEnd) take(p messagePacket) (bool, error) {
	if e.seen[p.pn] {
		return true, nil
	}
	old := false
	for b := p.data; len(b) > 0; {
		typ, n := wire.ConsumeFrameType(b)
		a := arrival{now: e.now, place: packetPlace{pn: p.pn}}
		if wire.IsMessageFrame(typ) {
			used, err := e.messages.handle(typ, b[n:], &a)
			if err != nil {
				return false, err
			}
			require.GreaterOrEqual(e.tb, used, 0, "a frame of ours does not parse")
			b = b[n+used:]
			old = old || a.old
			continue
		}
		f, n := wire.ParseFrame(b)
		require.Positive(e.tb, n)
		if err := e.handle(f); err != nil {
			return false, err
		}
		b = b[n:]
	}
	e.seen[p.pn] = true
	return !old, nil
}

func (e *messagesEnd) fate(p messagePacket, acked, probed bool) {
	for _, f := range p.facts {
		switch isMessage := f.kind == factChannel || f.kind == factMessage || f.kind == factSkip; {
		case isMessage && acked:
			e.messages.ackedFact(f, false)
		case isMessage:
			e.messages.lostFact(f, probed)
		case acked:
			e.acked(f)
		default:
			e.lost(f)
		}
	}
}

// modelChannel is what the model knows of a channel: what was sent and what was received.
type modelChannel struct {
	mode     wire.Mode
	deadline time.Duration
	playout  time.Duration
	sizes    []int
	got      map[uint32]bool
	last     int64
}

var modelChannels = []modelChannel{
	{mode: wire.Unreliable}, {mode: wire.Sequenced}, {mode: wire.ReliableUnordered}, {mode: wire.ReliableOrdered},
	{mode: wire.ReliableOrdered, deadline: 100 * time.Millisecond},
	{mode: wire.ReliableUnordered, deadline: 100 * time.Millisecond},
	{mode: wire.Sequenced, deadline: 50 * time.Millisecond},
	{mode: wire.Unreliable, playout: 40 * time.Millisecond},
	{mode: wire.Sequenced, playout: 40 * time.Millisecond},
	{mode: wire.ReliableUnordered, deadline: 100 * time.Millisecond, playout: 70 * time.Millisecond},
	{mode: wire.ReliableOrdered, playout: 80 * time.Millisecond},
	{mode: wire.ReliableOrdered, deadline: 50 * time.Millisecond, playout: 80 * time.Millisecond},
}

type messageFlight struct {
	packet  messagePacket
	arrived bool
}

// messagesModel is a sender, a receiver, and a network that loses, delays, reorders and repeats.
type messagesModel struct {
	a, b     *messagesEnd
	channels []*modelChannel
	flights  []*messageFlight
	sent     int
	outcomes map[uint64]Outcome
}

func newMessagesModel(t *rapid.T) *messagesModel {
	m := &messagesModel{
		a: newMessagesEnd(t, true, messageLimits()), b: newMessagesEnd(t, false, messageLimits()),
		outcomes: map[uint64]Outcome{},
	}
	for _, c := range modelChannels {
		c.got, c.last = map[uint32]bool{}, -1
		m.channels = append(m.channels, &c)
	}
	return m
}

func (m *messagesModel) send(t *rapid.T) {
	i := rapid.IntRange(0, len(m.channels)-1).Draw(t, "channel")
	c := m.channels[i]
	size := rapid.SampledFrom([]int{4, 4, 40, 400, 1100, 1300, 4000}).Draw(t, "size")
	n := len(c.sizes)
	b := pattern(n, size)
	binary.BigEndian.PutUint32(b, uint32(n))
	m.sent++
	err := m.a.messages.send(m.a.now, b, &MessageOptions{
		Channel: uint16(i), Mode: c.mode, Deadline: c.deadline, Playout: c.playout, Tag: uint64(m.sent),
		Priority: rapid.SampledFrom([]uint8{0, 0, 1, 200}).Draw(t, "priority"),
		Twice:    rapid.Bool().Draw(t, "twice"),
	})
	if err != nil {
		require.ErrorIs(t, err, ErrMessageQueueFull)
		m.sent--
		return
	}
	c.sizes = append(c.sizes, size)
}

func (m *messagesModel) receive(t *rapid.T) bool {
	_, size, ok := m.b.messages.nextMessage()
	b, channel, received := m.b.messages.receive(nil)
	require.Equal(t, ok, received)
	if !ok {
		return false
	}
	require.Len(t, b, size)
	c := m.channels[channel]
	n := binary.BigEndian.Uint32(b)
	require.Less(t, int(n), len(c.sizes), "a message that nobody sent")
	want := pattern(int(n), c.sizes[n])
	binary.BigEndian.PutUint32(want, n)
	require.Equal(t, want, b, "message %d of channel %d", n, channel)
	require.False(t, c.got[n], "message %d of channel %d came twice", n, channel)
	c.got[n] = true
	switch c.mode {
	case wire.Sequenced, wire.ReliableOrdered:
		require.Greater(t, int64(n), c.last, "channel %d goes back", channel)
		if c.mode == wire.ReliableOrdered && c.deadline == 0 {
			require.Equal(t, c.last+1, int64(n), "channel %d leaves a message out", channel)
		}
	}
	c.last = int64(n)
	return true
}

func (m *messagesModel) packet(size int) bool {
	p := m.a.packet(size)
	if len(p.data) == 0 {
		return false
	}
	m.flights = append(m.flights, &messageFlight{packet: p})
	return true
}

func (m *messagesModel) deliver(t *rapid.T, f *messageFlight) {
	fine, err := m.b.take(f.packet)
	require.NoError(t, err)
	f.arrived = f.arrived || fine
}

func (m *messagesModel) flight(t *rapid.T, keep bool) *messageFlight {
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

// answer lets the receiver's limits reach the sender.
func (m *messagesModel) answer(t *rapid.T) {
	p := m.b.packet(testPacket)
	if len(p.data) > 0 {
		_, err := m.a.take(p)
		require.NoError(t, err)
		m.b.fate(p, true, false)
	}
}

func (m *messagesModel) takeOutcomes(t *rapid.T) {
	for {
		n, ok := m.a.messages.pollOutcome()
		if !ok {
			return
		}
		require.Zero(t, m.outcomes[n.tag], "two outcomes for one message")
		m.outcomes[n.tag] = n.outcome
	}
}

func (m *messagesModel) check(t *rapid.T) {
	a, b := m.a, m.b
	require.LessOrEqual(t, a.sent, a.max)
	require.LessOrEqual(t, b.received, b.window.limit)
	require.LessOrEqual(t, b.received, a.sent, "more came than was sent")
	require.LessOrEqual(t, b.window.consumed, b.received)
	unsettled, flying := 0, 0
	for _, c := range a.messages.outOrder {
		flight := uint64(0)
		require.Equal(t, c.wants(), c.lane.queue, "channel %d waits in the wrong queue", c.number)
		for i := c.queue.head; i < c.queue.tail; i++ {
			m := c.queue.at(i)
			if m.counted {
				unsettled++
			}
			if m.sent == m.places() && !m.settled && reliable(c.mode) {
				flying++
				flight += uint64(m.size) + copyHeader
			}
		}
		require.Equal(t, flight, c.flight)
		require.LessOrEqual(t, c.held(), c.limit()+4000+messageCharge)
		if in := b.messages.in[c.number]; in != nil && reliable(c.mode) {
			require.GreaterOrEqual(t, in.base, c.floor, "the sender counts on memory that the receiver needs")
			require.LessOrEqual(t, in.used, a.sent)
		}
	}
	require.Equal(t, a.messages.unsettled, unsettled)
	require.Equal(t, a.messages.carry.flying, flying)
	l := &b.messages.inbox.lanes[unreliableLane]
	require.LessOrEqual(t, l.held()+b.messages.partial, int(messageLimits().MessageBuffer))
	require.LessOrEqual(t, b.messages.inbox.lanes[reliableLane].held(), int(b.received-b.window.consumed))
	partial, gaps := 0, 0
	for _, c := range b.messages.inOrder {
		for _, h := range heldOf(t, c) {
			gaps += len(h.got)
			if !reliable(c.mode) {
				partial += h.total + messageCharge
			}
		}
	}
	partial += waiting(t, b.messages)
	require.Equal(t, partial, b.messages.partial)
	require.Equal(t, gaps, b.messages.gaps)
}

// waiting returns what unreliable messages that wait for their time count, and checks their order.
func waiting(t require.TestingT, m *messagesState) (n int) {
	for lane := range m.playing {
		items := m.playing[lane].items
		for i, h := range items {
			require.True(t, i == 0 || !m.playing[lane].less(i, (i-1)/2), "out of order")
			require.Equal(t, lane, laneOf(reliable(h.channel.mode)))
			if lane == unreliableLane {
				n += h.total + messageCharge
			}
		}
	}
	return n
}

// heldOf returns the messages that a channel holds, and checks the books about them.
func heldOf(t require.TestingT, c *recvChannel) (all []*heldMessage) {
	for i, h := range c.held.slots {
		if h == nil {
			continue
		}
		all = append(all, h)
		require.EqualValues(t, i, h.number&uint64(len(c.held.slots)-1))
		require.GreaterOrEqual(t, h.number, c.base)
		require.Less(t, h.number-c.base, uint64(len(c.held.slots)))
		word, mask := c.held.bit(h.number)
		require.NotZero(t, c.held.taken[word]&mask)
		require.Equal(t, h.done, c.held.done[word]&mask != 0)
		require.Zero(t, *c.use(h.number)&settledUse)
	}
	require.Len(t, all, c.held.n)
	return all
}

func (m *messagesModel) advance(d time.Duration) {
	for _, e := range []*messagesEnd{m.a, m.b} {
		e.advance(d)
		e.messages.timeout(e.now)
	}
}

// heal ends all faults: what is in flight is lost, and from now on everything arrives.
func (m *messagesModel) heal(t *rapid.T) {
	for _, f := range m.flights {
		m.a.fate(f.packet, false, false)
	}
	m.flights = nil
	for rounds := 0; ; rounds++ {
		require.Less(t, rounds, 2000, "the ends never finish")
		busy := false
		for m.packet(testPacket) {
			busy = true
		}
		for _, f := range m.flights {
			m.deliver(t, f)
			m.a.fate(f.packet, f.arrived, false)
		}
		m.flights = nil
		for m.receive(t) {
			busy = true
		}
		m.answer(t)
		m.advance(10 * time.Millisecond)
		if !busy && m.a.messages.drained() {
			return
		}
	}
}

// checkEnd checks that everything that was promised came true.
func (m *messagesModel) checkEnd(t *rapid.T) {
	m.advance(time.Second)
	for m.receive(t) {
	}
	m.takeOutcomes(t)
	require.Len(t, m.outcomes, m.sent, "every message has an outcome")
	for i, c := range m.channels {
		if reliable(c.mode) && c.deadline == 0 {
			require.Len(t, c.got, len(c.sizes), "channel %d", i)
		}
		if out := m.a.messages.out[uint16(i)]; out != nil {
			require.Zero(t, out.queue.len())
			require.Zero(t, out.data.memory())
			require.Empty(t, out.lost)
			require.Empty(t, out.acked)
			require.Zero(t, out.flight)
			require.Equal(t, out.next, out.floor)
		}
		if in := m.b.messages.in[uint16(i)]; in != nil && reliable(c.mode) {
			require.Zero(t, in.held.n)
			require.Equal(t, m.a.messages.out[uint16(i)].next, in.base)
			require.Equal(t, m.a.messages.out[uint16(i)].used, in.used)
		}
	}
	require.Equal(t, m.a.sent, m.b.received, "the books of the session agree")
	require.Equal(t, m.b.received, m.b.window.consumed, "credit was lost")
	require.Empty(t, m.a.sched.classes)
}

// spec: MSG-9 MSG-10 MSG-12 MSG-13 MSG-14 MSG-15 MSG-17
func TestMessagesAgreeWithTheModelUnderLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMessagesModel(t)
		some := func(t *rapid.T) { m.send(t) }
		packet := func(t *rapid.T) { m.packet(rapid.IntRange(100, testPacket).Draw(t, "size")) }
		deliver := func(t *rapid.T) { m.deliver(t, m.flight(t, true)) }
		settle := func(t *rapid.T) {
			again := rapid.Bool().Draw(t, "again") // a probe, or a loss that was none, is not the end of it
			f := m.flight(t, again)
			m.a.fate(f.packet, f.arrived && rapid.Bool().Draw(t, "acked"), again && rapid.Bool().Draw(t, "probed"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"send": some, "send2": some, "packet": packet, "packet2": packet,
			"deliver": deliver, "deliver2": deliver, "settle": settle, "settle2": settle,
			"receive": func(t *rapid.T) { m.receive(t) },
			"loss": func(t *rapid.T) { // what the path is known to lose says how many copies leave
				m.a.path.losing(rapid.SampledFrom([]float64{0, 0.01, 0.05, 0.2}).Draw(t, "share"))
			},
			"answer": m.answer,
			"time": func(t *rapid.T) {
				m.advance(time.Duration(rapid.IntRange(1, 60).Draw(t, "ms")) * time.Millisecond)
			},
			"": func(t *rapid.T) { m.check(t); m.takeOutcomes(t) },
		})
		m.heal(t)
		m.checkEnd(t)
	})
}
