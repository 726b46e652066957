package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sizePath carries datagrams up to a size and silently drops larger ones.
type sizePath struct {
	m      mtuState
	now    Time
	passes int
	local  int // 0, or the size above which the local system refuses
	rounds int
	probes int
}

func newSizePath(passes, limit int) *sizePath {
	p := &sizePath{now: testStart, passes: passes}
	p.m.reset(0, limit)
	p.m.start(p.now)
	return p
}

// round sends a full packet and all probes that are wanted, and decides their fate a round trip later.
func (p *sizePath) round() (sent []int) {
	p.m.packetSent(p.now, p.m.current())
	return p.idleRound()
}

// idleRound sends all probes that are wanted and decides their fate a round trip later.
func (p *sizePath) idleRound() (sent []int) {
	for {
		size, ok := p.m.nextProbe(p.now)
		if !ok {
			break
		}
		p.probes++
		if p.local != 0 && size > p.local {
			p.m.tooBig(p.now, size)
			continue
		}
		p.m.probeSent(size)
		sent = append(sent, size)
	}
	p.now = p.now.Add(testRTT)
	for _, size := range sent {
		if size <= p.passes {
			p.m.probeAcked(p.now, size)
		} else {
			p.m.probeLost(p.now, size)
		}
	}
	if len(sent) > 0 {
		p.rounds++
	}
	return sent
}

// settle runs rounds until nothing more is tried.
func (p *sizePath) settle(t *testing.T) {
	for len(p.round()) > 0 {
		require.Less(t, p.rounds, 100, "the search must end")
	}
	require.Equal(t, mtuDone, p.m.phase)
}

// spec: REL-27
func TestTheStandardSizesAreTriedAtOnce(t *testing.T) {
	p := newSizePath(1472, 1472)
	require.Equal(t, baseDatagram, p.m.current())
	require.Equal(t, []int{1252, 1392, 1432, 1452, 1472}, p.round())
	require.Equal(t, 1472, p.m.current(), "found in one round trip")
	require.Empty(t, p.round())
}

// spec: REL-27
func TestNothingIsTriedBeforeThePathIsProvedOrAboveTheLimit(t *testing.T) {
	var m mtuState
	m.reset(0, 65487)
	_, ok := m.nextProbe(testStart)
	require.False(t, ok, "not started")

	p := newSizePath(9000, 1400)
	for range 20 {
		for _, size := range p.round() {
			require.LessOrEqual(t, size, 1400)
		}
	}
	require.Equal(t, 1400, p.m.current(), "the limit itself is worth a probe")

	p = newSizePath(9000, 0)
	require.Empty(t, p.round(), "no limit given: no search")
}

func TestLoopbackIsFoundInTwoRoundTrips(t *testing.T) {
	p := newSizePath(65487, 65487)
	p.round()
	require.Equal(t, []int{65487}, p.round(), "the largest first")
	require.Equal(t, 65487, p.m.current())
	require.Empty(t, p.round())
}

// spec: REL-27
func TestWhoSendsNoFullDatagramsLooksForNoLargerOnes(t *testing.T) {
	p := newSizePath(65487, 65487)
	for range 3 {
		p.m.packetSent(p.now, 330)
		p.idleRound()
	}
	require.Equal(t, 1472, p.m.current(), "the standard sizes")
	require.Equal(t, 5, p.probes)
	p.m.packetSent(p.now, 1472*7/8)
	p.idleRound()
	require.Equal(t, 65487, p.m.current())
	p.m.reset(0, 65487)
	p.m.start(p.now)
	p.idleRound()
	require.Empty(t, p.idleRound(), "another path, of which no more is asked so far")
}

// spec: REL-27
func TestTheSearchOfANewSessionWaitsForAFullDatagramOrAMoment(t *testing.T) {
	var m mtuState
	m.reset(0, 65487)
	m.wait(testStart)
	m.packetSent(testStart, 1049)
	_, ok := m.nextProbe(testStart)
	require.False(t, ok)
	m.packetSent(testStart, 1050)
	size, ok := m.nextProbe(testStart)
	require.True(t, ok)
	require.Equal(t, 1252, size)

	m.reset(0, 65487)
	m.packetSent(testStart, 1200)
	m.wait(testStart)
	_, ok = m.nextProbe(testStart)
	require.True(t, ok, "it left before the path was proved")

	m.reset(0, 65487)
	require.Zero(t, m.deadline())
	m.wait(testStart)
	at := m.deadline()
	require.Equal(t, testStart.Add(settleTime), at)
	m.timeout(at - 1)
	_, ok = m.nextProbe(at)
	require.False(t, ok)
	m.timeout(at)
	_, ok = m.nextProbe(at)
	require.True(t, ok, "the session has stayed")
	require.Zero(t, m.deadline())
}

func TestEveryPathIsFoundNearlyExactly(t *testing.T) {
	for _, test := range []struct {
		name          string
		passes, limit int
		least         int
		rounds        int
	}{
		{"the least that is allowed", 1200, 1472, 1200, 6},
		{"IPv6 minimum", 1232, 1472, 1216, 8},
		{"WireGuard", 1392, 1472, 1392, 5},
		{"PPPoE over IPv4", 1464, 1472, 1452, 5},
		{"Ethernet, jumbo allowed here", 1472, 65487, 1472, 30},
		{"jumbo frames over IPv4", 8972, 65487, 8952, 20},
		{"jumbo frames over IPv6", 8952, 8972, 8952, 5},
		{"an odd one", 4000, 65487, 3500, 30},
		{"InfiniBand", 65507, 65507, 65507, 2},
	} {
		p := newSizePath(test.passes, test.limit)
		p.settle(t)
		require.LessOrEqual(t, p.m.current(), test.passes, test.name)
		require.GreaterOrEqual(t, p.m.current(), test.least, test.name)
		require.LessOrEqual(t, p.rounds, test.rounds, test.name)
	}
}

func TestWhatTheLocalSystemRefusesCostsNoRoundTrip(t *testing.T) {
	p := newSizePath(1472, 65487)
	p.local = 1472
	p.settle(t)
	require.Equal(t, 1472, p.m.current())
	require.LessOrEqual(t, p.rounds, 1)
	require.LessOrEqual(t, p.probes, 20)
}

func TestOneLossDoesNotRuleASizeOut(t *testing.T) {
	p := newSizePath(1472, 1472)
	for range maxProbeTries - 1 {
		p.m.probeSent(1472)
		p.m.probeLost(p.now, 1472)
		size, ok := p.m.nextProbe(p.now)
		require.True(t, ok)
		require.Equal(t, 1252, size)
		require.True(t, p.m.wantsStandard(4, 1472))
	}
	p.m.probeSent(1472)
	p.m.probeLost(p.now, 1472)
	require.False(t, p.m.wantsStandard(4, 1472), "three do")
}

// spec: REL-48
func TestAPathThatStaysSmallCostsTwoProbesInTenMinutes(t *testing.T) {
	for _, test := range []struct {
		name                 string
		passes, limit, local int
		tried                []int
	}{
		{"PPPoE", 1452, 1472, 0, []int{1472, 1472}},
		{"Ethernet, jumbo allowed here", 1472, 65487, 0, []int{1588, 1588}},
		{"the local system refuses", 1472, 65487, 1480, nil},
	} {
		p := newSizePath(test.passes, test.limit)
		p.local = test.local
		p.settle(t)
		for range 3 {
			before := p.probes
			p.now = p.now.Add(raiseInterval)
			var tried []int
			for sent := p.round(); len(sent) > 0; sent = p.round() {
				tried = append(tried, sent...)
			}
			require.Equal(t, test.tried, tried, test.name)
			require.LessOrEqual(t, p.probes-before, maxSearchTries, test.name)
			require.Equal(t, mtuDone, p.m.phase, test.name)
		}
		require.Equal(t, test.passes, p.m.current(), test.name)
	}
}

// spec: REL-48
func TestALowerLimitHoldsForARaiseToo(t *testing.T) {
	p := newSizePath(1472, 65487)
	p.settle(t)
	p.m.setLimit(1500)
	p.now = p.now.Add(raiseInterval)
	require.Equal(t, []int{1500}, p.round())
}

// spec: REL-48
func TestAPathIsTriedAgainAfterTenMinutes(t *testing.T) {
	p := newSizePath(1392, 1472)
	p.settle(t)
	require.Equal(t, 1392, p.m.current())
	p.passes = 1472
	p.now = p.now.Add(raiseInterval - 2*testRTT)
	require.Empty(t, p.round())
	p.now = p.now.Add(2 * testRTT)
	p.settle(t)
	require.Equal(t, 1472, p.m.current())
}

func TestAnInterfaceThatShrankIsBelieved(t *testing.T) {
	p := newSizePath(9000, 8952)
	p.settle(t)
	require.Equal(t, 8952, p.m.current())
	p.local, p.passes = 1472, 1472
	p.m.tooBig(p.now, 8952)
	require.Equal(t, baseDatagram, p.m.current())
	p.settle(t)
	require.Equal(t, 1472, p.m.current())
	p.m.tooBig(p.now, 100)
	require.Equal(t, 1472, p.m.current(), "nothing below the base size is given up")
}

func TestALowerLimitHoldsAtOnce(t *testing.T) {
	p := newSizePath(65487, 65487)
	p.settle(t)
	p.m.setLimit(4000)
	require.Equal(t, 4000, p.m.current())
	p.m.setLimit(10)
	require.Equal(t, baseDatagram, p.m.current())
}

// full returns a path on which full-sized packets were found to pass.
func full() *mtuState {
	p := newSizePath(1472, 1472)
	for len(p.round()) > 0 {
	}
	return &p.m
}

// spec: REL-29
func TestThreeBurstsInWhichOnlyLargePacketsDiedMakeABlackHole(t *testing.T) {
	m, now := full(), testStart
	for i := range blackHoleBursts {
		m.packetAcked(baseDatagram)
		now = now.Add(time.Second)
		require.Equal(t, i == blackHoleBursts-1, m.burstLost(now, 1472, testRTT))
	}
	require.Equal(t, baseDatagram, m.current())
	size, ok := m.nextProbe(now)
	require.True(t, ok, "and the search begins again")
	require.Less(t, size, 1472, "below what died")
}

// spec: REL-29
func TestOrdinaryLossIsNoBlackHole(t *testing.T) {
	for _, test := range []struct {
		name string
		loss func(m *mtuState, now Time)
	}{
		{"a large packet arrived between", func(m *mtuState, now Time) {
			m.packetAcked(baseDatagram)
			m.burstLost(now, 1472, testRTT)
			m.packetAcked(1472)
		}},
		{"small ones died too", func(m *mtuState, now Time) {
			m.packetAcked(baseDatagram)
			m.burstLost(now, 40, testRTT)
		}},
		{"nothing small arrived either", func(m *mtuState, now Time) {
			m.burstLost(now, 1472, testRTT)
		}},
		{"one burst in many pieces", func(m *mtuState, now Time) {
			m.packetAcked(baseDatagram)
			m.burstLost(testStart, 1472, testRTT)
		}},
	} {
		m, now := full(), testStart
		for range 20 {
			now = now.Add(time.Second)
			test.loss(m, now)
		}
		require.Equal(t, 1472, m.current(), test.name)
	}
}
