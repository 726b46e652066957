package protocol

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// receivingStream returns a server and its stream 4, which the client has opened.
func receivingStream(t *testing.T) (*streamsEnd, *Stream) {
	_, server := newStreamsEnds(t, testLimits())
	require.NoError(t, server.handle(dataFrame(4, 0, "")))
	s := server.wantEvent(EventStreamOpened, "an empty frame opens a stream")
	server.wantNoEvent("and brings nothing to read")
	return server, s
}

func TestStreamReadsInOrderWhateverTheOrderOfArrival(t *testing.T) { // spec: STR-11
	server, s := receivingStream(t)
	require.NoError(t, server.handle(dataFrame(4, 6, "ghi")))
	require.NoError(t, server.handle(dataFrame(4, 3, "def")))
	wantStreamRead(t, s, "", nil, "the first bytes are missing")
	server.wantNoEvent("so nobody is woken")
	require.False(t, s.Readable())
	require.NoError(t, server.handle(dataFrame(4, 0, "abc")))
	require.Equal(t, s, server.wantEvent(EventStreamReadable, "now there is something"))
	require.True(t, s.Readable())
	require.NoError(t, server.handle(dataFrame(4, 9, "jkl")))
	server.wantNoEvent("one event until the application has read")
	wantStreamRead(t, s, "abcdefghijkl", nil, "all of it")
	require.NoError(t, server.handle(dataFrame(4, 12, "m")))
	server.wantEvent(EventStreamReadable, "then the next one")
}

func TestStreamReadTakesAsMuchAsFits(t *testing.T) {
	server, s := receivingStream(t)
	require.NoError(t, server.handle(finFrame(4, 0, "abcdef")))
	buf := make([]byte, 4)
	n, err := s.Read(buf[:0])
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = s.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "abcd", string(buf[:n]))
	n, err = s.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "ef", string(buf[:n]))
	_, err = s.Read(buf)
	require.Equal(t, io.EOF, err)
}

func TestStreamByteThatArrivedNeverChanges(t *testing.T) { // spec: STR-9
	server, s := receivingStream(t)
	require.NoError(t, server.handle(dataFrame(4, 2, "cd")))
	require.NoError(t, server.handle(dataFrame(4, 6, "gh")))
	require.NoError(t, server.handle(dataFrame(4, 1, "XXXXXXXXX"))) // 1 to 9
	require.NoError(t, server.handle(dataFrame(4, 0, "YYYYYYYYYYY")))
	wantStreamRead(t, s, "YXcdXXghXXY", nil, "the first bytes to arrive win")
	require.NoError(t, server.handle(dataFrame(4, 0, "ZZZZZZZZZZZZ")))
	wantStreamRead(t, s, "Z", nil, "what was read is gone")
}

func TestStreamEndsAfterAllItsBytes(t *testing.T) { // spec: STR-12
	server, s := receivingStream(t)
	require.NoError(t, server.handle(finFrame(4, 3, "def")))
	wantStreamRead(t, s, "", nil, "the end alone is not the end")
	server.wantNoEvent("nothing to read yet")
	require.NoError(t, server.handle(dataFrame(4, 0, "abc")))
	wantStreamRead(t, s, "abcdef", io.EOF, "data, then EOF")
	require.True(t, s.Readable(), "EOF can be read again")
	wantStreamRead(t, s, "", io.EOF, "EOF stays")
}

func TestStreamEndWithoutDataIsAnEvent(t *testing.T) { // spec: STR-12
	server, s := receivingStream(t)
	require.NoError(t, server.handle(dataFrame(4, 0, "abc")))
	server.wantEvent(EventStreamReadable, "data")
	wantStreamRead(t, s, "abc", nil, "data")
	require.NoError(t, server.handle(finFrame(4, 3, "")))
	server.wantEvent(EventStreamReadable, "the end")
	wantStreamRead(t, s, "", io.EOF, "the end")
}

func TestStreamSizeThatChangesClosesTheSession(t *testing.T) { // spec: STR-13
	for name, f := range map[string][2]wire.Frame{
		"data beyond the end":           {finFrame(4, 0, "abc"), dataFrame(4, 2, "xx")},
		"another end":                   {finFrame(4, 0, "abc"), finFrame(4, 0, "abcd")},
		"an earlier end":                {finFrame(4, 0, "abc"), finFrame(4, 0, "ab")},
		"an end before data":            {dataFrame(4, 0, "abc"), finFrame(4, 0, "ab")},
		"a reset before data":           {dataFrame(4, 0, "abc"), wire.ResetStream{ID: 4, FinalSize: 2}},
		"a reset at another size":       {finFrame(4, 0, "abc"), wire.ResetStream{ID: 4, FinalSize: 4}},
		"data beyond a reset":           {wire.ResetStream{ID: 4, FinalSize: 3}, dataFrame(4, 3, "x")},
		"a second reset, another size":  {wire.ResetStream{ID: 4, FinalSize: 3, Delivered: 3}, wire.ResetStream{ID: 4, FinalSize: 5}},
		"an end after reset, elsewhere": {wire.ResetStream{ID: 4, FinalSize: 3, Delivered: 3}, finFrame(4, 0, "ab")},
	} {
		server, _ := receivingStream(t)
		require.NoError(t, server.handle(f[0]), name)
		wantTransportCode(t, wire.FinalSize, server.handle(f[1]), name)
	}
}

func TestStreamSizeMayBeRepeated(t *testing.T) { // spec: STR-13
	server, s := receivingStream(t)
	require.NoError(t, server.handle(finFrame(4, 0, "abc")))
	require.NoError(t, server.handle(finFrame(4, 1, "bc")))
	require.NoError(t, server.handle(finFrame(4, 3, "")))
	require.NoError(t, server.handle(wire.ResetStream{ID: 4, Code: 1, FinalSize: 3}))
	wantStreamRead(t, s, "abc", io.EOF, "all the same")
}

func TestStreamWithTooManyGapsClosesTheSession(t *testing.T) { // spec: STR-10
	limits := wideLimits()
	limits.MaxStreamDataBidiRemote = maxGaps * gapSpacing
	_, server := newStreamsEnds(t, limits)
	for i := range uint64(maxGaps) {
		require.NoError(t, server.handle(dataFrame(4, 2*i+1, "x")))
	}
	require.NoError(t, server.handle(dataFrame(4, 1, "xxx")), "filling gaps is always possible")
	require.NoError(t, server.handle(dataFrame(4, 2*maxGaps+1, "x")), "and makes room")
	wantTransportCode(t, wire.ProtocolViolation, server.handle(dataFrame(4, 2*maxGaps+3, "x")), "one gap too many")
}

func TestSessionWithTooManyGapsIsClosed(t *testing.T) { // spec: STR-10
	limits := wideLimits()
	limits.MaxData = 2 * maxGaps * gapCharge
	_, server := newStreamsEnds(t, limits)
	var err error
	gaps := 0
	for stream := uint64(1); err == nil; stream++ {
		for i := range uint64(maxGaps) / 4 {
			if err = server.handle(dataFrame(4*stream, 2*i+1, "x")); err != nil {
				break
			}
			gaps++
		}
	}
	wantTransportCode(t, wire.ProtocolViolation, err, "gaps in many streams")
	require.Equal(t, 2*maxGaps, gaps)
}

func TestGapsOfStreamsThatEndAreForgotten(t *testing.T) {
	_, server := newStreamsEnds(t, wideLimits())
	require.NoError(t, server.handle(dataFrame(4, 1, "x")))
	require.NoError(t, server.handle(dataFrame(4, 3, "x")))
	require.NoError(t, server.handle(dataFrame(8, 3, "x")))
	require.NoError(t, server.handle(dataFrame(12, 3, "x")))
	require.Equal(t, 4, server.gaps)
	require.NoError(t, server.handle(dataFrame(4, 0, "xxxx")))
	require.NoError(t, server.handle(wire.ResetStream{ID: 8, FinalSize: 4}))
	server.table[12].CancelRead(0)
	require.Zero(t, server.gaps)
}

func TestResetStreamGivesThePrefixThenTheCode(t *testing.T) { // spec: STR-15
	server, s := receivingStream(t)
	require.NoError(t, server.handle(dataFrame(4, 0, "ab")))
	require.NoError(t, server.handle(dataFrame(4, 6, "gh")))
	require.NoError(t, server.handle(wire.ResetStream{ID: 4, Code: 42, FinalSize: 9, Delivered: 4}))
	wantStreamRead(t, s, "ab", nil, "part of the prefix is missing")
	require.NoError(t, server.handle(dataFrame(4, 1, "bcdefg")))
	reset := &StreamError{Code: 42, Remote: true}
	wantStreamRead(t, s, "cd", reset, "then the error, not a byte beyond the prefix")
	wantStreamRead(t, s, "", reset, "for good")
	require.Zero(t, s.recv.pipe.memory())
}

func TestResetStreamWithoutPrefixDropsWhatWasNotRead(t *testing.T) { // spec: STR-15
	server, s := receivingStream(t)
	require.NoError(t, server.handle(dataFrame(4, 0, "abc")))
	require.NoError(t, server.handle(wire.ResetStream{ID: 4, Code: 42, FinalSize: 9}))
	wantStreamRead(t, s, "", &StreamError{Code: 42, Remote: true}, "the error at once")
	require.Zero(t, s.recv.pipe.memory())
}

func TestResetOfAWaitingReaderIsAnEvent(t *testing.T) {
	server, s := receivingStream(t)
	require.NoError(t, server.handle(wire.ResetStream{ID: 4, Code: 7, FinalSize: 0}))
	require.Equal(t, s, server.wantEvent(EventStreamReadable, "the reader is told"))
	require.True(t, s.Readable())
}

func TestResetThatComesAfterAllDataChangesNothing(t *testing.T) { // spec: STR-16
	server, s := receivingStream(t)
	require.NoError(t, server.handle(finFrame(4, 0, "abc")))
	require.NoError(t, server.handle(wire.ResetStream{ID: 4, Code: 42, FinalSize: 3}))
	wantStreamRead(t, s, "abc", io.EOF, "it is all there")
}

func TestRepeatedResetOnlyShortensThePrefix(t *testing.T) { // spec: STR-17
	server, s := receivingStream(t)
	require.NoError(t, server.handle(dataFrame(4, 0, "abcdef")))
	require.NoError(t, server.handle(wire.ResetStream{ID: 4, Code: 1, FinalSize: 9, Delivered: 4}))
	require.NoError(t, server.handle(wire.ResetStream{ID: 4, Code: 2, FinalSize: 9, Delivered: 8}))
	require.NoError(t, server.handle(wire.ResetStream{ID: 4, Code: 3, FinalSize: 9, Delivered: 2}))
	wantStreamRead(t, s, "ab", &StreamError{Code: 1, Remote: true}, "the shortest prefix, the first code")
	require.EqualValues(t, 9, server.window.consumed, "every byte is given back once")
}

func TestRepeatedResetDoesNotLengthenThePrefix(t *testing.T) { // spec: STR-17
	server, s := receivingStream(t)
	require.NoError(t, server.handle(dataFrame(4, 0, "abcdef")))
	require.NoError(t, server.handle(wire.ResetStream{ID: 4, Code: 1, FinalSize: 9, Delivered: 4}))
	require.NoError(t, server.handle(wire.ResetStream{ID: 4, Code: 2, FinalSize: 9, Delivered: 8}))
	require.EqualValues(t, 5, server.window.consumed, "no credit changes hands")
	require.NoError(t, server.handle(dataFrame(4, 0, "abcdef")))
	wantStreamRead(t, s, "abcd", &StreamError{Code: 1, Remote: true}, "the first prefix holds")
}

func TestResetWithAPrefixBeyondTheEndIsMalformed(t *testing.T) {
	server, _ := receivingStream(t)
	wantTransportCode(t, wire.FrameEncoding, server.handle(wire.ResetStream{ID: 4, FinalSize: 3, Delivered: 4}), "prefix of 4 in 3 bytes")
	wantTransportCode(t, wire.FrameEncoding, server.handle(dataFrame(4, maxOffset, "x")), "beyond all offsets")
}

func TestCanceledReadAsksThePeerToStop(t *testing.T) { // spec: STR-19
	server, s := receivingStream(t)
	require.NoError(t, server.handle(dataFrame(4, 0, "abc")))
	require.NoError(t, server.handle(dataFrame(4, 6, "ghi")))
	s.CancelRead(9)
	s.CancelRead(10)
	require.Zero(t, s.recv.pipe.memory(), "what had come is dropped")
	require.True(t, s.Readable(), "nobody waits for it")
	_, err := s.Read(make([]byte, 9))
	require.ErrorIs(t, err, ErrReadCanceled)
	p := server.wantFrames("the peer is asked once", wire.StopSending{ID: 4, Code: 9})
	require.EqualValues(t, 9, server.window.consumed, "the credit is given back")

	server.events = nil
	require.NoError(t, server.handle(dataFrame(4, 9, "jkl")))
	server.wantNoEvent("nobody wants it")
	require.Zero(t, s.recv.pipe.memory())
	require.EqualValues(t, 12, server.window.consumed, "also for what still comes")
	server.lose(p)
	p = server.wantFrames("the question was lost", wire.StopSending{ID: 4, Code: 9})
	require.NoError(t, server.handle(wire.ResetStream{ID: 4, Code: 9, FinalSize: 20}))
	require.EqualValues(t, 20, server.window.consumed, "and for what will never come")
	server.lose(p)
	server.wantNothing("the question is answered")
	require.True(t, s.recv.over())
}

func TestCanceledReadOfAStreamWhoseSizeIsKnownAsksNothing(t *testing.T) { // spec: STR-19
	server, s := receivingStream(t)
	require.NoError(t, server.handle(finFrame(4, 3, "def")))
	s.CancelRead(9)
	require.EqualValues(t, 6, server.window.consumed)
	server.wantNothing("it is over anyway")
	require.True(t, s.recv.over())
	require.NoError(t, server.handle(dataFrame(4, 0, "abc")))
	require.EqualValues(t, 6, server.window.consumed)
}

func TestCanceledReadAfterAResetWithPrefix(t *testing.T) {
	server, s := receivingStream(t)
	require.NoError(t, server.handle(dataFrame(4, 0, "ab")))
	require.NoError(t, server.handle(wire.ResetStream{ID: 4, FinalSize: 9, Delivered: 5}))
	require.EqualValues(t, 4, server.window.consumed, "beyond the prefix")
	n, _ := s.Read(make([]byte, 1))
	require.Equal(t, 1, n)
	s.CancelRead(1)
	require.EqualValues(t, 9, server.window.consumed, "and the rest, once")
	require.True(t, s.recv.over())
}

func TestCanceledReadAfterTheEndDoesNothing(t *testing.T) {
	server, s := receivingStream(t)
	require.NoError(t, server.handle(finFrame(4, 0, "abc")))
	wantStreamRead(t, s, "abc", io.EOF, "all")
	s.CancelRead(1)
	wantStreamRead(t, s, "", io.EOF, "still")
}

func TestSendOnlyStreamCannotBeRead(t *testing.T) {
	client, _ := newStreamsEnds(t, testLimits())
	s := client.openStream(true)
	_, err := s.Read(make([]byte, 1))
	require.ErrorIs(t, err, ErrReadCanceled)
	require.True(t, s.Readable())
	s.CancelRead(1)
	client.wantNothing("there is nobody to stop")
}
