package protocol

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/wire"
)

const (
	testRTT  = 80 * time.Millisecond
	testSize = 1200
)

// fixedController has a window that only the test changes, and notes what it is told.
type fixedController struct {
	size  int
	rate  uint64
	sent  []congestion.SendSample
	acked []congestion.AckSample
	lost  []congestion.LossSample
	undos int
	mtu   int

	marking congestion.Marking
}

func (c *fixedController) Name() string                 { return "fixed" }
func (c *fixedController) Sent(s congestion.SendSample) { c.sent = append(c.sent, s) }
func (c *fixedController) Acked(s congestion.AckSample) { c.acked = append(c.acked, s) }
func (c *fixedController) Lost(s congestion.LossSample) { c.lost = append(c.lost, s) }
func (c *fixedController) Undo(Time)                    { c.undos++ }
func (c *fixedController) SetMaxDatagram(n int)         { c.mtu = n }
func (c *fixedController) Window() int                  { return c.size }
func (c *fixedController) PacingRate() uint64           { return c.rate }
func (c *fixedController) Marking() congestion.Marking  { return c.marking }
func (c *fixedController) episodes() (n int) {
	for _, s := range c.lost {
		if s.Episode {
			n++
		}
	}
	return n
}

// sender drives a lossState through scripted sends and acknowledgements, and checks its sums after
// every step.
type sender struct {
	t   *testing.T
	l   lossState
	cc  *fixedController
	now Time

	acked, lost, probed []uint64
}

// newSender has a path of testRTT, a large window and no pacing. No number is skipped unless a test
// says so.
func newSender(t *testing.T) *sender {
	s := &sender{t: t, now: testStart, cc: &fixedController{size: 1 << 30, rate: 1 << 40}}
	s.init(lossConfig{cc: s.cc, random: func() uint64 { return 1 << 40 }})
	s.l.skip.next = 1 << 60
	s.l.sampleRTT(s.now, testRTT)
	return s
}

func (s *sender) init(cfg lossConfig) {
	s.l.init(s.now, cfg)
	s.l.setMaxAckDelay(testAckDelay)
}

func (s *sender) packetAcked(p *sentPacket)  { s.acked = append(s.acked, p.pn) }
func (s *sender) packetLost(p *sentPacket)   { s.lost = append(s.lost, p.pn) }
func (s *sender) packetProbed(p *sentPacket) { s.probed = append(s.probed, p.pn) }

func (s *sender) check() {
	s.t.Helper()
	require.NoError(s.t, s.l.checkInvariants())
}

// sendOne sends a packet of data and returns its number.
func (s *sender) sendOne() uint64 { return s.sendPacket(testSize, nil) }

// sendUrgent sends a packet on the allowance of the latency class.
func (s *sender) sendUrgent() { s.sendPacket(testSize, func(p *sentPacket) { p.latency = true }) }

func (s *sender) sendPacket(size int, mark func(*sentPacket)) uint64 {
	s.t.Helper()
	p := s.l.begin()
	p.eliciting, p.inFlight = true, true
	p.facts = append(p.facts, fact{kind: factStream, a: p.pn})
	if mark != nil {
		mark(p)
	}
	pn := p.pn
	s.l.commit(s.now, p, size)
	s.check()
	return pn
}

// send sends n packets, one every gap.
func (s *sender) send(n int, gap time.Duration) {
	s.t.Helper()
	for i := range n {
		if i > 0 {
			s.advance(gap)
		}
		s.sendOne()
	}
}

// sendAckOnly sends a packet that asks for nothing.
func (s *sender) sendAckOnly() {
	p := s.l.begin()
	p.facts = append(p.facts, fact{kind: factAck})
	s.l.commit(s.now, p, 40)
}

func (s *sender) advance(d time.Duration) { s.now = s.now.Add(d) }

// ack lets an acknowledgement of the numbers [start, end) pairs arrive.
func (s *sender) ack(pairs ...uint64) {
	s.t.Helper()
	require.NoError(s.t, s.tryAck(wire.AckExtras{}, pairs...))
}

func (s *sender) tryAck(extras wire.AckExtras, pairs ...uint64) error {
	s.t.Helper()
	s.acked, s.lost = nil, nil
	f := wire.NewAck(0, 0, ranges(pairs...), extras)
	err := s.l.handleAck(s.now, &f, testAckDelay, s)
	s.check()
	return err
}

// late lets an acknowledgement arrive in time that leaves packets out, and waits until they are lost.
func (s *sender) late(pairs ...uint64) {
	s.t.Helper()
	s.advance(testRTT)
	s.ack(pairs...)
	require.Empty(s.t, s.lost)
	s.wake(lossTimerReorder)
}

// wake advances to the deadline, which must be for why, and handles it.
func (s *sender) wake(why lossTimer) {
	s.t.Helper()
	at, got := s.l.deadline()
	require.Equal(s.t, why, got)
	s.lost, s.probed = nil, nil
	s.l.handleTimeout(at-1, s)
	require.Empty(s.t, s.lost, "not a nanosecond early")
	require.Empty(s.t, s.probed, "not a nanosecond early")
	s.now = at
	s.l.handleTimeout(at, s)
	s.check()
}

func (s *sender) wantLost(why string, pns ...uint64) {
	s.t.Helper()
	require.Equal(s.t, pns, append([]uint64(nil), s.lost...), why)
}

// spec: REL-10
func TestAPacketIsLostWhenALaterOneArrivedAndItsTimeIsOver(t *testing.T) {
	s := newSender(t)
	s.send(3, 0)
	s.advance(testRTT)
	s.ack(1, 2)
	s.wantLost("a later one arrived, but it may be late")
	s.wake(lossTimerReorder)
	s.wantLost("a round trip and the reordering window have passed", 0)
	require.Equal(t, testStart.Add(testRTT+testRTT/8), s.now)
	at, why := s.l.deadline()
	require.Equal(t, lossTimerProbe, why, "packet 2 has nothing after it: only a probe can tell (due %v)", at)
}

func TestAPacketIsNotLostWhileNoLaterOneArrived(t *testing.T) {
	s := newSender(t)
	s.send(3, time.Millisecond)
	s.advance(10 * testRTT)
	s.ack(0, 1)
	s.wantLost("everything after it is just as late")
}

// spec: REL-10
func TestALostRetransmissionIsFoundLikeAnyOther(t *testing.T) {
	s := newSender(t)
	s.send(2, time.Millisecond)
	s.late(1, 2)
	s.wantLost("the original", 0)
	again := s.sendOne()
	s.sendOne()
	s.late(1, 2, 3, 4)
	s.wantLost("its second copy", again)
}

// spec: REL-11
func TestTheReorderingWindowIsAnEighthOfTheSmallestRTT(t *testing.T) {
	s := newSender(t)
	s.l.sampleRTT(s.now, testRTT/2)
	s.l.sampleRTT(s.now, testRTT)
	require.Equal(t, testRTT/16, s.l.reorder.window(&s.l.rtt), "smallest RTT is half now")
	s.l.reorder.extra = time.Hour
	require.Equal(t, s.l.rtt.smoothed, s.l.reorder.window(&s.l.rtt), "never more than one round trip")
}

func TestALossIsNeverDeclaredWithinAMillisecond(t *testing.T) {
	s := newSender(t)
	s.l.rtt.reset(0)
	s.l.sampleRTT(s.now, 50*time.Microsecond)
	require.Equal(t, timerGranularity, s.l.lossDelay())
}

// spec: REL-12
func TestTheReorderingWindowGrowsToWhatWouldHaveBeenEnough(t *testing.T) {
	s := newSender(t)
	s.send(2, 0)
	s.late(1, 2)
	s.wantLost("10 ms late, which is the window", 0)
	s.advance(20 * time.Millisecond)
	s.ack(0, 2)
	require.Equal(t, []uint64{0}, s.acked, "it arrived after all")
	require.Equal(t, uint64(1), s.l.stats.spurious)

	late := testRTT + 30*time.Millisecond - s.l.rtt.reference()
	require.GreaterOrEqual(t, s.l.reorder.window(&s.l.rtt), late, "as late as this is fine from now on")
	require.LessOrEqual(t, s.l.reorder.window(&s.l.rtt), s.l.rtt.smoothed)
}

// spec: REL-12
func TestAGrownReorderingWindowShrinksWhenNothingIsReordered(t *testing.T) {
	s := newSender(t)
	round := func() {
		s.send(reorderFates, 0)
		s.advance(testRTT)
		s.ack(0, s.l.list.next)
	}
	s.l.reorder.extra = 40 * time.Millisecond
	for range 16 {
		round()
	}
	require.InDelta(t, 14, s.l.reorder.extra.Milliseconds(), 1, "a sixteenth a round trip")
	for range 60 {
		round()
	}
	require.Zero(t, s.l.reorder.extra)
}

// spec: REL-12
func TestAFewPacketsARoundTripShrinkTheReorderingWindowSlowly(t *testing.T) {
	s := newSender(t)
	s.l.reorder.extra = 40 * time.Millisecond
	for range reorderFates {
		s.sendOne()
		s.advance(testRTT)
		s.ack(0, s.l.list.next)
	}
	require.Equal(t, 37500*time.Microsecond, s.l.reorder.extra, "one step for all of them")
}

// spec: REL-13
func TestAPacketThatThePeerWouldRefuseIsLostWhateverTheTime(t *testing.T) {
	s := newSender(t)
	s.send(packetThreshold+1, 0)
	s.ack(1, packetThreshold)
	s.wantLost("8,191 later ones: it could be in the replay window")
	s.ack(1, packetThreshold+1)
	s.wantLost("8,192 later ones", 0)
}

// spec: REL-14
func TestALostPacketIsRememberedForAProbeTimeout(t *testing.T) {
	s := newSender(t)
	s.send(2, 0)
	s.late(1, 2)
	s.wantLost("late", 0)
	s.advance(s.l.pto())
	s.sendOne()
	s.ack(1, 2)
	require.Equal(t, uint64(0), s.l.list.base, "still known")
	s.advance(testRTT)
	s.ack(1, 3)
	require.Equal(t, uint64(3), s.l.list.base, "forgotten")
	s.ack(0, 3)
	require.Zero(t, s.l.stats.spurious, "too late to matter")
}

func TestFactsOfAPacketThatArrivedAfterAllAreReportedAsArrived(t *testing.T) {
	s := newSender(t)
	s.send(2, 0)
	s.late(1, 2)
	s.wantLost("late", 0)
	s.ack(0, 2)
	require.Equal(t, []uint64{0}, s.acked)
	s.ack(0, 2)
	require.Empty(t, s.acked, "once")
}

// What only acknowledges is never counted as lost: when it comes late, the count of true losses must not shrink.
//
// spec: REL-14
func TestALatePacketOfAcknowledgementsIsNoSpuriousLoss(t *testing.T) {
	s := newSender(t)
	s.sendAckOnly()
	s.sendOne()
	s.sendOne()
	s.late(2, 3)
	s.wantLost("what asks for nothing is not declared to anybody", 1)
	s.ack(0, 3)
	require.Equal(t, uint64(1), s.l.stats.packetsLost)
	require.Equal(t, uint64(1), s.l.stats.spurious, "the packet of data alone")
}

// spec: REL-15
func TestAllLossesOfOneRoundTripAreOneEpisode(t *testing.T) {
	s := newSender(t)
	s.send(3, 0)
	s.advance(testRTT / 2)
	s.send(3, 0)
	s.advance(testRTT / 2)
	s.ack(1, 3)
	s.wake(lossTimerReorder)
	s.wantLost("of the first half", 0)
	s.advance(testRTT/2 - testRTT/8)
	s.ack(1, 3, 5, 6)
	s.wake(lossTimerReorder)
	s.wantLost("of the second half", 3, 4)
	require.Equal(t, 1, s.cc.episodes(), "all of them left before the first loss was noticed")

	s.send(2, 0)
	s.late(1, 3, 5, 6, 7, 8)
	s.wantLost("sent after it", 6)
	require.Equal(t, 2, s.cc.episodes())
}

// spec: REL-16
func TestAnEpisodeWhoseLossesAllProveSpuriousIsUndone(t *testing.T) {
	s := newSender(t)
	s.send(4, 0)
	s.late(3, 4)
	s.wantLost("three late ones", 0, 1, 2)
	s.ack(0, 2, 3, 4)
	require.Zero(t, s.cc.undos, "one of them may be lost")
	s.ack(0, 4)
	require.Equal(t, 1, s.cc.undos)
	require.Equal(t, uint64(1), s.l.stats.undos)
}

// spec: REL-16
func TestAnEpisodeWithOneRealLossIsNotUndone(t *testing.T) {
	s := newSender(t)
	s.send(4, 0)
	s.late(3, 4)
	s.ack(0, 2, 3, 4)
	s.advance(10 * testRTT)
	s.sendOne()
	s.advance(testRTT)
	s.ack(0, 2, 3, 5)
	s.ack(0, 5)
	require.Zero(t, s.cc.undos, "what comes ten round trips later is no news")
}

// spec: REL-16
func TestAnEpisodeWithAMarkIsNotUndone(t *testing.T) {
	s := newSender(t)
	s.l.ecn.start(true)
	for range 5 {
		s.sendPacket(testSize, func(p *sentPacket) { p.ecn = wire.ECT0 })
	}
	s.advance(testRTT)
	ce := wire.AckExtras{HasECN: true, ECN: wire.ECNCounts{ECT0: 1, CE: 1}}
	require.NoError(t, s.tryAck(ce, 3, 5))
	s.wake(lossTimerReorder)
	s.wantLost("late", 0, 1, 2)
	ce.ECN.ECT0 = 4
	require.NoError(t, s.tryAck(ce, 0, 5))
	require.Zero(t, s.cc.undos)
}

func TestALateLossOfAnEarlierEpisodeDoesNotUndoTheNext(t *testing.T) {
	s := newSender(t)
	s.send(2, 0)
	s.late(1, 2)
	s.advance(time.Millisecond)
	s.send(2, 0)
	s.late(1, 2, 3, 4)
	s.wantLost("of the second episode", 2)
	require.Equal(t, 2, s.cc.episodes())
	s.ack(0, 2, 3, 4)
	require.Zero(t, s.cc.undos)
}

// spec: REL-17
func TestLossOfEverythingOverThreeProbeTimeoutsIsPersistentCongestion(t *testing.T) {
	s := newSender(t)
	s.sendOne()
	s.advance(testRTT)
	s.ack(0, 1)
	s.advance(time.Millisecond)
	s.sendOne()
	s.advance(persistentProbes * s.l.pto())
	s.send(2, 0)
	s.advance(testRTT)
	s.ack(0, 1, 3, 4)
	s.wantLost("long ago", 1)
	require.Zero(t, s.l.stats.persistent)
	s.wake(lossTimerReorder)
	s.wantLost("and its end", 2)
	require.Equal(t, uint64(1), s.l.stats.persistent)
	require.True(t, s.cc.lost[1].Persistent)
	require.Equal(t, s.l.rtt.latest, s.l.rtt.min(), "the path may be another one")
}

// spec: REL-17
func TestOneArrivalBetweenTheLossesIsNoPersistentCongestion(t *testing.T) {
	s := newSender(t)
	s.send(2, time.Millisecond)
	s.advance(testRTT)
	s.sendOne()
	s.advance(persistentProbes * s.l.pto())
	s.send(2, 0)
	s.advance(testRTT)
	s.ack(2, 3, 4, 5)
	s.wantLost("one end of a long time", 0, 1)
	s.wake(lossTimerReorder)
	s.wantLost("the other", 3)
	require.Zero(t, s.l.stats.persistent)
}

func TestPacketsFromBeforeTheFirstSampleAreNoPersistentCongestion(t *testing.T) {
	s := newSender(t)
	s.init(lossConfig{cc: s.cc, random: rand.Uint64})
	s.send(2, 10*time.Second)
	s.advance(time.Millisecond)
	s.sendOne()
	s.advance(testRTT)
	s.ack(2, 3)
	s.advance(testRTT)
	s.wake(lossTimerReorder)
	require.Zero(t, s.l.stats.persistent, "the timeout was a guess then")
}

// spec: REL-20
func TestAProbeIsDueWhenNothingIsAcknowledged(t *testing.T) {
	s := newSender(t)
	s.send(4, time.Millisecond)
	last := s.now
	s.wake(lossTimerProbe)
	require.Equal(t, s.l.pto(), s.now.Sub(last), "counted from the last packet")
	require.Equal(t, 1, s.l.probesWanted)
	require.Equal(t, []uint64{0}, s.probed, "the oldest facts go again")
	require.Empty(t, s.lost, "a probe declares nothing lost")
	require.Equal(t, 4*testSize, s.l.inFlight())

	ok, _ := s.l.canSend(s.now, testSize, sendProbe)
	require.True(t, ok)
	s.sendOne()
	ok, _ = s.l.canSend(s.now, testSize, sendProbe)
	require.False(t, ok, "one was asked for")
	s.l.outage = s.now.Add(-outageProbing)
	s.wake(lossTimerProbe)
	s.sendOne()
	s.wake(lossTimerProbe)
	require.Equal(t, 2, s.l.probesWanted, "from the second doubling on")
	require.Equal(t, []uint64{0, 1}, s.probed)
}

func TestTheBackoffNeverShortensALongTimeout(t *testing.T) {
	s := newSender(t)
	s.l.rtt.reset(0)
	s.l.sampleRTT(s.now, 3*time.Second)
	s.sendOne()
	pto := s.l.pto()
	require.Greater(t, pto, maxProbeInterval)
	s.l.ptoCount, s.l.backoff = 1, 1
	at, _ := s.l.deadline()
	require.Equal(t, pto, at.Sub(s.now))
}

func TestNothingInFlightNeedsNoTimer(t *testing.T) {
	s := newSender(t)
	at, why := s.l.deadline()
	require.Zero(t, at)
	require.Equal(t, lossTimerNone, why)
	s.sendAckOnly()
	_, why = s.l.deadline()
	require.Equal(t, lossTimerNone, why, "an acknowledgement waits for nothing")
	s.l.handleTimeout(s.now.Add(time.Hour), s)
	require.Zero(t, s.l.probesWanted)
	s.sendOne()
	s.ack(0, 2)
	_, why = s.l.deadline()
	require.Equal(t, lossTimerNone, why)
}

// spec: REL-21
func TestTheWindowHoldsDataBackButNotAcknowledgementsAndProbes(t *testing.T) {
	s := newSender(t)
	s.cc.size = 3 * testSize
	s.send(3, 0)
	can := func(class sendClass) bool {
		ok, wait := s.l.canSend(s.now, testSize, class)
		require.Zero(t, wait, "only an acknowledgement can help")
		return ok
	}
	require.False(t, can(sendBulk), "three of three are out")
	require.True(t, can(sendAck))
	require.False(t, can(sendProbe), "none is wanted")
	require.True(t, can(sendSizeProbe))
	s.advance(testRTT)
	s.ack(0, 1)
	require.True(t, can(sendBulk))
}

func TestThePacketThatFillsASmallWindowSaysSo(t *testing.T) {
	s := newSender(t)
	s.cc.size = 3 * testSize
	require.False(t, s.l.fillsWindow(testSize), "two more fit")
	s.send(2, 0)
	require.True(t, s.l.fillsWindow(testSize), "the third fills it: the peer would wait for sixteen")
	s.cc.size = 100 * testSize
	s.send(97, 0)
	require.False(t, s.l.fillsWindow(testSize), "a large window is acknowledged while it fills")
}

func TestAWindowBelowOneDatagramStillLetsOneOut(t *testing.T) {
	s := newSender(t)
	s.cc.size = testSize / 2
	ok, _ := s.l.canSend(s.now, testSize, sendBulk)
	require.True(t, ok, "nothing is in flight: waiting would be for ever")
}

// spec: REL-22
func TestUrgentDataMayExceedTheWindowALittle(t *testing.T) {
	s := newSender(t)
	s.cc.size = 10 * testSize
	s.send(10, 0)
	urgent := func() bool {
		ok, wait := s.l.canSend(s.now, testSize, sendLatency)
		require.Zero(t, wait, "only an acknowledgement can help")
		return ok
	}
	for range latencyPackets {
		require.True(t, urgent(), "four packets")
		s.sendUrgent()
	}
	require.False(t, urgent(), "not five")

	s.ack(0, 4)
	ok, _ := s.l.canSend(s.now, testSize, sendBulk)
	require.False(t, ok, "bulk data pays back what was taken")
	s.ack(0, 5)
	ok, _ = s.l.canSend(s.now, testSize, sendBulk)
	require.True(t, ok)

	s.ack(10, 14)
	s.cc.size = 1000 * testSize
	s.send(995, 0)
	for range 50 {
		require.True(t, urgent(), "five per cent of a large window")
		s.sendUrgent()
	}
	require.False(t, urgent(), "not more")
}

// spec: REL-22
func TestUrgentDataDoesNotWaitForAWindowThatWasCut(t *testing.T) {
	s := newSender(t)
	s.cc.size = 100 * testSize
	s.send(100, 0)
	s.cc.size = 50 * testSize
	for range latencyPackets {
		ok, _ := s.l.canSend(s.now, testSize, sendLatency)
		require.True(t, ok, "bulk data has fifty packets too many in flight")
		s.sendUrgent()
	}
	ok, _ := s.l.canSend(s.now, testSize, sendLatency)
	require.False(t, ok)
	require.Zero(t, s.l.latencyRoom(s.now), "the allowance is used up")
}

// spec: REL-22
func TestASmallUrgentPacketNeedsRoomForItselfOnly(t *testing.T) {
	s := newSender(t)
	s.cc.size = 10 * testSize
	s.send(10, 0)
	for range latencyPackets - 1 {
		s.sendUrgent()
	}
	s.sendPacket(testSize-minReply, func(p *sentPacket) { p.latency = true })
	require.Equal(t, minReply, s.l.latencyRoom(s.now))
	ok, _ := s.l.canSend(s.now, testSize, sendLatency)
	require.False(t, ok, "no room for a full one")
	ok, _ = s.l.canSend(s.now, minReply, sendLatency)
	require.True(t, ok)
}

// spec: REL-22
func TestUrgentDataKeepsToTheWindowInPersistentCongestion(t *testing.T) {
	s := newSender(t)
	s.l.persistentSince = s.now
	s.cc.size = 2 * testSize
	s.advance(time.Millisecond)
	s.send(2, 0)
	ok, _ := s.l.canSend(s.now, testSize, sendLatency)
	require.False(t, ok)
	s.advance(testRTT)
	s.ack(1, 2)
	s.sendOne()
	require.Equal(t, latencyPackets*testSize, s.l.latencyRoom(s.now), "something sent after it arrived: it is over")
}

func TestOnlySomethingNewCountsAsProgress(t *testing.T) {
	s := newSender(t)
	s.send(3, 0)
	s.advance(testRTT)
	s.ack(0, 2)
	n := len(s.cc.acked)
	s.ack(0, 2)
	require.Len(t, s.cc.acked, n, "the controller does not hear it twice")
	require.Empty(t, s.acked)
}

func TestTheControllerHearsWhatAnAcknowledgementBrought(t *testing.T) {
	s := newSender(t)
	s.send(4, 0)
	s.advance(testRTT)
	s.ack(0, 2, 3, 4)
	require.Len(t, s.cc.acked, 1)
	a := s.cc.acked[0]
	require.Equal(t, 3*testSize, a.Bytes)
	require.Equal(t, 3, a.Packets)
	require.Equal(t, 4*testSize, a.PriorInFlight)
	require.Equal(t, testSize, a.InFlight)
	require.Equal(t, testRTT, a.RTT)
	require.Equal(t, testRTT, a.MinRTT)
	require.True(t, a.RoundStart)
	require.Zero(t, a.RecoveryBytes)

	s.advance(testRTT)
	s.wake(lossTimerReorder)
}

func TestPacketsFromBeforeAnEpisodeAreReportedApart(t *testing.T) {
	s := newSender(t)
	s.send(4, 0)
	s.late(1, 2)
	s.wantLost("the first", 0)
	s.advance(time.Millisecond)
	s.sendOne()
	s.ack(1, 5)
	a := s.cc.acked[len(s.cc.acked)-1]
	require.Equal(t, 3*testSize, a.Bytes)
	require.Equal(t, 2*testSize, a.RecoveryBytes)
}

// spec: REL-24
func TestTheApplicationIsTheLimitOnlyWhenTheWindowHadRoom(t *testing.T) {
	s := newSender(t)
	s.cc.size = 4 * testSize
	s.send(1, 0)
	s.l.appLimited()
	s.sendOne()
	s.advance(testRTT)
	s.ack(0, 2)
	require.True(t, s.cc.acked[0].Rate.AppLimited)

	s.send(4, 0)
	s.advance(testRTT)
	s.ack(0, 6)
	s.send(4, 0)
	s.l.appLimited()
	s.send(1, 0)
	s.advance(testRTT)
	s.ack(0, 11)
	require.False(t, s.cc.acked[2].Rate.AppLimited, "the window was full when the data ended")
}

// spec: REL-28
func TestALostSizeProbeIsNoCongestion(t *testing.T) {
	s := newSender(t)
	s.sendPacket(9000, func(p *sentPacket) { p.probe = true })
	require.Zero(t, s.l.inFlight(), "it holds nothing back")
	s.sendOne()
	s.late(1, 2)
	s.wantLost("the probe", 0)
	require.Empty(t, s.cc.lost)
	require.Zero(t, s.l.stats.packetsLost)
	require.Equal(t, uint64(1), s.l.stats.sizeProbesLost)
}

func TestALargerSizeReachesTheControllerAndThePackets(t *testing.T) {
	s := newSender(t)
	s.l.mtu.reset(0, 1472)
	s.l.mtu.start(s.now)
	size, ok := s.l.mtu.nextProbe(s.now)
	require.True(t, ok)
	pn := s.sendPacket(size, func(p *sentPacket) { p.probe = true })
	s.advance(testRTT)
	s.ack(pn, pn+1)
	require.Equal(t, 1252, s.l.datagramSize())
	require.Equal(t, 1252, s.cc.mtu)
}

// spec: REL-30
func TestAfterTwoProbeTimeoutsPacketsHaveTheBaseSize(t *testing.T) {
	s := newSender(t)
	s.l.mtu.reset(0, 1472)
	s.l.mtu.size = 1472
	s.send(2, 0)
	s.wake(lossTimerProbe)
	require.Equal(t, 1472, s.l.datagramSize(), "one may be chance")
	s.sendOne()
	s.wake(lossTimerProbe)
	require.Equal(t, baseDatagram, s.l.datagramSize())
	s.sendOne()
	s.ack(3, 4)
	require.Equal(t, 1472, s.l.datagramSize(), "an answer came")
}

// spec: REL-29
func TestAPathThatLosesOnlyLargePacketsFallsBackToTheBaseSize(t *testing.T) {
	s := newSender(t)
	s.l.mtu.reset(0, 1472)
	s.l.mtu.size = 1472
	s.l.mtu.phase = mtuDone
	for range blackHoleBursts {
		require.Equal(t, 1472, s.l.datagramSize())
		for range 5 {
			s.sendPacket(s.l.datagramSize(), nil)
		}
		for s.l.datagramSize() != baseDatagram {
			s.wake(lossTimerProbe)
		}
		small := s.sendPacket(s.l.datagramSize(), nil)
		s.advance(testRTT)
		s.ack(small, small+1)
		require.NotEmpty(t, s.lost)
	}
	require.Equal(t, baseDatagram, s.l.mtu.current())
	require.Equal(t, baseDatagram, s.cc.mtu)
}

// spec: REL-31
func TestANewAddressStartsTheMeasurementsAgain(t *testing.T) {
	s := newSender(t)
	s.send(4, 0)
	s.cc.size = 5 * testSize
	fresh := &fixedController{size: 10 * testSize}
	s.l.migrated(s.now, false, fresh)
	s.check()
	require.Equal(t, 10*testSize, s.l.window())
	require.Zero(t, s.l.inFlight(), "the old network's packets take no room in the new one")
	require.Equal(t, initialRTT, s.l.rtt.smoothed)

	s.advance(testRTT)
	s.ack(0, 2)
	require.Equal(t, []uint64{0, 1}, s.acked, "but they are acknowledged")
	require.False(t, s.l.rtt.sampled, "and are no sample")
	require.Empty(t, fresh.acked)
	require.Equal(t, uint64(4), s.sendOne(), "numbers go on: they are never used again")
	s.advance(testRTT / 2)
	s.ack(0, 2, 4, 5)
	require.Equal(t, testRTT/2, s.l.rtt.latest)
	s.wantLost("the facts of the old packets are not forgotten", 2, 3)
	require.Empty(t, fresh.lost, "their loss is not the new network's")
}

// spec: REL-31
func TestANewPortAloneKeepsTheMeasurements(t *testing.T) {
	s := newSender(t)
	s.send(4, 0)
	s.l.migrated(s.now, true, nil)
	require.Equal(t, 4*testSize, s.l.inFlight())
	require.Equal(t, testRTT, s.l.rtt.smoothed)
	require.Less(t, s.l.skip.next, s.l.list.next+2*firstSkip, "but the skips are as dense as at the start")
}

func TestAPathThatIsGivenUpReturnsItsFacts(t *testing.T) {
	s := newSender(t)
	s.send(4, 0)
	s.sendAckOnly()
	s.advance(testRTT)
	s.ack(1, 2)
	s.l.abandon(s)
	s.wantLost("everything whose fate was open", 0, 2, 3)
	require.True(t, s.l.idle())
	require.Empty(t, s.cc.lost)
	require.Nil(t, s.l.list.slots)
	s.ack(0, 5)
	require.Empty(t, s.acked, "known to be sent, but forgotten")
}

func TestAnIdlePathGivesItsMemoryBack(t *testing.T) {
	s := newSender(t)
	s.send(1000, 0)
	s.l.release()
	require.NotNil(t, s.l.list.slots, "not while something is in flight")
	s.advance(testRTT)
	s.ack(0, 1000)
	require.True(t, s.l.idle())
	s.l.release()
	require.Nil(t, s.l.list.slots)
	require.Equal(t, uint64(1000), s.sendOne())
	s.advance(testRTT)
	s.ack(0, 1001)
	require.Equal(t, []uint64{1000}, s.acked)
}

func TestAnEndThatOnlyAcknowledgesStaysSmall(t *testing.T) {
	s := newSender(t)
	for range 100_000 {
		s.sendAckOnly()
	}
	require.LessOrEqual(t, len(s.l.list.slots), 2*maxUntrackedTail)
	s.ack(0, 100_000)
	require.Len(t, s.acked, maxUntrackedTail)
}

func TestAnAbandonedPacketLeavesNoTrace(t *testing.T) {
	s := newSender(t)
	p := s.l.begin()
	p.eliciting, p.inFlight = true, true
	p.facts = append(p.facts, fact{kind: factDone})
	p = s.l.begin()
	require.Empty(t, p.facts)
	require.False(t, p.eliciting)
	require.Zero(t, s.l.nextPN())
	require.Error(t, s.tryAck(wire.AckExtras{}, 0, 1), "it was never sent")
}

// spec: REL-6
// spec: REL-7
func TestNumbersAreSkippedAtRandomAndEverLessOften(t *testing.T) {
	s := newSender(t)
	rng := rand.New(rand.NewPCG(1, 2))
	s.init(lossConfig{cc: s.cc, random: rng.Uint64})
	var skipped []uint64
	var next uint64
	for range 3_000_000 {
		p := s.l.begin()
		if p.pn != next {
			require.Equal(t, s.l.nextPN(), p.pn)
			require.Equal(t, next+1, p.pn)
			skipped = append(skipped, next)
		}
		next = p.pn + 1
		s.l.commit(s.now, p, 40)
	}
	require.Less(t, skipped[0], uint64(2*firstSkip))
	interval := uint64(firstSkip)
	for i := 1; i < len(skipped); i++ {
		interval = min(2*interval, lastSkip)
		require.Less(t, skipped[i]-skipped[i-1], 2*interval, "skip %d", i)
	}
	require.Greater(t, len(skipped), 20)
	require.Less(t, len(skipped), 60, "about one in 131,072 in the end")

	s.l.migrated(s.now, true, nil)
	require.Less(t, s.l.skip.next-s.l.list.next, uint64(2*firstSkip), "a new path is as suspicious as the first")
}

// spec: REL-8
func TestAnAcknowledgementOfWhatWasNeverSentIsAnErrorAndChangesNothing(t *testing.T) {
	s := newSender(t)
	s.send(3, 0)
	s.l.skip.next = 3
	require.Equal(t, uint64(4), s.sendOne())
	for _, pairs := range [][]uint64{{5, 6}, {0, 100}, {0, 1, 4, 6}, {3, 4}, {0, 5}, {2, 4}} {
		err := s.tryAck(wire.AckExtras{}, pairs...)
		var transport *TransportError
		require.ErrorAs(t, err, &transport, "%v", pairs)
		require.Equal(t, wire.AckUnsent, transport.Code)
		require.Empty(t, s.acked, "checked before use")
		require.Equal(t, 4*testSize, s.l.inFlight())
	}
	s.advance(testRTT)
	s.ack(0, 3, 4, 5)
	require.Len(t, s.acked, 4)
	require.Equal(t, uint64(5), s.l.list.base, "nothing is left to lie about")
}

// A receiver that acknowledges ahead of what arrives, to be sent more, is found out by a skipped
// number after few packets, and its window is no larger than the packets that were sent.
//
// spec: REL-7
// spec: REL-8
func TestAttack11OptimisticAckIsCaughtBySkippedNumbers(t *testing.T) {
	for seed := range uint64(50) {
		s := newSender(t)
		rng := rand.New(rand.NewPCG(seed, 11))
		cubic := congestion.NewCubic(congestion.Config{})
		s.init(lossConfig{cc: cubic, random: rng.Uint64})
		var err error
		for n := 0; err == nil; n++ {
			require.Less(t, s.l.list.next, uint64(2*firstSkip), "closed within 512 packets")
			for ok := true; ok; ok, _ = s.l.canSend(s.now, testSize, sendBulk) {
				s.sendOne()
				s.advance(100 * time.Microsecond)
			}
			// The attacker has seen one packet of the flight and claims all that a clock tells it
			// must be out by now.
			s.advance(time.Millisecond)
			err = s.tryAck(wire.AckExtras{}, 0, s.l.list.next)
			require.LessOrEqual(t, cubic.Window(), 2*firstSkip*testSize)
		}
		var transport *TransportError
		require.ErrorAs(t, err, &transport)
		require.Equal(t, wire.AckUnsent, transport.Code)
	}
}

// spec: REL-26
func TestAMarkBeginsOneEpisodeInARoundTrip(t *testing.T) {
	s := newSender(t)
	s.l.ecn.start(true)
	for range 6 {
		s.sendPacket(testSize, func(p *sentPacket) { p.ecn = wire.ECT0 })
	}
	s.advance(testRTT)
	require.NoError(t, s.tryAck(wire.AckExtras{HasECN: true, ECN: wire.ECNCounts{ECT0: 1, CE: 1}}, 0, 2))
	require.NoError(t, s.tryAck(wire.AckExtras{HasECN: true, ECN: wire.ECNCounts{ECT0: 1, CE: 3}}, 0, 4))
	require.Len(t, s.cc.lost, 2)
	require.Equal(t, 1, s.cc.lost[0].ECN)
	require.Equal(t, 2, s.cc.lost[1].ECN)
	require.Equal(t, 1, s.cc.episodes(), "all six left before the first mark was known")

	s.advance(time.Millisecond)
	s.sendPacket(testSize, func(p *sentPacket) { p.ecn = wire.ECT0 })
	s.advance(testRTT)
	require.NoError(t, s.tryAck(wire.AckExtras{HasECN: true, ECN: wire.ECNCounts{ECT0: 3, CE: 4}}, 0, 7))
	require.Equal(t, 2, s.cc.episodes())
}

// spec: REL-42
func TestMarksAreCountedAndBeginNoEpisodeForWhoAnswersTheirPart(t *testing.T) {
	s := newSender(t)
	s.l.ecn.start(true)
	s.cc.marking = congestion.MarkL4S
	require.Equal(t, wire.ECT1, s.l.sendECN())
	for range 6 {
		s.sendPacket(testSize, func(p *sentPacket) { p.ecn = s.l.sendECN() })
	}
	s.advance(testRTT)
	require.NoError(t, s.tryAck(wire.AckExtras{HasECN: true, ECN: wire.ECNCounts{ECT1: 2, CE: 2}}, 0, 4))
	require.Equal(t, 2, s.cc.lost[0].ECN)
	require.False(t, s.cc.lost[0].Episode)
	require.Equal(t, 4, s.cc.acked[0].ECT)
	require.Zero(t, s.l.stats.episodes)
	require.Equal(t, uint64(2), s.l.stats.marked)

	s.cc.marking = congestion.MarkClassic
	require.Equal(t, wire.ECT0, s.l.sendECN())
	require.NoError(t, s.tryAck(wire.AckExtras{HasECN: true, ECN: wire.ECNCounts{ECT1: 3, CE: 3}}, 0, 6))
	require.True(t, s.cc.lost[1].Episode, "it answers marks like loss now, those of the other kind too")
}

func TestASampleOfTheRoundTripNeedsTheLargestNumberToBeNew(t *testing.T) {
	s := newSender(t)
	s.send(3, 0)
	s.advance(testRTT / 2)
	s.ack(2, 3)
	require.Equal(t, testRTT/2, s.l.rtt.latest)
	s.advance(5 * testRTT)
	s.ack(0, 3)
	require.Equal(t, testRTT/2, s.l.rtt.latest, "the others may have waited anywhere")
}

// Whatever the network does, sums agree with their parts, every packet meets exactly one fate at a
// time, and nothing is left when all is acknowledged.
func TestRandomNetworksLeaveNothingBehind(t *testing.T) {
	for seed := range uint64(200) {
		runRandomNetwork(t, rand.New(rand.NewPCG(seed, 1)))
	}
}

func runRandomNetwork(t *testing.T, rng *rand.Rand) {
	s := newSender(t)
	s.init(lossConfig{cc: congestion.NewCubic(congestion.Config{}), random: rng.Uint64, ecn: true})
	var arrived rangeset
	lossRate := rng.IntN(50)
	for range 400 {
		s.advance(time.Duration(rng.IntN(30)) * time.Millisecond)
		s.l.handleTimeout(s.now, s)
		s.check()
		for range rng.IntN(5) {
			pn := s.sendPacket(40+rng.IntN(testSize), func(p *sentPacket) {
				p.probe = rng.IntN(20) == 0
				p.eliciting = p.probe || rng.IntN(4) > 0
				p.inFlight = p.eliciting
			})
			if rng.IntN(100) >= lossRate {
				arrived.add(pn, pn+1)
			}
		}
		if rng.IntN(2) == 0 && len(arrived) > 0 {
			n := min(len(arrived), 1+rng.IntN(wire.MaxAckRanges))
			f := wire.NewAck(0, uint64(rng.IntN(1<<20)), arrived[len(arrived)-n:], wire.AckExtras{})
			require.NoError(t, s.l.handleAck(s.now, &f, testAckDelay, s))
			s.check()
		}
		if rng.IntN(200) == 0 {
			s.l.migrated(s.now, rng.IntN(2) == 0, congestion.NewCubic(congestion.Config{}))
			s.check()
		}
	}
	s.finish(rng)
}

// finish heals the network and expects every packet's fate to be decided.
func (s *sender) finish(rng *rand.Rand) {
	for i := 0; !s.l.idle(); i++ {
		require.Less(s.t, i, 100)
		pn := s.sendOne()
		s.advance(s.l.pto() + testRTT)
		f := wire.NewAck(0, 0, ranges(pn, pn+1), wire.AckExtras{})
		require.NoError(s.t, s.l.handleAck(s.now, &f, testAckDelay, s))
		s.check()
	}
	s.l.release()
	require.Nil(s.t, s.l.list.slots)
}

func TestSendingAndAcknowledgingAllocateNothing(t *testing.T) {
	step := newStep(16)
	for range 1000 {
		step()
	}
	require.Zero(t, testing.AllocsPerRun(1000, step))
}

// nobody takes the fates of packets.
type nobody struct{}

func (nobody) packetAcked(*sentPacket)  {}
func (nobody) packetLost(*sentPacket)   {}
func (nobody) packetProbed(*sentPacket) {}

// newStep returns a step of steady bulk transfer: n packets leave and one acknowledgement for n
// packets of the flight before arrives, with the history of a lost packet in it.
func newStep(n int) func() {
	l := &lossState{}
	now := testStart
	seed := rand.New(rand.NewPCG(1, 2))
	cc := congestion.NewCubic(congestion.Config{InitialWindow: 1 << 24})
	l.init(now, lossConfig{cc: cc, random: seed.Uint64, ecn: true})
	l.sampleRTT(now, time.Millisecond)
	var got ackState
	got.init(testAckDelay)
	frame := make([]byte, 0, 1500)
	var flight []uint64
	var cb ackHandler = nobody{}
	return func() {
		for range n {
			now = now.Add(time.Microsecond)
			l.canSend(now, testSize, sendBulk)
			p := l.begin()
			p.eliciting, p.inFlight = true, true
			p.facts = append(p.facts, fact{kind: factStream})
			flight = append(flight, p.pn)
			l.commit(now, p, testSize)
		}
		if len(flight) < 1000 {
			return
		}
		for _, pn := range flight[:n] {
			if pn%1000 != 0 {
				got.receive(now, pn, true, false, wire.NotECT)
			}
		}
		flight = append(flight[:0], flight[n:]...)
		b, token, _ := got.append(frame, now, 0, 1400)
		got.sent(token)
		got.ackedAck(token - min(token, 4000))
		f, _ := wire.ParseAck(wire.FrameType(b[0]), b[1:])
		if err := l.handleAck(now, &f, testAckDelay, cb); err != nil {
			panic(err)
		}
	}
}

// BenchmarkPacketSentAndAcknowledged is the cost of one packet in bulk: asking window and pacer,
// recording it, at the receiver noting it and its share of an acknowledgement frame, and taking that.
func BenchmarkPacketSentAndAcknowledged(b *testing.B) {
	const n = 16
	step := newStep(n)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i++; i == n {
			step()
			i = 0
		}
	}
}
