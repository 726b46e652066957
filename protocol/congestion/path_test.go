package congestion

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/monotime"
)

// testPath drives one controller over one bottleneck: packets of one size, a drop-tail queue, a fixed
// delay, random loss, an acknowledgement for every fourth packet, and loss found an eighth of a round
// trip late. It does what package protocol does around a controller, and nothing else.
type testPath struct {
	t   *testing.T
	cc  Controller
	rng *rand.Rand

	rate   float64 // bytes a second
	base   time.Duration
	buffer int // bytes
	loss   float64
	police bool    // no queue: what exceeds the rate is dropped
	app    float64 // bytes a second that the application has; 0: no limit
	silent bool    // nothing arrives
	urgent int     // every so many packets one is; 0: none
	sends  int
	batch  time.Duration // acknowledgements come together, this far apart; 0: as they are made

	now      monotime.Time
	sampler  RateSampler
	frame    AckedFrame
	inFlight int
	busy     monotime.Time
	paced    monotime.Time
	flying   []testPacket // in the order of their acknowledgement
	lost     []testPacket // in the order in which they are found
	recovery monotime.Time
	srtt     time.Duration
	minRTT   time.Duration

	delivered, dropped int
	maxQueue           time.Duration // since the last look
	lastRTT            time.Duration
	tokens             float64
	tokensAt           monotime.Time
	earned             float64
	earnedAt           monotime.Time
}

type testPacket struct {
	sent, at monotime.Time // at: when its acknowledgement comes, or its loss is found
	state    SendState
}

const testPacketSize = 1200

func newTestPath(t *testing.T, cc Controller) *testPath {
	return &testPath{
		t: t, cc: cc, rng: rand.New(rand.NewPCG(1, 2)), now: monotime.Time(time.Hour),
		rate: 5e6, base: 40 * time.Millisecond, buffer: 200_000,
	}
}

// bdp is the bandwidth-delay product in bytes.
func (p *testPath) bdp() float64 { return p.rate * p.base.Seconds() }

// run lets time pass and returns the goodput in bytes a second.
func (p *testPath) run(d time.Duration) float64 {
	end := p.now.Add(d)
	before := p.delivered
	p.maxQueue = 0
	for {
		at := p.nextSend()
		if at != 0 && len(p.flying) > 0 {
			at = min(at, p.flying[0].at)
		} else if len(p.flying) > 0 {
			at = p.flying[0].at
		}
		if len(p.lost) > 0 && (at == 0 || p.lost[0].at < at) {
			at = p.lost[0].at
		}
		if at == 0 || at > end {
			break
		}
		p.now = max(p.now, at)
		p.turn()
	}
	p.now = end
	require.GreaterOrEqual(p.t, p.cc.Window(), testPacketSize)
	return float64(p.delivered-before) / d.Seconds()
}

// nextSend is when a packet may leave; 0: when an acknowledgement has come.
func (p *testPath) nextSend() monotime.Time {
	if p.inFlight > 0 && p.inFlight+testPacketSize > p.cc.Window() {
		return 0
	}
	at := max(p.paced, p.now)
	if p.app > 0 {
		p.earn()
		if p.earned < testPacketSize {
			p.sampler.SetAppLimited(p.inFlight)
			at = max(at, p.now.Add(time.Duration((testPacketSize-p.earned)/p.app*1e9)+1))
		}
	}
	return at
}

func (p *testPath) earn() {
	if p.earnedAt != 0 {
		p.earned = min(p.earned+p.app*p.now.Sub(p.earnedAt).Seconds(), 2*testPacketSize)
	}
	p.earnedAt = p.now
}

func (p *testPath) turn() {
	switch {
	case len(p.lost) > 0 && p.lost[0].at <= p.now:
		p.findLost()
	case len(p.flying) > 0 && p.flying[0].at <= p.now:
		p.acknowledge()
	default:
		if at := p.nextSend(); at != 0 && at <= p.now {
			p.send()
		}
	}
	if p.cc.PacingRate() == 0 {
		p.paced = p.now
	}
}

func (p *testPath) send() {
	if p.app > 0 {
		p.earned -= testPacketSize
	}
	p.inFlight += testPacketSize
	q := testPacket{sent: p.now, state: p.sampler.OnSent(p.now, testPacketSize, p.inFlight)}
	p.sends++
	p.cc.Sent(SendSample{Now: p.now, Bytes: testPacketSize, InFlight: p.inFlight, AppLimited: p.sampler.AppLimited(), Urgent: p.urgent > 0 && p.sends%p.urgent == 0})
	if rate := p.cc.PacingRate(); rate > 0 {
		p.paced = max(p.paced, p.now.Add(-time.Millisecond)).Add(time.Duration(testPacketSize * 1e9 / float64(rate)))
	}
	wait, ok := p.queue()
	q.at = p.now.Add(wait + p.base)
	if p.batch > 0 {
		q.at += monotime.Time(p.batch) - q.at%monotime.Time(p.batch)
	}
	if ok && !p.silent && p.rng.Float64() >= p.loss {
		p.flying = append(p.flying, q)
		return
	}
	p.dropped++
	q.at = q.at.Add(p.base / 8)
	p.lost = append(p.lost, q)
}

// queue returns how long a packet waits, or that it does not fit.
func (p *testPath) queue() (time.Duration, bool) {
	if p.police {
		p.tokens = min(p.tokens+p.rate*p.now.Sub(p.tokensAt).Seconds(), 20_000)
		p.tokensAt = p.now
		if p.tokens < testPacketSize {
			return 0, false
		}
		p.tokens -= testPacketSize
		return 0, true
	}
	wait := max(p.busy.Sub(p.now), 0)
	if wait.Seconds()*p.rate+testPacketSize > float64(p.buffer) {
		return wait, false
	}
	p.busy = max(p.busy, p.now).Add(time.Duration(testPacketSize / p.rate * 1e9))
	wait = p.busy.Sub(p.now)
	p.maxQueue = max(p.maxQueue, wait)
	return wait, true
}

// acknowledge takes an acknowledgement for what has arrived.
func (p *testPath) acknowledge() {
	s := AckSample{Now: p.now, PriorInFlight: p.inFlight}
	n := 0
	for ; n < len(p.flying) && n < 4 && p.flying[n].at <= p.now; n++ {
		q := &p.flying[n]
		p.sampler.OnAcked(&p.frame, p.now, q.sent, testPacketSize, &q.state)
		s.Bytes += testPacketSize
		s.Packets++
		s.RTT = p.now.Sub(q.sent)
		if q.sent <= p.recovery {
			s.RecoveryBytes += testPacketSize
		}
	}
	p.flying = p.flying[n:]
	p.inFlight -= s.Bytes
	p.delivered += s.Bytes
	p.lastRTT = s.RTT
	if p.srtt == 0 {
		p.srtt, p.minRTT = s.RTT, s.RTT
	}
	p.srtt += (s.RTT - p.srtt) / 8
	p.minRTT = min(p.minRTT, s.RTT)
	s.SmoothedRTT, s.MinRTT, s.InFlight = p.srtt, p.minRTT, p.inFlight
	s.Rate, s.RoundStart = p.sampler.Sample(&p.frame, p.minRTT)
	p.cc.Acked(s)
}

func (p *testPath) findLost() {
	q := p.lost[0]
	p.lost = p.lost[1:]
	s := LossSample{Now: p.now, Bytes: testPacketSize, Packets: 1, PriorInFlight: p.inFlight}
	p.inFlight -= testPacketSize
	s.InFlight = p.inFlight
	if q.sent > p.recovery {
		s.Episode, p.recovery = true, p.now
	}
	lost := p.sampler.OnLostPacket(testPacketSize, &q.state)
	if o, ok := p.cc.(LossObserver); ok {
		o.LostPacket(lost)
	}
	p.cc.Lost(s)
}
