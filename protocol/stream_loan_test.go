package protocol

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func wantReclaimed(t *testing.T, s *Stream, lent []byte, want string, why string) {
	t.Helper()
	require.Equal(t, want, string(lent[:s.Reclaim()]), why)
}

func TestStreamFillsTheMemoryOfAReadThatWaits(t *testing.T) { // spec: STR-11
	server, s := receivingStream(t)
	lent := make([]byte, 5)
	s.Lend(lent)
	require.NoError(t, server.handle(dataFrame(4, 0, "abc")))
	server.wantEvent(EventStreamReadable, "whoever waits is woken")
	require.Zero(t, s.recv.pipe.memory(), "nothing lies in the stream's buffer")
	require.NoError(t, server.handle(dataFrame(4, 0, "XXXX")))
	require.NoError(t, server.handle(dataFrame(4, 4, "efg")))
	server.wantNoEvent("once")
	wantReclaimed(t, s, lent, "abcXe", "all that came in order, as far as there is room")
	wantStreamRead(t, s, "fg", nil, "the rest")
	require.Zero(t, s.Reclaim(), "the loan is over")
	require.NoError(t, server.handle(dataFrame(4, 7, "h")))
	server.wantEvent(EventStreamReadable, "then the next one")
	wantStreamRead(t, s, "h", nil, "and nothing goes where it went before")
	require.Equal(t, "abcXe", string(lent))
}

func TestStreamFillsNothingBeyondWhatWaitsToBeRead(t *testing.T) { // spec: STR-11
	server, s := receivingStream(t)
	lent := make([]byte, 10)
	s.Lend(lent)
	require.NoError(t, server.handle(dataFrame(4, 3, "def")))
	require.NoError(t, server.handle(dataFrame(4, 0, "abc")))
	require.NoError(t, server.handle(dataFrame(4, 6, "ghi")))
	server.wantEvent(EventStreamReadable, "the gap is filled")
	wantReclaimed(t, s, lent, "", "what lay beyond the gap is in the stream's buffer, and so is what followed")
	wantStreamRead(t, s, "abcdefghi", nil, "in its order")
}

func TestStreamEndsBehindTheMemoryOfAReadThatWaits(t *testing.T) { // spec: STR-12
	server, s := receivingStream(t)
	lent := make([]byte, 10)
	s.Lend(lent)
	require.NoError(t, server.handle(finFrame(4, 0, "abc")))
	server.wantEvent(EventStreamReadable, "data and end")
	wantReclaimed(t, s, lent, "abc", "the data first")
	wantStreamRead(t, s, "", io.EOF, "then the end")
}

func TestStreamGivesCreditForTheMemoryOfAReadThatWaits(t *testing.T) { // spec: STR-26
	server, s := receivingStream(t)
	half := s.recv.window.size/2 + 1
	lent := make([]byte, half)
	s.Lend(lent)
	require.NoError(t, server.handle(dataFrame(4, 0, string(pattern(0, int(half))))))
	require.True(t, server.hasControl(), "half the window was taken")
	require.Equal(t, half, s.recv.window.consumed)
	require.Equal(t, half, server.window.consumed)
	require.Equal(t, int(half), s.Reclaim())
	require.Equal(t, half, server.window.consumed, "once")
}

func TestStreamKeepsWhatAReadHadWhenItIsCanceled(t *testing.T) { // spec: STR-19
	server, s := receivingStream(t)
	lent := make([]byte, 10)
	s.Lend(lent)
	require.NoError(t, server.handle(dataFrame(4, 0, "abc")))
	s.CancelRead(1)
	require.NoError(t, server.handle(dataFrame(4, 3, "def")))
	wantReclaimed(t, s, lent, "abc", "what had come before")
	wantStreamRead(t, s, "", ErrReadCanceled, "and no more")
	s.Lend(lent)
	require.Zero(t, s.Reclaim(), "nothing is lent to a stream that wants nothing")
}
