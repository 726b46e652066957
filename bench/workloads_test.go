package bench

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/protocol/sim"
)

// over runs a workload through a link, with both ends on one clock.
func over(t *testing.T, link string, o Options) *Result {
	t.Helper()
	server, client, err := localPair()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-ended)
	}()
	config, err := sim.ParseLink(link)
	require.NoError(t, err)
	r := client.Run(t.Context(), &config, o)
	require.Empty(t, r.Error)
	require.Equal(t, o.Workload, r.Workload)
	return r
}

func TestReliableMessagesAllComeThroughLossInOrder(t *testing.T) {
	m := over(t, "delay=10ms,loss=10%", Options{Workload: Message, Duration: time.Second, Hz: 100}).Message
	require.EqualValues(t, 100, m.Sent)
	require.EqualValues(t, 6400, m.SentBytes)
	require.Equal(t, m.Sent, m.Received)
	require.Zero(t, m.Missing)
	require.Equal(t, "reliable-ordered", m.Mode)
	require.Nil(t, m.Frames)
	require.GreaterOrEqual(t, m.OneWay.MinMS, 9.9)
	require.GreaterOrEqual(t, m.Wire.Packets, 1.0)
	require.GreaterOrEqual(t, m.Wire.Bytes, 64.0+28+29)
}

func TestMessagesCanBeSentTwice(t *testing.T) {
	m := over(t, "delay=10ms", Options{Workload: Message, Duration: time.Second, Twice: true}).Message
	require.EqualValues(t, 60, m.Received)
	require.Greater(t, m.Wire.Packets, 1.8)
	require.Positive(t, m.Wire.Carried)
	require.Less(t, m.Wire.Overhead, 100.0, "the copies are apart")
}

func TestSnapshotsAreLostAndNotRepeated(t *testing.T) {
	m := over(t, "delay=5ms,loss=30%,seed=3", Options{Workload: Snapshot, Duration: 2 * time.Second, Hz: 100}).Message
	require.EqualValues(t, 200, m.Sent)
	require.Positive(t, m.Missing)
	require.Equal(t, m.Sent-m.Received, m.Missing)
	require.Equal(t, m.Received, m.OneWay.Count, "what never came is in no time")
	require.Equal(t, "sequenced", m.Mode)
	require.Equal(t, 300, m.Size)
	require.Equal(t, 1200, m.MaxSize)
	require.Greater(t, m.SentBytes, 300*m.Sent)
	require.Less(t, m.SentBytes, 1200*m.Sent)
}

func TestMediaIsFramesWithADeadline(t *testing.T) {
	m := over(t, "delay=5ms", Options{Workload: Media, Duration: time.Second}).Message
	require.EqualValues(t, 600, m.Sent)
	require.EqualValues(t, 600, m.Received)
	require.EqualValues(t, 60, m.Frames.Count)
	require.EqualValues(t, 150, m.DeadlineMS)
	require.GreaterOrEqual(t, m.Frames.P50MS, m.OneWay.P50MS, "a frame is there when its last message is")
}

func TestMessagesPastTheirDeadlineCountAtIt(t *testing.T) {
	o := Options{Workload: Media, Duration: 2 * time.Second, Deadline: 20 * time.Millisecond}
	m := over(t, "delay=50ms,loss=30%", o).Message
	require.Positive(t, m.Missing, "one round trip is too late")
	require.Equal(t, m.Sent, m.OneWay.Count)
	require.EqualValues(t, m.Sent/10, m.Frames.Count)
	require.GreaterOrEqual(t, m.Frames.MaxMS, 69.9)
}

func TestATransferRunsBesideMessages(t *testing.T) {
	r := over(t, "delay=5ms,rate=100mbit", Options{Workload: Worldload, Duration: 2 * time.Second})
	w := r.Worldload
	require.EqualValues(t, 3_000_000, w.TransferBytes)
	require.Positive(t, w.Transfers.Count)
	require.GreaterOrEqual(t, w.Transfers.MinMS, 240.0, "what the link carries in that time")
	require.Equal(t, r.Message.Received, w.Alone.Count+r.Message.OneWay.Count)
	require.InDelta(t, r.Message.OneWay.P99MS-w.Alone.P99MS, w.MovedMS, 1e-9)
}

func TestAGameTalksInBothDirections(t *testing.T) {
	r := over(t, "delay=5ms", Options{Workload: Game, Duration: time.Second, Sessions: 5})
	require.Equal(t, 5, r.Sessions)
	m := r.Message
	require.EqualValues(t, 100, m.Sent)
	require.EqualValues(t, 100, m.Received)
	require.EqualValues(t, 100, m.Down.Sent)
	require.EqualValues(t, 100, m.Down.Received)
	require.Equal(t, "reliable-ordered", m.Mode)
	require.Equal(t, "sequenced", m.Down.Mode)
	require.GreaterOrEqual(t, m.Down.OneWay.MinMS, 4.9)
}

func TestRequestsAreAnsweredOnStreamsOfTheirOwn(t *testing.T) {
	r := over(t, "delay=10ms", Options{Workload: Request, Duration: time.Second, Streams: 10, Sessions: 2})
	q := r.Request
	require.Equal(t, 10, q.Parallel)
	require.Greater(t, q.Count, int64(20), "more than one after the other in each of the loops")
	require.GreaterOrEqual(t, q.RoundTrip.MinMS, 19.9)
	require.Positive(t, q.PerSecond)
}

func TestIdleSessionsStayAlive(t *testing.T) {
	r := over(t, "delay=1ms", Options{Workload: Idle, Duration: idleKeepAlive + time.Second, Sessions: 20})
	require.Equal(t, 20, r.Sessions)
	require.Zero(t, r.Idle.Ended)
	require.Positive(t, r.Idle.Packets, "they stay alive")
	require.GreaterOrEqual(t, r.Idle.HeapBytes, 0.0)
}

func TestAReceiverRefusesWhatAModeDoesNotAllow(t *testing.T) {
	message := func(number uint64) []byte {
		b := make([]byte, MinMessage)
		binary.BigEndian.PutUint64(b, number)
		return b
	}
	take := func(l load, numbers ...uint64) error {
		r := newReceiver(nil, &l, time.Now(), 0)
		for _, n := range numbers {
			if err := r.take(message(n), time.Millisecond); err != nil {
				return err
			}
		}
		return nil
	}
	ordered := load{Mode: conn.ReliableOrdered, Frame: 1}
	require.NoError(t, take(ordered, 0, 1, 2))
	require.NoError(t, take(ordered, 0, 1|besideBit, 2))
	require.ErrorContains(t, take(ordered, 0, 2), "message 2 came after message 0")
	require.ErrorContains(t, take(ordered, 0, 0), "message 0 came after message 0")
	due := ordered
	due.DeadlineMS = 100
	require.NoError(t, take(due, 0, 5), "others were given up")
	require.Error(t, take(due, 5, 0))
	require.Error(t, take(load{Mode: conn.Sequenced, Frame: 1}, 5, 4))
	require.NoError(t, take(load{Mode: conn.Unreliable, Frame: 1}, 5, 4))
	require.ErrorIs(t, newReceiver(nil, &ordered, time.Now(), 0).take(make([]byte, MinMessage-1), 0), errShortMessage)
}

func TestAFrameThatIsNotWholeDoesNotCount(t *testing.T) {
	l := load{Mode: conn.ReliableOrdered, Frame: 3, DeadlineMS: 50}
	r := newReceiver(nil, &l, time.Now(), 0)
	for _, n := range []uint64{0, 1, 2, 3, 5, 6, 7, 8} { // 4 is missing
		b := make([]byte, MinMessage)
		binary.BigEndian.PutUint64(b, n)
		require.NoError(t, r.take(b, time.Duration(10+n)*time.Millisecond))
	}
	h := r.heard(9)
	frames := newHistogram()
	frames.addBuckets(h.Frames)
	got := frames.latency()
	require.EqualValues(t, 3, got.Count)
	require.InEpsilon(t, 12, got.MinMS, 0.01, "the first: its last message")
	require.InEpsilon(t, 18, got.P50MS, 0.01, "the third")
	require.InEpsilon(t, 60, got.MaxMS, 0.01, "the second, at its deadline beyond the quickest way")
}
