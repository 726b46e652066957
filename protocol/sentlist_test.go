package protocol

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// put adds a packet with one fact.
func (l *sentList) put() {
	l.reserve(1)
	p := l.at(l.next)
	p.reset(l.next)
	p.facts = append(p.facts, fact{kind: factStream, a: l.next})
	l.next++
}

func TestTheListKeepsEveryPacketWhileItGrows(t *testing.T) {
	var l sentList
	for range 10 {
		l.put()
	}
	l.base = 7 // so that the ring wraps
	for range 1000 {
		l.put()
	}
	for pn := l.base; pn < l.next; pn++ {
		require.Equal(t, pn, l.at(pn).pn)
		require.Equal(t, pn, l.at(pn).facts[0].a)
	}
	require.Len(t, l.slots, 1024)
}

func TestAListOfSteadyLengthAllocatesNothing(t *testing.T) {
	var l sentList
	step := func() {
		l.put()
		if l.len() > 100 {
			l.at(l.base).forget()
			l.base++
		}
	}
	for range 1000 {
		step()
	}
	require.Zero(t, testing.AllocsPerRun(1000, step))
}

func TestAForgottenPacketHoldsNoStream(t *testing.T) {
	p := &sentPacket{facts: []fact{{stream: &Stream{}}}}
	p.forget()
	require.Empty(t, p.facts)
	require.Nil(t, p.facts[:1][0].stream)
}

func TestReleasingAListInUseIsABug(t *testing.T) {
	var l sentList
	l.put()
	require.Panics(t, l.release)
	l.base++
	l.release()
	require.Nil(t, l.slots)
}

// spec: REL-7
func TestTheFirstSkipComesWithin512Numbers(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	sum := uint64(0)
	const n = 10_000
	for range n {
		s := skipper{random: rng.Uint64}
		s.reset(1000)
		require.Greater(t, s.next, uint64(1000))
		require.Less(t, s.next, uint64(1000+2*firstSkip))
		sum += s.next - 1000
	}
	require.InEpsilon(t, firstSkip, sum/n, 0.05, "once in 256 on average")
}

func TestRecentSkipsAreRemembered(t *testing.T) {
	s := skipper{random: func() uint64 { return 0 }}
	require.False(t, s.since(0))
	require.False(t, s.within(0, 1<<62))
	s.reset(0)
	s.skipped() // number 1
	require.True(t, s.within(0, 2))
	require.True(t, s.within(1, 2))
	require.False(t, s.within(0, 1))
	require.False(t, s.within(2, 100))
	require.True(t, s.since(1))
	require.False(t, s.since(2))
}
