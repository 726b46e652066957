package protocol

import (
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// heapNow returns the bytes of live heap.
func heapNow() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // twice: the pools keep things over one
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// heapOf returns by how many bytes the live heap grows over f.
func heapOf(f func()) int {
	before := heapNow()
	f()
	return int(heapNow()) - int(before)
}

// controlBytes makes packets until there is no control frame left and returns their size. No packet
// is ever acknowledged.
func controlBytes(e *streamsEnd) (n int) {
	for e.hasControl() {
		var facts []fact
		b := e.appendControl(nil, testPacket, &facts)
		if len(b) == 0 {
			return n
		}
		n += len(b)
	}
	return n
}

// TestAttack13StreamFrames floods a server with frames of each kind about streams, and never
// acknowledges anything. What waits to be answered stays bounded.
func TestAttack13StreamFrames(t *testing.T) { // spec: STR-30
	const flood = 1_000_000
	ids := func(i uint64) uint64 { return 4 * (1 + i%testMaxStreams) }
	for name, frame := range map[string]func(i uint64) wire.Frame{
		"STREAM, empty":       func(i uint64) wire.Frame { return dataFrame(ids(i), 0, "") },
		"STREAM, the same":    func(i uint64) wire.Frame { return dataFrame(ids(i), i%50, "again and again") },
		"STREAM with FIN":     func(i uint64) wire.Frame { return finFrame(ids(i), 5, "") },
		"RESET_STREAM":        func(i uint64) wire.Frame { return wire.ResetStream{ID: ids(i), Code: i, FinalSize: 100} },
		"STOP_SENDING":        func(i uint64) wire.Frame { return wire.StopSending{ID: ids(i), Code: i} },
		"MAX_DATA":            func(i uint64) wire.Frame { return wire.MaxData{Max: i} },
		"MAX_STREAM_DATA":     func(i uint64) wire.Frame { return wire.MaxStreamData{ID: ids(i), Max: i} },
		"MAX_STREAMS":         func(i uint64) wire.Frame { return wire.MaxStreams{Max: i} },
		"DATA_BLOCKED":        func(i uint64) wire.Frame { return wire.DataBlocked{Limit: i} },
		"STREAM_DATA_BLOCKED": func(i uint64) wire.Frame { return wire.StreamDataBlocked{ID: ids(i), Limit: i} },
		"STREAMS_BLOCKED":     func(i uint64) wire.Frame { return wire.StreamsBlocked{Limit: i} },
	} {
		t.Run(name, func(t *testing.T) {
			_, server := newStreamsEnds(t, testLimits())
			waiting := server.openStream(false)
			writeStream(t, waiting, make([]byte, 50_000)) // hungry for every new limit
			writeStream(t, server.stream0(), make([]byte, 50_000))
			grown := heapOf(func() {
				for i := range uint64(flood) {
					if err := server.handle(frame(i)); err != nil {
						require.NoError(t, err)
					}
				}
			})
			require.Less(t, grown, 64<<10, "heap after %d frames", flood)
			require.LessOrEqual(t, len(server.events), 3*testMaxStreams+1, "events are merged")
			require.LessOrEqual(t, controlBytes(server), 40*(testMaxStreams+2), "answers have one slot each")
		})
	}
}

// TestAttack13StreamsThatNobodyAccepts opens and ends streams for which the application has no time.
// Their credit does not come back before it has looked at them.
func TestAttack13StreamsThatNobodyAccepts(t *testing.T) { // spec: STR-21
	for name, end := range map[string]func(id uint64) wire.Frame{
		"ended": func(id uint64) wire.Frame { return finFrame(id, 0, "") },
		"reset": func(id uint64) wire.Frame { return wire.ResetStream{ID: id} },
	} {
		_, server := newStreamsEnds(t, testLimits())
		for n := range uint64(testMaxStreams) {
			require.NoError(t, server.handle(end(wire.StreamID(n, false, true))), name)
		}
		server.wantNothing("no credit for " + name + " streams")
		wantTransportCode(t, wire.StreamLimit, server.handle(end(wire.StreamID(testMaxStreams, false, true))), name)
		_, err := server.table[wire.StreamID(0, false, true)].Read(nil)
		require.Error(t, err)
		server.wantFrames("once it has looked at one", wire.MaxStreams{Max: testMaxStreams + 1, Uni: true})
	}
}

// TestAttack13StreamsEndedAndNeverAcknowledged lets the application answer every stream, while the
// peer acknowledges nothing: the peer's streams stay open and use up its credit.
func TestAttack13StreamsEndedAndNeverAcknowledged(t *testing.T) { // spec: STR-21
	_, server := newStreamsEnds(t, testLimits())
	for n := range uint64(testMaxStreams) {
		id := wire.StreamID(n+1, false, false)
		require.NoError(t, server.handle(finFrame(id, 0, "q")))
		wantStreamRead(t, server.table[id], "q", io.EOF, "question")
		server.table[id].CloseWrite()
		server.packet(testPacket)
	}
	require.Len(t, server.table, testMaxStreams)
	wantTransportCode(t, wire.StreamLimit, server.handle(dataFrame(4*(testMaxStreams+1), 0, "q")), "no credit came back")
}

// TestAttack14ReassemblyGaps sends every second byte of the window, as far as the gaps are
// tolerated, in one stream and in many. Memory stays within twice the window, and the time for it
// within reason.
func TestAttack14ReassemblyGaps(t *testing.T) { // spec: STR-10
	for _, streams := range []int{1, 3, 200} {
		t.Run(fmt.Sprintf("streams=%d", streams), func(t *testing.T) {
			limits := testLimits()
			limits.MaxData, limits.MaxStreamDataBidiRemote, limits.MaxStreamsBidi = 512<<10, 256<<10, 256
			_, server := newStreamsEnds(t, limits)
			for n := range uint64(streams) { // the streams themselves are paid for by stream credit
				require.NoError(t, server.handle(dataFrame(4*(n+1), 0, "")))
			}
			payload := []byte("x")
			var err error
			grown := heapOf(func() {
				for off := uint64(1); err == nil && off < limits.MaxStreamDataBidiRemote; off += 2 {
					for n := uint64(0); err == nil && n < uint64(streams); n++ {
						err = server.handleStream(wire.StreamFrame{ID: 4 * (n + 1), Offset: off, Data: payload})
					}
				}
			})
			wantTransportCode(t, wire.ProtocolViolation, err, "every second byte")
			require.Less(t, grown, 2*int(limits.MaxData))
			runtime.KeepAlive(server)
		})
	}
}

// TestAttack14SparseBytes spends the whole session's window on single bytes as far apart as costs
// the receiver most.
func TestAttack14SparseBytes(t *testing.T) { // spec: STR-10
	for _, distance := range []uint64{1, 1000, 1025, 4097, blockSize, blockSize + 1, 100_000} {
		t.Run(fmt.Sprintf("distance=%d", distance), func(t *testing.T) {
			limits := testLimits()
			limits.MaxData, limits.MaxStreamDataBidiRemote, limits.MaxStreamsBidi = 2<<20, 256<<10, 256
			_, server := newStreamsEnds(t, limits)
			for n := range limits.MaxStreamsBidi {
				require.NoError(t, server.handle(dataFrame(4*(n+1), 0, "")))
			}
			grown := heapOf(func() {
				for n := uint64(1); n <= limits.MaxStreamsBidi; n++ {
					for off := distance; off < limits.MaxStreamDataBidiRemote; off += distance {
						if server.handleStream(wire.StreamFrame{ID: 4 * n, Offset: off, Data: []byte("x")}) != nil {
							return
						}
					}
				}
			})
			require.Less(t, grown, 2*int(limits.MaxData))
			runtime.KeepAlive(server)
		})
	}
}

func TestEverySecondPacketOfALargeWindowMayBeLost(t *testing.T) { // spec: STR-10
	limits := wideLimits()
	const window, size = 4 << 20, 1150
	limits.MaxStreamDataBidiRemote, limits.MaxData = window, 2*window
	_, server := newStreamsEnds(t, limits)
	for off := uint64(size); off+size <= window; off += 2 * size {
		require.NoError(t, server.handleStream(wire.StreamFrame{ID: 4, Offset: off, Data: make([]byte, size)}))
	}
	require.Greater(t, server.gaps, maxGaps)
	var err error
	for off := uint64(size / 2); err == nil && off < window; off += 2 * size {
		err = server.handleStream(wire.StreamFrame{ID: 4, Offset: off, Data: []byte("x")})
	}
	require.NoError(t, err, "as small as packets get")
	for off := uint64(size / 4); err == nil && off < window; off += size {
		err = server.handleStream(wire.StreamFrame{ID: 4, Offset: off, Data: []byte("x")})
	}
	wantTransportCode(t, wire.ProtocolViolation, err, "no honest sender")
}

// TestAttack14GapsCostLittleTime fills the gaps of a stream in the worst order, many times over.
func TestAttack14GapsCostLittleTime(t *testing.T) {
	_, server := newStreamsEnds(t, wideLimits())
	frames := 0
	for base := uint64(0); base < 1000*2*maxGaps; base += 2 * maxGaps {
		for i := uint64(maxGaps); i > 0; i-- {
			require.NoError(t, server.handleStream(wire.StreamFrame{ID: 4, Offset: base + 2*i - 1, Data: []byte("x")}))
			frames++
		}
		require.NoError(t, server.handleStream(wire.StreamFrame{ID: 4, Offset: base, Data: make([]byte, 2*maxGaps)}))
	}
	require.Equal(t, 1000*maxGaps, frames)
	require.EqualValues(t, 1000*2*maxGaps, server.table[4].recv.ready)
}
