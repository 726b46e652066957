package protocol

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/fec"
	"github.com/godwit-net/godwit/protocol/wire"
)

// spec: FEC-32 FEC-33
func TestWhatRepairDeliversIsWhatWasSentAtMostOnce(t *testing.T) {
	var repaired, doubled uint64
	for seed := range uint64(24) {
		rng := rand.New(rand.NewPCG(seed, 5))
		p := newPair(t, func(client, server *Config, _ *EndpointConfig) {
			client.MaxDatagram, server.MaxDatagram = 1452, 1452
		})
		p.connect()
		loss := rng.IntN(30)
		p.filter = func(_ bool, _ int, data []byte) int {
			switch n := rng.IntN(100); {
			case n < loss:
				return 0
			case n < loss+3:
				data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
			case n < loss+6:
				return 2
			}
			return 1
		}
		sent, got := 0, map[uint16]mail{}
		for range 60 {
			for range 1 + rng.IntN(12) {
				for channel, mode := range []wire.Mode{wire.ReliableOrdered, wire.ReliableUnordered} {
					o := MessageOptions{
						Channel: uint16(channel), Mode: mode, Goal: Goal(seed % 2),
						Deadline: time.Duration(10+seed%4*30) * time.Millisecond,
					}
					p.sendMessage(p.cs, numbered(sent, 4+rng.IntN(2500)), o)
				}
				sent++
			}
			p.idle(time.Duration(rng.IntN(30)) * time.Millisecond)
			collect(p.ss, got)
		}
		p.idle(time.Second)
		collect(p.ss, got)
		require.NoError(t, p.cs.Err())
		require.NoError(t, p.ss.Err())
		for channel, m := range got {
			seen := map[int]bool{}
			for i, n := range m.numbers(t) {
				require.False(t, seen[n], "seed %d: message %d came twice", seed, n)
				require.False(t, channel == 0 && i > 0 && seen[n+1], "seed %d: order", seed)
				seen[n] = true
			}
			require.Greater(t, len(m), sent/2)
		}
		repaired += p.ss.Stats().Repair.RecoveredHere
		doubled += p.cs.Stats().Repair.Doubled
		require.NoError(t, p.cs.CheckInvariants())
		require.NoError(t, p.ss.CheckInvariants())
	}
	require.Greater(t, repaired, uint64(100))
	require.Positive(t, doubled)
}

// A peer with the keys opens a million groups, none of which is ever complete, and repeats packets that came. Attack 26.
//
// spec: FEC-8 FEC-32
func TestAMillionGroupsCostOneWindow(t *testing.T) {
	groups := 1_000_000
	if testing.Short() {
		groups = 50_000
	}
	p := mediaPair(t)
	rng := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, fec.MaxSymbol)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	var frame []byte
	for n := range groups {
		size := 3 + rng.IntN(60)
		if n%64 == 0 {
			size = fec.MaxSymbol
		}
		for i := range data[:size] {
			data[i] = byte(rng.Uint32())
		}
		f := wire.Repair{First: uint16(rng.Uint32()), Count: uint8(2 + rng.IntN(63)), Seed: uint8(rng.Uint32()), Data: data[:size]}
		if n%3 == 0 {
			f.First = uint16(n)
		}
		frame = f.Append(frame[:0])
		var kinds frameKinds
		require.Equal(t, len(frame)-1, p.ss.handleRepair(frame[1:], &kinds))
		p.ss.takeRecovered(p.now)
		if n%10 == 0 { // a packet that has come, once more
			var e fec.Encoder
			e.Reset(uint16(n))
			e.Add([]byte{0, 1}, wire.MaxData{Max: 1 << 50}.Append(nil))
			f = wire.Repair{First: uint16(n), Count: 1, Data: e.AppendSymbol(nil, uint16(n), 1, 0)}
			frame = f.Append(frame[:0])
			p.ss.handleRepair(frame[1:], &kinds)
			p.ss.takeRecovered(p.now)
		}
	}
	require.NoError(t, p.ss.Err())
	require.Less(t, p.ss.streams.max, uint64(1<<50), "nothing was taken twice")
	require.Less(t, int64(heap())-int64(before), int64(256<<10))
	require.LessOrEqual(t, len(p.ss.repair.recv.recovered), maxReported)
	require.LessOrEqual(t, len(p.ss.repair.recv.awaited), maxAwaited)
	got := map[uint16]mail{}
	collect(p.ss, got)
	require.Empty(t, got)
	p.sendFrame(10*warmFrames, 10)
	p.idle(500 * time.Millisecond)
	collect(p.ss, got)
	require.Len(t, got[media.Channel].numbers(t), 10, "and the session goes on")
}

// FuzzRepairFrames gives an end packets of a peer that holds the keys: covered ones, symbols over what was or was not
// sent, reports, in any order and again, while it sends media itself and time passes.
func FuzzRepairFrames(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 1, 9, 3, 0, 4, 5, 2, 1, 1, 3, 6, 7})
	f.Add([]byte{0, 5, 0, 6, 1, 5, 2, 0, 1, 5, 2, 1, 5, 9, 5, 200, 4, 1, 4, 2, 6, 3})
	f.Add([]byte{3, 0, 0, 200, 0, 0, 0, 0, 2, 7, 0, 7, 1, 7, 1, 3, 2, 255, 255, 64, 0, 3, 1, 2, 3})
	f.Fuzz(func(t *testing.T, in []byte) {
		p := connected(t)
		expectLoss(p.now, p.ss, 10)
		var e fec.Encoder
		var held [][]byte
		next := func() byte {
			if len(in) == 0 {
				return 0
			}
			b := in[0]
			in = in[1:]
			return b
		}
		for steps := 0; len(in) > 0 && steps < 200 && p.ss.Err() == nil; steps++ {
			op, arg := next(), next()
			var frames []byte
			switch op % 8 {
			case 0: // a covered packet, which comes or is kept
				content := append(wire.Channel{Channel: 1, Mode: wire.ReliableUnordered, Priority: 128}.Append(nil),
					wire.Message{Channel: 1, Wide: true, Number: uint16(steps), Data: []byte{arg}}.Append(nil)...)
				pn := p.cs.paths.active.loss.nextPN()
				frames = append(wire.Source{Sequence: e.Next()}.Append(nil), content...)
				e.Add(wire.AppendVarint([]byte{0}, pn), content)
				b := p.craft(p.cs, frames...)
				if held = append(held, b); arg&1 == 0 {
					p.give(p.ss, b, p.clientAddr)
				}
				continue
			case 1: // an honest symbol, or one with a flipped bit
				first, count := e.Held()
				if count == 0 {
					continue
				}
				n := 1 + int(arg)%count
				first += uint16(count - n)
				seed := next() % fec.Seeds
				s := e.AppendSymbol(nil, first, uint8(n), seed)
				if op&8 != 0 {
					s[int(arg)%len(s)] ^= 1 << (arg & 7)
				}
				frames = wire.Repair{First: first, Count: uint8(n), Seed: seed, Data: s}.Append(nil)
			case 2: // any symbol
				n := min(int(arg), len(in))
				frames = append([]byte{byte(wire.FrameRepair)}, in[:n]...)
				in = in[n:]
			case 3: // a report
				start := uint64(arg)
				frames = wire.AppendRepairReport(nil, 0, 1, []wire.Range{{Start: start, End: start + uint64(next())%8 + 1}}, [wire.BurstBuckets]uint64{1})
			case 4:
				if len(held) > 0 {
					p.give(p.ss, held[int(arg)%len(held)], p.clientAddr)
				}
				continue
			case 5:
				for range arg % 16 {
					_ = p.ss.SendMessage(p.now, numbered(steps, int(arg)*6), media)
				}
				p.pump(p.ss)
				continue
			case 6:
				p.now = p.now.Add(time.Duration(arg) * time.Millisecond / 4)
				p.ss.HandleTimeout(p.now)
				p.pump(p.ss)
				continue
			default: // any frames behind SOURCE
				n := min(int(arg), len(in))
				frames = append(wire.Source{Sequence: uint16(steps)}.Append(nil), in[:n]...)
				in = in[n:]
			}
			p.toServer(frames...)
			require.NoError(t, p.ss.CheckInvariants())
		}
		if err := p.ss.Err(); err != nil {
			var te *TransportError
			var ae *ApplicationError // any frame may be CLOSE
			require.True(t, errors.As(err, &te) || errors.As(err, &ae), "an error of another kind: %v", err)
		}
		if r := p.ss.repair; r != nil && r.recv != nil {
			require.LessOrEqual(t, len(r.recv.recovered), maxReported)
			require.LessOrEqual(t, len(r.recv.awaited), maxAwaited)
			require.LessOrEqual(t, len(r.doubles.list), maxDoubles)
		}
	})
}

// repairLoop is two ends on a wire without delay that loses every ninth datagram to the server.
type repairLoop struct {
	*pair
	n       int
	buf, in []byte
	frame   []byte
	lost    bool
}

func newRepairLoop(t testing.TB, lost bool) *repairLoop {
	p := mediaPair(t)
	return &repairLoop{pair: p, buf: make([]byte, 0, 2048), in: make([]byte, 0, 2048), frame: numbered(1, 1200), lost: lost}
}

// turn sends a frame of ten messages and lets 16 ms pass.
func (l *repairLoop) turn() {
	for range 10 {
		if err := l.cs.SendMessage(l.now, l.frame, media); err != nil {
			panic(err)
		}
	}
	for range 16 {
		l.exchange(l.cs, l.ss, l.clientAddr, true)
		l.exchange(l.ss, l.cs, l.serverAddr, false)
		for ok := true; ok; {
			l.in, _, ok = l.ss.ReceiveMessage(l.in[:0])
		}
		l.now = l.now.Add(time.Millisecond)
		l.cs.HandleTimeout(l.now)
		l.ss.HandleTimeout(l.now)
	}
}

func (l *repairLoop) exchange(from, to *Session, addr netip.AddrPort, lossy bool) {
	for {
		b, _, ok := from.AppendDatagram(l.now, l.buf[:0])
		if !ok {
			break
		}
		if l.n++; lossy && l.lost && l.n%9 == 0 {
			continue
		}
		to.HandleDatagram(l.now, Datagram{Data: b, Addr: AddrPair{Remote: addr}})
	}
	for {
		if _, ok := from.PollEvent(); !ok {
			return
		}
	}
}

func TestRepairAllocatesNothingInSteadyState(t *testing.T) {
	for _, lost := range []bool{false, true} {
		l := newRepairLoop(t, lost)
		for range 100 {
			l.turn()
		}
		symbols := l.cs.Stats().Repair.Symbols
		require.Zero(t, testing.AllocsPerRun(100, l.turn), "with loss: %v", lost)
		if lost {
			require.Greater(t, l.cs.Stats().Repair.Symbols, symbols)
			require.Positive(t, l.ss.Stats().Repair.RecoveredHere)
		}
	}
}

func BenchmarkFrameOfMedia(b *testing.B) {
	for _, lost := range []bool{false, true} {
		name := "clean"
		if lost {
			name = "loss11"
		}
		b.Run(name, func(b *testing.B) {
			l := newRepairLoop(b, lost)
			if !lost {
				l.cs.paths.active.loss.rate = lossRate{}
				for range 1000 {
					l.cs.paths.active.loss.rate.arrived(l.now)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				l.turn()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(10*b.N), "ns/message")
		})
	}
}
