package protocol

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// tick is the time from one message to the next in these tests.
const tick = 16 * time.Millisecond

// losing makes a path that is known to lose a share of its packets, one at a time.
func (l *lossState) losing(share float64) {
	l.rate = lossRate{window: lossCount{packets: 1e6, lost: share * 1e6}, since: testStart}
}

// carryPair is a session that sends messages to a peer 50 ms away and back, over a path of which it knows that
// it loses.
type carryPair struct {
	*pair
	got      map[uint16]mail
	arrivals []Time // of messages of channel 0, by number
	sent     int
	packets  []Time // when packets of the client left
	bytes    int
	drop     func(packet int) bool // of those packets, since the start
}

func newCarryPair(t *testing.T, loss float64) *carryPair {
	c := &carryPair{pair: newPair(t), got: map[uint16]mail{}}
	c.delay = 25 * time.Millisecond
	c.connect()
	c.idle(2 * time.Second)
	for range 20 { // the round-trip time settles
		c.sendMessage(c.cs, nil, MessageOptions{Channel: 63})
		c.idle(tick)
	}
	c.idle(time.Second)
	c.loss().losing(loss)
	c.filter = func(toServer bool, _ int, data []byte) int {
		if !toServer {
			return 1
		}
		c.packets = append(c.packets, c.now)
		c.bytes += len(data)
		if c.drop != nil && c.drop(len(c.packets)-1) {
			return 0
		}
		return 1
	}
	return c
}

func (c *carryPair) loss() *lossState { return &c.cs.paths.active.loss }

// tick sends the next message on channel 0 and goes on to the next tick.
func (c *carryPair) tick(o MessageOptions) { c.tickFor(o, 64, tick) }

func (c *carryPair) tickFor(o MessageOptions, size int, d time.Duration) {
	c.sendMessage(c.cs, numbered(c.sent, size), o)
	c.sent++
	c.wait(d)
}

func (c *carryPair) wait(d time.Duration) {
	c.run(d, func() bool {
		before := len(c.got[0])
		collect(c.ss, c.got)
		for range len(c.got[0]) - before {
			c.arrivals = append(c.arrivals, c.now)
		}
		return false
	})
}

var ordered = MessageOptions{Mode: wire.ReliableOrdered}

// spec: FEC-20
func TestCopiesFollowTheLossAndItsBursts(t *testing.T) {
	for _, c := range []struct {
		loss  float64
		burst int // every run has this length
		want  int
	}{
		{0, 1, 0}, {0.0029, 1, 0}, {0.003, 1, 1}, {0.01, 1, 1}, {0.02, 1, 2}, {0.05, 1, 2}, {0.1, 1, 3}, {0.2, 1, 5},
		{0.01, 2, 6}, {0.05, 3, 14}, {0.05, 10, maxCarried},
	} {
		var l lossState
		l.losing(c.loss)
		for range keptBursts {
			l.rate.addRun(c.burst)
		}
		require.Equal(t, c.want, l.copiesNeeded(), "%+v", c)
	}
}

// spec: FEC-21
func TestAMessageThatIsLostComesWithTheNextOne(t *testing.T) {
	for _, mode := range []wire.Mode{wire.ReliableUnordered, wire.ReliableOrdered} {
		for _, deadline := range []time.Duration{0, time.Second} {
			c := newCarryPair(t, 0.05)
			c.drop = func(packet int) bool { return packet == 3 }
			start := c.now
			for range 10 {
				c.tick(MessageOptions{Mode: mode, Deadline: deadline})
			}
			c.wait(time.Second)
			require.Len(t, c.got[0], 10)
			require.Equal(t, start.Add(4*tick+c.delay), c.arrivals[3], "with the next packet")
			require.Equal(t, c.arrivals[3], c.arrivals[4])
			st := c.cs.messages.sum()
			require.Zero(t, st.Retransmitted)
			require.Zero(t, st.Extra)
			require.GreaterOrEqual(t, st.Carried, uint64(2*8), "the last two with every packet")
			require.Greater(t, c.ss.messages.sum().Duplicate, uint64(2*6), "which cost the receiver nothing")
		}
	}
}

// spec: FEC-21
func TestOnlyLowRatesAndTheLatencyClassAreCarried(t *testing.T) {
	for name, try := range map[string]func(c *carryPair){
		"no loss": func(c *carryPair) {
			c.loss().losing(0.002)
			for range 50 {
				c.tick(ordered)
			}
		},
		"below the latency class": func(c *carryPair) {
			for range 50 {
				c.tick(MessageOptions{Mode: wire.ReliableOrdered, Priority: 127})
			}
		},
		"nothing is sent again": func(c *carryPair) {
			for range 50 {
				c.tick(MessageOptions{Mode: wire.Unreliable})
			}
		},
		"what waits does not fit a packet": func(c *carryPair) {
			for range 50 {
				c.tickFor(ordered, c.loss().mtu.current()*3/4, tick)
			}
		},
		"parts": func(c *carryPair) {
			for range 5 {
				c.tickFor(ordered, 20_000, 400*time.Millisecond)
			}
		},
	} {
		c := newCarryPair(t, 0.05)
		try(c)
		c.wait(time.Second)
		require.Len(t, c.got[0], c.sent, name)
		require.Zero(t, c.cs.messages.out[0].stats.Carried, name)
	}
}

// spec: FEC-22
func TestCopiesKeepToTheirCap(t *testing.T) {
	c := newCarryPair(t, 0.2)
	c.loss().cc = &fixedController{size: 20_000, rate: 1 << 30}
	c.loss().rate.addRun(30) // long runs: as many copies as there can be
	c.loss().rate.addRun(30)
	for range 3 * int(time.Second/(4*time.Millisecond)) {
		c.tickFor(ordered, 80, 4*time.Millisecond) // 12 messages a round trip
	}
	copies := int(c.cs.messages.sum().Carried) * 80
	require.Less(t, copies, carryRate*33/10, "three seconds, and what was saved up")
	require.Greater(t, copies, carryRate*2, "and make use of it")
}

// spec: FEC-23
func TestAMessageIsLostOnlyWithItsLastCopy(t *testing.T) {
	c := newCarryPair(t, 0.05)
	c.drop = func(packet int) bool { return packet == 3 || packet == 4 }
	for range 12 {
		c.tick(ordered)
	}
	c.wait(time.Second)
	require.Len(t, c.got[0], 12)
	require.Zero(t, c.cs.messages.sum().Retransmitted, "message 3 came with the second copy")
	c.packets, c.drop = nil, func(packet int) bool { return packet < 3 }
	for range 12 {
		c.tick(ordered)
	}
	c.wait(time.Second)
	require.Len(t, c.got[0], 24)
	for _, m := range c.cs.messages.outOrder {
		require.Zero(t, m.queue.len())
		require.Zero(t, m.flight)
	}
	require.Zero(t, c.cs.messages.carry.flying)
}

// spec: FEC-23
func TestTheLossOfOneCopySendsNothingAgainWhileAnotherIsUnderWay(t *testing.T) {
	limits := wideLimits()
	limits.MaxChannels = 1
	a := newMessagesEnd(t, true, limits)
	a.path.rtt.sampled = true
	a.path.losing(0.05)
	var packets [3]messagePacket
	for i := range packets {
		require.NoError(t, a.messages.send(a.now, numbered(i, 64), &ordered))
		packets[i] = a.packet(1200)
		a.advance(tick)
	}
	c := a.messages.out[0]
	require.EqualValues(t, 3, c.queue.front().copies, "itself and two copies")
	a.fate(packets[0], false, false)
	a.fate(packets[1], false, false)
	require.Empty(t, c.lost)
	a.fate(packets[2], false, false)
	require.NotEmpty(t, c.lost)
	a.fate(packets[1], true, false) // after all
	require.EqualValues(t, 1, c.queue.len(), "a copy that arrived was the message")
}

// spec: FEC-23
func TestNoCopyLeavesAfterTheDeadline(t *testing.T) {
	c := newCarryPair(t, 0.2)
	c.drop = func(int) bool { return true }
	const deadline = 40 * time.Millisecond
	o := MessageOptions{Mode: wire.ReliableUnordered, Deadline: deadline, Twice: true}
	c.tick(o)
	before := c.cs.messages.sum()
	c.wait(deadline - tick)
	c.wait(time.Second) // silence, probes
	after := c.cs.messages.sum()
	require.Equal(t, before.Carried, after.Carried)
	require.Zero(t, after.Retransmitted)
}

// spec: FEC-24
func TestInSilenceTheNewestIsRepeatedForThreeRoundTrips(t *testing.T) {
	for _, loss := range []float64{0, 0.05} {
		c := newCarryPair(t, loss)
		for range 10 {
			c.tick(ordered)
		}
		silent := c.now
		c.drop = func(int) bool { return true }
		c.packets = nil
		c.tick(ordered)
		c.tick(ordered)
		c.wait(400 * time.Millisecond)
		extra := c.cs.messages.sum().Extra
		c.wait(3 * time.Second)
		require.Equal(t, extra, c.cs.messages.sum().Extra, "then there are probes only")
		repeats := 0
		for i, at := range c.packets {
			if i > 1 && at.Sub(silent) < 400*time.Millisecond {
				repeats++
			}
			if i > 0 && i < 6 {
				require.GreaterOrEqual(t, at.Sub(c.packets[i-1]), 4*time.Millisecond)
			}
		}
		require.GreaterOrEqual(t, repeats, 5)
		require.LessOrEqual(t, repeats, 20, "bounded")
		require.NotZero(t, c.loss().stats.ptos, "copies do not put the probes off")
		c.drop = nil
		c.wait(5 * time.Second)
		require.Len(t, c.got[0], 12)
	}
}

// spec: FEC-24
func TestOnePacketThatIsLateIsRepeatedOnce(t *testing.T) {
	c := newCarryPair(t, 0)
	start := c.now
	c.drop = func(packet int) bool { return packet == 0 }
	c.tick(ordered)
	c.wait(time.Second)
	require.Len(t, c.got[0], 1)
	require.EqualValues(t, 1, c.cs.messages.sum().Extra)
	require.Less(t, c.arrivals[0].Sub(start), 2*c.delay+c.delay+20*time.Millisecond, "sooner than a probe")
}

// spec: FEC-25
func TestTwiceSendsOneMorePacketAfterThreeMilliseconds(t *testing.T) {
	for mode := wire.Unreliable; mode <= wire.ReliableOrdered; mode++ {
		for _, lose := range []bool{false, true} {
			c := newCarryPair(t, 0)
			c.drop = func(packet int) bool { return lose && packet%2 == 0 }
			start := c.now
			for range 10 {
				c.tick(MessageOptions{Mode: mode, Twice: true})
			}
			c.wait(time.Second)
			require.Len(t, c.got[0], 10)
			require.Len(t, c.packets, 20)
			for i := range 10 {
				require.Equal(t, start.Add(time.Duration(i)*tick), c.packets[2*i])
				require.Equal(t, twiceAfter, c.packets[2*i+1].Sub(c.packets[2*i]))
				if lose {
					require.Equal(t, c.packets[2*i+1].Add(c.delay), c.arrivals[i])
				}
			}
			st := c.cs.messages.out[0].stats
			require.EqualValues(t, 10, st.Extra)
			require.EqualValues(t, 10, st.Acknowledged, "what became of the first does not matter")
			require.Zero(t, st.Lost)
		}
	}
}

// spec: FEC-25
func TestASequencedMessageIsNotRepeatedAfterANewerOne(t *testing.T) {
	c := newCarryPair(t, 0)
	for range 10 {
		c.tickFor(MessageOptions{Mode: wire.Sequenced, Twice: true}, 64, 2*time.Millisecond)
	}
	c.wait(time.Second)
	require.EqualValues(t, 1, c.cs.messages.sum().Carried, "only the last")
}

// spec: FEC-25
func TestByDefaultFewerThanOnePacketInTwentyIsExtra(t *testing.T) {
	for _, loss := range []float64{0.004, 0.01, 0.1, 0.2} {
		c := newCarryPair(t, loss)
		rng := rand.New(rand.NewPCG(1, 2))
		c.drop = func(int) bool { return rng.Float64() < loss }
		for range 3000 {
			c.tick(ordered)
		}
		st := c.cs.messages.sum()
		require.InDelta(t, 3000*spareShare, st.Extra, 30, "at %v", loss)
		require.LessOrEqual(t, len(c.packets), 3000*105/100)
	}
}

func TestMessagesGoOnWhenTheAddressChanges(t *testing.T) {
	c := newCarryPair(t, 0.05)
	rng := rand.New(rand.NewPCG(3, 4))
	c.drop = func(int) bool { return rng.IntN(20) == 0 }
	var given []Time
	for n := range 400 {
		if n == 200 {
			road := elsewhere
			c.alsoClient = append(c.alsoClient, road)
			require.NoError(t, c.cs.Migrate(c.now, AddrPair{Local: road, Remote: c.serverAddr}))
		}
		given = append(given, c.now)
		c.tick(ordered)
	}
	c.wait(2 * time.Second)
	require.Len(t, c.got[0], 400)
	require.EqualValues(t, 1, c.cs.paths.active.id)
	for n, at := range c.arrivals {
		require.Less(t, at.Sub(given[n]), 250*time.Millisecond, "message %d", n)
	}
}

func TestCarryingCostsNoAllocationInSteadyState(t *testing.T) {
	limits := wideLimits()
	limits.MaxChannels, limits.MessageBuffer = 1, 1<<20
	a, b := newMessagesEnd(t, true, limits), newMessagesEnd(t, false, limits)
	var path lossState
	path.rtt.reset(50 * time.Millisecond)
	path.rtt.sampled = true
	path.cc = &fixedController{size: 1 << 20}
	path.losing(0.05)
	data, out, in := make([]byte, 64), make([]byte, 0, 1500), make([]byte, 0, 1500)
	var flights [4][]fact // acknowledged four ticks later
	var pn uint64
	turn := func() {
		a.advance(tick)
		if a.messages.send(a.now, data, &MessageOptions{Mode: wire.ReliableOrdered, Twice: true}) != nil {
			panic("refused")
		}
		facts := &flights[pn%4]
		for _, f := range *facts {
			a.messages.ackedFact(f, false)
		}
		*facts = (*facts)[:0]
		a.beginPacket(1400)
		a.messages.prepareCopies(a.now, &path)
		w := copyWriter{b: out[:0], limit: 1000, facts: facts}
		a.messages.appendCopies(&w, a.now)
		out = a.trimTail(a.appendData(w.b, 1400-len(w.b), facts, false))
		pn++
		at := arrival{now: b.now, place: packetPlace{pn: pn}}
		for p := out; len(p) > 0; {
			typ, n := wire.ConsumeFrameType(p)
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
		b.messages.receive(in)
		a.events, b.events = a.events[:0], b.events[:0]
	}
	for range 100 {
		turn()
	}
	carried := a.messages.sum().Carried
	require.Zero(t, testing.AllocsPerRun(1000, turn))
	require.Greater(t, a.messages.sum().Carried, carried+2000)
}
