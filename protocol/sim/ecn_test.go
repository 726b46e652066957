package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/congestion"
)

// passing returns what becomes of the ECN bits of the n-th datagram that enters at once, n ms in the queue.
func passing(t *testing.T, link string, n int, ecn uint8) uint8 {
	l := newTestLink(t, "rate=12mbit,queue=100kB,"+link)
	for range n {
		l.Send(0, 1472, 0)
	}
	require.Zero(t, l.stats.Marked, "who is not capable is not marked")
	out, _ := l.Send(0, 1472, ecn)
	return out[0].ECN
}

func TestMarksStandForTimeInTheQueue(t *testing.T) {
	l := newTestLink(t, "rate=12mbit,queue=100kB,ecn=5ms")
	for i := range 12 {
		out, _ := l.Send(0, 1472, ect0)
		require.Equal(t, i >= 5, out[0].ECN == ecnCE, "packet %d waits %d ms", i, i)
	}
	require.EqualValues(t, 7, l.stats.Marked)
}

func TestL4SPacketsHaveAStepOfTheirOwn(t *testing.T) {
	for _, c := range []struct {
		link      string
		wait      int
		ecn, want uint8
	}{
		{"ecn=5ms,l4s=1ms", 1, ect1, ect1}, // a packet takes a millisecond, and two are allowed
		{"ecn=5ms,l4s=1ms", 2, ect1, ecnCE},
		{"ecn=5ms,l4s=3ms", 2, ect1, ect1},
		{"ecn=5ms,l4s=3ms", 3, ect1, ecnCE},
		{"ecn=5ms,l4s=1ms", 4, ect0, ect0},
		{"ecn=5ms,l4s=1ms", 5, ect0, ecnCE},
		{"l4s=1ms", 20, ect0, ect0},
		{"l4s=1ms", 20, ecnNot, ecnNot},
		{"ecn=5ms", 4, ect1, ect1},
		{"ecn=5ms", 5, ect1, ecnCE}, // a classic queue does not tell them apart
	} {
		require.Equal(t, c.want, passing(t, c.link, c.wait, c.ecn), "%+v", c)
	}
}

func TestPathsMangleMarks(t *testing.T) {
	for _, c := range []struct {
		mangle string
		want   [4]uint8 // of Not-ECT, ECT(1), ECT(0), CE
	}{
		{"none", [4]uint8{ecnNot, ect1, ect0, ecnCE}},
		{"bleach", [4]uint8{ecnNot, ecnNot, ecnNot, ecnNot}},
		{"ce", [4]uint8{ecnNot, ecnCE, ecnCE, ecnCE}},
		{"ect1", [4]uint8{ecnNot, ect1, ect1, ecnCE}},
	} {
		for ecn, want := range c.want {
			require.Equal(t, want, passing(t, "mangle="+c.mangle, 0, uint8(ecn)), "%s of %d", c.mangle, ecn)
		}
	}
	require.Equal(t, ecnNot, passing(t, "ecn=1ms,mangle=bleach", 5, ect0), "the mark of the queue too")
	require.Equal(t, ecnCE, passing(t, "ecn=1ms,mangle=ect1", 5, ect0))
}

func TestCopiesHaveTheBitsOfTheirOriginal(t *testing.T) {
	w, a, b := newTestWorld(t, 1, "mangle=ect1,dup=100%")
	a.Send(bAddr, ect0, []byte("twice"))
	w.Run(w.Now().Add(time.Second))
	require.Equal(t, []uint8{ect1, ect1}, b.ecn)
}

// marksOnTheWire transfers with a controller and returns how many datagrams of the client left with each
// ECN codepoint, the handshake not counted.
func marksOnTheWire(t *testing.T, link string, controller func(congestion.Config) congestion.Controller) (sent [4]int) {
	t.Helper()
	s := newSession(t, 1, link, nil)
	s.clientConfig.NewController = controller
	s.Capture = func(seen Sighting) {
		long := seen.Packet.Data[0]&0x80 != 0
		if !seen.Arrival && !long && seen.Packet.Src == aAddr {
			sent[seen.Packet.ECN]++
		}
	}
	s.run(t, &Transfer{Streams: 2, Bytes: 300_000}, time.Minute)
	return sent
}

// spec: REL-41
func TestOnlyWhoAnswersAsL4SSendsECT1(t *testing.T) {
	fixed := func(c congestion.Config) congestion.Controller { return congestion.NewFixed(c, 1_000_000) }
	for _, link := range []string{"dsl", "dsl,ecn=1ms", "dsl,l4s=1ms", "dsl,mangle=ect1"} {
		for _, name := range congestion.Names() {
			controller, _ := congestion.Named(name)
			sent := marksOnTheWire(t, link, controller)
			if name == "prague" {
				require.Zero(t, sent[ect0], "%s on %s", name, link)
				require.NotZero(t, sent[ect1], "%s on %s", name, link)
			} else {
				require.Zero(t, sent[ect1], "%s on %s", name, link)
				require.NotZero(t, sent[ect0], "%s on %s", name, link)
			}
			require.Zero(t, sent[ecnCE], "%s on %s", name, link)
		}
		sent := marksOnTheWire(t, link, fixed)
		require.Zero(t, sent[ect0]+sent[ect1]+sent[ecnCE], "who does not answer does not ask")
	}
}

// spec: REL-25, REL-40
func TestMarksEndWhereThePathManglesThem(t *testing.T) {
	for _, c := range []struct {
		name string
		mark uint8
		link string
	}{
		{"cubic", ect0, "dsl,mangle=bleach"},
		{"cubic", ect0, "dsl,mangle=ce"},
		{"cubic", ect0, "dsl,mangle=ect1"},
		{"prague", ect1, "dsl,mangle=bleach"},
		{"prague", ect1, "dsl,mangle=ce"},
	} {
		controller, _ := congestion.Named(c.name)
		sent := marksOnTheWire(t, c.link, controller)
		require.LessOrEqual(t, sent[c.mark], 10, "%+v: no more than the test", c)
		require.Greater(t, sent[ecnNot], 200, "%+v", c)
	}
}
