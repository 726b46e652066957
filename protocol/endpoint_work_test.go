package protocol

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// leaves is a pair whose server leaves public-key work to the test.
func leaves(t *testing.T, options ...pairOption) *pair {
	p := newPair(t, options...)
	p.server.LeaveWork()
	return p
}

// work does the next piece of work that the server left; false: there is none.
func (p *pair) work() bool {
	w, ok := p.server.NextWork()
	if ok {
		w.Do()
		p.server.Finish(p.now, w)
	}
	return ok
}

func TestWorkThatIsLeftMakesTheSameSession(t *testing.T) {
	p := leaves(t)
	_, err := p.client.Dial(p.now, p.cs.cfg, AddrPair{Remote: p.serverAddr})
	require.NoError(t, err)
	p.run(15*time.Millisecond, nil)
	require.True(t, p.server.HasWork())
	require.Zero(t, p.server.Stats().Agreements, "the reader did none of it")
	require.Zero(t, p.count[1], "and nothing is answered")
	require.True(t, p.work())
	require.EqualValues(t, 2, p.server.Stats().Agreements)
	require.True(t, p.run(time.Second, func() bool { return p.cs.Established() }))

	_, err = p.cs.Stream0().Write(make([]byte, 8*MinDatagram)) // what a client says with its first window
	require.NoError(t, err)
	p.run(15*time.Millisecond, nil)
	require.Greater(t, p.cs.paths.active.loss.list.len(), maxEarly)
	require.Nil(t, p.ss)
	require.True(t, p.server.HasWork())
	require.True(t, p.work())
	require.False(t, p.work())
	p.connect()
	require.Zero(t, p.cs.Stats().PacketsLost, "nothing of it was lost")
	require.EqualValues(t, 2, p.server.Stats().Agreements, "an anonymous client's FIN needs no more")
	p.answer("hello")
}

// spec: SESS-10
func TestCopiesOfWhatIsWorkedOnCostNothing(t *testing.T) {
	p := leaves(t)
	first := p.firstInit(1)
	from := netip.MustParseAddrPort("192.0.2.9:9")
	for range 5 {
		require.Zero(t, p.ask(first, from))
	}
	require.True(t, p.work())
	require.False(t, p.work(), "once for all copies")

	p.run(15*time.Millisecond, nil)
	require.True(t, p.work())
	var fin []byte
	p.filter = func(toServer bool, _ int, data []byte) int {
		if toServer && fin == nil && p.cs.Established() {
			fin = append([]byte(nil), data...)
		}
		return 1
	}
	p.run(25*time.Millisecond, nil)
	require.NotNil(t, fin)
	for range 5 {
		require.Zero(t, p.ask(fin, p.clientAddr))
	}
	require.True(t, p.work())
	require.False(t, p.work())
	p.connect()
}

func TestAHandshakeThatLeavesTheTableDuringItsWorkIsOver(t *testing.T) {
	p := leaves(t)
	p.run(15*time.Millisecond, nil)
	require.True(t, p.work())
	p.run(25*time.Millisecond, nil)
	w, ok := p.server.NextWork()
	require.True(t, ok)
	h := w.half
	p.server.half.remove(h)
	p.server.half.expand(h)
	w.Do() // its keys are still there
	require.NoError(t, w.err)
	over := p.server.Stats().Overload
	p.server.Finish(p.now, w)
	require.Equal(t, over+1, p.server.Stats().Overload)
	_, ok = p.server.Accept()
	require.False(t, ok)
	require.Empty(t, p.server.left.hashes)
	require.Zero(t, p.server.left.busy)
}

// spec: SESS-13
func TestWorkThatWaitsIsBounded(t *testing.T) {
	for mode, want := range map[RetryMode]EndpointStats{
		RetryNever:    {Overload: 20},
		RetryAdaptive: {Retries: 20},
	} {
		p := leaves(t, func(_, _ *Config, e *EndpointConfig) { e.Retry = mode })
		from := func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{100, 2, byte(i), 1}), 1)
		}
		for i := range maxWork {
			p.now = p.now.Add(time.Second) // no other budget is spent
			require.Zero(t, p.ask(p.firstInit(uint64(i)), from(i)))
		}
		for i := range 20 {
			p.now = p.now.Add(time.Second)
			p.ask(p.firstInit(uint64(maxWork+i)), from(i))
		}
		st := p.server.Stats()
		require.Equal(t, want.Overload, st.Overload)
		require.Equal(t, want.Retries, st.Retries)
		n := 0
		for p.work() {
			n++
		}
		require.Equal(t, maxWork, n)
		for ok := true; ok; { // the answers
			_, _, ok = p.server.AppendDatagram(p.now, nil)
		}
		require.Zero(t, p.ask(p.firstInit(1000), from(1)))
		require.True(t, p.work(), "then there is room again")
	}
}

// spec: SESS-13
func TestClientsThatProveTheirAddressDoNotWaitForStrangers(t *testing.T) {
	p := leaves(t)
	for i := range maxWork {
		p.now = p.now.Add(2 * time.Millisecond) // as much work as is paid for
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{100, 2, byte(i), 1}), 1)
		require.Zero(t, p.ask(p.firstInit(uint64(i)), from))
	}
	p.run(45*time.Millisecond, nil)
	require.EqualValues(t, 1, p.server.Stats().Retries)
	for range 2 { // its first packet and its last
		require.True(t, p.work())
		p.run(25*time.Millisecond, nil)
	}
	p.connect()
	require.Equal(t, maxWork, p.server.left.waiting[workUnproved].len(), "strangers wait for it")
}
