package sim

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/monotime"
)

var (
	aAddr = netip.MustParseAddrPort("192.0.2.1:1000")
	bAddr = netip.MustParseAddrPort("192.0.2.2:4433")
)

// collector is a socket that keeps what arrives.
type collector struct {
	*Socket
	got   []string
	from  []netip.AddrPort
	times []monotime.Time
	ecn   []uint8
}

func collect(t *testing.T, w *World, addr netip.AddrPort) *collector {
	t.Helper()
	c := new(collector)
	var err error
	c.Socket, err = w.Listen(addr, func(p Packet) {
		c.got = append(c.got, string(p.Data))
		c.from = append(c.from, p.Src)
		c.times = append(c.times, w.Now())
		c.ecn = append(c.ecn, p.ECN)
	})
	require.NoError(t, err)
	return c
}

// newTestWorld has two sockets joined by a link.
func newTestWorld(t *testing.T, seed uint64, link string) (w *World, a, b *collector) {
	t.Helper()
	w = NewWorld(seed)
	a, b = collect(t, w, aAddr), collect(t, w, bAddr)
	c, err := ParseLink(link)
	require.NoError(t, err)
	require.NoError(t, w.Connect(aAddr, bAddr, c))
	return w, a, b
}

func TestEventsRunInTheOrderOfTimeAndThenOfScheduling(t *testing.T) {
	w := NewWorld(1)
	var got []int
	rng := rand.New(rand.NewPCG(1, 2))
	type planned struct{ at, n int }
	var want []planned
	for n := range 2000 {
		at := rng.IntN(50)
		want = append(want, planned{at, n})
		w.Schedule(w.Now().Add(time.Duration(at)), func() { got = append(got, n) })
	}
	slices.SortStableFunc(want, func(a, b planned) int { return a.at - b.at })
	w.Run(w.Now().Add(time.Second))
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i].n, got[i])
	}
	require.EqualValues(t, 2000, w.Events())
}

func TestEventsMayScheduleEventsAndThePastIsNow(t *testing.T) {
	w := NewWorld(1)
	var at []monotime.Time
	w.After(time.Second, func() {
		at = append(at, w.Now())
		w.Schedule(0, func() { at = append(at, w.Now()) })
	})
	for w.Step() {
	}
	require.Equal(t, []monotime.Time{worldStart.Add(time.Second), worldStart.Add(time.Second)}, at)
}

func TestRunEndsAtItsTime(t *testing.T) {
	w := NewWorld(1)
	ran := 0
	w.After(time.Second, func() { ran++ })
	w.After(2*time.Second, func() { ran++ })
	w.Run(w.Now().Add(1500 * time.Millisecond))
	require.Equal(t, 1, ran)
	require.Equal(t, worldStart.Add(1500*time.Millisecond), w.Now())
	require.True(t, w.RunUntil(w.Now().Add(time.Hour), func() bool { return ran == 2 }))
	require.Equal(t, worldStart.Add(2*time.Second), w.Now())
	require.False(t, w.RunUntil(w.Now().Add(time.Hour), func() bool { return ran == 3 }))
	require.Equal(t, worldStart.Add(2*time.Second+time.Hour), w.Now())
}

func TestPacketsCrossWithTheDelayOfTheirLink(t *testing.T) {
	w, a, b := newTestWorld(t, 1, "delay=10ms")
	require.Equal(t, Carried, a.Send(bAddr, 2, []byte("there")))
	w.Run(w.Now().Add(time.Second))
	require.Equal(t, []string{"there"}, b.got)
	require.Equal(t, []netip.AddrPort{aAddr}, b.from)
	require.Equal(t, []monotime.Time{worldStart.Add(10 * time.Millisecond)}, b.times)
	require.Equal(t, []uint8{2}, b.ecn)
	b.Send(aAddr, 0, []byte("back"))
	w.Run(w.Now().Add(time.Second))
	require.Equal(t, []string{"back"}, a.got)
}

func TestQueuesMarkOnlyWhatIsECNCapable(t *testing.T) {
	w, a, b := newTestWorld(t, 1, "rate=1mbit,ecn=1ms,queue=1MB")
	for _, ecn := range []uint8{0, 2, 1, 0} {
		a.Send(bAddr, ecn, make([]byte, 1000))
	}
	w.Run(w.Now().Add(time.Minute))
	require.Equal(t, []uint8{0, ecnCE, ecnCE, 0}, b.ecn)
}

func TestSendersMayReuseTheirBuffer(t *testing.T) {
	w, a, b := newTestWorld(t, 1, "delay=1ms,dup=100%")
	buf := []byte("one")
	a.Send(bAddr, 0, buf)
	copy(buf, "two")
	w.Run(w.Now().Add(time.Second))
	require.Equal(t, []string{"one", "one"}, b.got)
}

func TestCorruptedPacketsDifferInOneBit(t *testing.T) {
	w, a, b := newTestWorld(t, 1, "corrupt=100%")
	a.Send(bAddr, 0, []byte{0, 0, 0, 0})
	w.Run(w.Now().Add(time.Second))
	v := binary.BigEndian.Uint32([]byte(b.got[0]))
	require.NotZero(t, v)
	require.Zero(t, v&(v-1))
}

func TestANATRewritesAddressesAndForgetsThem(t *testing.T) {
	w, a, b := newTestWorld(t, 1, "delay=10ms")
	a.Rebind()
	a.Send(bAddr, 0, []byte("1"))
	w.Run(w.Now().Add(time.Second))
	require.NotEqual(t, aAddr, b.from[0])
	require.Equal(t, a.Public(), b.from[0])
	require.Equal(t, aAddr, a.Addr())

	require.Equal(t, Carried, b.Send(b.from[0], 0, []byte("to the mapping")))
	w.Run(w.Now().Add(time.Second))
	b.Send(b.from[0], 0, []byte("on its way while it is forgotten"))
	a.Rebind()
	w.Run(w.Now().Add(time.Second))
	require.Equal(t, Down, b.Send(b.from[0], 0, []byte("to what is forgotten")))
	require.Equal(t, []string{"to the mapping"}, a.got)

	taken := a.Public()
	a.Move(bAddr)
	require.Equal(t, taken, a.Public(), "an address that is taken changes nothing")
	a.Move(netip.MustParseAddrPort("198.51.100.7:9"))
	require.Equal(t, "198.51.100.7:9", a.Public().String())
}

func TestLinksThatRebindDoSoByTheClock(t *testing.T) {
	w, a, b := newTestWorld(t, 1, "rebind=1s")
	for range 4 {
		a.Send(bAddr, 0, []byte("x"))
		w.Run(w.Now().Add(time.Second))
	}
	require.Len(t, slices.Compact(b.from), 4)
}

func TestRebindSkipsPortsThatAreTakenAndPortZero(t *testing.T) {
	w := NewWorld(1)
	last := netip.MustParseAddrPort("192.0.2.1:65535")
	first := netip.MustParseAddrPort("192.0.2.1:1")
	a, _ := collect(t, w, last), collect(t, w, first)
	a.Rebind()
	require.Equal(t, "192.0.2.1:2", a.Public().String())
}

func TestSocketsComeAndGoAndLinksStay(t *testing.T) {
	w, a, b := newTestWorld(t, 1, "delay=10ms")
	_, err := w.Listen(bAddr, nil)
	require.ErrorContains(t, err, "in use")
	a.Send(bAddr, 0, []byte("lost with the socket"))
	b.Close()
	w.Run(w.Now().Add(time.Second))
	require.Empty(t, b.got)
	require.Equal(t, Down, a.Send(bAddr, 0, []byte("nobody there")))
	again := collect(t, w, bAddr)
	require.Equal(t, Carried, a.Send(bAddr, 0, []byte("again")))
	w.Run(w.Now().Add(time.Second))
	require.Equal(t, []string{"again"}, again.got)
	require.NotNil(t, w.Link(aAddr, bAddr))
	require.Nil(t, w.Link(aAddr, aAddr))
	require.Equal(t, Down, a.Send(aAddr, 0, nil), "no link to itself")
}

func TestFiltersDropByPlaceAndMayChangeBytes(t *testing.T) {
	w, a, b := newTestWorld(t, 1, "")
	w.Filter = func(n int, p Packet) Cause {
		if n == 1 {
			return Scripted
		}
		p.Data[0] = 'X'
		return Carried
	}
	for _, s := range []string{"0", "1", "2a"} {
		a.Send(bAddr, 0, []byte(s))
	}
	w.Run(w.Now())
	require.Equal(t, []string{"X", "Xa"}, b.got)
}

func TestCaptureSeesWhatIsSentDroppedAndArrives(t *testing.T) {
	w, a, _ := newTestWorld(t, 1, "delay=10ms,drop=01")
	var log []string
	w.Capture = func(s Sighting) {
		what := "sent, " + s.Cause.String()
		if s.Arrival {
			what = "arrives"
		}
		log = append(log, string(s.Packet.Data)+" "+what)
	}
	a.Send(bAddr, 0, []byte("1"))
	a.Send(bAddr, 0, []byte("2"))
	w.Run(w.Now().Add(time.Second))
	require.Equal(t, []string{"1 sent, carried", "2 sent, scripted", "1 arrives"}, log)
}

func TestInjectedPacketsPassAllLinks(t *testing.T) {
	w, _, b := newTestWorld(t, 1, "loss=100%")
	w.Inject(w.Now().Add(time.Second), Packet{Src: aAddr, Dst: bAddr, Data: []byte("forged")})
	w.Inject(w.Now(), Packet{Src: aAddr, Dst: netip.MustParseAddrPort("192.0.2.9:9"), Data: []byte("to nobody")})
	w.Run(w.Now().Add(time.Minute))
	require.Equal(t, []string{"forged"}, b.got)
}

// pingPong plays a seeded game of datagrams and returns its digest.
func pingPong(t *testing.T, seed uint64, datagrams int) uint64 {
	w := NewWorld(seed)
	rng := w.Rand()
	var a, b *Socket
	left := datagrams
	answer := func(from **Socket) func(Packet) {
		return func(p Packet) {
			if left--; left > 0 {
				(*from).Send(p.Src, 0, binary.BigEndian.AppendUint64(nil, rng.Uint64()))
			}
		}
	}
	var err error
	a, err = w.Listen(aAddr, answer(&a))
	require.NoError(t, err)
	b, err = w.Listen(bAddr, answer(&b))
	require.NoError(t, err)
	c, err := ParseLink("delay=5ms,jitter=5ms,dup=10%,loss=5%,corrupt=1%,rate=10mbit,rebind=1s")
	require.NoError(t, err)
	require.NoError(t, w.Connect(aAddr, bAddr, c))
	w.After(0, func() {
		for range 100 {
			a.Send(bAddr, 0, []byte("start"))
		}
	})
	w.RunUntil(w.Now().Add(time.Hour), func() bool { return left <= 0 })
	return w.Digest()
}

func TestASeedGivesTheSameRunBitForBit(t *testing.T) {
	require.Equal(t, pingPong(t, 7, 20_000), pingPong(t, 7, 20_000))
	require.NotEqual(t, pingPong(t, 7, 20_000), pingPong(t, 8, 20_000))
}

func TestRandomnessIsOfTheSeedAndOfTheCall(t *testing.T) {
	read := func(w *World) string {
		b := make([]byte, 16)
		_, err := w.Reader().Read(b)
		require.NoError(t, err)
		return string(b)
	}
	a, b := NewWorld(1), NewWorld(1)
	first := read(a)
	require.Equal(t, first, read(b))
	require.NotEqual(t, first, read(a))
	require.NotEqual(t, first, read(NewWorld(2)))
	require.EqualValues(t, 1, a.Seed())
}

func TestWorldRefusesABadLink(t *testing.T) {
	require.Error(t, NewWorld(1).Connect(aAddr, bAddr, Config{Loss: 2}))
}

func BenchmarkWorld(b *testing.B) {
	w := NewWorld(1)
	var pong *Socket
	ping, err := w.Listen(aAddr, func(Packet) {})
	require.NoError(b, err)
	pong, err = w.Listen(bAddr, func(p Packet) { pong.Send(p.Src, 0, p.Data) })
	require.NoError(b, err)
	require.NoError(b, w.Connect(aAddr, bAddr, Config{Delay: time.Millisecond}))
	data := make([]byte, 1200)
	b.ReportAllocs()
	for b.Loop() {
		ping.Send(bAddr, 0, data)
		w.Run(w.Now().Add(2 * time.Millisecond))
	}
	b.ReportMetric(float64(w.Events())/b.Elapsed().Seconds(), "events/s")
}
