package tunnel

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/sim"
)

// The places of the tests: a port of the client, and the target that it leads to.
const (
	plainForward = "udp://10.1.0.1:5000=udp://10.2.0.1:5000"
	nearPort     = "10.1.0.1:5000"
	farPort      = "10.2.0.1:5000"
	program      = "10.1.0.1:7000"
)

var allowAll = []string{"udp://10.0.0.0/8:1-65535"}

func texts(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint(prefix, i))
	}
	return list
}

func TestTheFirstDatagramOfAFlowNeedsNoRoundTrip(t *testing.T) {
	// spec: TUN-30, TUN-44
	inUDPWorld(t, sim.Config{Delay: 50 * time.Millisecond}, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward}, nil)
		here, there := w.socket(program), w.socket(farPort)
		began := time.Now()
		w.send(here, nearPort, "question")
		buf := make([]byte, 100)
		n, from, err := there.ReadFromUDPAddrPort(buf)
		require.NoError(t, err)
		require.Equal(t, "question", string(buf[:n]))
		require.Less(t, time.Since(began), 60*time.Millisecond)
		require.Equal(t, serverHost, from.Addr())
		flow := from.String()
		w.send(there, from.String(), "answer")
		got, from := w.got(here, 60*time.Millisecond)
		require.Equal(t, []string{"answer"}, got)
		require.Equal(t, nearPort, from.String())
		stranger := w.socket("10.2.0.1:6000")
		w.send(stranger, flow, "not from the target")
		got, _ = w.got(here, time.Second)
		require.Empty(t, got)
	})
}

func TestProgramsHaveFlowsOfTheirOwn(t *testing.T) {
	// spec: TUN-44
	inUDPWorld(t, sim.Config{Delay: 10 * time.Millisecond}, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward}, nil)
		there := w.socket(farPort)
		for i := range 20 {
			here := w.socket(fmt.Sprintf("10.1.0.1:%d", 7000+i))
			w.send(here, nearPort, fmt.Sprint("question ", i))
			got, from := w.got(there, 20*time.Millisecond)
			require.Equal(t, []string{fmt.Sprint("question ", i)}, got)
			w.send(there, from.String(), fmt.Sprint("answer ", i))
			got, _ = w.got(here, 20*time.Millisecond)
			require.Equal(t, []string{fmt.Sprint("answer ", i)}, got)
		}
		require.Equal(t, 20, w.stats(0).Flows)
	})
}

// stats are the counters of the i-th forward.
func (w *udpWorld) stats(i int) UDPStats { return *w.client.list()[i].part.stats().UDP }

func TestPlainForwardsLoseWhatTheLinkLoses(t *testing.T) {
	// spec: TUN-37
	inUDPWorld(t, sim.Config{Delay: 25 * time.Millisecond, Loss: 0.1}, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward}, nil)
		here, there := w.socket(program), w.socket(farPort)
		for _, text := range texts("", 1000) {
			w.send(here, nearPort, text)
			w.wait(2 * time.Millisecond)
		}
		got, _ := w.got(there, time.Second)
		require.Greater(t, len(got), 800)
		require.Less(t, len(got), 970)
	})
}

func TestAForwardWithADeadlineRepairsAndKeepsTheOrder(t *testing.T) {
	// spec: TUN-37, TUN-38
	link := sim.Config{Delay: 25 * time.Millisecond, Loss: 0.05, Reorder: 0.05}
	inUDPWorld(t, link, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward + "?deadline=400ms"}, nil)
		here, there := w.socket(program), w.socket(farPort)
		sent := texts("", 1000)
		for _, text := range sent {
			w.send(here, nearPort, text)
			w.wait(2 * time.Millisecond)
		}
		got, from := w.got(there, time.Second)
		require.Equal(t, sent, got)
		for _, text := range sent {
			w.send(there, from.String(), text)
			w.wait(2 * time.Millisecond)
		}
		got, _ = w.got(here, time.Second)
		require.Equal(t, sent, got, "the answers too")
		repair := w.stats(0).Repair
		require.Greater(t, repair.SentAgain, uint64(10))
		require.Zero(t, repair.Expired+repair.Missing+repair.Late)
		require.Greater(t, min(repair.QualityIn, repair.QualityOut), 50.0)
	})
}

func TestEachForwardKeepsItsOverhead(t *testing.T) {
	// spec: TUN-46
	link := sim.Config{Delay: 25 * time.Millisecond, Loss: 0.1}
	inUDPWorld(t, link, allowAll, nil, func(t *testing.T, w *udpWorld) {
		const media = "udp://10.1.0.1:%d=udp://10.2.0.1:5000?deadline=40ms&overhead=%d%%"
		w.start([]string{fmt.Sprintf(media, 5000, 0), fmt.Sprintf(media, 5001, 100)}, nil)
		here, there := w.socket(program), w.socket(farPort)
		exchange := func(port string) { // a stream each way
			var from string
			for range 100 {
				for range 10 {
					w.send(here, port, string(make([]byte, 1000)))
					if from != "" {
						w.send(there, from, string(make([]byte, 1000)))
					}
				}
				if _, a := w.got(there, 20*time.Millisecond); a.IsValid() {
					from = a.String()
				}
			}
		}
		symbols := func() (up, down uint64) {
			return w.sessions[0].Stats().Repair.Symbols, w.serving[0].session.Stats().Repair.Symbols
		}
		exchange(nearPort)
		up, down := symbols()
		require.Zero(t, up+down, "nothing but sending again")
		exchange("10.1.0.1:5001")
		up, down = symbols()
		require.Greater(t, min(up, down), uint64(50))
	})
}

func TestFlowsWithAnOrderDoNotWaitForEachOther(t *testing.T) {
	// spec: TUN-38
	var l lanes
	ordered := classOf(&UDPOptions{Deadline: time.Second})
	seen := map[uint16]bool{}
	for range udpChannels - sharedChannels - 1 {
		c, ok := l.take(ordered)
		require.True(t, ok)
		require.NotEqual(t, uint16(controlChannel), c)
		require.False(t, seen[c])
		seen[c] = true
	}
	shared, ok := l.take(ordered)
	require.True(t, ok)
	require.True(t, seen[shared], "then they share")
	l.release(7)
	again, ok := l.take(ordered)
	require.True(t, ok)
	require.Equal(t, uint16(7), again, "a channel that nobody uses any more is used again")

	plain := classOf(&UDPOptions{})
	var empty lanes
	for i := range 2 * plainChannels {
		c, ok := empty.take(plain)
		require.True(t, ok)
		require.EqualValues(t, 1+i%plainChannels, c, "so that few wait behind one that sends much")
	}
	one, ok := l.take(plain)
	require.True(t, ok)
	two, ok := l.take(plain)
	require.True(t, ok)
	require.Equal(t, one, two, "without an order one channel does for all")
	for i := range sharedChannels - 1 {
		_, ok = l.take(classOf(&UDPOptions{Deadline: time.Duration(i+1) * time.Millisecond, Unordered: true}))
		require.True(t, ok)
	}
	_, ok = l.take(classOf(&UDPOptions{Deadline: time.Minute / 2}))
	require.False(t, ok, "there are no channels for ever more options")
}

func TestPlayoutGivesDatagramsOutAtTheirPace(t *testing.T) {
	// spec: TUN-37
	link := sim.Config{Delay: 25 * time.Millisecond, Loss: 0.02, Jitter: 5 * time.Millisecond}
	inUDPWorld(t, link, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward + "?playout=200ms"}, nil)
		here, there := w.socket(program), w.socket(farPort)
		sent := make(chan time.Time, 200)
		go func() {
			for i := range cap(sent) {
				_, _ = here.WriteToUDPAddrPort([]byte{byte(i)}, w.client.Addrs()[0].(*net.UDPAddr).AddrPort())
				sent <- time.Now()
				time.Sleep(10 * time.Millisecond)
			}
		}()
		buf := make([]byte, 10)
		least, most := time.Hour, time.Duration(0)
		for i := range cap(sent) {
			_, _, err := there.ReadFromUDPAddrPort(buf)
			require.NoError(t, err)
			require.Equal(t, byte(i), buf[0])
			if took := time.Since(<-sent); i > 20 { // the delay of the path is known
				least, most = min(least, took), max(most, took)
			}
		}
		require.Less(t, most-least, 6*time.Millisecond)
		require.Greater(t, least, 220*time.Millisecond)
	})
}

func TestDatagramsOfAllSizesArriveWhole(t *testing.T) {
	// spec: TUN-44, TUN-37
	link := sim.Config{Delay: 10 * time.Millisecond, Loss: 0.02, MTU: 1500}
	for _, options := range []string{"", "?deadline=500ms"} {
		inUDPWorld(t, link, allowAll, nil, func(t *testing.T, w *udpWorld) {
			w.start([]string{plainForward + options}, nil)
			here, there := w.socket(program), w.socket(farPort)
			w.send(here, nearPort, "go")
			w.wait(3 * time.Second) // the size of the path is found
			_, _ = w.got(there, time.Millisecond)
			for _, size := range []int{0, 1, 1500, 4000, 9000, 30_000, 65507} {
				want := strings.Repeat("x", size)
				lost := 0
				for range 5 {
					w.send(here, nearPort, want)
					got, _ := w.got(there, 2*time.Second)
					if len(got) == 0 {
						lost++
						continue
					}
					require.Equal(t, []string{want}, got)
				}
				if size > 1472 || options != "" {
					require.Zero(t, lost, "%d bytes: the parts are repaired", size)
				}
			}
		})
	}
}

func TestABurstIsAbsorbed(t *testing.T) {
	inUDPWorld(t, sim.Config{Delay: 25 * time.Millisecond, Rate: 50e6, Queue: 1 << 20}, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward}, nil)
		here, there := w.socket(program), w.socket(farPort)
		var sent []string
		for i := range 144 {
			sent = append(sent, fmt.Sprintf("%04d", i)+strings.Repeat("x", 1312))
		}
		for range 5 {
			for _, text := range sent {
				w.send(here, nearPort, text)
			}
			got, _ := w.got(there, time.Second)
			require.Equal(t, sent, got)
		}
	})
}
