package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// spec: FEC-36
func TestRepairKeepsTheSmallerCapOfBothEnds(t *testing.T) {
	for _, caps := range [][2]int{{10, 30}, {30, 10}, {-1, 30}} {
		p := mediaPair(t, func(client, server *Config, _ *EndpointConfig) {
			client.OverheadCap, server.OverheadCap = caps[0], caps[1]
		})
		p.cs.paths.active.loss.rate = lossRate{}
		before := p.cs.Stats().Repair
		expectLoss(p.now, p.cs, 20)
		for n := range 60 {
			p.sendFrame(10*(warmFrames+n), 10)
			p.idle(16 * time.Millisecond)
			expectLoss(p.now, p.cs, 20)
		}
		p.idle(time.Second)
		r := p.cs.Stats().Repair
		share := float64(r.ExtraBytes-before.ExtraBytes) / float64(r.FirstBytes-before.FirstBytes)
		if caps[0] < 0 {
			require.Zero(t, r.Symbols)
			continue
		}
		require.LessOrEqual(t, share, 0.1)
		p.cs.messages.out[media.Channel].books.balance = -1e6 // what is missing has cost too much
		p.sendFrame(10*(warmFrames+60), 10)
		p.cs.repair.send.at(p.cs.repair.send.encoder.Next() - 1).due = true
		p.cs.repair.send.demand(3, 0)
		p.idle(100 * time.Millisecond)
		require.Equal(t, r.Symbols, p.cs.Stats().Repair.Symbols)
		require.Greater(t, share, 0.09, "and it is used")
	}
}

// spec: FEC-36
func TestEachChannelKeepsItsOwnCap(t *testing.T) {
	for _, c := range []struct {
		caps [2]int
		want float64 // of what both send for the first time, half each
	}{
		{[2]int{10, -1}, 0.05},
		{[2]int{10, 10}, 0.10},
		{[2]int{10, 0}, 0.20}, // the session's
		{[2]int{-1, 20}, 0.10},
		{[2]int{100, 10}, 0.20}, // no more than the session's
	} {
		p := mediaPair(t)
		first, second := media, media
		first.Channel, second.Channel = 10, 11
		first.OverheadCap, second.OverheadCap = c.caps[0], c.caps[1]
		var before RepairStats
		for n := range 120 {
			expectLoss(p.now, p.cs, 20) // asks for more than any of the caps
			if n == 60 {                // what was saved up on the way is spent
				before = p.cs.Stats().Repair
			}
			for i := range 10 {
				p.sendMessage(p.cs, numbered(10*n+i, 1000), first)
				p.sendMessage(p.cs, numbered(10*n+i, 1000), second)
			}
			p.idle(16 * time.Millisecond)
		}
		r := p.cs.Stats().Repair
		share := float64(r.ExtraBytes-before.ExtraBytes) / float64(r.FirstBytes-before.FirstBytes)
		require.LessOrEqual(t, share, c.want, "caps %d", c.caps)
		require.Greater(t, share, 0.85*c.want, "caps %d", c.caps)
	}
}

// A session that rests forgets the code, and the part of a symbol that is owed: else the channel would pay for it with
// the next one.
func TestChannelsOweWhatTheSenderOwesAfterARest(t *testing.T) {
	p := mediaPair(t)
	c := p.cs.messages.out[media.Channel]
	for n := range 3 {
		expectLoss(p.now, p.cs, 20)
		p.sendFrame(10*(warmFrames+n), 10)
		p.idle(16 * time.Millisecond)
		require.Positive(t, c.books.owed)
		require.InDelta(t, p.cs.repair.send.owed, c.books.owed, 1e-9)
		p.idle(2 * restAfter)
		require.Nil(t, p.cs.repair.send, "the session rests")
	}
}
