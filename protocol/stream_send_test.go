package protocol

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

func sendingStream(t *testing.T) (*streamsEnd, *Stream) {
	client, _ := newStreamsEnds(t, testLimits())
	return client, client.openStream(false)
}

func TestStreamSendsWhatWasWritten(t *testing.T) {
	client, s := sendingStream(t)
	client.wantNothing("an open stream says nothing by itself")
	writeStream(t, s, []byte("abc"))
	writeStream(t, s, []byte("def"))
	client.wantFrames("writes share a frame", dataFrame(4, 0, "abcdef"))
	client.wantNothing("once")
	writeStream(t, s, []byte("ghi"))
	s.CloseWrite()
	client.wantFrames("the end goes with the last data", finFrame(4, 6, "ghi"))
	s.CloseWrite()
	client.wantNothing("once")
}

func TestStreamEndWithoutData(t *testing.T) {
	client, s := sendingStream(t)
	writeStream(t, s, []byte("abc"))
	client.wantFrames("data", dataFrame(4, 0, "abc"))
	s.CloseWrite()
	require.True(t, client.hasData(), "an end is work")
	client.wantFrames("an end of its own", finFrame(4, 3, ""))
}

func TestStreamFillsThePacketWithoutLength(t *testing.T) {
	for size := 100; size < 120; size++ {
		client, s := sendingStream(t)
		const header, withLen = 2, 4 // type and ID; and two bytes of length
		writeStream(t, s, pattern(0, 100))
		p := client.packet(size)
		f := framesOf(t, p.data)[0].(wire.StreamFrame)
		n := min(100, size-header)
		require.Equal(t, n, len(f.Data), "size %d", size)
		if size < 100+withLen {
			require.True(t, f.ToEnd, "size %d: the frame ends with the packet", size)
			require.Len(t, p.data, size)
		} else {
			require.False(t, f.ToEnd, "size %d", size)
			require.Len(t, p.data, 100+withLen)
		}
	}
}

func TestStreamDoesNotSplitOffCrumbs(t *testing.T) {
	client, s := sendingStream(t)
	writeStream(t, s, pattern(0, 100))
	require.Empty(t, client.packet(20).data, "18 bytes of data are not worth a frame")
	require.NotEmpty(t, client.packet(40).data)
	small := client.openStream(false)
	client.packet(testPacket)
	writeStream(t, small, []byte("abc"))
	require.NotEmpty(t, client.packet(5).data, "unless they are all")
}

func TestStreamSendsLostRangesAgain(t *testing.T) { // spec: STR-8
	client, s := sendingStream(t)
	var packets []sentFrames
	for i := range 5 {
		writeStream(t, s, []byte(fmt.Sprintf("part %d;", i)))
		packets = append(packets, client.packet(testPacket))
	}
	client.ack(packets[0])
	client.lose(packets[1])
	client.lose(packets[2])
	client.ack(packets[3])
	s.CloseWrite()
	p := client.wantFrames("only what is missing, and the end", dataFrame(4, 7, "part 1;part 2;"), finFrame(4, 35, ""))
	client.lose(p)
	client.ack(packets[1]) // it was late, not lost
	client.wantFrames("what came late is not sent again", dataFrame(4, 14, "part 2;"), finFrame(4, 35, ""))
}

func TestStreamDoesNotSendAgainWhatArrivedOtherwise(t *testing.T) { // spec: STR-8
	client, s := sendingStream(t)
	writeStream(t, s, []byte("abcdef"))
	first := client.packet(testPacket)
	client.lose(first)
	second := client.wantFrames("again", dataFrame(4, 0, "abcdef"))
	client.ack(first)
	client.lose(second)
	client.wantNothing("it is there")
	client.ack(second)
	client.lose(first)
	client.wantNothing("news that comes twice")
	require.True(t, client.drained())
}

func TestStreamLossesInTheMiddleOfArrivals(t *testing.T) { // spec: STR-8
	client, s := sendingStream(t)
	writeStream(t, s, pattern(0, 300))
	whole := client.packet(testPacket)
	client.acked(streamFact(s, 100, 50, false))
	client.acked(streamFact(s, 200, 50, false))
	client.lose(whole)
	for _, want := range [][2]int{{0, 100}, {150, 50}, {250, 50}} {
		f := framesOf(t, client.packet(want[1]+4).data)[0].(wire.StreamFrame)
		require.Equal(t, want, [2]int{int(f.Offset), len(f.Data)})
		require.Equal(t, pattern(want[0], want[1]), f.Data)
	}
}

func TestLostEndIsSentAgain(t *testing.T) { // spec: STR-8
	client, s := sendingStream(t)
	writeStream(t, s, []byte("abc"))
	s.CloseWrite()
	p := client.packet(testPacket)
	client.lose(p)
	p = client.wantFrames("data and end", finFrame(4, 0, "abc"))
	client.acked(streamFact(s, 0, 3, false))
	client.lose(p)
	p = client.wantFrames("only the end", finFrame(4, 3, ""))
	require.False(t, client.drained())
	client.ack(p)
	require.True(t, client.drained())
	require.True(t, s.send.over())
}

func TestWriteTakesWhatTheBufferHolds(t *testing.T) {
	client, s := sendingStream(t)
	buffer := int(client.sendBuffer)
	n, err := s.Write(make([]byte, 2*buffer))
	require.NoError(t, err)
	require.Equal(t, buffer, n)
	require.False(t, s.Writable())
	n, err = s.Write([]byte("x"))
	require.NoError(t, err)
	require.Zero(t, n)

	s.raiseLimit(1 << 40)
	client.handleMaxData(1 << 40)
	for acked := 0; acked < buffer/writableShare; {
		client.wantNoEvent("not for every byte")
		p := client.packet(testPacket)
		client.ack(p)
		acked = int(client.ackedBytes())
	}
	require.Equal(t, s, client.wantEvent(EventStreamWritable, "once a quarter is free"))
	require.True(t, s.Writable())
	client.ack(client.packet(testPacket))
	client.wantNoEvent("one event per write that did not fit")
}

func TestSendBufferFollowsThePath(t *testing.T) {
	client, s := sendingStream(t)
	client.setPath(client.now, client.rtt, 1<<20)
	n, _ := s.Write(make([]byte, 8<<20))
	require.Equal(t, 2<<20, n, "twice what the path holds")
	client.setPath(client.now, client.rtt, 1<<30)
	n, _ = s.Write(make([]byte, 2*DefaultMaxSendBuffer))
	require.Equal(t, DefaultMaxSendBuffer-2<<20, n, "up to the most that is configured")
	client.setPath(client.now, client.rtt, 0)
	n, err := s.Write([]byte("x"))
	require.NoError(t, err)
	require.Zero(t, n, "a buffer that shrank is full")
}

func TestWriteAfterTheEndFails(t *testing.T) {
	client, s := sendingStream(t)
	s.CloseWrite()
	_, err := s.Write([]byte("x"))
	require.ErrorIs(t, err, ErrWriteClosed)
	require.True(t, s.Writable(), "nobody waits to write on it")
	r := client.openStream(false)
	r.Reset(1)
	_, err = r.Write([]byte("x"))
	require.ErrorIs(t, err, ErrWriteClosed)
	r.CloseWrite() // nothing
	client.wantFrames("one end, one reset", wire.ResetStream{ID: 8, Code: 1}, finFrame(4, 0, ""))
}

func TestReceiveOnlyStreamCannotBeWritten(t *testing.T) {
	_, server := newStreamsEnds(t, testLimits())
	require.NoError(t, server.handle(dataFrame(2, 0, "x")))
	s := server.table[2]
	_, err := s.Write([]byte("x"))
	require.ErrorIs(t, err, ErrWriteClosed)
	require.True(t, s.Writable())
	s.CloseWrite()
	s.Reset(1)
	server.wantNothing("there is nothing to end")
}

func TestResetForgetsWhatWasNotDelivered(t *testing.T) { // spec: STR-14 // spec: STR-20
	client, s := sendingStream(t)
	writeStream(t, s, []byte("sent"))
	lost := client.packet(testPacket)
	writeStream(t, s, []byte("never sent"))
	s.Reset(5)
	s.Reset(6)
	require.Zero(t, s.send.pipe.memory())
	client.lose(lost)
	p := client.wantFrames("no data after a reset", wire.ResetStream{ID: 4, Code: 5, FinalSize: 4})
	client.lose(p)
	p = client.wantFrames("until it arrives", wire.ResetStream{ID: 4, Code: 5, FinalSize: 4})
	require.False(t, client.drained())
	client.ack(p)
	client.ack(lost)
	require.True(t, client.drained())
	require.True(t, s.send.over())
}

func TestResetWithPrefixDeliversThePrefix(t *testing.T) { // spec: STR-14 // spec: STR-20
	client, s := sendingStream(t)
	writeStream(t, s, []byte("sent;"))
	sent := client.packet(testPacket)
	writeStream(t, s, []byte("wanted;unwanted"))
	s.ResetAt(5, 12)
	client.lose(sent)
	p := client.wantFrames("the prefix first, its size is then known", dataFrame(4, 0, "sent;"), dataFrame(4, 5, "wanted;"))
	client.lose(p)
	p = client.wantFrames("reset and prefix", wire.ResetStream{ID: 4, Code: 5, FinalSize: 12, Delivered: 12}, dataFrame(4, 0, "sent;wanted;"))
	client.acked(p.facts[0])
	require.False(t, s.send.over(), "the prefix is still to be acknowledged")
	client.lost(p.facts[1])
	p = client.wantFrames("the prefix alone", dataFrame(4, 0, "sent;wanted;"))
	client.ack(p)
	require.True(t, s.send.over())
}

func TestResetCountsAllThatWasSent(t *testing.T) { // spec: STR-14
	client, s := sendingStream(t)
	writeStream(t, s, []byte("abcdef"))
	client.packet(testPacket)
	s.ResetAt(5, 3)
	client.wantFrames("the final size is what flow control has seen", wire.ResetStream{ID: 4, Code: 5, FinalSize: 6, Delivered: 3})
}

func TestResetAfterDeliveryDoesNothing(t *testing.T) {
	client, s := sendingStream(t)
	writeStream(t, s, []byte("abc"))
	s.CloseWrite()
	client.ack(client.packet(testPacket))
	s.Reset(1)
	require.NoError(t, client.handle(wire.StopSending{ID: 4, Code: 2}))
	client.wantNothing("the peer has it all")
}

func TestStopIsAnsweredByReset(t *testing.T) { // spec: STR-18
	client, s := sendingStream(t)
	writeStream(t, s, []byte("abc"))
	lost := client.packet(testPacket)
	require.NoError(t, client.handle(wire.StopSending{ID: 4, Code: 77}))
	require.NoError(t, client.handle(wire.StopSending{ID: 4, Code: 78}))
	require.Equal(t, s, client.wantEvent(EventStreamWritable, "a writer learns of it"))
	client.wantNoEvent("once")
	_, err := s.Write([]byte("x"))
	require.Equal(t, &StreamError{Code: 77, Remote: true}, err)
	client.lose(lost)
	client.wantFrames("with the peer's code", wire.ResetStream{ID: 4, Code: 77, FinalSize: 3})
}

func TestStopOfAStreamThatIsResetDropsThePrefix(t *testing.T) { // spec: STR-18
	client, s := sendingStream(t)
	writeStream(t, s, make([]byte, testStreamWindow+1))
	client.packet(testPacket)
	s.ResetAt(1, testStreamWindow+1)
	client.wantFrames("the reset waits for the last byte of its prefix", wire.StreamDataBlocked{ID: 4, Limit: testStreamWindow})
	require.NoError(t, client.handle(wire.StopSending{ID: 4, Code: 7}))
	client.wantFrames("no longer", wire.ResetStream{ID: 4, Code: 1, FinalSize: testStreamWindow})
}

func TestStopOfAnEndedStreamIsAnsweredToo(t *testing.T) { // spec: STR-18
	client, s := sendingStream(t)
	writeStream(t, s, []byte("abc"))
	s.CloseWrite()
	lost := client.packet(testPacket)
	require.NoError(t, client.handle(wire.StopSending{ID: 4, Code: 7}))
	client.lose(lost)
	client.wantFrames("nothing is sent again", wire.ResetStream{ID: 4, Code: 7, FinalSize: 3})
	require.EqualValues(t, 3, s.send.finalSize())
}

func TestDataThatArrivedBehindAHoleLeavesRoomInTheSendBuffer(t *testing.T) {
	client, s := sendingStream(t)
	const path = 1 << 18
	much := make([]byte, 16*path)
	s.raiseLimit(1 << 40)
	client.handleMaxData(1 << 40)
	client.setPath(client.now, client.rtt, path)
	write := func() int {
		n, err := s.Write(much)
		require.NoError(t, err)
		return n
	}
	require.Equal(t, 2*path, write(), "twice what the path holds")
	hole := client.packet(testPacket)
	total := 2 * path
	for n := 0; n < 10*path && client.hasData(); {
		client.ack(client.packet(testPacket))
		wrote := write()
		require.LessOrEqual(t, s.send.pipe.end-s.send.next, uint64(2*path), "never more that was not sent")
		n, total = n+wrote, total+wrote
	}
	require.Equal(t, heldBufferPaths*path, total, "all that waits, arrived or not")
	require.False(t, client.hasData())
	client.lose(hole)
	client.ack(client.packet(testPacket))
	require.Zero(t, s.send.held)
	require.Equal(t, 2*path, write(), "the hole is filled")
}

func TestAWriterIsWokenBySomethingThatArrivedBehindAHole(t *testing.T) {
	client, s := sendingStream(t)
	s.raiseLimit(1 << 40)
	client.handleMaxData(1 << 40)
	client.setPath(client.now, client.rtt, 1<<20)
	_, err := s.Write(make([]byte, 8<<20))
	require.NoError(t, err)
	client.packet(testPacket)
	for s.send.held < client.sendBuffer/writableShare {
		client.wantNoEvent("not for every byte")
		client.ack(client.packet(testPacket))
	}
	require.Equal(t, s, client.wantEvent(EventStreamWritable, "a quarter is free"))
}
