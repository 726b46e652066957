package protocol

import (
	"crypto/sha256"
	"hash"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/congestion"
)

// sentAt is a datagram as the network sees it: keys are never the same twice, so its bytes say nothing.
type sentAt struct {
	at       Time
	toServer bool
	size     int
}

// busyPair runs two sessions over a network that loses one datagram in a hundred, in both directions: bulk data
// and whatever busy does. It returns all that was sent, a digest of what was read, the counters of both ends, and
// how many datagrams came from AppendMore.
func busyPair(t *testing.T, more int, busy func(p *pair, round int)) (sent []sentAt, read [2]string, stats [2]SessionCounters, ran int) {
	p := newPair(t, func(c, s *Config, _ *EndpointConfig) { c.MaxDatagram, s.MaxDatagram = 1452, 1452 })
	p.more = more
	p.filter = func(toServer bool, n int, data []byte) int {
		sent = append(sent, sentAt{p.now, toServer, len(data)})
		return min((n+1)%100, 1)
	}
	p.connect()
	buf := make([]byte, 64<<10)
	digests := [2]hash.Hash{sha256.New(), sha256.New()}
	for round := range 150 {
		busy(p, round)
		p.run(5*time.Millisecond, nil)
		for i, s := range []*Session{p.cs, p.ss} {
			for _, e := range p.events[s] {
				if e.Stream != nil && e.Kind == EventStreamReadable {
					for n := 1; n > 0; {
						n, _ = e.Stream.Read(buf)
						digests[i].Write(buf[:n])
					}
				}
			}
			p.events[s] = nil
		}
	}
	for i, s := range []*Session{p.cs, p.ss} {
		read[i], stats[i] = string(digests[i].Sum(nil)), s.Stats().SessionCounters
	}
	return sent, read, stats, p.ran
}

// What leaves does not depend on how it is asked for.
func TestAppendMoreMakesTheDatagramsThatAppendDatagramWould(t *testing.T) {
	bulk := make([]byte, 100_000)
	for i := range bulk {
		bulk[i] = byte(i * i >> 3)
	}
	for name, busy := range map[string]func(p *pair, round int){
		"one stream": func(p *pair, _ int) { _, _ = p.cs.Stream0().Write(bulk) },
		"both directions": func(p *pair, _ int) {
			_, _ = p.cs.Stream0().Write(bulk)
			_, _ = p.ss.Stream0().Write(bulk)
		},
		"many streams": func(p *pair, round int) {
			_, _ = p.cs.Stream0().Write(bulk)
			if s, err := p.cs.OpenStream(false); err == nil && round%4 == 0 {
				s.SetPriority([]uint8{32, 64, 200}[round/4%3])
				_, _ = s.Write(bulk[:1000*(round%70)])
				if s.CloseWrite(); round%20 == 0 {
					s.Reset(1)
				}
			}
		},
		"messages": func(p *pair, round int) {
			_, _ = p.cs.Stream0().Write(bulk)
			if round == 100 {
				require.NoError(t, p.cs.SendMessage(p.now, bulk[:5000], MessageOptions{Channel: 3}))
			}
		},
		"key updates": func(p *pair, round int) {
			_, _ = p.cs.Stream0().Write(bulk)
			if round%50 == 0 {
				p.cs.ForceKeyUpdate(p.now)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			want, wantRead, wantStats, none := busyPair(t, 0, busy)
			require.Zero(t, none)
			for _, more := range []int{1, 7, 64} {
				got, read, stats, ran := busyPair(t, more, busy)
				require.Greater(t, ran, len(want)/5, "runs are common")
				for i := range want {
					require.Equal(t, want[i], got[i], "datagram %d", i)
				}
				require.Len(t, got, len(want))
				require.Equal(t, wantRead, read)
				require.Equal(t, wantStats, stats)
			}
		})
	}
}

func TestAppendMoreStaysInTheBufferThatItIsGiven(t *testing.T) {
	p := newPair(t, func(c, s *Config, _ *EndpointConfig) { c.MaxDatagram, s.MaxDatagram = 1452, 1452 })
	p.connect()
	p.transfer(p.cs.Stream0(), func() *Stream { return p.ss.Stream0() }, 1<<20, false)
	_, err := p.cs.Stream0().Write(make([]byte, 1<<20))
	require.NoError(t, err)
	b, meta, ok := p.cs.AppendDatagram(p.now, nil)
	require.True(t, ok)
	require.Len(t, b, 1452)
	before := p.cs.Stats()
	room := make([]byte, 10, 10+3*1452-1)
	more, n := p.cs.AppendMore(p.now, room, meta, 1452, 100)
	require.Equal(t, 2, n, "two fit whole")
	require.Len(t, more, 10+2*1452)
	require.Same(t, &room[0], &more[0])
	after := p.cs.Stats()
	require.Equal(t, before.DatagramsSent+2, after.DatagramsSent)
	require.Equal(t, before.PacketsSent+2, after.PacketsSent)
	require.Equal(t, before.BytesSent+2*1452, after.BytesSent)

	_, n = p.cs.AppendMore(p.now, room, meta, 1200, 100)
	require.Zero(t, n, "another size is another run")
	meta.Addr.Remote = p.clientAddr
	_, n = p.cs.AppendMore(p.now, room, meta, 1452, 100)
	require.Zero(t, n, "so is another address")
}

// What leaves at one instant is one batch of the sockets, however many writes it takes.
func TestABatchNeverExceedsThePacersQuantum(t *testing.T) { // spec: REL-23
	const mtu = 1452
	for _, mbit := range []int{1, 10, 100, 1000, 10_000} {
		rate := uint64(mbit) * 1_000_000 / 8
		p := newPair(t, func(c, s *Config, _ *EndpointConfig) {
			c.MaxDatagram, s.MaxDatagram = mtu, mtu
			c.NewController = func(congestion.Config) congestion.Controller {
				return &fixedController{size: 1 << 30, rate: rate}
			}
		})
		p.delay = time.Millisecond
		p.more = 128
		p.connect()
		_, _ = p.cs.Stream0().Write(make([]byte, 1<<20))
		p.idle(50 * time.Millisecond) // the path's size is found
		left := map[Time]int{}        // bytes at each instant
		p.filter = func(toServer bool, _ int, data []byte) int {
			if toServer && len(data) > 200 { // acknowledgements do not wait
				left[p.now] += len(data)
			}
			return 1
		}
		buf := make([]byte, 1<<20)
		for range 100 {
			_, _ = p.cs.Stream0().Write(buf)
			p.run(time.Millisecond, nil)
			_, _ = p.ss.Stream0().Read(buf)
		}
		quantum := max(float64(rate)/1000, 2*mtu)
		most := 0
		for at, n := range left {
			require.LessOrEqual(t, float64(n), quantum, "%d Mbit/s at %v", mbit, at)
			most = max(most, n)
		}
		if mbit >= 100 { // below, the path's size is not found in so short a time
			require.Greater(t, most, int(quantum/2), "and it is used")
		}
	}
}

func TestEndsWithinTellsHowMuchIsLeftOfTheOnlyStream(t *testing.T) {
	p := newPair(t, func(*Config, *Config, *EndpointConfig) {})
	p.connect()
	require.False(t, p.cs.EndsWithin(1<<30), "there is nothing")
	_, err := p.cs.Stream0().Write(make([]byte, 1000))
	require.NoError(t, err)
	require.False(t, p.cs.EndsWithin(999))
	require.True(t, p.cs.EndsWithin(1000))
	other, err := p.cs.OpenStream(false)
	require.NoError(t, err)
	_, err = other.Write([]byte{1})
	require.NoError(t, err)
	require.False(t, p.cs.EndsWithin(1<<30), "another one waits")
}
