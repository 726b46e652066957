package protocol

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/wire"
)

// recoveryLink is a sender's and a receiver's half of a path with a model of a network between them:
// enough to see what loss detection makes of delay, jitter, loss and a queue. The sender always has
// data.
type recoveryLink struct {
	sender
	got    ackState
	rng    *rand.Rand
	events linkEvents
	seq    int
	until  Time

	delay   time.Duration // one way
	jitter  time.Duration // mean of the exponential part, one way
	loss    float64       // of each packet, both ways
	rate    float64       // bytes a second, 0: no limit
	queue   int           // bytes
	gap     time.Duration // between packets at the sender; 0: window and pacer decide
	free    Time          // when the link is free again
	wakeAt  Time
	armed   Time
	dropped int
	arrived int // bytes, each packet once
}

type linkEvent struct {
	at  Time
	seq int
	do  func()
}

type linkEvents []linkEvent

func (e linkEvents) Len() int { return len(e) }
func (e linkEvents) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e linkEvents) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *linkEvents) Push(x any)   { *e = append(*e, x.(linkEvent)) }
func (e *linkEvents) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

func newRecoveryLink(t *testing.T, seed uint64) *recoveryLink {
	k := &recoveryLink{rng: rand.New(rand.NewPCG(seed, 7)), delay: 25 * time.Millisecond}
	k.sender = sender{t: t, now: testStart}
	k.init(lossConfig{cc: congestion.NewCubic(congestion.Config{}), random: k.rng.Uint64})
	k.got.init(testAckDelay)
	return k
}

func (k *recoveryLink) at(at Time, do func()) {
	k.seq++
	heap.Push(&k.events, linkEvent{at, k.seq, do})
}

// transit returns when a packet that enters the network now comes out.
func (k *recoveryLink) transit(size int) (at Time, ok bool) {
	if k.rng.Float64() < k.loss {
		k.dropped++
		return 0, false
	}
	at = k.now
	if k.rate > 0 {
		waiting := float64(max(k.free.Sub(k.now), 0)) / 1e9 * k.rate
		if size > 100 && waiting+float64(size) > float64(k.queue) {
			k.dropped++
			return 0, false
		}
		k.free = max(k.free, k.now).Add(time.Duration(float64(size) / k.rate * 1e9))
		at = k.free
	}
	at = at.Add(k.delay)
	if k.jitter > 0 {
		at = at.Add(time.Duration(k.rng.ExpFloat64() * float64(k.jitter)))
	}
	return at, true
}

func (k *recoveryLink) transmit() {
	p := k.l.begin()
	p.eliciting, p.inFlight = true, true
	pn := p.pn
	k.l.commit(k.now, p, testSize)
	k.arm()
	if at, ok := k.transit(testSize); ok {
		k.at(at, func() { k.receive(pn) })
	}
}

// pump sends what may leave, and comes back when it may.
func (k *recoveryLink) pump() {
	if k.now >= k.until {
		return
	}
	for {
		if k.l.probesWanted > 0 {
			k.transmit()
			continue
		}
		if k.gap > 0 {
			return
		}
		ok, wait := k.l.canSend(k.now, testSize, sendBulk)
		if !ok {
			if wait > 0 && wait != k.wakeAt {
				k.wakeAt = wait
				k.at(wait, func() { k.pump() })
			}
			return
		}
		k.transmit()
	}
}

func (k *recoveryLink) receive(pn uint64) {
	if !k.got.seen.contains(pn) {
		k.arrived += testSize
	}
	k.got.receive(k.now, pn, true, false, wire.NotECT)
	k.sendAckIfDue()
	if at := k.got.deadline(); at != 0 {
		k.at(at, k.sendAckIfDue)
	}
}

func (k *recoveryLink) sendAckIfDue() {
	if !k.got.shouldSend(k.now) {
		return
	}
	b, token, _ := k.got.append(nil, k.now, 0, 1200)
	k.got.sent(token)
	free := k.free
	at, ok := k.transit(40)
	k.free = free // the way back has a queue of its own, which is empty
	if !ok {
		return
	}
	at = max(at-max(free-k.now, 0), k.now)
	k.at(at, func() {
		f, n := wire.ParseAck(wire.FrameType(b[0]), b[1:])
		require.Positive(k.t, n)
		require.NoError(k.t, k.l.handleAck(k.now, &f, testAckDelay, nobody{}))
		k.got.setRTT(k.l.rtt.smoothed)
		k.arm()
		k.pump()
	})
}

func (k *recoveryLink) arm() {
	at, why := k.l.deadline()
	if why == lossTimerNone || at == k.armed {
		return
	}
	k.armed = at
	k.at(at, func() {
		k.l.handleTimeout(k.now, nobody{})
		k.pump()
		k.arm()
	})
}

// run lets data flow for d, and then the network drain.
func (k *recoveryLink) run(d time.Duration) {
	k.until = k.now.Add(d)
	if k.gap > 0 {
		for at := k.now; at < k.until; at = at.Add(k.gap) {
			k.at(at, k.transmit)
		}
	} else {
		k.at(k.now, k.pump)
	}
	for len(k.events) > 0 {
		e := heap.Pop(&k.events).(linkEvent)
		if e.at > k.until.Add(time.Second) {
			break
		}
		k.now = max(k.now, e.at)
		e.do()
	}
	k.check()
}

func (k *recoveryLink) spurious() float64 {
	return float64(k.l.stats.spurious) / float64(k.l.stats.packetsSent)
}

// Targets: at most 0.5 % needless retransmissions with a mean jitter of 2 ms each way, 2 % with 10 ms.
//
// spec: REL-11, REL-12
func TestReorderingCausesFewNeedlessRetransmissions(t *testing.T) {
	for _, test := range []struct {
		jitter time.Duration
		most   float64
	}{{2 * ms, 0.005}, {10 * ms, 0.02}} {
		for _, gap := range []time.Duration{ms, 200 * time.Microsecond} {
			k := newRecoveryLink(t, 1)
			k.jitter, k.gap = test.jitter, gap
			k.run(4 * time.Second)
			require.Less(t, k.spurious(), test.most, "jitter %v, a packet every %v", test.jitter, gap)
			require.Equal(t, k.l.stats.spurious, k.l.stats.packetsLost, "nothing was lost, and all of it was noticed")
		}
	}
}

func TestALinkIsFilledWhenNothingElseIsLost(t *testing.T) {
	k := newRecoveryLink(t, 1)
	k.delay, k.rate, k.queue = 20*ms, 6_250_000, 250_000
	k.run(4 * time.Second)
	require.Greater(t, float64(k.arrived), 0.9*4*k.rate, "50 Mbit/s with a queue of one BDP, slow start included")
	require.Zero(t, k.l.stats.spurious)
	require.Zero(t, k.l.stats.ptos, "acknowledgements found every loss")
}

func TestEveryLossIsFoundAndNothingElse(t *testing.T) {
	for _, loss := range []float64{0.01, 0.05, 0.2, 0.3} {
		k := newRecoveryLink(t, 2)
		k.loss, k.gap = loss, ms
		k.run(4 * time.Second)
		lost := k.l.stats.packetsSent - uint64(k.arrived/testSize)
		require.InDelta(t, lost, k.l.stats.packetsLost, 0.02*float64(lost)+8, "loss %v", loss)
	}
}

func TestDataStillFlowsAtThirtyPercentLossBothWays(t *testing.T) {
	k := newRecoveryLink(t, 3)
	k.loss = 0.3
	k.run(20 * time.Second)
	require.Greater(t, k.arrived/testSize, 20*15, "not less than a packet every 67 ms, at a round trip of 50")
	require.Less(t, k.l.stats.ptos, uint64(k.arrived/testSize/2), "probes do not carry it alone")
}

// spec: REL-19
func TestDataFlowsSoonAfterAnOutage(t *testing.T) {
	k := newRecoveryLink(t, 4)
	k.rate, k.queue = 2_500_000, 125_000
	start := testStart
	k.at(start.Add(5*time.Second), func() { k.loss = 1 })
	before := 0
	k.at(start.Add(7*time.Second), func() { k.loss, before = 0, k.arrived })
	k.at(start.Add(7*time.Second+maxProbeInterval+200*ms), func() {
		require.Greater(t, k.arrived, before, "at most one backoff later")
	})
	k.run(12 * time.Second)
	require.Greater(t, k.arrived-before, 2*2_500_000, "and at full rate within seconds")
}

// FuzzRecovery drives the sender's side of a path by a string of operations, acknowledgements of
// anything among them. Whatever the peer says, nothing panics, the sums agree with their parts, and a
// number that was never sent is never taken.
func FuzzRecovery(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 3, 0, 1, 2, 10, 3, 2, 1})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 3, 1, 3, 2, 90, 4, 3, 0, 6, 5, 0, 0, 3, 6, 8})
	f.Add([]byte{6, 0, 6, 0, 7, 0, 3, 0, 200, 2, 255, 4, 4, 4, 4, 0, 3, 1, 1, 5, 1, 3, 0, 3})
	f.Fuzz(func(t *testing.T, ops []byte) {
		s := &sender{t: t, now: testStart}
		rng := rand.New(rand.NewPCG(1, 1))
		name := congestion.Names()[len(ops)%len(congestion.Names())]
		controller, _ := congestion.Named(name)
		s.init(lossConfig{cc: controller(congestion.Config{}), random: rng.Uint64, ecn: true, mtuLimit: 9000})
		s.l.mtu.start(s.now)
		for len(ops) > 0 {
			ops = s.operate(ops)
			s.check()
		}
	})
}

// operate does what the first bytes of ops say, and returns the rest.
func (s *sender) operate(ops []byte) []byte {
	op, arg := ops[0], byte(0)
	ops = ops[1:]
	if len(ops) > 0 {
		arg, ops = ops[0], ops[1:]
	}
	switch op % 8 {
	case 0:
		s.sendPacket(40+int(arg)*10, func(p *sentPacket) { p.ecn = s.l.sendECN() })
	case 1:
		s.sendAckOnly()
	case 2:
		s.advance(time.Duration(arg) * ms)
		s.l.handleTimeout(s.now, s)
	case 3:
		return s.acknowledge(arg, ops)
	case 4:
		if at, why := s.l.deadline(); why != lossTimerNone {
			s.now = max(s.now, at)
			s.l.handleTimeout(s.now, s)
		}
	case 5:
		s.l.migrated(s.now, arg%2 == 0, nil)
	case 6:
		if size, ok := s.l.mtu.nextProbe(s.now); ok {
			s.sendPacket(size, func(p *sentPacket) { p.probe = true })
		}
	case 7:
		s.l.release()
		s.l.canSend(s.now, int(arg), sendClass(arg%5))
		s.l.appLimited()
	}
	return ops
}

// acknowledge takes a frame of up to three ranges, counted back from the newest number.
func (s *sender) acknowledge(counts byte, ops []byte) []byte {
	next := s.l.list.next
	var said rangeset
	for i := 0; i < 3 && len(ops) >= 2; i++ {
		start := next - min(next, uint64(ops[0]))
		said.add(start, start+uint64(ops[1]%16)+1)
		ops = ops[2:]
	}
	if len(said) == 0 {
		return ops
	}
	extras := wire.AckExtras{HasECN: counts%2 == 1, ECN: wire.ECNCounts{
		ECT0: uint64(counts / 2), ECT1: uint64(counts / 4), CE: uint64(counts % 3),
	}}
	f := wire.NewAck(0, uint64(counts)*100, said, extras)
	err := s.l.handleAck(s.now, &f, testAckDelay, s)
	require.False(s.t, err == nil && said.end() > next, "a number to come was taken")
	return ops
}
