package protocol_test

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/monotime"
	"github.com/godwit-net/godwit/protocol/wire"
)

// witness is two applications that keep books of their own about what they send and receive.
type witness struct {
	*simulation
	t        *testing.T
	cs, ss   *protocol.Session
	channels []protocol.MessageOptions

	sent      map[uint16]uint64
	sentBytes map[uint16]uint64
	sentAt    map[uint16]map[uint32]monotime.Time
	outcomes  map[protocol.Outcome]uint64
	got       map[uint16]uint64
	gotBytes  map[uint16]uint64
	took      map[uint16][]time.Duration // from sending to receiving
}

func newWitness(t *testing.T, seed uint64, link string, channels ...protocol.MessageOptions) *witness {
	w := &witness{
		simulation: newSimulation(t, seed, link, "adaptive"), t: t, channels: channels,
		sent: map[uint16]uint64{}, sentBytes: map[uint16]uint64{}, sentAt: map[uint16]map[uint32]monotime.Time{},
		outcomes: map[protocol.Outcome]uint64{}, got: map[uint16]uint64{}, gotBytes: map[uint16]uint64{},
		took: map[uint16][]time.Duration{},
	}
	w.server.Event = func(s *protocol.Session, e protocol.Event) {
		w.ss = s
		for e.Kind == protocol.EventMessagesReadable {
			b, channel, ok := s.ReceiveMessage(nil)
			if !ok {
				return
			}
			w.got[channel]++
			w.gotBytes[channel] += uint64(len(b))
			w.took[channel] = append(w.took[channel], w.Now().Sub(w.sentAt[channel][binary.BigEndian.Uint32(b)]))
		}
	}
	w.client.Event = func(s *protocol.Session, e protocol.Event) {
		for e.Kind == protocol.EventMessageOutcomes {
			_, o, ok := s.PollOutcome()
			if !ok {
				return
			}
			w.outcomes[o]++
		}
	}
	var err error
	w.cs, err = w.client.Dial(&w.config, w.server.Addr())
	require.NoError(t, err)
	require.True(t, w.RunUntil(w.Now().Add(20*time.Second), func() bool { return w.cs.Confirmed() && w.ss != nil }))
	return w
}

// send sends n messages on each channel, one every gap.
func (w *witness) send(n, size int, gap time.Duration) {
	for range n {
		for _, o := range w.channels {
			i := w.sent[o.Channel]
			b := make([]byte, size+int(i%7)*10)
			binary.BigEndian.PutUint32(b, uint32(i))
			o.Tag = 1
			require.NoError(w.t, w.cs.SendMessage(w.Now(), b, o))
			if w.sentAt[o.Channel] == nil {
				w.sentAt[o.Channel] = map[uint32]monotime.Time{}
			}
			w.sentAt[o.Channel][uint32(i)] = w.Now()
			w.sent[o.Channel]++
			w.sentBytes[o.Channel] += uint64(len(b))
		}
		w.client.Wake(w.cs)
		w.Run(w.Now().Add(gap))
	}
}

func allModes(deadline time.Duration) (all []protocol.MessageOptions) {
	for mode := wire.Unreliable; mode <= wire.ReliableOrdered; mode++ {
		all = append(all, protocol.MessageOptions{Channel: 10 + uint16(mode), Mode: mode, Deadline: deadline})
	}
	return append(all, protocol.MessageOptions{Channel: 20, Mode: wire.ReliableOrdered, Deadline: deadline, Playout: deadline})
}

// Every counter is compared with what the link, or the applications, have counted.
func TestStatisticsAgreeWithWhatTheSimulatorCounted(t *testing.T) {
	const count = 1500
	for _, link := range []string{"clean", "loss5", "wifi", "jitter2,loss=2%"} {
		w := newWitness(t, 5, link, allModes(120*time.Millisecond)...)
		w.send(count, 200, 16*time.Millisecond)
		w.Run(w.Now().Add(12 * time.Second))
		w.send(70, 200, 200*time.Millisecond) // so that the last report comes
		w.Run(w.Now().Add(2 * time.Second))
		up, down := w.Link(w.client.Addr(), w.server.Addr()).Stats(), w.Link(w.server.Addr(), w.client.Addr()).Stats()
		cs, ss := w.cs.Stats(), w.ss.Stats()

		require.Equal(t, up.Sent, cs.DatagramsSent, link)
		require.Equal(t, up.SentBytes, cs.BytesSent)
		require.Equal(t, down.Delivered, cs.DatagramsReceived)
		require.LessOrEqual(t, up.Delivered-ss.DatagramsReceived, uint64(2), "the first ones belong to the endpoint")
		lost := up.Dropped()
		require.InDelta(t, float64(lost), float64(cs.Sending.Lost), 0.1*float64(lost)+5, "%s: but for acknowledgements alone", link)
		skipped := cs.PacketsSent/256 + 1
		require.GreaterOrEqual(t, ss.Receiving.Lost+20, lost, "%s: but for the newest", link)
		require.LessOrEqual(t, ss.Receiving.Lost, lost+min(skipped, 12), "%s: but for numbers left out on purpose", link)
		runs := uint64(0)
		for _, n := range ss.Receiving.Bursts {
			runs += n
		}
		require.LessOrEqual(t, runs, ss.Receiving.Lost)
		if link == "wifi" {
			require.NotZero(t, ss.Receiving.Bursts[1]+ss.Receiving.Bursts[2]+ss.Receiving.Bursts[3]+ss.Receiving.Bursts[4])
		}

		var sent, acked, lostM, expired, got uint64
		for _, o := range w.channels {
			out, in := w.cs.ChannelStats(w.Now(), o.Channel).Sent, w.ss.ChannelStats(w.Now(), o.Channel).Received
			name := link + " " + o.Mode.String()
			require.Equal(t, w.sent[o.Channel], out.Sent, name)
			require.Equal(t, w.sentBytes[o.Channel], out.SentBytes, name)
			require.Equal(t, out.Sent, out.Acknowledged+out.Lost+out.Expired, name)
			require.Equal(t, w.got[o.Channel], in.Received, name)
			require.Equal(t, w.gotBytes[o.Channel], in.ReceivedBytes, name)
			require.Equal(t, in.Arrived, in.Received+in.Overflowed, name)
			require.LessOrEqual(t, out.Acknowledged, in.Arrived+in.Stale+in.Late, name)
			require.LessOrEqual(t, in.Arrived+in.Duplicate+in.Stale, out.Sent+out.Retransmitted+cs.Messages.Sent, name)
			if o.Mode >= wire.ReliableUnordered {
				require.LessOrEqual(t, in.Arrived+in.Skipped, out.Sent, name)
				require.GreaterOrEqual(t, in.Arrived+in.Skipped+out.Expired, out.Sent, name)
			} else {
				require.InDelta(t, float64(out.Sent), float64(in.Arrived+in.Missing), 2, name)
			}
			require.Equal(t, in.Arrived, in.Margin.Count()+in.Lateness.Count(), name)
			require.True(t, out.Reported)
			require.InDelta(t, float64(in.Arrived), float64(out.Peer.Arrived), 64, name)
			require.LessOrEqual(t, out.Peer.Arrived, in.Arrived, name)
			require.InDelta(t, float64(in.Skipped), float64(out.Peer.Skipped), 8, name)
			require.Zero(t, out.Waiting)
			require.Zero(t, out.WaitingBytes)
			sent, acked, lostM, expired, got = sent+out.Sent, acked+out.Acknowledged, lostM+out.Lost, expired+out.Expired, got+in.Received
		}
		require.Equal(t, cs.Messages.Sent, sent)
		require.Equal(t, w.outcomes, nonZero(map[protocol.Outcome]uint64{protocol.Acknowledged: acked, protocol.Lost: lostM, protocol.Expired: expired}))
		require.Equal(t, ss.Messages.Received, got)
	}
}

func nonZero(m map[protocol.Outcome]uint64) map[protocol.Outcome]uint64 {
	for k, n := range m {
		if n == 0 {
			delete(m, k)
		}
	}
	return m
}

// within reports whether a quantile of a histogram can stand for a true value: it is the end of an entry, which
// begins at half of it.
func within(t *testing.T, h *protocol.Histogram, q float64, truth time.Duration, name string) {
	t.Helper()
	bound := h.Quantile(q)
	require.LessOrEqual(t, truth, bound+time.Millisecond, name)
	require.GreaterOrEqual(t, truth+time.Millisecond, bound/2, name)
}

func TestMarginsAndDelaysAreThoseThatTheApplicationSees(t *testing.T) {
	const deadline = 100 * time.Millisecond
	w := newWitness(t, 9, "clean,jitter=5ms,loss=3%", protocol.MessageOptions{Mode: wire.ReliableUnordered, Deadline: deadline})
	w.send(4000, 100, 16*time.Millisecond)
	w.Run(w.Now().Add(time.Second))
	in, out := w.ss.ChannelStats(w.Now(), 0).Received, w.cs.ChannelStats(w.Now(), 0).Sent
	least := 25 * time.Millisecond
	var late uint64
	var margins []time.Duration
	for _, took := range w.took[0] {
		if left := deadline - (took - least); left >= 0 {
			margins = append(margins, left)
		} else {
			late++
		}
	}
	require.InDelta(t, float64(late), float64(in.Lateness.Count()), float64(late)/10+10)
	require.InDelta(t, float64(len(margins)), float64(in.Margin.Count()), float64(late)/10+10)
	slices.Sort(margins)
	for _, q := range []float64{0.01, 0.1, 0.5, 0.9, 1} {
		within(t, &in.Margin, q, margins[max(int(q*float64(len(margins)))-1, 0)], "margin")
	}
	// The mean difference of two exponential delays, and their mean, are that of the link.
	require.InDelta(t, 5, in.Jitter.Seconds()*1000, 4)
	require.InDelta(t, 5, in.Delay.Seconds()*1000, 4)
	require.InDelta(t, 5, w.cs.Stats().Sending.Jitter.Seconds()*1000, 4, "as the peer says")
	require.InDelta(t, 5, out.Peer.Delay.Seconds()*1000, 4)
	require.Equal(t, in.Jitter, w.ss.Stats().Receiving.Jitter)
	require.Equal(t, out.Sent, out.QueueTime.Count())
	require.Equal(t, time.Millisecond, out.QueueTime.Quantile(0.9), "nothing is in the way")
}

func TestQueueTimeIsWhatMessagesWait(t *testing.T) {
	w := newWitness(t, 2, "clean,rate=1mbit", protocol.MessageOptions{Mode: wire.ReliableOrdered})
	w.send(400, 2000, 8*time.Millisecond) // twice what the link carries
	out := w.cs.ChannelStats(w.Now(), 0).Sent
	require.Positive(t, out.Waiting)
	require.Greater(t, out.WaitingBytes, uint64(out.Waiting-1)*2000)
	w.Run(w.Now().Add(20 * time.Second))
	out = w.cs.ChannelStats(w.Now(), 0).Sent
	require.Zero(t, out.Waiting)
	last := w.took[0][len(w.took[0])-1]
	require.Greater(t, out.QueueTime.Quantile(1), last/2)
	require.Less(t, out.QueueTime.Quantile(1), 3*last)
}

func TestQualityIsBestWithoutLossAndFallsWithLossAndDelay(t *testing.T) {
	rate := func(link string, playout time.Duration) (out, in, session float64) {
		w := newWitness(t, 3, link, protocol.MessageOptions{Mode: wire.Unreliable, Playout: playout})
		w.send(500, 100, 16*time.Millisecond)
		w.Run(w.Now().Add(time.Second))
		return w.cs.ChannelStats(w.Now(), 0).Sent.Quality, w.ss.ChannelStats(w.Now(), 0).Received.Quality, w.cs.Stats().Quality
	}
	out, in, session := rate("clean", 0)
	require.InDelta(t, 99.3, out, 0.2, "25 ms cost 0.6 of 93.2")
	require.InDelta(t, out, in, 0.2)
	require.InDelta(t, out, session, 0.2)
	late, _, _ := rate("clean", 300*time.Millisecond)
	require.InDelta(t, 74.2, late, 0.5, "325 ms cost 7.8 and 16.2")
	lossy, heard, _ := rate("loss5", 0)
	require.InDelta(t, 45, lossy, 30, "the share of 64 messages")
	require.InDelta(t, 45, heard, 30)
	bad, _, _ := rate("loss20", 0)
	require.Less(t, bad, 35.0)
}

func TestReadingStatisticsDoesNotAllocate(t *testing.T) {
	w := newWitness(t, 3, "loss5", allModes(100*time.Millisecond)...)
	w.send(200, 100, 10*time.Millisecond)
	var st protocol.Stats
	var ch protocol.ChannelStats
	require.Zero(t, testing.AllocsPerRun(100, func() {
		st = w.cs.Stats()
		ch = w.cs.ChannelStats(w.Now(), 10)
	}))
	require.NotZero(t, st.PacingRate)
	require.NotZero(t, st.MTU)
	require.Equal(t, w.server.Addr(), st.Addr.Remote)
	require.True(t, ch.Sent.Open)
	require.Equal(t, protocol.ChannelStats{}, w.cs.ChannelStats(w.Now(), 999))
}
