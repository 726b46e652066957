package protocol

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// FuzzMessageFrames gives one end arbitrary frames about messages, in packets in any order, while its
// application sends and receives, time passes, and its own packets are acknowledged or lost. Whatever comes,
// the books stay in order, memory stays bounded, and the only outcome but going on is a transport error.
// Octets of applicationMask between the frames drive all that.
func FuzzMessageFrames(f *testing.F) {
	announce := func(mode wire.Mode, deadline, playout uint64) []byte {
		return wire.Channel{Channel: 1, Mode: mode, Priority: 128, DeadlineMillis: deadline, PlayoutMillis: playout}.Append(nil)
	}
	whole := func(number uint16, stamp bool) []byte {
		return wire.Message{Channel: 1, Number: number, HasStamp: stamp, Stamp: 1000, Data: []byte("hello")}.Append(nil)
	}
	part := func(number uint16, offset uint64) []byte {
		return wire.Message{Channel: 1, Wide: true, Number: number, Fragment: true, Offset: offset, Total: 10, Data: []byte("hello")}.Append(nil)
	}
	for mode := wire.Unreliable; mode <= wire.ReliableOrdered; mode++ {
		for _, deadline := range []uint64{0, 50, 51} {
			seed := announce(mode, deadline, deadline%50*70)
			for n := range uint16(6) {
				seed = append(seed, whole(n*2, deadline > 0)...)
				seed = append(seed, byte(applicationMask|n))
				seed = append(seed, part(n*2+1, 5)...)
				seed = append(seed, byte(applicationMask|(n+8)))
			}
			seed = append(seed, part(3, 0)...)
			seed = append(seed, wire.Skip{Channel: 1, Next: 6, Used: 6 * (5 + messageCharge)}.Append(nil)...)
			seed = append(seed, whole(200, false)...)
			seed = append(seed, wire.ChannelReport{Channel: uint64(mode), Arrived: 1, Margin: [wire.TimeBuckets]uint64{3: 1}}.Append(nil)...)
			f.Add(append(seed, wire.Skip{Channel: 1, Next: 300, Used: 9999}.Append(nil)...))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		e := newMessagesEnd(t, true, messageLimits())
		if err := fuzzMessages(e, in); err != nil {
			var te *TransportError
			require.True(t, errors.As(err, &te), "an error of another kind: %v", err)
			e.fail(err)
			e.messages.fail()
			require.Zero(t, e.messages.partial)
			require.Zero(t, e.messages.gaps)
		}
		m := e.messages
		limits := messageLimits()
		held, partial := m.inbox.lanes[0].data.memory()+m.inbox.lanes[1].data.memory(), waiting(t, m)
		for lane := range m.playing {
			for _, h := range m.playing[lane].items {
				held += h.parts.memory() + len(h.whole)
				require.LessOrEqual(t, h.play.Sub(e.now), maxDeadline+clockJump)
			}
		}
		for _, c := range m.inOrder {
			require.LessOrEqual(t, len(c.uses), maxSpan)
			for _, h := range heldOf(t, c) {
				held += h.parts.memory() + len(h.whole)
				if !reliable(c.mode) {
					partial += h.total + messageCharge
				}
			}
		}
		require.Equal(t, partial, m.partial)
		require.LessOrEqual(t, m.inbox.lanes[unreliableLane].held()+m.partial, int(limits.MessageBuffer))
		window := int(e.received - e.window.consumed)
		require.LessOrEqual(t, held, 2*(window+int(limits.MessageBuffer))+4*blockSize)
		require.LessOrEqual(t, e.received, e.window.limit)
		require.LessOrEqual(t, e.window.consumed, e.received)
		require.LessOrEqual(t, len(m.in), int(limits.MaxChannels))
		for _, _, ok := m.receive(nil); ok; _, _, ok = m.receive(nil) {
		}
		require.LessOrEqual(t, e.window.consumed, e.received)
	})
}

// fuzzMessages takes a mix of frames and steps. Every other frame comes in a packet older than the last one.
func fuzzMessages(e *messagesEnd, in []byte) error {
	var flight messagePacket
	for pn := uint64(100); len(in) > 0; pn++ {
		if in[0]&applicationMask == applicationMask {
			flight = fuzzMessageStep(e, in[0]&^applicationMask, flight)
			in = in[1:]
			continue
		}
		typ, n := wire.ConsumeFrameType(in)
		if n < 0 {
			return nil
		}
		in = in[n:]
		if !wire.IsMessageFrame(typ) || typ > wire.FrameSkip {
			continue
		}
		a := arrival{now: e.now, place: packetPlace{pn: pn ^ pn&1*64}}
		used, err := e.messages.handle(typ, in, &a)
		if err != nil || used < 0 {
			return err
		}
		in = in[used:]
	}
	return nil
}

func fuzzMessageStep(e *messagesEnd, step byte, flight messagePacket) messagePacket {
	switch step & 7 {
	case 0, 1:
		mode := wire.Mode(step >> 3)
		_ = e.messages.send(e.now, pattern(0, int(step)*60), &MessageOptions{Channel: uint16(mode), Mode: mode, Tag: 1})
	case 2, 3:
		e.messages.receive(nil)
	case 4:
		e.fate(flight, false, step&8 != 0)
		return e.packet(testPacket)
	case 5:
		e.fate(flight, true, false)
		return e.packet(testPacket)
	default:
		e.advance(time.Duration(step) * 5 * time.Millisecond)
		e.messages.timeout(e.now)
	}
	return flight
}
