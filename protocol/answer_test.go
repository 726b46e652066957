package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// question is a pair at whose server 100 bytes of stream 0 have just come, which asked for an acknowledgement.
func question(t *testing.T) *pair {
	p := newPair(t)
	p.connect()
	p.transfer(p.cs.Stream0(), func() *Stream { return p.ss.Stream0() }, 1<<20, false) // and the path is known
	p.run(2*time.Second, nil)
	p.putQuestion()
	return p
}

func (p *pair) putQuestion() {
	_, err := p.cs.Stream0().Write(make([]byte, 100))
	require.NoError(p.t, err)
	p.drainSession(p.cs, true)
	p.now = p.now.Add(p.delay)
	p.deliver()
	require.True(p.t, p.ss.Stream0().Readable())
}

// datagrams drains a session and returns how many datagrams it had.
func (p *pair) datagrams(s *Session) (n int) {
	for {
		if _, _, ok := s.AppendDatagram(p.now, nil); !ok {
			return n
		}
		n++
	}
}

// spec: REL-43
func TestAnAnswerTakesTheAcknowledgementAlong(t *testing.T) {
	p := question(t)
	require.True(t, p.ss.OwesAck())
	require.True(t, p.ss.CanWait(), "its owner may wait for what the reader says")
	_, err := p.ss.Stream0().Write([]byte("an answer"))
	require.NoError(t, err)
	require.False(t, p.ss.CanWait(), "the reader has said it")
	require.Equal(t, 1, p.datagrams(p.ss))
	require.False(t, p.ss.OwesAck())
}

// spec: REL-43
func TestAnAcknowledgementWaitsForNoAnswerLongerThanPromised(t *testing.T) {
	p := question(t)
	at, why := p.ss.NextTimeout()
	require.Equal(t, TimerAck, why)
	require.Equal(t, defaultAckDelay, at.Sub(p.now))
	p.now = at
	p.ss.HandleTimeout(p.now)
	require.Equal(t, 1, p.datagrams(p.ss))
	require.False(t, p.ss.OwesAck())

	p.putQuestion()
	require.Equal(t, 1, p.datagrams(p.ss), "an owner that does not wait sends it at once")
}

// spec: REL-43
func TestOnlyAnAcknowledgementThatIsNoNewsMayWait(t *testing.T) {
	for _, test := range []struct {
		why string
		do  func(p *pair)
	}{
		{"a packet is missing", func(p *pair) { p.ss.paths.active.acks.receive(p.now, 1<<20, true, false, 0) }},
		{"many packets have come", func(p *pair) { p.ss.paths.active.acks.waiting = ackPackets }},
		{"there is data to send", func(p *pair) { _, _ = p.ss.Stream0().Write([]byte("more")) }},
		{"a probe is due", func(p *pair) { p.ss.paths.active.loss.probesWanted = 1 }},
		{"an address is to be answered", func(p *pair) { p.ss.paths.active.handleChallenge(p.ss.paths.active.addr, [8]byte{1}) }},
		{"the session is being closed", func(p *pair) { p.ss.Shutdown(p.now); p.datagrams(p.ss) }},
		{"the session ends", func(p *pair) { p.ss.CloseWithError(p.now, 1, "") }},
	} {
		p := question(t)
		test.do(p)
		require.False(t, p.ss.CanWait(), test.why)
	}
}
