package tunnel

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rtp is a program's two ports, with two of its target's.
type rtp struct{ forward, program, target [2]string }

func rtpPorts(forward, program, target string, low int) (r rtp) {
	for i := range 2 {
		r.forward[i], r.program[i], r.target[i] = fmt.Sprintf(forward, i), fmt.Sprintf(program, low+i), fmt.Sprintf(target, i)
	}
	return r
}

// exchange sends from both ports, in an order, and returns from where they come at the target.
func (r *rtp) exchange(w *udpWorld, order ...int) (from [2]netip.AddrPort) {
	for _, i := range order {
		here, there := w.socket(r.program[i]), w.socket(r.target[i])
		w.send(here, r.forward[i], "x")
		var got []string
		got, from[i] = w.got(there, time.Second)
		require.Equal(w.t, []string{"x"}, got)
		require.NoError(w.t, here.Close())
		require.NoError(w.t, there.Close())
	}
	return from
}

func wantPair(t *testing.T, from [2]netip.AddrPort) {
	t.Helper()
	require.Zero(t, from[0].Port()&1, "RTP is at an even port")
	require.Equal(t, from[0].Port()+1, from[1].Port(), "RTCP is at the next one")
}

func TestRTPAndRTCPComeFromNeighbouringPorts(t *testing.T) {
	// spec: TUN-48
	inUDPWorld(t, fast, allowAll, []string{"udp://10.2.0.1:8000-8001"}, func(t *testing.T, w *udpWorld) {
		w.start([]string{"udp://10.1.0.1:5000-5001=udp://10.2.0.2:6000-6001?deadline=100ms"}, []string{"udp://10.2.0.1:8000-8001=udp://10.1.0.2:9000-9001"})
		ports := map[uint16]bool{}
		for i, order := range [][]int{{0, 1}, {1, 0}, {0, 1}, {1, 0}} {
			r := rtpPorts("10.1.0.1:500%d", "10.1.0.9:%d", "10.2.0.2:600%d", 7000+2*i)
			from := r.exchange(w, order...)
			wantPair(t, from)
			require.False(t, ports[from[0].Port()], "each program has ports of its own")
			ports[from[0].Port()] = true
		}
		back := rtpPorts("10.2.0.1:800%d", "10.2.0.9:%d", "10.1.0.2:900%d", 7001)
		wantPair(t, back.exchange(w, 1, 0))
	})
}

func TestPairsKeepTheirPortsInANewSession(t *testing.T) {
	// spec: TUN-48, TUN-45
	inUDPWorld(t, fast, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{"udp://10.1.0.1:5000-5001=udp://10.2.0.2:6000-6001"}, nil)
		r := rtpPorts("10.1.0.1:500%d", "10.1.0.9:%d", "10.2.0.2:600%d", 7000)
		first := r.exchange(w, 0)
		require.NoError(t, w.sessions[0].CloseWithError(0, "cut"))
		w.wait(3 * time.Second)
		both := r.exchange(w, 1, 0)
		wantPair(t, both)
		require.Equal(t, first[0], both[0])
	})
}

func TestAPortThatSomebodyHasIsNoPair(t *testing.T) {
	// spec: TUN-48
	inUDPWorld(t, fast, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{"udp://10.1.0.1:5000-5001=udp://10.2.0.2:6000-6001"}, nil)
		bind := w.server.dialer.bindUDP
		tries := 0
		w.server.dialer.bindUDP = func(a netip.Addr, port uint16) (io.Closer, uint16, error) {
			if tries++; port != 0 && tries < 6 {
				return nil, 0, net.ErrClosed
			}
			return bind(a, port)
		}
		r := rtpPorts("10.1.0.1:500%d", "10.1.0.9:%d", "10.2.0.2:600%d", 7000)
		wantPair(t, r.exchange(w, 0, 1))
		require.Equal(t, 6, tries, "another one was looked for")

		tries = -1000
		r = rtpPorts("10.1.0.1:500%d", "10.1.0.9:%d", "10.2.0.2:600%d", 7002)
		r.exchange(w, 0, 1)
		require.Equal(t, -1000+2*pairTries, tries, "without one they are carried all the same")
	})
}

func TestPortsOfPairsAreGivenBack(t *testing.T) {
	// spec: TUN-48
	inUDPWorld(t, fast, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{"udp://10.1.0.1:5000-5001=udp://10.2.0.2:6000-6001"}, nil)
		r := rtpPorts("10.1.0.1:500%d", "10.1.0.9:%d", "10.2.0.2:600%d", 7000)
		from := r.exchange(w, 0)
		neighbour := netip.AddrPortFrom(serverHost, from[0].Port()+1)
		_, err := w.local.Listen(neighbour)
		require.Error(t, err, "it is kept for RTCP")
		w.wait(udpIdle + 2*udpSweep)
		s, err := w.local.Listen(neighbour)
		require.NoError(t, err)
		require.NoError(t, s.Close())
	})
}

func TestWhichPortsAreAPair(t *testing.T) {
	// spec: TUN-48
	for text, want := range map[string][]int{ // the same number: a pair; 0: none
		"udp://:5004-5005=udp://10.0.0.1:5004-5005": {1, 1},
		"udp://:5004-5007=udp://10.0.0.1:6004-6007": {1, 1, 2, 2},
		"udp://:5005-5008=udp://10.0.0.1:5005-5008": {0, 1, 1, 0},
		"udp://:5004-5005=udp://10.0.0.1:5005-5006": {0, 0},
		"udp://:5004=udp://10.0.0.1:5004":           {0},
		"udp://:0=udp://10.0.0.1:5004":              {0},
	} {
		f, err := ParseForward(text)
		require.NoError(t, err)
		numbers := map[uint64]int{0: 0}
		for i, want := range want {
			n := f.pairNumber(i)
			if _, ok := numbers[n]; !ok {
				numbers[n] = len(numbers)
			}
			require.Equal(t, want, numbers[n], "%s, port %d", text, i)
		}
	}
}

func TestNeighbouringPortsOfThisSystem(t *testing.T) {
	// spec: TUN-48
	for _, host := range []string{"127.0.0.1", "::1"} {
		var pair portPair
		d := newDialer()
		var ports [2]uint16
		for i := range 2 {
			at := netip.AddrPortFrom(netip.MustParseAddr(host), uint16(40_000+i))
			c, err := pair.dial(d, at)
			require.NoError(t, err)
			defer c.Close()
			ports[i] = c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		}
		require.Zero(t, ports[0]&1)
		require.Equal(t, ports[0]+1, ports[1])
	}
}
