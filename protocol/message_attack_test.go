package protocol

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// messageHeapBound is what a peer can make an end keep for messages with the default limits, before the
// application has read anything (chapter 8, section 8.5).
const messageHeapBound = 8 << 20

// hostile gives frames to the receiver of messages, whatever it thinks of them, until it would close the session.
type hostile struct {
	*pair
	messages *messagesState
	pn       uint64
}

// newHostile returns one whose victim has the widest window that it gives away before anything is read.
func newHostile(t *testing.T) *hostile {
	p := connected(t)
	p.ss.streams.handleDataBlocked(p.ss.streams.window.limit)
	p.run(time.Second, nil)
	require.Greater(t, p.ss.streams.window.limit, uint64(2*wire.MaxMessageSize))
	return &hostile{pair: p, messages: p.ss.channels()}
}

func (h *hostile) frame(f interface{ Append([]byte) []byte }) error {
	b := f.Append(nil)
	typ, n := wire.ConsumeFrameType(b)
	h.pn++
	_, err := h.messages.handle(typ, b[n:], &arrival{now: h.now, place: packetPlace{pn: h.pn}})
	return err
}

// spec: MSG-8 MSG-13 MSG-15 MSG-42
func TestAttack26MessagesCostBoundedMemory(t *testing.T) {
	channel := func(i uint64) uint64 { return i % DefaultMaxChannels }
	turn := func(i uint64) uint16 { return uint16(i / DefaultMaxChannels) }
	attacks := map[string]func(i uint64, rng *rand.Rand) wire.Message{
		"half messages": func(i uint64, _ *rand.Rand) wire.Message {
			return wire.Message{Channel: channel(i), Wide: true, Number: turn(i), Fragment: true, Total: 2, Data: []byte("x")}
		},
		"huge totals": func(i uint64, _ *rand.Rand) wire.Message {
			return wire.Message{Channel: channel(i), Wide: true, Number: turn(i), Fragment: true, Total: wire.MaxMessageSize, Data: []byte("x")}
		},
		"whole messages, the first one missing": func(i uint64, _ *rand.Rand) wire.Message {
			return wire.Message{Channel: channel(i), Wide: true, Number: turn(i) + 1}
		},
		"whole messages that nobody reads": func(i uint64, _ *rand.Rand) wire.Message {
			return wire.Message{Channel: channel(i), Wide: true, Number: turn(i), Data: make([]byte, 20)}
		},
		"every second byte": func(i uint64, _ *rand.Rand) wire.Message {
			return wire.Message{Channel: channel(i), Wide: true, Fragment: true, Offset: 2 * uint64(turn(i)), Total: 30_000, Data: []byte("x")}
		},
		"anything": func(_ uint64, rng *rand.Rand) wire.Message {
			size := rng.IntN(100)
			return wire.Message{
				Channel: channel(rng.Uint64()), Wide: true, Number: uint16(rng.IntN(maxSpan)), Fragment: true,
				Offset: uint64(rng.IntN(3) * 100), Total: 300, Data: make([]byte, size+1), HasStamp: true, Stamp: uint16(rng.Uint32()),
			}
		},
	}
	for name, message := range attacks {
		for mode := wire.Unreliable; mode <= wire.ReliableOrdered; mode++ {
			for _, playout := range []uint64{0, wire.MaxDeadlineMillis} {
				e := newHostile(t)
				before := heapNow()
				for i := range uint64(DefaultMaxChannels) {
					require.NoError(t, e.frame(wire.Channel{Channel: i, Mode: mode, DeadlineMillis: playout, PlayoutMillis: playout}))
				}
				rng := rand.New(rand.NewPCG(26, uint64(mode)))
				refused, count := 0, uint64(100_000)
				if name == "half messages" {
					count = 1_000_000
				}
				for i := uint64(0); i < count && refused < 200; i++ {
					m := message(i, rng)
					m.HasStamp = playout > 0
					if e.frame(m) != nil { // the session would be over; go on all the same
						refused++
					}
					if i%4096 == 0 {
						e.now = e.now.Add(time.Millisecond)
						e.messages.timeout(e.now)
					}
				}
				grown := int64(heapNow()) - int64(before)
				require.Less(t, grown, int64(messageHeapBound), "%s, %v", name, mode)
				require.LessOrEqual(t, e.ss.streams.received, e.ss.streams.window.limit)
				runtime.KeepAlive(e)
			}
		}
	}
}

// spec: MSG-10 MSG-13
func TestAttack26SkipsCostNothing(t *testing.T) {
	for mode := wire.Unreliable; mode <= wire.ReliableOrdered; mode++ {
		e := newHostile(t)
		require.NoError(t, e.frame(wire.Channel{Mode: mode}))
		before, used := heapNow(), uint64(0)
		for i := range uint64(1_000_000) {
			if i%2 == 0 {
				used += 2 * messageCharge // two empty messages that never came, if the peer is to be believed
			}
			if err := e.frame(wire.Skip{Next: 2 + i/2*2, Used: used}); err != nil {
				require.ErrorContains(t, err, "beyond the session's limit")
				break
			}
		}
		require.Less(t, int64(heapNow())-int64(before), int64(64<<10), "mode %v", mode)
		runtime.KeepAlive(e)
	}
}

// The worst that one packet of messages can ask for: as many as fit, the last one first, on a channel that holds
// all that it may.
func BenchmarkWorstPacketOfMessages(b *testing.B) {
	limits := wideLimits()
	limits.MaxChannels = 1
	var e *messagesEnd
	pn, next := uint64(0), 0
	take := func(number int) {
		f := wire.Message{Wide: true, Number: uint16(number), HasStamp: true, Data: []byte("x")}
		pn++
		if err := e.messages.handleMessage(&f, &arrival{now: e.now, place: packetPlace{pn: pn}}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if next < 200 {
			b.StopTimer()
			e = newMessagesEnd(b, false, limits)
			if err := e.messages.handleChannel(wire.Channel{Mode: wire.ReliableOrdered, DeadlineMillis: wire.MaxDeadlineMillis}); err != nil {
				b.Fatal(err)
			}
			for n := maxSpan - 1; n > maxSpan/2; n-- {
				take(n)
			}
			next = maxSpan / 2
			b.StartTimer()
		}
		for range 200 { // about as many fit a packet
			take(next)
			next--
			e.messages.deadline()
		}
	}
}
