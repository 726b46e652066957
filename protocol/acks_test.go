package protocol

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

const (
	testStart    = Time(time.Second)
	testAckDelay = 10 * time.Millisecond
)

// receiver drives an ackState through scripted arrivals.
type receiver struct {
	t   *testing.T
	a   ackState
	now Time
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t, now: testStart}
	r.a.init(testAckDelay)
	return r
}

// get lets packets arrive that want to be acknowledged.
func (r *receiver) get(pns ...uint64) {
	for _, pn := range pns {
		r.a.receive(r.now, pn, true, false, wire.NotECT)
	}
}

func (r *receiver) advance(d time.Duration) { r.now = r.now.Add(d) }

// ack returns the acknowledgement that would leave now, and its token.
func (r *receiver) ack(size int) (wire.Ack, uint64) {
	r.t.Helper()
	b, token, ok := r.a.append(nil, r.now, 0, size)
	require.True(r.t, ok)
	require.LessOrEqual(r.t, len(b), size)
	typ, n := wire.ConsumeFrameType(b)
	f, m := wire.ParseAck(typ, b[n:])
	require.Equal(r.t, len(b), n+m)
	return f, token
}

func (r *receiver) sendAck() (wire.Ack, uint64) {
	f, token := r.ack(1200)
	r.a.sent(token)
	return f, token
}

func rangesOf(f wire.Ack) (s rangeset) {
	all := f.Ranges()
	for r, ok := all.Next(); ok; r, ok = all.Next() {
		s.add(r.Start, r.End)
	}
	return s
}

func (r *receiver) wantDue(want bool, why string) {
	r.t.Helper()
	require.Equal(r.t, want, r.a.shouldSend(r.now), why)
}

// spec: REL-1
func TestEveryElicitingPacketIsAcknowledgedWithinTheDelay(t *testing.T) {
	r := newReceiver(t)
	r.get(0)
	require.True(t, r.a.pending())
	r.wantDue(false, "a lone packet may wait")
	require.Equal(t, testStart.Add(testAckDelay), r.a.deadline())
	r.advance(testAckDelay)
	r.wantDue(true, "but no longer than the delay")
	f, _ := r.sendAck()
	require.Equal(t, ranges(0, 1), rangesOf(f))
	require.Equal(t, testAckDelay, f.Delay(), "and says how long it waited")
	r.wantDue(false, "it was sent")
	require.Zero(t, r.a.deadline())
}

// spec: REL-1
func TestPacketsThatAskForNothingAreNeverAnswered(t *testing.T) {
	r := newReceiver(t)
	for pn := range uint64(100) {
		r.a.receive(r.now, 2*pn, false, true, wire.CE)
	}
	require.False(t, r.a.pending(), "acknowledgements would go back and forth for ever")
	require.Zero(t, r.a.deadline())
	r.get(200)
	f, _ := r.sendAck()
	require.Equal(t, uint64(64-1), uint64(f.Count), "but they are in the next one")
}

// spec: REL-2
func TestWhatTheSenderWaitsForIsAcknowledgedAtOnce(t *testing.T) {
	for _, test := range []struct {
		why       string
		pn        uint64
		immediate bool
		ecn       wire.ECN
		want      bool
	}{
		{"the next packet can wait", 3, false, wire.ECT0, false},
		{"a gap is news", 4, false, wire.NotECT, true},
		{"a packet that fills a gap is news", 0, false, wire.NotECT, true},
		{"a mark of congestion is news", 3, false, wire.CE, true},
		{"the peer asks for it", 3, true, wire.NotECT, true},
	} {
		r := newReceiver(t)
		r.get(1, 2)
		r.sendAck()
		r.a.receive(r.now, test.pn, true, test.immediate, test.ecn)
		r.wantDue(test.want, test.why)
	}
}

func TestARequestForAnAcknowledgementIsObeyedOnce(t *testing.T) {
	r := newReceiver(t)
	r.a.requestNow()
	r.wantDue(false, "there is nothing to acknowledge yet")
	r.get(0)
	r.wantDue(true, "now there is")
	r.sendAck()
	r.wantDue(false, "once")
}

// spec: REL-3
func TestBulkDataIsAcknowledgedEverySixteenPacketsOrAQuarterOfTheRTT(t *testing.T) {
	r := newReceiver(t)
	for pn := range uint64(15) {
		r.get(pn)
		r.wantDue(false, "fifteen can wait")
	}
	r.get(15)
	r.wantDue(true, "sixteen cannot")
	r.sendAck()

	r.a.setRTT(8 * time.Millisecond)
	r.get(16)
	require.Equal(t, 2*time.Millisecond, r.a.deadline().Sub(r.now), "a quarter of 8 ms")
	r.sendAck()
	r.a.setRTT(time.Second)
	r.get(17)
	require.Equal(t, testAckDelay, r.a.deadline().Sub(r.now), "never longer than was promised")
}

func TestThePeerMayAskForOtherIntervals(t *testing.T) {
	r := newReceiver(t)
	r.a.setFrequency(2, time.Second)
	r.a.setRTT(time.Millisecond)
	r.get(0)
	require.Equal(t, testAckDelay, r.a.deadline().Sub(r.now), "but not for more delay than was promised")
	r.get(1)
	r.wantDue(true, "every second packet")
	r.sendAck()
	r.a.setFrequency(0, 0)
	r.get(2)
	r.wantDue(true, "nothing below one packet")
}

// spec: REL-4
func TestHistoryIsRepeatedUntilItIsKnownToHaveArrived(t *testing.T) {
	r := newReceiver(t)
	r.get(0, 1, 3)
	f, _ := r.sendAck()
	require.Equal(t, ranges(0, 2, 3, 4), rangesOf(f))
	r.get(5)
	f, first := r.sendAck()
	require.Equal(t, ranges(0, 2, 3, 4, 5, 6), rangesOf(f), "said again: the one before may be lost")

	r.a.ackedAck(first)
	r.get(7)
	f, second := r.sendAck()
	require.Equal(t, uint64(0), rangesOf(f).min(), "one frame arrived, a late packet may have missed it")
	r.a.ackedAck(second)
	r.get(8)
	f, _ = r.sendAck()
	require.Equal(t, ranges(7, 9), rangesOf(f), "two arrived: what the first one said is known")
	r.a.ackedAck(first)
	require.Equal(t, ranges(7, 9), r.a.seen, "an old acknowledgement changes nothing")
}

func TestAPacketThatWasLateIsStillReportedAfterItsNeighboursAreKnown(t *testing.T) {
	r := newReceiver(t)
	r.get(0, 2)
	_, token := r.sendAck()
	r.get(1) // after the frame left
	r.a.ackedAck(token)
	f, _ := r.sendAck()
	require.True(t, rangesOf(f).contains(1))
}

func TestAShortenedAcknowledgementLeavesOutTheOldestAndForgetsNothing(t *testing.T) {
	r := newReceiver(t)
	for pn := range uint64(60) {
		r.get(2 * pn)
	}
	f, token := r.ack(40)
	require.True(t, rangesOf(f).contains(118))
	require.False(t, rangesOf(f).contains(0))
	r.a.sent(token)
	r.a.ackedAck(token)
	r.a.ackedAck(token)
	require.True(t, r.a.seen.contains(0), "the peer was not told")
	_, _, ok := r.a.append(nil, r.now, 0, 3)
	require.False(t, ok, "not even one range fits")
	_, _, ok = r.a.append(nil, r.now, 0, 0)
	require.False(t, ok)
}

// spec: REL-4
func TestAPacketOlderThanTheOldestRangeIsStillReported(t *testing.T) {
	r := newReceiver(t)
	for pn := range uint64(100) {
		r.get(1000 + 2*pn)
	}
	require.Equal(t, wire.MaxAckRanges, r.a.seen.numRanges())
	r.get(5)
	f, _ := r.sendAck()
	require.True(t, rangesOf(f).contains(5), "or it would be sent again for nothing")
	require.Equal(t, wire.MaxAckRanges-1, f.Count)
	r.get(7)
	f, _ = r.sendAck()
	require.True(t, rangesOf(f).contains(7))
	require.False(t, rangesOf(f).contains(5), "once, since memory has an end")
}

func TestNothingIsAcknowledgedBeforeSomethingArrived(t *testing.T) {
	r := newReceiver(t)
	_, _, ok := r.a.append(nil, r.now, 0, 1200)
	require.False(t, ok)
	_, seen := r.a.largestSeen()
	require.False(t, seen)
	r.get(7)
	largest, seen := r.a.largestSeen()
	require.True(t, seen)
	require.Equal(t, uint64(7), largest)
}

// spec: REL-5
func TestMarksAreCountedAndReported(t *testing.T) {
	r := newReceiver(t)
	r.get(0)
	f, _ := r.sendAck()
	require.False(t, f.HasECN, "nothing came with a mark")
	for pn, mark := range []wire.ECN{wire.ECT0, wire.ECT0, wire.CE, wire.ECT1, wire.NotECT, wire.ECT0} {
		r.a.receive(r.now, uint64(pn+1), true, false, mark)
	}
	f, _ = r.sendAck()
	require.True(t, f.HasECN)
	require.Equal(t, wire.ECNCounts{ECT0: 3, ECT1: 1, CE: 1}, f.ECN)
}

func TestAnIdleReceiverGivesItsMemoryBack(t *testing.T) {
	r := newReceiver(t)
	for pn := range uint64(60) {
		r.get(2 * pn)
	}
	_, token := r.sendAck()
	r.a.ackedAck(token)
	r.get(200)
	_, token = r.sendAck()
	r.a.ackedAck(token)
	r.a.rest()
	require.LessOrEqual(t, cap(r.a.seen), keptAckRanges)
}

func TestReceivingAndAcknowledgingAllocateNothing(t *testing.T) {
	r := newReceiver(t)
	b := make([]byte, 0, 1500)
	var pn uint64
	step := func() {
		pn += 2 // every second one is lost
		r.advance(time.Millisecond)
		r.a.receive(r.now, pn, true, false, wire.ECT0)
		_, token, _ := r.a.append(b, r.now, 0, 1200)
		r.a.sent(token)
		r.a.ackedAck(token - 20)
	}
	for range 1000 {
		step()
	}
	require.Zero(t, testing.AllocsPerRun(1000, step))
}

// A peer that sends every second number only makes the ranges as many as they can be.
//
// spec: REL-4
func TestAttack12AckRangeMemory(t *testing.T) {
	r := newReceiver(t)
	b := make([]byte, 0, 1500)
	run := func(from, to uint64) {
		for pn := from; pn < to; pn++ {
			r.advance(time.Microsecond)
			r.get(2 * pn)
			if len(r.a.seen) > wire.MaxAckRanges {
				t.Fatalf("%d ranges after packet %d", len(r.a.seen), pn)
			}
			if pn%16 == 0 {
				out, token, ok := r.a.append(b, r.now, 0, 1200)
				require.True(t, ok)
				require.LessOrEqual(t, len(out), 1200)
				r.a.sent(token)
			}
		}
	}
	run(0, 1000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	run(1000, 1_000_000)
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.LessOrEqual(t, cap(r.a.seen), 2*wire.MaxAckRanges)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(64<<10), "memory is flat")
	f, _ := r.sendAck()
	require.Equal(t, wire.MaxAckRanges-1, f.Count)
	require.Equal(t, uint64(2*999_999), f.Largest, "the newest are kept")
}

// spec: REL-32
func TestAcknowledgementsAreRepeatedWhenASenderWithMoreFallsSilent(t *testing.T) {
	var a ackState
	a.init(testAckDelay)
	now := testStart
	a.receive(now, 0, true, false, wire.NotECT)
	a.expect(now, true, testRTT)
	a.sent(0)
	require.Equal(t, now.Add(testRTT), a.deadline(), "a round trip of silence")
	heard, n := now, 0
	for a.deadline() != 0 {
		now = a.deadline()
		a.handleTimeout(now, testRTT)
		require.True(t, a.shouldSend(now))
		a.sent(0)
		n++
	}
	require.LessOrEqual(t, now.Sub(heard), repeatFor)
	require.InDelta(t, float64(repeatFor/(testRTT/repeatFraction)), n, 5)

	a.receive(now, 1, true, true, wire.NotECT)
	a.expect(now, false, testRTT)
	a.sent(1)
	require.Zero(t, a.deadline(), "a sender that had no more is waited for by nobody")
}
