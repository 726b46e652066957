package tunnel

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn/simnet"
	"github.com/godwit-net/godwit/protocol/sim"
)

var fast = sim.Config{Delay: 10 * time.Millisecond}

func TestATargetThatIsNotAllowedIsRefusedAtBothEnds(t *testing.T) {
	// spec: TUN-34
	inUDPWorld(t, fast, []string{"udp://10.2.0.1:53", "tcp://10.0.0.0/8:1-65535"}, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward, "udp://10.1.0.1:5001=udp://10.2.0.1:53", "udp://10.1.0.1:5002=udp://[::ffff:10.2.0.1]:5000"}, nil)
		here, there, allowed := w.socket(program), w.socket(farPort), w.socket("10.2.0.1:53")
		for range 3 {
			w.send(here, nearPort, "x")
			w.send(here, "10.1.0.1:5002", "x")
			w.wait(time.Second)
		}
		got, _ := w.got(there, time.Second)
		require.Empty(t, got)
		require.Contains(t, w.log.String(), "target not allowed: no --allow rule of the server covers it")
		require.EqualValues(t, 1, w.stats(0).Refused, "it is not asked for each datagram")
		require.EqualValues(t, 2, w.stats(0).NoFlow)
		require.EqualValues(t, 2, w.serving[0].udp.stats().Refused)
		w.send(here, "10.1.0.1:5001", "y")
		got, _ = w.got(allowed, time.Second)
		require.Equal(t, []string{"y"}, got, "the session goes on")
		w.wait(refusedPause)
		w.send(here, nearPort, "x")
		w.wait(time.Second)
		require.EqualValues(t, 2, w.stats(0).Refused, "later it is asked again")
	})
}

func TestANameIsResolvedByTheServerWhileDatagramsWait(t *testing.T) {
	// spec: TUN-34, TUN-35
	inUDPWorld(t, fast, []string{"udp://target.example:5000"}, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{"udp://10.1.0.1:5000=udp://target.example:5000"}, nil)
		here, there := w.socket(program), w.socket(farPort)
		sent := texts("", 10)
		for _, text := range sent {
			w.send(here, nearPort, text)
			w.wait(7 * time.Millisecond)
		}
		got, _ := w.got(there, time.Second)
		require.Equal(t, sent, got)
	})
}

func TestAFlowEndsAfterTwoMinutesOfSilence(t *testing.T) {
	// spec: TUN-43
	inUDPWorld(t, fast, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward}, nil)
		here, there := w.socket(program), w.socket(farPort)
		w.send(here, nearPort, "a")
		_, first := w.got(there, time.Second)
		for range 3 { // either direction keeps it
			w.wait(udpIdle - 5*time.Second)
			w.send(there, first.String(), "b")
			got, _ := w.got(here, time.Second)
			require.Equal(t, []string{"b"}, got)
		}
		w.wait(udpIdle - 5*time.Second)
		w.send(here, nearPort, "c")
		_, again := w.got(there, time.Second)
		require.Equal(t, first, again)
		w.wait(udpIdle + 2*udpSweep)
		require.Zero(t, w.stats(0).Flows)
		require.Zero(t, w.serving[0].udp.stats().Flows)
		w.send(here, nearPort, "d")
		got, later := w.got(there, time.Second)
		require.Equal(t, []string{"d"}, got)
		require.NotEqual(t, first, later)
	})
}

func TestTheServerForgetsFlowsOfAClientThatDoesNotEndThem(t *testing.T) {
	// spec: TUN-43
	inUDPWorld(t, fast, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward}, nil)
		here := w.socket(program)
		w.send(here, nearPort, "a")
		w.wait(time.Second)
		m := w.client.udp.Load()
		m.forgetNear(0) // as if the client forgot to say so
		w.wait(udpIdleFar + 2*udpSweep)
		require.Zero(t, w.serving[0].udp.stats().Flows)
	})
}

func TestTheFlowThatWasSilentForLongestMakesRoom(t *testing.T) {
	// spec: TUN-34
	inUDPWorld(t, fast, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward}, nil)
		first, silent, there := w.socket("10.1.0.1:20000"), w.socket("10.1.0.1:20001"), w.socket(farPort)
		var addrs [2]string
		for i, here := range []*simnet.Socket{first, silent} {
			w.send(here, nearPort, "hello")
			_, from := w.got(there, 20*time.Millisecond)
			addrs[i] = from.String()
		}
		for i := range maxPortFlows - 2 {
			w.send(w.socket(fmt.Sprintf("10.1.0.1:%d", 30000+i)), nearPort, "x")
			w.wait(time.Millisecond)
		}
		w.send(first, nearPort, "still here")
		w.wait(time.Second)
		require.Equal(t, maxPortFlows, w.stats(0).Flows)
		require.Zero(t, w.stats(0).Evicted)
		w.send(w.socket("10.1.0.1:20002"), nearPort, "one more")
		w.wait(time.Second)
		require.Equal(t, maxPortFlows, w.stats(0).Flows)
		require.EqualValues(t, 1, w.stats(0).Evicted)
		require.Equal(t, maxPortFlows, w.serving[0].udp.stats().Flows)
		for _, a := range addrs {
			w.send(there, a, "answer")
		}
		got, _ := w.got(first, time.Second)
		require.Equal(t, []string{"answer"}, got)
		got, _ = w.got(silent, time.Second)
		require.Empty(t, got)
	})
}

func TestARangeKeepsItsPortsApart(t *testing.T) {
	inUDPWorld(t, fast, allowAll, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{"udp://10.1.0.1:5004-5005=udp://10.2.0.1:6004-6005?deadline=100ms"}, nil)
		rtp, rtcp := w.socket("10.1.0.1:7004"), w.socket("10.1.0.1:7005")
		farRTP, farRTCP := w.socket("10.2.0.1:6004"), w.socket("10.2.0.1:6005")
		w.send(rtp, "10.1.0.1:5004", "picture")
		w.send(rtcp, "10.1.0.1:5005", "report")
		got, _ := w.got(farRTP, time.Second)
		require.Equal(t, []string{"picture"}, got)
		got, from := w.got(farRTCP, time.Second)
		require.Equal(t, []string{"report"}, got)
		w.send(farRTCP, from.String(), "back")
		got, at := w.got(rtcp, time.Second)
		require.Equal(t, []string{"back"}, got)
		require.Equal(t, "10.1.0.1:5005", at.String())
	})
}

func TestFlowsGoOnInANewSession(t *testing.T) {
	// spec: TUN-40
	inUDPWorld(t, fast, allowAll, []string{"udp://10.2.0.1:8000"}, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward + "?deadline=100ms"}, []string{"udp://10.2.0.1:8000=udp://10.1.0.1:9000"})
		here, there := w.socket(program), w.socket(farPort)
		outside, inside := w.socket("10.2.0.9:7000"), w.socket("10.1.0.1:9000")
		exchange := func(text string) {
			w.send(here, nearPort, text)
			got, from := w.got(there, time.Second)
			require.Equal(t, []string{text}, got)
			w.send(there, from.String(), text)
			got, _ = w.got(here, time.Second)
			require.Equal(t, []string{text}, got)
			w.send(outside, "10.2.0.1:8000", text)
			got, _ = w.got(inside, time.Second)
			require.Equal(t, []string{text}, got)
		}
		exchange("before")
		require.NoError(t, w.sessions[0].CloseWithError(0, "cut"))
		w.send(here, nearPort, "in the gap")
		w.wait(3 * time.Second)
		require.Len(t, w.sessions, 2)
		_, _ = w.got(there, time.Millisecond)
		exchange("after")
		require.Equal(t, 1, strings.Count(w.log.String(), "session lost"))
	})
}

func TestTheServerListensForAClient(t *testing.T) {
	// spec: TUN-41, TUN-42
	inUDPWorld(t, fast, []string{"udp://10.9.9.9:1"}, []string{"udp://10.2.0.1:8000-8001"}, func(t *testing.T, w *udpWorld) {
		w.start(nil, []string{"udp://10.2.0.1:8000-8001=udp://10.1.0.1:9000-9001", "udp://10.2.0.1:8002=udp://10.1.0.1:9000"})
		for i := range 2 {
			outside, inside := w.socket(fmt.Sprintf("10.2.0.9:%d", 7000+i)), w.socket(fmt.Sprintf("10.1.0.1:%d", 9000+i))
			at := fmt.Sprintf("10.2.0.1:%d", 8000+i)
			w.send(outside, at, "hello")
			got, from := w.got(inside, time.Second)
			require.Equal(t, []string{"hello"}, got)
			w.send(inside, from.String(), "back")
			got, from = w.got(outside, time.Second)
			require.Equal(t, []string{"back"}, got)
			require.Equal(t, at, from.String())
		}
		require.Contains(t, w.log.String(), "no --allow-listen rule of the server covers it")
		require.Equal(t, 2, w.stats(0).Flows)
		s, err := w.local.Listen(worldAddr("10.2.0.1:8002"))
		require.NoError(t, err, "the server does not listen where it may not")
		require.NoError(t, s.Close())
	})
}

func TestAPortIsGivenBackWhenTheClientNoLongerWantsIt(t *testing.T) {
	// spec: TUN-41
	inUDPWorld(t, fast, allowAll, []string{"udp://10.2.0.1:8000"}, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward}, []string{"udp://10.2.0.1:8000=udp://10.1.0.1:9000"})
		outside, inside := w.socket("10.2.0.9:7000"), w.socket("10.1.0.1:9000")
		w.send(outside, "10.2.0.1:8000", "hello")
		got, _ := w.got(inside, time.Second)
		require.Len(t, got, 1)
		require.Equal(t, 1, w.stats(1).Flows)
		reverse := w.client.list()[1]
		config := *w.client.config.Load()
		config.Reverse = nil
		require.NoError(t, w.client.change(w.client.plans(&config)))
		w.wait(time.Second)
		require.Zero(t, reverse.part.stats().UDP.Flows)
		w.socket("10.2.0.1:8000") // it is free
	})
}

func TestFlowsEndWhenTheServersRulesChange(t *testing.T) {
	// spec: TUN-60
	inUDPWorld(t, fast, allowAll, []string{"udp://10.2.0.1:8000"}, func(t *testing.T, w *udpWorld) {
		w.start([]string{plainForward}, []string{"udp://10.2.0.1:8000=udp://10.1.0.1:9000"})
		here, there := w.socket(program), w.socket(farPort)
		w.send(here, nearPort, "a")
		got, _ := w.got(there, time.Second)
		require.Len(t, got, 1)
		config := *w.server.config.Load()
		config.Allow, config.AllowListen = rules(t, "udp://10.2.0.1:53"), nil
		w.server.config.Store(&config)
		w.serving[0].review()
		w.wait(time.Second)
		w.send(here, nearPort, "b")
		got, _ = w.got(there, time.Second)
		require.Empty(t, got)
		require.EqualValues(t, 1, w.stats(0).Refused)
		w.socket("10.2.0.1:8000") // it is free
	})
}

func TestForwardsWithTooManyDifferentOptionsAreToldSo(t *testing.T) {
	inUDPWorld(t, fast, allowAll, nil, func(t *testing.T, w *udpWorld) {
		var forwards []string
		for i := range udpChannels {
			forwards = append(forwards, fmt.Sprintf("udp://10.1.0.1:%d=udp://10.2.0.1:5000?deadline=%dms", 5000+i, 100+i))
		}
		w.start(forwards, nil)
		here, there := w.socket(program), w.socket(farPort)
		for i := range udpChannels {
			w.send(here, fmt.Sprintf("10.1.0.1:%d", 5000+i), "x")
		}
		got, _ := w.got(there, time.Second)
		require.Len(t, got, udpChannels-1, "the first channel is for control messages")
		require.Contains(t, w.log.String(), "use fewer different ones")
		var refused uint64
		for i := range udpChannels {
			refused += w.stats(i).NoFlow
		}
		require.EqualValues(t, 1, refused)
	})
}

func TestAProgramWithoutAPortHasAFlowToo(t *testing.T) {
	// spec: TUN-40
	inUDPWorld(t, fast, []string{"udp://10.2.0.1:5000"}, nil, func(t *testing.T, w *udpWorld) {
		w.start([]string{"udp://10.1.0.1:1=udp://10.2.0.1:1"}, nil)
		there := w.socket(farPort)
		var count udpCounters
		var got []string
		flow := w.client.openUDP(allowedTarget, UDPOptions{}, &count, func(b []byte) { got = append(got, string(b)) })
		exchange := func(text string) {
			require.NoError(t, flow.send([]byte(text)))
			came, from := w.got(there, time.Second)
			require.Equal(t, []string{text}, came)
			w.send(there, from.String(), text)
			w.wait(time.Second)
			require.Equal(t, text, got[len(got)-1])
		}
		exchange("before")
		require.NoError(t, w.sessions[0].CloseWithError(0, "cut"))
		w.wait(3 * time.Second)
		exchange("after")
		flow.close()
		flow.close()
		<-flow.done()
		require.Error(t, flow.send([]byte("x")))
		w.wait(time.Second)
		require.Zero(t, w.serving[1].udp.stats().Flows)
		require.Zero(t, count.stats().Flows)

		other := allowedTarget
		other.Port++
		refused := w.client.openUDP(other, UDPOptions{}, &count, func([]byte) {})
		require.NoError(t, refused.send([]byte("x")))
		<-refused.done()
		var e *RefusedError
		require.ErrorAs(t, refused.failure(), &e)
		require.Equal(t, CodeNotAllowed, e.Code)
	})
}
