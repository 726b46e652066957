package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

var (
	gameInput    = MessageOptions{Mode: wire.ReliableOrdered, Tag: 1}
	gameSnapshot = MessageOptions{Mode: wire.Sequenced}
)

// game has both ends send a message every period, the client half a period after the server.
type game struct {
	*pair
	period       time.Duration
	tick         int
	inputs       int
	noInputs     bool
	noSnapshots  bool
	got          map[uint16]mail // inputs at the server
	seen         map[uint16]mail // snapshots at the client
	input        MessageOptions
	datagramsWas [2]int
}

func newGame(t *testing.T, period time.Duration) *game {
	g := &game{pair: connected(t), period: period, got: map[uint16]mail{}, seen: map[uint16]mail{}, input: gameInput}
	g.play(2 * time.Second) // what belongs to a new path is over, and the rhythm is known
	return g
}

// half plays half a period.
func (g *game) half() {
	g.tick++
	switch {
	case g.tick%2 == 0 && !g.noSnapshots:
		g.sendMessage(g.ss, numbered(g.tick, 300), gameSnapshot)
	case g.tick%2 == 1 && !g.noInputs:
		g.sendMessage(g.cs, numbered(g.inputs, 32), g.input)
		g.inputs++
	}
	g.run(g.period/2, nil)
	collect(g.ss, g.got)
	collect(g.cs, g.seen)
	outcomesOf(g.cs)
}

func (g *game) play(d time.Duration) {
	for range int(2 * d / g.period) {
		g.half()
	}
}

// datagramsSince returns how many datagrams went each way since it was asked last.
func (g *game) datagramsSince() (up, down int) {
	was := g.datagramsWas
	g.datagramsWas = g.count
	return g.count[0] - was[0], g.count[1] - was[1]
}

// spec: REL-44 REL-45
func TestAcknowledgementsOfAGameRideOnItsMessages(t *testing.T) {
	for _, period := range []time.Duration{time.Second / 60, time.Second / 20} {
		g := newGame(t, period)
		probes := g.cs.Stats().ProbeTimeouts + g.ss.Stats().ProbeTimeouts
		g.datagramsSince()
		const length = 30 * time.Second
		g.play(length)
		messages := int(length / period)
		up, down := g.datagramsSince()
		checks := int(length / rideCheck)
		require.InDelta(t, messages+checks, up, float64(checks), period)
		require.InDelta(t, messages+checks, down, float64(checks), period)
		require.Equal(t, probes, g.cs.Stats().ProbeTimeouts+g.ss.Stats().ProbeTimeouts, "nothing was missed")
		require.Zero(t, g.cs.Stats().PacketsLost+g.ss.Stats().PacketsLost)
		for _, s := range []*Session{g.cs, g.ss} {
			require.InDelta(t, float64(2*g.delay), float64(s.Stats().RTT), float64(g.delay/10), "what was held back is not the path's")
			require.InDelta(t, float64(2*g.delay), float64(s.Stats().MinRTT), float64(g.delay/10))
		}
		require.Len(t, g.got[0], g.inputs)
	}
}

// spec: REL-44
func TestAMessageAfterWhichNoneFollowsIsAcknowledgedAtOnce(t *testing.T) {
	g := newGame(t, 50*time.Millisecond)
	g.noInputs = true
	g.play(time.Second)
	g.run(7*time.Millisecond, nil)
	outcomesOf(g.cs)
	start := g.now
	g.sendMessage(g.cs, numbered(g.inputs, 32), gameInput)
	g.drain()
	require.True(t, g.run(time.Second, func() bool { return len(outcomesOf(g.cs)) == 1 }))
	require.Equal(t, 2*g.delay, g.now.Sub(start))
}

// spec: REL-44 MSG-18
func TestAnEndThatSendsNoMessagesAcknowledgesThemAtOnce(t *testing.T) {
	g := newGame(t, 50*time.Millisecond)
	g.noSnapshots = true
	g.play(time.Second)
	start := g.now
	g.sendMessage(g.cs, numbered(g.inputs, 32), gameInput)
	g.drain()
	require.True(t, g.run(time.Second, func() bool { return len(outcomesOf(g.cs)) == 1 }))
	require.Equal(t, 2*g.delay, g.now.Sub(start))
}

// spec: REL-44
func TestALostInputOfAGameIsMissedWithTheNextOne(t *testing.T) {
	g := newGame(t, 50*time.Millisecond)
	lost := -1
	g.filter = func(toServer bool, n int, _ []byte) int {
		if toServer && lost < 0 {
			lost = n
			return 0
		}
		return 1
	}
	g.half()
	for g.tick%2 == 1 || lost < 0 {
		g.half()
	}
	before := g.inputs
	start := g.now // half a period after the input that is lost
	require.True(t, g.run(time.Second, func() bool {
		if g.now.Sub(start) >= g.period/2 && g.inputs == before {
			g.sendMessage(g.cs, numbered(g.inputs, 32), gameInput)
			g.inputs++
		}
		collect(g.ss, g.got)
		return len(g.got[0]) == g.inputs && g.inputs > before
	}))
	require.LessOrEqual(t, g.now.Sub(start), g.period/2+3*g.delay+5*time.Millisecond, "the gap was told at once, and filled")
}

// spec: REL-44
func TestNoAcknowledgementRidesForLongerThanPromised(t *testing.T) {
	p := connected(t)
	for range 3 { // what belongs to a new path is over
		p.sendMessage(p.cs, []byte("x"), gameSnapshot)
		p.run(200*time.Millisecond, nil)
	}
	probes := p.cs.Stats().ProbeTimeouts
	start := p.now
	o := gameSnapshot
	o.Tag = 1
	p.sendMessage(p.cs, []byte("x"), o)
	p.drain()
	require.True(t, p.run(time.Second, func() bool { return len(outcomesOf(p.cs)) == 1 }))
	require.Equal(t, 2*p.delay+rideDelay, p.now.Sub(start))
	require.Equal(t, probes, p.cs.Stats().ProbeTimeouts, "its sender has waited")

	start = p.now
	for n := range ridePackets + 1 { // too many to let their sender wait
		p.run(time.Millisecond, nil)
		p.sendMessage(p.cs, []byte{byte(n)}, o)
	}
	require.True(t, p.run(time.Second, func() bool { return len(outcomesOf(p.cs)) > 0 }))
	require.Less(t, p.now.Sub(start), 3*p.delay+time.Duration(ridePackets+1)*time.Millisecond)
}

// spec: REL-44
func TestWherePacketsAreLostInputsAreAcknowledgedAtOnce(t *testing.T) {
	g := newGame(t, 50*time.Millisecond)
	n := 0
	g.filter = func(toServer bool, _ int, _ []byte) int {
		if n++; toServer && n%15 == 0 {
			return 0
		}
		return 1
	}
	g.play(10 * time.Second)
	g.filter = nil
	g.datagramsSince()
	g.play(time.Second)
	_, down := g.datagramsSince()
	require.GreaterOrEqual(t, down, 35, "20 snapshots, and an acknowledgement of each input")
}

// spec: REL-45
func TestAPeerMayNotClaimToHaveHeldBackWhatItMayNot(t *testing.T) {
	for rides, want := range map[bool]time.Duration{false: testAckDelay, true: rideDelay} {
		s := newSender(t)
		pn := s.sendPacket(testSize, func(p *sentPacket) { p.rides = rides })
		s.advance(testRTT + 400*time.Millisecond)
		ack := wire.Ack{Largest: pn, DelayMicros: 400_000}
		require.NoError(t, s.l.handleAck(s.now, &ack, testAckDelay, s))
		require.Equal(t, testRTT+(400*time.Millisecond-want)/8, s.l.rtt.smoothed)
	}
}
