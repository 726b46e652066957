package protocol

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// busyStreams returns a client with n streams that have much to send, and no limits in the way.
func busyStreams(t *testing.T, n int) (*streamsEnd, []*Stream) {
	client, _ := newStreamsEnds(t, wideLimits())
	streams := make([]*Stream, n)
	for i := range streams {
		streams[i] = client.openStream(true)
		writeStream(t, streams[i], make([]byte, 200_000))
	}
	return client, streams
}

// sendShares makes packets and returns how many bytes of data each stream got into them.
func sendShares(t *testing.T, e *streamsEnd, packets, size int) map[uint64]int {
	got := map[uint64]int{}
	for range packets {
		for _, f := range framesOf(t, e.packet(size).data) {
			if f, ok := f.(wire.StreamFrame); ok {
				got[f.ID] += len(f.Data)
			}
		}
	}
	return got
}

func TestHigherPriorityGoesFirst(t *testing.T) { // spec: STR-31
	client, s := busyStreams(t, 3)
	s[1].SetPriority(70)
	s[2].SetPriority(10)
	got := sendShares(t, client, 100, testPacket)
	require.Len(t, got, 1)
	require.Contains(t, got, s[1].ID())
	s[0].SetPriority(71)
	got = sendShares(t, client, 10, testPacket)
	require.Len(t, got, 1)
	require.Contains(t, got, s[0].ID(), "a change counts from the next packet on")
	got = sendShares(t, client, 1000, testPacket)
	require.Len(t, got, 3, "when the first have no more, the others follow")
}

func TestEqualStreamsShareEqually(t *testing.T) { // spec: STR-31
	for _, size := range []int{200, 1200, 16384} {
		client, s := busyStreams(t, 4)
		got := sendShares(t, client, 300_000/size, size)
		for i := range s {
			require.InDelta(t, got[s[0].ID()], got[s[i].ID()], defaultWeight*turnPerWeight+float64(size))
		}
	}
}

func TestSharesFollowTheWeights(t *testing.T) { // spec: STR-31
	client, s := busyStreams(t, 3)
	s[0].SetWeight(64)
	s[1].SetWeight(16)
	s[2].SetWeight(1)
	got := sendShares(t, client, 180, testPacket)
	require.InDelta(t, 4, float64(got[s[0].ID()])/float64(got[s[1].ID()]), 0.5)
	require.InDelta(t, 16, float64(got[s[1].ID()])/float64(got[s[2].ID()]), 3)
	s[2].SetWeight(0)
	require.EqualValues(t, defaultWeight, s[2].weight)
}

func TestRetransmissionsGoFirstWithinAPriority(t *testing.T) { // spec: STR-31
	client, s := busyStreams(t, 2)
	s[1].SetPriority(1)
	lost := client.packet(testPacket)
	s[1].SetPriority(64)
	s[0].SetPriority(1)
	client.packet(testPacket)
	client.lose(lost) // of stream s[0], which is now behind
	got := sendShares(t, client, 1, testPacket)
	require.Contains(t, got, s[1].ID())
	require.NotContains(t, got, s[0].ID(), "a retransmission does not jump over a higher priority")
	s[0].SetPriority(64)
	got = sendShares(t, client, 1, testPacket)
	require.Contains(t, got, s[0].ID())
	require.NotContains(t, got, s[1].ID())
}

func TestLatencyClassIsPriority128AndMore(t *testing.T) { // spec: STR-32
	client, s := busyStreams(t, 2)
	require.False(t, client.hasLatencyData())
	s[0].SetPriority(127)
	require.False(t, client.hasLatencyData())
	var facts []fact
	require.Empty(t, client.appendData(nil, testPacket, &facts, true))
	s[1].SetPriority(128)
	require.True(t, client.hasLatencyData())
	b := client.appendData(nil, testPacket, &facts, true)
	require.Equal(t, s[1].ID(), framesOf(t, b)[0].(wire.StreamFrame).ID)
	s[1].Reset(0)
	require.False(t, client.hasLatencyData())
	require.True(t, client.hasData())
}

func TestOneStreamAloneUsesWholePackets(t *testing.T) {
	client, _ := busyStreams(t, 1)
	for range 100 {
		p := client.packet(testPacket)
		require.Len(t, p.facts, 1, "turns do not cut the frames of a stream that is alone")
		require.Len(t, p.data, testPacket)
	}
}

func TestSchedulerHoldsOnlyStreamsWithWork(t *testing.T) {
	client, s := busyStreams(t, 5)
	s[1].SetPriority(3)
	s[2].SetPriority(200)
	for client.hasData() {
		client.packet(testPacket)
	}
	require.Empty(t, client.sched.classes)
	for _, s := range s {
		require.Nil(t, s.next)
		require.Nil(t, s.prev)
	}
	s[3].SetPriority(9)
	require.Empty(t, client.sched.classes, "an idle stream is nowhere")
	s[3].SetPriority(9)
}
