package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

func TestStreamLimitStopsTheSender(t *testing.T) { // spec: STR-22 // spec: STR-28
	client, s := sendingStream(t)
	writeStream(t, s, pattern(0, testStreamWindow+500))
	sent := client.wantFrames("what it may send", wire.StreamFrame{ID: 4, Data: pattern(0, testStreamWindow)})
	said := client.wantFrames("then it says what stops it", wire.StreamDataBlocked{ID: 4, Limit: testStreamWindow})
	client.wantNothing("once per limit")
	require.False(t, client.hasData())
	client.lose(sent)
	client.lose(said)
	sent = client.wantFrames("lost data needs no new credit",
		wire.StreamDataBlocked{ID: 4, Limit: testStreamWindow}, wire.StreamFrame{ID: 4, Data: pattern(0, testStreamWindow)})

	require.NoError(t, client.handle(wire.MaxStreamData{ID: 4, Max: testStreamWindow + 100}))
	client.wantFrames("a new limit", wire.StreamFrame{ID: 4, Offset: testStreamWindow, Data: pattern(testStreamWindow, 100)})
	client.wantFrames("that stops it again", wire.StreamDataBlocked{ID: 4, Limit: testStreamWindow + 100})
	client.lose(sent)
	client.wantFrames("what was said of an old limit does not matter any more", wire.StreamFrame{ID: 4, Data: pattern(0, testStreamWindow)})
	require.NoError(t, client.handle(wire.MaxStreamData{ID: 4, Max: 1 << 40}))
	client.wantFrames("the rest", wire.StreamFrame{ID: 4, Offset: testStreamWindow + 100, Data: pattern(testStreamWindow+100, 400)})
}

func TestSessionLimitStopsAllSenders(t *testing.T) { // spec: STR-22 // spec: STR-28
	client, _ := newStreamsEnds(t, testLimits())
	streams := []*Stream{client.stream0(), client.openStream(false), client.openStream(true)}
	for _, s := range streams {
		writeStream(t, s, make([]byte, testStreamWindow))
	}
	total := 0
	var packets []sentFrames
	for client.hasData() {
		p := client.packet(600)
		packets = append(packets, p)
		for _, f := range framesOf(t, p.data) {
			if f, ok := f.(wire.StreamFrame); ok {
				total += len(f.Data)
			}
		}
	}
	require.Equal(t, testSessionWindow, total)
	client.wantFrames("the session says so", wire.DataBlocked{Limit: testSessionWindow})
	client.wantNothing("once per limit")
	client.lose(packets[0])
	require.True(t, client.hasData(), "lost data needs no new credit")
	client.packet(testPacket)
	client.handleMaxData(testSessionWindow + 300)
	p := client.packet(testPacket)
	require.EqualValues(t, testSessionWindow+300, client.sent)
	require.NotEmpty(t, p.data)
	client.wantFrames("the new limit stops it again", wire.DataBlocked{Limit: testSessionWindow + 300})
	streams[0].CloseWrite()
	streams[0].Reset(1)
	client.wantFrames("ends need no credit", wire.ResetStream{ID: 0, Code: 1, FinalSize: streams[0].send.finalSize()})
}

func TestDataBeyondTheStreamLimitClosesTheSession(t *testing.T) { // spec: STR-23
	for name, f := range map[string]wire.Frame{
		"data":           wire.StreamFrame{ID: 4, Offset: testStreamWindow - 1, Data: []byte("xx")},
		"the final size": wire.ResetStream{ID: 4, FinalSize: testStreamWindow + 1},
		"an empty end":   finFrame(4, testStreamWindow+1, ""),
	} {
		server, s := receivingStream(t)
		wantTransportCode(t, wire.FlowControl, server.handle(f), name)
		require.Zero(t, s.recv.pipe.memory())
	}
	server, _ := receivingStream(t)
	require.NoError(t, server.handle(dataFrame(4, testStreamWindow-1, "x")), "the last byte")
}

func TestDataBeyondTheSessionLimitClosesTheSession(t *testing.T) { // spec: STR-24
	for name, f := range map[string]wire.Frame{
		"data":           dataFrame(12, testSessionWindow-2*testStreamWindow, "x"),
		"the final size": wire.ResetStream{ID: 12, FinalSize: testSessionWindow - 2*testStreamWindow + 1},
	} {
		_, server := newStreamsEnds(t, testLimits())
		require.NoError(t, server.handle(dataFrame(4, testStreamWindow-1, "x")), "offsets count, not bytes")
		require.NoError(t, server.handle(wire.ResetStream{ID: 8, FinalSize: testStreamWindow}))
		server.received, server.window.limit = 2*testStreamWindow, testSessionWindow // as if nothing had been given back
		wantTransportCode(t, wire.FlowControl, server.handle(f), name)
	}
}

func TestCreditIsGivenForWhatWasRead(t *testing.T) { // spec: STR-25 // spec: STR-26
	server, s := receivingStream(t)
	server.rtt = 0 // unknown: windows keep their size
	require.NoError(t, server.handle(wire.StreamFrame{ID: 4, Data: pattern(0, testStreamWindow)}))
	server.wantNothing("arrival gives no credit")
	_, err := s.Read(make([]byte, testStreamWindow/2-1))
	require.NoError(t, err)
	server.wantNothing("less than half of the window")
	_, err = s.Read(make([]byte, 1))
	require.NoError(t, err)
	server.wantFrames("half of it", wire.MaxStreamData{ID: 4, Max: testStreamWindow * 3 / 2})
	server.wantNothing("once")
	_, err = s.Read(make([]byte, 400))
	require.NoError(t, err)
	server.wantNothing("less than half again, also for the session")
	require.NoError(t, server.handle(wire.StreamFrame{ID: 4, Offset: testStreamWindow, Data: pattern(0, testStreamWindow/2)}))
	_, err = readStream(s)
	require.NoError(t, err)
	server.wantFrames("both levels", wire.MaxData{Max: 1500 + testSessionWindow}, wire.MaxStreamData{ID: 4, Max: 1500 + testStreamWindow})
}

func TestNoCreditForAStreamWhoseSizeIsKnown(t *testing.T) {
	server, s := receivingStream(t)
	require.NoError(t, server.handle(wire.StreamFrame{ID: 4, Data: pattern(0, testStreamWindow), Fin: true}))
	_, _ = readStream(s)
	server.wantNothing("the peer will send no more")
}

func TestLostLimitIsRepeatedAsItIsNow(t *testing.T) { // spec: STR-29
	server, s := receivingStream(t)
	server.rtt = 0
	require.NoError(t, server.handle(wire.StreamFrame{ID: 4, Data: pattern(0, testStreamWindow)}))
	_, _ = s.Read(make([]byte, 500))
	first := server.wantFrames("limit", wire.MaxStreamData{ID: 4, Max: 1500})
	server.lose(first)
	second := server.wantFrames("again", wire.MaxStreamData{ID: 4, Max: 1500})
	_, _ = s.Read(make([]byte, 500))
	third := server.wantFrames("a newer one", wire.MaxStreamData{ID: 4, Max: 2000})
	server.lose(second)
	server.wantNothing("only the newest limit counts")
	server.lose(third)
	server.ack(third)
	server.wantNothing("it came late, but it came")
}

func TestNewLimitIsNotForgottenWhenAnOldOneArrives(t *testing.T) { // spec: STR-29
	server, s := receivingStream(t)
	server.rtt = 0
	require.NoError(t, server.handle(wire.StreamFrame{ID: 4, Data: pattern(0, testStreamWindow)}))
	_, _ = s.Read(make([]byte, 500))
	p := server.packet(testPacket)
	_, _ = s.Read(make([]byte, 500))
	server.ack(p)
	server.wantFrames("it waits still", wire.MaxStreamData{ID: 4, Max: 2000})
}

// fillAndRead brings a window's worth of data to stream 4, reads it, and returns the frames that
// raise the limits.
func fillAndRead(t *testing.T, e *streamsEnd, s *Stream) sentFrames {
	n := min(s.recv.window.limit-s.recv.highest, e.window.limit-e.received)
	require.NoError(t, e.handle(wire.StreamFrame{ID: s.id, Offset: s.recv.highest, Data: make([]byte, n)}))
	_, err := readStream(s)
	require.NoError(t, err)
	return e.packet(testPacket)
}

func TestWindowDoublesWhileItIsTheLimit(t *testing.T) { // spec: STR-26
	server, s := receivingStream(t)
	server.cfg.maxStreamWindow, server.cfg.maxSessionWindow = 100_000, 150_000
	for range 3 {
		before := s.recv.window.size
		server.advance(50 * time.Millisecond) // one round trip
		fillAndRead(t, server, s)
		require.Equal(t, 2*before, s.recv.window.size)
		require.GreaterOrEqual(t, server.window.size, min(2*s.recv.window.size, 150_000),
			"one stream must not fill the session's window")
	}
	before := s.recv.window.size
	server.advance(101 * time.Millisecond)
	fillAndRead(t, server, s)
	require.Equal(t, before, s.recv.window.size, "a window that lasts two round trips is large enough")
	for range 30 {
		fillAndRead(t, server, s)
	}
	require.EqualValues(t, 100_000, s.recv.window.size, "up to a maximum")
	require.EqualValues(t, 150_000, server.window.size)
}

func TestWindowGrowsForHolesThatTakeSeveralRoundTrips(t *testing.T) { // spec: STR-26
	for name, test := range map[string]struct {
		trips int
		used  uint64
		want  uint64
	}{
		"used up, and filled within eight round trips": {7, testStreamWindow - testStreamWindow/heldShare, 2 * testStreamWindow},
		"not used up":           {7, testStreamWindow * 3 / 4, testStreamWindow},
		"filled after too long": {9, testStreamWindow, testStreamWindow},
	} {
		server, s := receivingStream(t)
		require.NoError(t, server.handle(wire.StreamFrame{ID: 4, Offset: 1, Data: pattern(1, int(test.used)-1)}))
		server.advance(time.Duration(test.trips) * server.rtt)
		require.NoError(t, server.handle(wire.StreamFrame{ID: 4, Data: pattern(0, 1)}))
		_, err := readStream(s)
		require.NoError(t, err)
		server.packet(testPacket)
		require.Equal(t, test.want, s.recv.window.size, name)
	}
}

func TestWindowDoesNotGrowForAnApplicationThatReadsSlowly(t *testing.T) { // spec: STR-26
	server, s := receivingStream(t)
	require.NoError(t, server.handle(dataFrame(4, 0, "x")))
	require.NoError(t, server.handle(wire.StreamFrame{ID: 4, Offset: 2, Data: pattern(2, testStreamWindow-2)}))
	server.advance(7 * server.rtt)
	require.NoError(t, server.handle(wire.StreamFrame{ID: 4, Offset: 1, Data: pattern(1, 1)}))
	_, err := readStream(s)
	require.NoError(t, err)
	server.packet(testPacket)
	require.EqualValues(t, testStreamWindow, s.recv.window.size, "it had something to read all the time")
}

func TestRepeatedLimitDoesNotGrowTheWindow(t *testing.T) {
	server, s := receivingStream(t)
	p := fillAndRead(t, server, s)
	size := s.recv.window.size
	for range 5 {
		server.lose(p)
		p = server.packet(testPacket)
		require.NotEmpty(t, p.data)
	}
	require.Equal(t, size, s.recv.window.size)
}

func TestLimitsSaturate(t *testing.T) { // spec: STR-27
	w := newRecvWindow(maxOffset + 5)
	require.EqualValues(t, maxOffset, w.limit)
	require.False(t, w.consume(maxOffset-1), "no limit is higher")
	w = recvWindow{limit: maxOffset - 10, size: 100, consumed: maxOffset - 100}
	require.True(t, w.consume(60))
	require.EqualValues(t, maxOffset, w.raise(1, 0, 100, maxOffset))
	client, _ := newStreamsEnds(t, testLimits())
	client.handleMaxData(maxOffset)
	require.NoError(t, client.handle(wire.MaxStreamData{ID: 0, Max: maxOffset}))
	writeStream(t, client.stream0(), []byte("abc"))
	client.wantFrames("the highest limits are limits like others", dataFrame(0, 0, "abc"))
}

func TestEmptyWindowStaysEmpty(t *testing.T) {
	limits := testLimits()
	limits.MaxStreamDataUni = 0
	_, server := newStreamsEnds(t, limits)
	require.NoError(t, server.handle(finFrame(2, 0, "")), "an end needs no credit")
	wantTransportCode(t, wire.FlowControl, server.handle(dataFrame(6, 0, "x")), "a byte does")
	server.wantNothing("there is nothing to raise")
}
