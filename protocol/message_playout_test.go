package protocol

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// drifting runs a clock of a peer that is faster by ppm parts in a million for d, with a message every gap
// whose way takes least and up to spread more, and calls each with what a receiver makes of the stamps: how
// much later than with the smallest delay the estimate has the message.
func drifting(d, gap time.Duration, ppm float64, least, spread time.Duration, each func(at time.Duration, late time.Duration)) {
	var c sourceClock
	rng := rand.New(rand.NewPCG(uint64(d), uint64(ppm)))
	var last Time
	for sent := time.Duration(0); sent < d; sent += gap {
		peer := Time(time.Hour) + Time(float64(sent)*(1+ppm/1e6))
		arrived := Time(time.Minute) + Time(sent+least) + Time(rng.ExpFloat64()*float64(spread))
		arrived = max(arrived, last)
		last = arrived
		source, _ := c.take(arrived, stampOf(peer), packetPlace{pn: uint64(sent)})
		each(sent, c.at(source).Sub(Time(time.Minute)+Time(sent+least)))
	}
}

// spec: MSG-41
func TestTheEstimateOfThePeersClockFollowsDriftForHours(t *testing.T) {
	for _, ppm := range []float64{-100, -20, 0, 20, 100} {
		for _, spread := range []time.Duration{0, 2 * time.Millisecond, 10 * time.Millisecond} {
			drifting(6*time.Hour, 20*time.Millisecond, ppm, 25*time.Millisecond, spread, func(at, late time.Duration) {
				if at < time.Minute {
					return // it looks for the smallest
				}
				if late < -4*time.Millisecond || late > 4*time.Millisecond {
					t.Fatalf("%v ppm, spread %v: off by %v after %v", ppm, spread, late, at)
				}
			})
		}
	}
}

// spec: MSG-41
func TestTheEstimateFollowsDriftThoughMessagesAreRare(t *testing.T) {
	for _, gap := range []time.Duration{3 * time.Second, 15 * time.Second, 40 * time.Second} {
		for _, ppm := range []float64{-100, 100} {
			drifting(48*time.Hour, gap, ppm, 25*time.Millisecond, 0, func(at, late time.Duration) {
				if late < -20*time.Millisecond || late > 20*time.Millisecond {
					t.Fatalf("%v ppm, every %v: off by %v after %v", ppm, gap, late, at)
				}
			})
		}
	}
}

func TestTheEstimateIsNotRaisedByWhatCameLate(t *testing.T) {
	var c sourceClock
	now := Time(time.Hour)
	take := func(after, delay time.Duration, path uint64) time.Duration {
		now = now.Add(after)
		source, _ := c.take(now, stampOf(now.Add(-delay)), packetPlace{path, uint64(now)})
		return now.Sub(c.at(source))
	}
	require.Zero(t, take(0, 300*time.Millisecond, 0), "the first one counts, whatever it took")
	_, fell := c.take(now.Add(time.Millisecond), stampOf(now.Add(time.Millisecond-20*time.Millisecond)), packetPlace{})
	require.Equal(t, 280*time.Millisecond, fell, "a faster one shows that at once")
	for range 1000 {
		late := take(20*time.Millisecond, 20*time.Millisecond, 0)
		require.InDelta(t, 0, late, float64(time.Millisecond))
	}
	require.InDelta(t, float64(3*time.Second), take(time.Millisecond, 3*time.Second+20*time.Millisecond, 0), float64(time.Millisecond))
	require.InDelta(t, float64(40*time.Second), take(time.Millisecond, 40*time.Second+20*time.Millisecond, 0), float64(time.Millisecond), "stamps wrap")
	require.InDelta(t, 0, take(time.Millisecond, 20*time.Millisecond, 0), float64(time.Millisecond))

	// Another path takes longer; the first that comes on it waited for it, and packets of the old one are
	// still on their way.
	require.InDelta(t, float64(2*time.Second), take(2*time.Second, 2*time.Second+20*time.Millisecond, 1), float64(time.Millisecond))
	for range 40 {
		require.InDelta(t, float64(30*time.Millisecond), take(20*time.Millisecond, 50*time.Millisecond, 1), float64(time.Millisecond))
		require.InDelta(t, 0, take(0, 20*time.Millisecond, 0), float64(time.Millisecond))
	}
	for range 20 {
		take(20*time.Millisecond, 50*time.Millisecond, 1)
	}
	require.InDelta(t, 0, take(0, 50*time.Millisecond, 1), float64(time.Millisecond), "after a second it is the new measure")

	// The same path becomes longer by more than clocks drift.
	for range 1200 {
		take(20*time.Millisecond, 250*time.Millisecond, 1)
	}
	require.InDelta(t, 0, take(0, 250*time.Millisecond, 1), float64(time.Millisecond))
}

// playing is a call of a sender's application every gap, and of a receiver's whenever it may have something.
type playing struct {
	*pair
	o    MessageOptions
	gap  time.Duration
	sent map[int]Time
	got  []played
}

type played struct {
	n    int
	took time.Duration
}

func newPlaying(t *testing.T, gap time.Duration, o MessageOptions) *playing {
	return &playing{pair: connected(t), o: o, gap: gap, sent: map[int]Time{}}
}

// play sends count messages of size bytes and runs until tail after the last one.
func (p *playing) play(count, size int, tail time.Duration) {
	p.t.Helper()
	next := p.now
	for n := len(p.sent); n < count; {
		if !p.now.Before(next) {
			p.sendMessage(p.cs, numbered(n, size), p.o)
			p.sent[n] = p.now
			n++
			next = next.Add(p.gap)
		}
		p.run(next.Sub(p.now), p.take)
	}
	p.run(tail, p.take)
}

func (p *playing) take() bool {
	for {
		b, _, ok := p.ss.ReceiveMessage(nil)
		if !ok {
			return false
		}
		n := int(binary.BigEndian.Uint32(b))
		p.got = append(p.got, played{n, p.now.Sub(p.sent[n])})
	}
}

// spec: MSG-40
func TestPlayoutGivesEachMessageAtAConstantTimeAfterItWasSent(t *testing.T) {
	const budget = 150 * time.Millisecond
	for mode := wire.Unreliable; mode <= wire.ReliableOrdered; mode++ {
		for _, size := range []int{100, 3000} {
			t.Run(fmt.Sprint(mode, size), func(t *testing.T) {
				p := newPlaying(t, 20*time.Millisecond, MessageOptions{Mode: mode, Deadline: budget, Playout: budget})
				least := p.delay
				rng := rand.New(rand.NewPCG(1, uint64(mode)))
				p.filter = func(bool, int, []byte) int {
					p.delay = least + time.Duration(rng.IntN(30))*time.Millisecond
					if rng.IntN(100) < 5 {
						return 0
					}
					return 1
				}
				const count = 1000
				p.play(count, size, time.Second)
				late := 0
				for i, g := range p.got {
					if g.n > 150 && g.took != least+budget { // until then it looks for the smallest delay
						require.Greater(t, g.took, least+budget)
						late++
					}
					require.LessOrEqual(t, g.took, least+budget+30*time.Millisecond)
					if mode != wire.ReliableUnordered {
						require.True(t, i == 0 || g.n > p.got[i-1].n, "in order")
					}
				}
				if mode == wire.ReliableUnordered { // its last copy left in time, but took longer than others
					require.LessOrEqual(t, late, 2)
				} else {
					require.Zero(t, late, "of %d", len(p.got))
				}
				if reliable(mode) {
					require.GreaterOrEqual(t, len(p.got), count*99/100)
				} else {
					require.Greater(t, len(p.got), count*80/100)
				}
				parts := 0 // of messages of which the others were lost, while datagrams were smaller than a message
				c := p.ss.messages.inOrder[0]
				for n := c.base; !reliable(mode) && n < c.base+maxSpan; n++ {
					if h := c.held.at(n); h != nil {
						parts += h.total + messageCharge
					}
				}
				require.Equal(t, parts, p.ss.messages.partial)
				require.Less(t, parts, 10*size, "only at the start")
				require.NoError(t, p.ss.Err())
			})
		}
	}
}

func TestWithoutADeadlineWhatMissedItsPlayoutIsGivenAtOnce(t *testing.T) {
	for _, mode := range []wire.Mode{wire.ReliableUnordered, wire.ReliableOrdered} {
		p := newPlaying(t, 20*time.Millisecond, MessageOptions{Mode: mode, Playout: 30 * time.Millisecond})
		p.play(100, 100, 0)
		outage := p.now
		p.filter = func(bool, int, []byte) int {
			if p.now.Sub(outage) < 300*time.Millisecond {
				return 0
			}
			return 1
		}
		p.play(200, 100, 5*time.Second)
		require.Len(t, p.got, 200)
		late := 0
		for _, g := range p.got {
			require.GreaterOrEqual(t, g.took, p.delay+p.o.Playout)
			if g.took > p.delay+p.o.Playout {
				late++
			}
		}
		require.Greater(t, late, 10)
		require.Less(t, late, 40, "then they are in time again")
	}
}

// spec: MSG-40
func TestPlayoutGoesOnWhenThePathChanges(t *testing.T) {
	const budget = 100 * time.Millisecond
	for _, change := range []time.Duration{-15 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond} {
		p := newPlaying(t, 10*time.Millisecond, MessageOptions{Mode: wire.ReliableOrdered, Deadline: budget, Playout: budget})
		p.delay = 30 * time.Millisecond
		p.play(200, 100, 0)
		road := netip.MustParseAddrPort("198.51.100.9:5555")
		p.alsoClient = append(p.alsoClient, road)
		require.NoError(t, p.cs.Migrate(p.now, AddrPair{Local: road, Remote: p.serverAddr}))
		was := p.delay
		p.delay += change
		p.play(1000, 100, time.Second)
		require.Greater(t, len(p.got), 995, "change by %v", change)
		for i, g := range p.got {
			require.True(t, i == 0 || g.n > p.got[i-1].n)
			switch {
			case g.n < 190:
				require.Equal(t, was+budget, g.took)
			case g.n > 350:
				require.Equal(t, was+change+budget, g.took, "change by %v, message %d", change, g.n)
			}
		}
	}
}

// onChannel gives s frames of channel 0, which announce says.
func (p *pair) announce(mode wire.Mode, deadline, playout uint64) {
	p.toServer(wire.Channel{Mode: mode, Priority: 128, DeadlineMillis: deadline, PlayoutMillis: playout}.Append(nil)...)
}

// spec: MSG-42
func TestStampsThatLieHoldNoMessageForLongerThanItsPlayout(t *testing.T) {
	for mode := wire.Unreliable; mode <= wire.ReliableOrdered; mode++ {
		p := connected(t)
		const budget = 200 * time.Millisecond
		p.announce(mode, 0, uint64(budget/time.Millisecond))
		rng := rand.New(rand.NewPCG(7, uint64(mode)))
		p.filter = func(toServer bool, _ int, _ []byte) int { // what is crafted is unknown to the client
			if toServer {
				return 1
			}
			return 0
		}
		sent := map[int]Time{}
		count, last := 0, -1
		for n := range 3000 {
			p.toServer(wire.Message{Wide: true, Number: uint16(n), HasStamp: rng.IntN(50) > 0, Stamp: uint16(rng.Uint32()), Data: numbered(n, 20)}.Append(nil)...)
			sent[n] = p.now
			p.run(time.Duration(rng.IntN(20))*time.Millisecond, nil)
			for {
				b, _, ok := p.ss.ReceiveMessage(nil)
				if !ok {
					break
				}
				got := int(binary.BigEndian.Uint32(b))
				require.LessOrEqual(t, p.now.Sub(sent[got]), budget+clockJump+20*time.Millisecond)
				if mode == wire.Sequenced || mode == wire.ReliableOrdered {
					require.Greater(t, got, last, "mode %v", mode)
				}
				last = got
				count++
			}
		}
		require.NoError(t, p.ss.Err())
		if mode != wire.Sequenced {
			require.Greater(t, count, 2950)
		}
		p.cs.CloseWithError(p.now, 0, "")
		p.run(time.Second, nil)
		for ok := true; ok; _, _, ok = p.ss.ReceiveMessage(nil) {
			count++
		}
		if mode != wire.Sequenced {
			require.Equal(t, 3001, count, "what waits for its time is not lost with the session")
		}
	}
}

// spec: MSG-15
func TestMessagesThatWaitForTheirPlayoutCountInTheBuffer(t *testing.T) {
	for _, size := range []int{500, 3000} {
		p := newPlaying(t, time.Millisecond, MessageOptions{Playout: 10 * time.Second})
		p.play(4000, size, 0)
		m := p.ss.messages
		require.LessOrEqual(t, m.partial, DefaultMessageBuffer)
		kept := len(m.playing[unreliableLane].items)
		require.InDelta(t, DefaultMessageBuffer/(size+messageCharge), kept, 1)
		p.run(11*time.Second, p.take)
		require.Equal(t, 3999, p.got[len(p.got)-1].n, "the newest are kept")
		require.Len(t, p.got, kept)
		require.Zero(t, m.partial)
	}
}

// spec: MSG-40
func TestASkipGivesNothingBeforeItsTime(t *testing.T) {
	p := connected(t)
	p.announce(wire.ReliableOrdered, 100, 100)
	stamp := stampOf(p.now)
	for _, n := range []uint16{0, 1, 3} {
		p.toServer(wire.Message{Number: n, HasStamp: true, Stamp: stamp, Data: []byte("some")}.Append(nil)...)
	}
	p.toServer(wire.Skip{Next: 3, Used: 3 * (4 + messageCharge)}.Append(nil)...)
	for _, mine := range []time.Duration{0, 99 * time.Millisecond} {
		p.run(mine, nil)
		_, _, ok := p.ss.NextMessage()
		require.False(t, ok)
	}
	p.run(time.Millisecond, nil)
	got := map[uint16]mail{}
	collect(p.ss, got)
	require.Len(t, got[0], 3)
	require.Equal(t, p.ss.streams.window.consumed, p.ss.streams.received)
}

func TestTheOptionOfPlayoutBelongsToTheChannel(t *testing.T) {
	p := connected(t)
	p.sendMessage(p.cs, nil, MessageOptions{Playout: 20*time.Millisecond - 1})
	p.sendMessage(p.cs, nil, MessageOptions{Playout: 20 * time.Millisecond})
	require.ErrorIs(t, p.cs.SendMessage(p.now, nil, MessageOptions{}), ErrChannelMode)
	for _, d := range []time.Duration{-1, maxDeadline + 1} {
		require.ErrorIs(t, p.cs.SendMessage(p.now, nil, MessageOptions{Channel: 1, Playout: d}), ErrMessageOptions)
	}
}

func TestPlayoutCostsNoAllocationInSteadyState(t *testing.T) {
	for mode := wire.Unreliable; mode <= wire.ReliableOrdered; mode++ {
		limits := wideLimits()
		limits.MaxChannels, limits.MessageBuffer = 1, 1<<20
		e := newMessagesEnd(t, false, limits)
		_, err := e.take(messagePacket{sentFrames: sentFrames{data: wire.Channel{Mode: mode, PlayoutMillis: 300}.Append(nil)}, pn: 0})
		require.NoError(t, err)
		data, out, in, pn := make([]byte, 1000), make([]byte, 0, 1500), make([]byte, 0, 1500), uint64(0)
		turn := func() {
			e.advance(5 * time.Millisecond)
			out = wire.Message{Wide: true, Number: uint16(pn), HasStamp: true, Stamp: stampOf(e.now), Data: data}.Append(out[:0])
			pn++
			if n, err := e.messages.handle(wire.FrameType(out[0]), out[1:], &arrival{now: e.now, place: packetPlace{pn: pn}}); n < 0 || err != nil {
				panic("BUG: refused")
			}
			in, _, _ = e.messages.receive(in[:0])
			e.events = e.events[:0]
		}
		for range 200 {
			turn()
		}
		require.Len(t, in, len(data))
		require.Zero(t, testing.AllocsPerRun(1000, turn), "mode %v", mode)
	}
}
