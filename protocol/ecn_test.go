package protocol

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// ecnPath is an ecnState with n packets sent, marked as it says.
func ecnPath(n int) *ecnState {
	e := &ecnState{}
	e.reset(true)
	e.send(n)
	return e
}

func (e *ecnState) send(n int) {
	for range n {
		if e.mark() == wire.ECT0 {
			e.packetSent()
		}
	}
}

// ack lets an acknowledgement of n marked packets arrive, with counts.
func (e *ecnState) ack(n uint64, counts wire.ECNCounts) uint64 {
	e.acked = n
	return e.validate(&wire.Ack{AckExtras: wire.AckExtras{HasECN: true, ECN: counts}})
}

// spec: REL-25
func TestTheFirstTenPacketsAreMarkedAndTheRestWaitsForTheAnswer(t *testing.T) {
	e := ecnPath(9)
	require.Equal(t, wire.ECT0, e.mark())
	e.send(1)
	require.Equal(t, wire.NotECT, e.mark(), "ten are out")
	e.ack(10, wire.ECNCounts{ECT0: 10})
	require.Equal(t, wire.ECT0, e.mark(), "the path carries marks")
}

func TestMarksCanBeTurnedOff(t *testing.T) {
	e := &ecnState{}
	e.reset(false)
	require.Equal(t, wire.NotECT, e.mark())
	require.Zero(t, e.ack(0, wire.ECNCounts{CE: 5}))
	require.Equal(t, ecnOff, e.phase)
}

func TestNewMarksAreReported(t *testing.T) {
	e := ecnPath(10)
	require.Zero(t, e.ack(4, wire.ECNCounts{ECT0: 4}))
	require.Equal(t, uint64(2), e.ack(4, wire.ECNCounts{ECT0: 6, CE: 2}))
	require.Equal(t, uint64(1), e.ack(2, wire.ECNCounts{ECT0: 7, CE: 3}))
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
	} {
		e := ecnPath(10)
		e.ack(4, wire.ECNCounts{ECT0: 4})
		require.Zero(t, e.ack(test.acked, test.counts), test.name)
		require.Equal(t, ecnFailed, e.phase, test.name)
		require.Equal(t, wire.NotECT, e.mark(), test.name)
		require.Zero(t, e.ack(1, wire.ECNCounts{ECT0: 5, CE: 1}), "%s: failed is for good", test.name)
	}
}

// spec: REL-25
func TestAnAnswerWithoutCountsEndsMarking(t *testing.T) {
	e := ecnPath(3)
	e.acked = 0
	e.validate(&wire.Ack{})
	require.Equal(t, ecnTesting, e.phase, "none of ours was in it")
	e.acked = 1
	e.validate(&wire.Ack{})
	require.Equal(t, ecnFailed, e.phase)
}

// spec: REL-25
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
