package protocol

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// sharing is an end with a stream that has much to send, and a program that sends unreliable messages beside it.
type sharing struct {
	*messagesEnd
	t              *testing.T
	stream         *Stream
	options        MessageOptions
	messages, data int // bytes that left
}

func newSharing(t *testing.T) *sharing {
	limits := wideLimits()
	limits.MaxChannels, limits.MaxMessageSize = 4, 1<<20
	s := &sharing{messagesEnd: newMessagesEnd(t, true, limits), t: t}
	s.options = MessageOptions{Channel: 1, Mode: wire.Unreliable, Priority: defaultPriority}
	s.stream = s.openStream(true)
	writeStream(t, s.stream, make([]byte, 4*testPacket))
	return s
}

// give queues n messages of size bytes.
func (s *sharing) give(n, size int) {
	s.t.Helper()
	for range n {
		require.NoError(s.t, s.messagesEnd.messages.send(s.now, make([]byte, size), &s.options))
	}
}

// send makes a packet and returns how many messages, or parts of them, it has. The stream never runs dry.
func (s *sharing) send() (n int) {
	s.t.Helper()
	before := s.data
	defer func() { writeStream(s.t, s.stream, make([]byte, s.data-before)) }()
	p := s.packet(testPacket)
	defer s.fate(p, true, false)
	for _, f := range framesOf(s.t, p.data) {
		switch f := f.(type) {
		case wire.StreamFrame:
			s.data += len(f.Data)
		case wire.Message:
			s.messages += len(f.Data)
			n++
		}
	}
	return n
}

func TestMessagesThatAreNotSentAgainShareWithStreams(t *testing.T) { // spec: MSG-20
	for _, size := range []int{20, 300, 1000, 20_000} {
		for weight, share := range map[uint16]float64{4: 0.25, 16: 1, 64: 4} {
			s := newSharing(t)
			s.give(1, size)
			s.messagesEnd.messages.out[1].weight = weight
			for range 2000 {
				if s.messagesEnd.messages.out[1].held() < 4*testPacket {
					s.give(1+4*testPacket/size, size)
				}
				s.send()
			}
			got := float64(s.messages) / float64(s.data)
			require.InEpsilon(t, share, got, 0.25, "messages of %d bytes, weight %d", size, weight) // headers count too
		}
	}
}

func TestAMessageNowAndThenGoesFirst(t *testing.T) { // spec: MSG-20
	s := newSharing(t)
	for range 50 {
		for range 3 {
			require.Zero(t, s.send())
		}
		s.give(3, 300)
		require.Equal(t, 3, s.send())
	}
}

// A program that never lets its queue grow must not be ahead of streams for that.
func TestPulsesOfMessagesDoNotStarveStreams(t *testing.T) { // spec: MSG-20
	s := newSharing(t)
	for range 1000 {
		if s.messagesEnd.messages.out[1] == nil || s.messagesEnd.messages.out[1].held() == 0 {
			s.give(1, 1000)
		}
		s.send()
	}
	require.InEpsilon(t, 1, float64(s.messages)/float64(s.data), 0.2)
}

func TestNeitherSideCollectsMoreThanATurn(t *testing.T) { // spec: MSG-20
	const turn = defaultWeight * turnPerWeight
	s := newSharing(t)
	for range 200 { // the stream is alone
		s.send()
	}
	s.data = 0
	for s.give(1, 1000); s.send() > 0; {
		s.give(1, 1000)
	}
	require.InDelta(t, turn, s.messages-s.data, 2*testPacket)

	s = newSharing(t)
	for s.hasData() {
		s.fate(s.packet(testPacket), true, false)
	}
	s.give(200, 1000) // messages are alone
	for range 150 {
		s.fate(s.packet(testPacket), true, false)
	}
	writeStream(t, s.stream, make([]byte, 8*testPacket))
	for s.send() == 0 {
	}
	require.InDelta(t, turn, s.data, 2*testPacket)
}

func TestMessagesGoOnWhileTheSessionsLimitHoldsStreamsBack(t *testing.T) { // spec: MSG-20
	s := newSharing(t)
	s.max = 0
	s.stream.SetPriority(200)
	for range 50 {
		s.give(1, 1000)
		require.Equal(t, 1, s.send())
	}
	require.Zero(t, s.data)
}
