package protocol

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/wire"
)

// ecnPath is an ecnState with n packets sent for a controller that answers marks like loss.
func ecnPath(n int) *ecnState {
	e := &ecnState{}
	e.start(true)
	e.send(n, congestion.MarkClassic)
	return e
}

func (e *ecnState) send(n int, how congestion.Marking) {
	for range n {
		if mark := e.mark(how); mark != wire.NotECT {
			e.packetSent(mark)
		}
	}
}

// ack lets an acknowledgement of n packets with ECT(0) arrive, with counts.
func (e *ecnState) ack(n uint64, counts wire.ECNCounts) uint64 {
	return e.ackBoth(n, 0, counts)
}

// ackBoth acknowledges n0 packets with ECT(0) and n1 with ECT(1).
func (e *ecnState) ackBoth(n0, n1 uint64, counts wire.ECNCounts) uint64 {
	e.acked = wire.ECNCounts{ECT0: n0, ECT1: n1}
	return e.validate(&wire.Ack{AckExtras: wire.AckExtras{HasECN: true, ECN: counts}})
}

// spec: REL-40
func TestTheFirstTenPacketsAreMarkedAndTheRestWaitsForTheAnswer(t *testing.T) {
	e := ecnPath(9)
	require.Equal(t, wire.ECT0, e.mark(congestion.MarkClassic))
	e.send(1, congestion.MarkClassic)
	require.Equal(t, wire.NotECT, e.mark(congestion.MarkClassic), "ten are out")
	e.ack(10, wire.ECNCounts{ECT0: 10})
	require.Equal(t, wire.ECT0, e.mark(congestion.MarkClassic), "the path carries marks")
}

func TestMarksCanBeTurnedOff(t *testing.T) {
	e := &ecnState{}
	e.start(false)
	require.Equal(t, wire.NotECT, e.mark(congestion.MarkClassic))
	require.Zero(t, e.ack(0, wire.ECNCounts{CE: 5}))
	e.moved()
	require.Equal(t, ecnOff, e.phase)
}

// spec: REL-41
func TestTheControllerSaysWhichMarkItAnswers(t *testing.T) {
	e := ecnPath(0)
	require.Equal(t, wire.ECT0, e.mark(congestion.MarkClassic))
	require.Equal(t, wire.ECT1, e.mark(congestion.MarkL4S))
	require.Equal(t, wire.NotECT, e.mark(congestion.MarkNone))
}

func TestNewMarksAreReported(t *testing.T) {
	e := ecnPath(10)
	require.Zero(t, e.ack(4, wire.ECNCounts{ECT0: 4}))
	require.Equal(t, 4, e.ackedMarks())
	require.Equal(t, uint64(2), e.ack(4, wire.ECNCounts{ECT0: 6, CE: 2}))
	require.Equal(t, uint64(1), e.ack(2, wire.ECNCounts{ECT0: 7, CE: 3}))
	require.Equal(t, ecnCapable, e.phase)
}

func TestBothMarksMayBeOnTheirWayAtOnce(t *testing.T) {
	e := ecnPath(0)
	e.send(6, congestion.MarkL4S)
	e.send(4, congestion.MarkClassic)
	require.Equal(t, uint64(1), e.ackBoth(0, 5, wire.ECNCounts{ECT1: 4, CE: 1}))
	require.Equal(t, uint64(2), e.ackBoth(3, 1, wire.ECNCounts{ECT0: 2, ECT1: 4, CE: 3}))
	require.Equal(t, 4, e.ackedMarks())
	require.Equal(t, ecnCapable, e.phase)
}

// spec: REL-25
func TestCountsThatCannotBeTrueEndMarking(t *testing.T) {
	for _, test := range []struct {
		name   string
		acked  uint64
		counts wire.ECNCounts
	}{
		{"fewer than were acknowledged: the path removes marks", 5, wire.ECNCounts{ECT0: 8}},
		{"a count that went back", 0, wire.ECNCounts{ECT0: 3}},
		{"a mark that was never sent", 1, wire.ECNCounts{ECT0: 5, ECT1: 1}},
		{"more than were sent", 1, wire.ECNCounts{ECT0: 11}},
		{"more in sum than were sent", 1, wire.ECNCounts{ECT0: 8, CE: 8}},
		{"an overflowing sum", 1, wire.ECNCounts{ECT0: 5, CE: ^uint64(0)}},
		{"an overflow of all", 1, wire.ECNCounts{ECT0: ^uint64(0), ECT1: ^uint64(0), CE: ^uint64(0)}},
	} {
		e := ecnPath(10)
		e.ack(4, wire.ECNCounts{ECT0: 4})
		require.Zero(t, e.ack(test.acked, test.counts), test.name)
		require.Equal(t, ecnFailed, e.phase, test.name)
		require.Equal(t, wire.NotECT, e.mark(congestion.MarkClassic), test.name)
		require.Zero(t, e.ack(1, wire.ECNCounts{ECT0: 5, CE: 1}), "%s: failed is for good", test.name)
		require.Zero(t, e.ackedMarks(), test.name)
	}
}

// spec: REL-25
func TestAMarkThatTurnsIntoTheOtherEndsMarking(t *testing.T) {
	e := ecnPath(0)
	e.send(5, congestion.MarkL4S)
	e.send(5, congestion.MarkClassic)
	e.ackBoth(0, 2, wire.ECNCounts{ECT1: 2})
	require.Equal(t, ecnCapable, e.phase)
	require.Zero(t, e.ackBoth(2, 0, wire.ECNCounts{ECT1: 4}))
	require.Equal(t, ecnFailed, e.phase, "the sum is right, the kinds are not")
}

// spec: REL-25
func TestAnAnswerWithoutCountsEndsMarking(t *testing.T) {
	e := ecnPath(3)
	e.validate(&wire.Ack{})
	require.Equal(t, ecnTesting, e.phase, "none of ours was in it")
	e.acked.ECT0 = 1
	e.validate(&wire.Ack{})
	require.Equal(t, ecnFailed, e.phase)
}

// spec: REL-40
func TestAPathThatDropsWhatIsMarkedGetsNoMarks(t *testing.T) {
	e := ecnPath(10)
	for range 9 {
		e.packetLost()
	}
	require.Equal(t, ecnUnknown, e.phase)
	e.packetLost()
	require.Equal(t, ecnFailed, e.phase, "all ten died")

	e = ecnPath(10)
	e.ack(1, wire.ECNCounts{ECT0: 1})
	for range 100 {
		e.packetLost()
	}
	require.Equal(t, ecnCapable, e.phase, "one arrived: the others died of something else")
}

// spec: REL-40
func TestAPathThatSetsCEOnEverythingIsNotBelieved(t *testing.T) {
	e := ecnPath(10)
	require.Zero(t, e.ack(6, wire.ECNCounts{CE: 6}), "not yet")
	e.packetLost()
	require.Equal(t, ecnUnknown, e.phase)
	require.Zero(t, e.ack(3, wire.ECNCounts{CE: 9}))
	require.Equal(t, ecnFailed, e.phase)

	e = ecnPath(10)
	require.Zero(t, e.ack(6, wire.ECNCounts{CE: 6}))
	require.Equal(t, uint64(8), e.ack(3, wire.ECNCounts{ECT0: 1, CE: 8}), "one kept its mark: all count")
	require.Equal(t, ecnCapable, e.phase)
}

// spec: REL-40
func TestMarksOnEveryPacketForManyRoundTripsAreMadeUp(t *testing.T) {
	e := ecnPath(10)
	e.ack(10, wire.ECNCounts{ECT0: 10})
	e.round()
	counts := wire.ECNCounts{ECT0: 10}
	forge := func(rounds int) {
		for range rounds {
			e.send(4, congestion.MarkClassic)
			counts.CE += 4
			require.Equal(t, uint64(4), e.ack(4, counts), "the controller hears of them")
			e.round()
		}
	}
	forge(ecnForgedRounds - 1)
	e.round() // nothing was acknowledged: says nothing
	require.Equal(t, ecnCapable, e.phase)

	e.send(4, congestion.MarkClassic)
	counts.CE += 3
	counts.ECT0++
	e.ack(4, counts)
	e.round()
	forge(ecnForgedRounds - 1)
	require.Equal(t, ecnCapable, e.phase, "a packet that kept its mark: it was a queue")
	e.send(4, congestion.MarkClassic)
	counts.CE += 4
	e.ack(4, counts)
	e.round()
	require.Equal(t, ecnFailed, e.phase)
}

// spec: REL-31
func TestMarksGoOnAfterThePathMoved(t *testing.T) {
	e := ecnPath(10)
	e.ack(10, wire.ECNCounts{ECT0: 10})
	e.send(20, congestion.MarkClassic)
	e.moved()
	require.Equal(t, ecnTesting, e.phase)
	e.acked = wire.ECNCounts{}
	e.absorb(&wire.Ack{AckExtras: wire.AckExtras{HasECN: true, ECN: wire.ECNCounts{ECT0: 15, CE: 3}}})
	require.Equal(t, ecnTesting, e.phase)

	e.send(10, congestion.MarkClassic)
	// Seven more of the old path and three of the new one.
	require.Zero(t, e.ack(3, wire.ECNCounts{ECT0: 25, CE: 3}))
	require.Equal(t, ecnCapable, e.phase)
	require.Zero(t, e.ack(2, wire.ECNCounts{ECT0: 27, CE: 3}))
	require.Equal(t, ecnCapable, e.phase)
	e.ack(2, wire.ECNCounts{ECT0: 28, CE: 3})
	require.Equal(t, ecnFailed, e.phase, "one mark was removed")
}

// spec: REL-31
func TestMarksOfTheOldPathAreNoCongestionOfTheNew(t *testing.T) {
	e := ecnPath(10)
	e.ack(10, wire.ECNCounts{ECT0: 10})
	e.send(20, congestion.MarkClassic)
	e.moved()
	e.send(1, congestion.MarkClassic)
	require.Equal(t, uint64(1), e.ack(1, wire.ECNCounts{ECT0: 11, CE: 20}), "at most the one that is acknowledged now")
}
