package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// spec: REL-46
func TestMessagesWithADeadlineMayExceedTheFirstWindows(t *testing.T) {
	room := func(s *sender) (n int) {
		for ok, _ := s.l.canSend(s.now, testSize, sendLatency); ok; ok, _ = s.l.canSend(s.now, testSize, sendLatency) {
			s.sendUrgent()
			n++
		}
		return n
	}
	full := func() *sender {
		s := newSender(t)
		s.cc.size = 10 * testSize
		s.send(10, 0)
		return s
	}
	s := full()
	s.l.expiring = true
	require.Equal(t, startPackets, room(s))

	s = full()
	require.Equal(t, latencyPackets, room(s), "no deadline")

	s = full()
	s.l.expiring = true
	s.l.stats.packetsAcked = startAcked
	require.Equal(t, latencyPackets, room(s), "the window knows the path")

	s = full()
	s.l.expiring = true
	s.l.stats.persistent = 1
	require.Equal(t, latencyPackets, room(s), "nothing got through for long")

	s = newSender(t)
	s.cc.size = 100 * testSize
	s.cc.rate = 1e6 // bytes a second
	s.l.updatePace()
	s.l.expiring = true
	for begin := s.now; s.now.Sub(begin) < 10*time.Millisecond; s.now++ {
		if ok, _ := s.l.canSend(s.now, testSize, sendLatency); ok {
			s.sendUrgent()
		} else {
			s.now = s.now.Add(10 * time.Microsecond)
		}
	}
	require.InDelta(t, startDebit*1e4, s.l.bytesInFlight, (2*startDebit*float64(paceQuantumPackets)+1)*testSize, "at twice the rate")
}

// thrifty are messages that a round trip of 20 ms lets be sent again once.
var thrifty = MessageOptions{Channel: 3, Mode: wire.ReliableOrdered, Deadline: 35 * time.Millisecond, Goal: Economy}

// spec: FEC-38
func TestAMessageOfWhichNothingIsKnownHasALastChance(t *testing.T) {
	p := connected(t)
	p.idle(time.Second)
	expectLoss(p.now, p.cs, 20)
	p.sendMessage(p.cs, numbered(0, 100), thrifty)
	p.losing(0) // and nothing comes behind it
	p.idle(time.Second)
	st := p.cs.Stats().Messages
	require.EqualValues(t, 1, st.Acknowledged)
	require.NotZero(t, st.Retransmitted)

	p.filter = nil
	p.sendMessage(p.cs, numbered(1, 100), thrifty)
	p.idle(time.Second)
	require.Equal(t, st.Retransmitted, p.cs.Stats().Messages.Retransmitted, "it has arrived")
	require.EqualValues(t, 2, p.cs.Stats().Messages.Acknowledged)
}

// spec: FEC-39
func TestWhatLeavesTooLateToBeSentAgainIsCoded(t *testing.T) {
	p := connected(t, func(client, server *Config, _ *EndpointConfig) {
		client.MaxDatagram, server.MaxDatagram = 1452, 1452 // a packet has one message
	})
	p.idle(time.Second)
	l := &p.cs.paths.active.loss
	l.cc = &fixedController{size: 20 * 1452, rate: 1e9}
	l.updatePace()
	l.stats.packetsAcked = startAcked // no allowance
	expectLoss(p.now, p.cs, 20)
	for n := range 40 {
		p.sendMessage(p.cs, numbered(n, 1000), thrifty)
	}
	p.drain()
	early := p.cs.messages.out[thrifty.Channel].sendAt
	require.Less(t, early, uint64(40), "the window is full")
	require.Nil(t, p.cs.repair.send, "what left can be sent again")
	base := p.count[0]
	p.filter = func(toServer bool, n int, _ []byte) int {
		if toServer && n == base+2 {
			return 0
		}
		return 1
	}
	p.idle(time.Second)
	st := p.cs.Stats()
	require.Equal(t, 40-early, st.Repair.Covered)
	require.EqualValues(t, 1, st.Repair.Recovered)
	require.EqualValues(t, 40, st.Messages.Acknowledged)
}

// spec: FEC-31
func TestSymbolsPassMessagesOnlyAtTheStartAndBeforeTheyAreOfNoUse(t *testing.T) {
	p := mediaPair(t)
	p.sendFrame(10*warmFrames, 10)
	p.drain()
	r, l := p.cs.repair.send, &p.cs.paths.active.loss
	p.cs.oweNothing()
	books := &p.cs.messages.out[media.Channel].books
	books.balance = 1e6
	r.owed, books.owed = 2, 2
	r.from = r.encoder.Next() - (coverSpan - pressingSpan)
	require.False(t, p.cs.repairPresses(), "the path is known")
	l.expiring, l.stats.packetsAcked = true, 0
	require.True(t, p.cs.repairPresses())
	r.from++
	require.False(t, p.cs.repairPresses(), "there is still time")
	r.from--
	p.now = p.now.Add(symbolPatience) // the pacer has credit
	p.sendMessage(p.cs, numbered(10*warmFrames+10, 1000), media)
	sent := p.cs.Stats().Repair.Symbols
	b, _, ok := p.cs.AppendDatagram(p.now, nil)
	require.True(t, ok)
	require.NotEmpty(t, b)
	require.Equal(t, sent+1, p.cs.Stats().Repair.Symbols)
	require.True(t, p.cs.streams.hasLatencyData())
}

// spec: FEC-36
func TestTheFirstLossesOfAVoiceAreRepairedOnCredit(t *testing.T) {
	p := connected(t)
	p.idle(time.Second)
	expectLoss(p.now, p.cs, 20)
	for n := range 10 {
		p.sendMessage(p.cs, numbered(n, 100), thrifty)
		p.losing(0)
		p.idle(100 * time.Millisecond)
	}
	st := p.cs.Stats()
	require.GreaterOrEqual(t, st.Repair.Doubled, uint64(5))
	require.LessOrEqual(t, float64(st.Repair.ExtraBytes), 0.3*lentBytes+float64(st.Repair.FirstBytes), "not without bound")
	p.filter = nil
}
