package protocol

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/monotime"
	"github.com/godwit-net/godwit/protocol/wire"
)

// Limits of the test ends, small enough to be reached.
const (
	testStreamWindow  = 1000
	testSessionWindow = 2500
	testMaxStreams    = 4
	testPacket        = 1200
)

func testLimits() wire.Parameters {
	p := wire.DefaultParameters()
	p.MaxData = testSessionWindow
	p.MaxStreamDataBidiLocal = testStreamWindow
	p.MaxStreamDataBidiRemote = testStreamWindow
	p.MaxStreamDataUni = testStreamWindow
	p.MaxStreamsBidi = testMaxStreams
	p.MaxStreamsUni = testMaxStreams
	return p
}

// wideLimits are limits that a test never reaches.
func wideLimits() wire.Parameters {
	p := testLimits()
	p.MaxData, p.MaxStreamDataBidiLocal, p.MaxStreamDataBidiRemote, p.MaxStreamDataUni = 1<<40, 1<<40, 1<<40, 1<<40
	p.MaxStreamsBidi, p.MaxStreamsUni = 1<<20, 1<<20
	return p
}

// testT is what tests, benchmarks and property tests have in common.
type testT interface {
	require.TestingT
	Helper()
}

// streamsEnd is the streams of one end of a session, without the session.
type streamsEnd struct {
	streamsState
	tb     testT
	events []Event
}

// sentFrames is a packet that an end made: what is in it, and what it is about.
type sentFrames struct {
	data  []byte
	facts []fact
}

func newStreamsEnd(tb testT, client bool, local, remote wire.Parameters) *streamsEnd {
	e := &streamsEnd{tb: tb}
	e.init(streamsConfig{client: client, local: &local, remote: &remote, onEvent: func(k EventKind, s *Stream) {
		e.events = append(e.events, Event{Kind: k, Stream: s})
	}})
	e.setPath(monotime.Time(time.Second), 50*time.Millisecond, 0)
	return e
}

// newStreamsEnds returns a client and a server with the same limits.
func newStreamsEnds(tb testT, limits wire.Parameters) (client, server *streamsEnd) {
	return newStreamsEnd(tb, true, limits, limits), newStreamsEnd(tb, false, limits, limits)
}

// advance moves the end's clock.
func (e *streamsEnd) advance(d time.Duration) { e.now = e.now.Add(d) }

// packet makes the next packet, with at most size bytes of frames.
func (e *streamsEnd) packet(size int) sentFrames {
	var p sentFrames
	p.data = e.appendControl(nil, size, &p.facts)
	p.data = e.appendData(p.data, size-len(p.data), &p.facts, false)
	require.LessOrEqual(e.tb, len(p.data), size, "a packet larger than it may be")
	return p
}

// handle gives one frame to the end.
func (e *streamsEnd) handle(f wire.Frame) error {
	switch f := f.(type) {
	case wire.StreamFrame:
		return e.handleStream(f)
	case wire.ResetStream:
		return e.handleReset(f)
	case wire.StopSending:
		return e.handleStop(f)
	case wire.MaxData:
		e.handleMaxData(f.Max)
	case wire.MaxStreamData:
		return e.handleMaxStreamData(f)
	case wire.MaxStreams:
		return e.handleMaxStreams(f.Uni, f.Max)
	case wire.DataBlocked:
		e.handleDataBlocked(f.Limit)
	case wire.StreamDataBlocked:
		return e.handleStreamDataBlocked(f)
	case wire.StreamsBlocked:
		return e.handleStreamsBlocked(f.Uni, f.Limit)
	}
	return nil
}

// framesOf returns the frames of a packet, padding apart.
func framesOf(tb testT, b []byte) (frames []wire.Frame) {
	for len(b) > 0 {
		f, n := wire.ParseFrame(b)
		require.Positive(tb, n, "a packet of ours does not parse")
		b = b[n:]
		if _, ok := f.(wire.Padding); !ok {
			frames = append(frames, f)
		}
	}
	return frames
}

// receive gives a packet to the end.
func (e *streamsEnd) receive(p sentFrames) {
	for _, f := range framesOf(e.tb, p.data) {
		require.NoError(e.tb, e.handle(f), "frame %v", f)
	}
}

// arrive gives a packet of the end to its peer and acknowledges it.
func (e *streamsEnd) arrive(peer *streamsEnd, p sentFrames) {
	peer.receive(p)
	e.ack(p)
}

func (e *streamsEnd) ack(p sentFrames) {
	for _, f := range p.facts {
		e.acked(f)
	}
}

func (e *streamsEnd) lose(p sentFrames) {
	for _, f := range p.facts {
		e.lost(f)
	}
}

// exchangeStreams carries packets both ways until nobody has anything to say.
func exchangeStreams(a, b *streamsEnd) {
	for quiet := false; !quiet; {
		quiet = true
		for _, way := range [][2]*streamsEnd{{a, b}, {b, a}} {
			if p := way[0].packet(testPacket); len(p.data) > 0 {
				way[0].arrive(way[1], p)
				quiet = false
			}
		}
	}
}

// wantFrames makes the next packet and compares its frames.
func (e *streamsEnd) wantFrames(what string, want ...wire.Frame) sentFrames {
	e.tb.Helper()
	p := e.packet(testPacket)
	got := framesOf(e.tb, p.data)
	require.Equal(e.tb, len(want), len(got), "%s: got %v", what, got)
	for i := range want {
		require.Equal(e.tb, fmt.Sprint(want[i]), fmt.Sprint(got[i]), what)
	}
	return p
}

// wantNothing checks that the end has nothing to say.
func (e *streamsEnd) wantNothing(what string) {
	e.tb.Helper()
	e.wantFrames(what)
}

// wantEvent checks that the oldest event is of a kind, and takes it.
func (e *streamsEnd) wantEvent(kind EventKind, what string) *Stream {
	e.tb.Helper()
	require.NotEmpty(e.tb, e.events, what)
	require.Equal(e.tb, kind, e.events[0].Kind, what)
	s := e.events[0].Stream
	e.events = e.events[1:]
	return s
}

func (e *streamsEnd) wantNoEvent(what string) {
	e.tb.Helper()
	require.Empty(e.tb, e.events, what)
}

func (e *streamsEnd) openStream(uni bool) *Stream {
	e.tb.Helper()
	s, err := e.open(uni)
	require.NoError(e.tb, err)
	return s
}

func writeStream(tb testT, s *Stream, data []byte) {
	tb.Helper()
	n, err := s.Write(data)
	require.NoError(tb, err)
	require.Equal(tb, len(data), n, "the send buffer takes it all")
}

// readStream reads what is there and returns how it ended: nil (more may come), io.EOF or an error.
func readStream(s *Stream) ([]byte, error) {
	var out []byte
	buf := make([]byte, 700)
	for {
		n, err := s.Read(buf)
		if n == 0 {
			return out, err
		}
		out = append(out, buf[:n]...)
	}
}

func wantStreamRead(tb testT, s *Stream, want string, end error, what string) {
	tb.Helper()
	got, err := readStream(s)
	require.Equal(tb, want, string(got), what)
	require.Equal(tb, end, err, what)
}

func wantTransportCode(tb testT, code wire.ErrorCode, err error, what string) {
	tb.Helper()
	var te *TransportError
	require.ErrorAs(tb, err, &te, what)
	require.Equal(tb, code, te.Code, what)
	require.False(tb, te.Remote)
}

// pattern returns n bytes whose values depend on their offset.
func pattern(off, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((off + i) * 131 >> 3)
	}
	return b
}

func dataFrame(id uint64, off uint64, s string) wire.StreamFrame {
	return wire.StreamFrame{ID: id, Offset: off, Data: []byte(s)}
}

func finFrame(id uint64, off uint64, s string) wire.StreamFrame {
	return wire.StreamFrame{ID: id, Offset: off, Data: []byte(s), Fin: true}
}

func TestStreamIDSaysWhoOpenedAndWhoWrites(t *testing.T) { // spec: STR-1
	client, server := newStreamsEnds(t, testLimits())
	for want, open := range map[uint64]func() *Stream{
		4: func() *Stream { return client.openStream(false) },
		2: func() *Stream { return client.openStream(true) },
		1: func() *Stream { return server.openStream(false) },
		3: func() *Stream { return server.openStream(true) },
	} {
		s := open()
		require.Equal(t, want, s.ID())
		require.Equal(t, want&2 != 0, s.Unidirectional())
		require.True(t, s.Local())
	}
}

func TestStream0IsThereFromTheStartAtBothEnds(t *testing.T) { // spec: STR-2
	limits := testLimits()
	limits.MaxStreamsBidi, limits.MaxStreamsUni = 0, 0
	client, server := newStreamsEnds(t, limits)
	require.True(t, client.stream0().Local())
	require.False(t, server.stream0().Local())

	writeStream(t, server.stream0(), []byte("first word"))
	exchangeStreams(client, server)
	wantStreamRead(t, client.stream0(), "first word", nil, "the server may speak first on stream 0")
	server.wantNoEvent("stream 0 is not announced as opened")
	client.wantEvent(EventStreamReadable, "its data is")
}

func TestStreamsOpenAsFarAsThePeerAllows(t *testing.T) { // spec: STR-3
	client, server := newStreamsEnds(t, testLimits())
	for range testMaxStreams {
		client.openStream(true)
	}
	_, err := client.open(true)
	require.ErrorIs(t, err, ErrStreamLimit)
	client.openStream(false) // the other kind has a limit of its own
	client.wantFrames("the peer learns that its limit stops us", wire.StreamsBlocked{Limit: testMaxStreams, Uni: true})

	require.NoError(t, client.handleMaxStreams(true, testMaxStreams+1))
	client.wantEvent(EventStreamsAvailable, "who waited for a stream can go on")
	require.EqualValues(t, 4*testMaxStreams+2, client.openStream(true).ID())
	_, err = client.open(true)
	require.ErrorIs(t, err, ErrStreamLimit)
	server.wantNoEvent("nothing was sent yet")
}

func TestStreamLimitThatIsNotHigherSaysNothing(t *testing.T) { // spec: STR-27
	client, _ := newStreamsEnds(t, testLimits())
	require.NoError(t, client.handleMaxStreams(false, 1))
	require.NoError(t, client.handleMaxStreamData(wire.MaxStreamData{ID: 0, Max: 1}))
	client.handleMaxData(1)
	for range testMaxStreams {
		client.openStream(false)
	}
	writeStream(t, client.stream0(), make([]byte, 500))
	p := client.packet(testPacket)
	require.Greater(t, len(p.data), 500, "old limits that come late take nothing away")
}

func TestStreamLimitBeyondAllIDsIsRefused(t *testing.T) {
	client, _ := newStreamsEnds(t, testLimits())
	wantTransportCode(t, wire.FrameEncoding, client.handleMaxStreams(true, wire.MaxStreamCount+1), "2^60 + 1 streams")
}

func TestStreamBeyondTheLimitClosesTheSession(t *testing.T) { // spec: STR-4
	_, server := newStreamsEnds(t, testLimits())
	last := wire.StreamID(testMaxStreams, false, false) // stream 0 does not count
	require.NoError(t, server.handle(dataFrame(last, 0, "x")))
	wantTransportCode(t, wire.StreamLimit, server.handle(dataFrame(last+4, 0, "x")), "one too many")
	lastUni := wire.StreamID(testMaxStreams-1, false, true)
	require.NoError(t, server.handle(dataFrame(lastUni, 0, "x")))
	wantTransportCode(t, wire.StreamLimit, server.handle(dataFrame(lastUni+4, 0, "x")), "one too many of the other kind")
}

func TestStreamOpensAllBeforeIt(t *testing.T) { // spec: STR-7
	_, server := newStreamsEnds(t, testLimits())
	require.NoError(t, server.handle(dataFrame(12, 0, "x")))
	for _, id := range []uint64{4, 8, 12} {
		require.Equal(t, id, server.wantEvent(EventStreamOpened, "streams open in order").ID())
	}
	require.EqualValues(t, 12, server.wantEvent(EventStreamReadable, "then their data counts").ID())
}

func TestFramesForDirectionsThatDoNotExistCloseTheSession(t *testing.T) { // spec: STR-5
	client, server := newStreamsEnds(t, testLimits())
	own, peers := client.openStream(true).ID(), server.openStream(true).ID()
	for _, f := range []wire.Frame{
		dataFrame(own, 0, "x"), wire.ResetStream{ID: own}, wire.StreamDataBlocked{ID: own},
		wire.StopSending{ID: peers}, wire.MaxStreamData{ID: peers, Max: 1},
	} {
		wantTransportCode(t, wire.StreamState, client.handle(f), fmt.Sprint("one-way stream: ", f))
	}
	for _, f := range []wire.Frame{
		dataFrame(4, 0, "x"), wire.ResetStream{ID: 4}, wire.StreamDataBlocked{ID: 4}, wire.StopSending{ID: 4},
		wire.MaxStreamData{ID: 4, Max: 1}, wire.StopSending{ID: own + 4}, wire.MaxStreamData{ID: own + 4},
	} {
		wantTransportCode(t, wire.StreamState, client.handle(f), fmt.Sprint("never opened by this end: ", f))
	}
}

func TestStreamThatEndedBothWaysIsForgotten(t *testing.T) { // spec: STR-6 // spec: STR-21
	client, server := newStreamsEnds(t, testLimits())
	for range 10 * testMaxStreams {
		s := client.openStream(false)
		writeStream(t, s, []byte("question"))
		s.CloseWrite()
		exchangeStreams(client, server)
		peer := server.wantEvent(EventStreamOpened, "the peer sees it")
		server.wantEvent(EventStreamReadable, "and its data")
		wantStreamRead(t, peer, "question", io.EOF, "all of it")
		writeStream(t, peer, []byte("answer"))
		peer.CloseWrite()
		exchangeStreams(client, server)
		require.Len(t, client.table, 1, "what is not read yet is known")
		wantStreamRead(t, s, "answer", io.EOF, "all of it")
		require.Empty(t, client.table)
		require.Empty(t, server.table)
		require.True(t, client.drained())

		id := s.ID()
		for _, f := range []wire.Frame{
			dataFrame(id, 0, "again"), finFrame(id, 9, "other size"), wire.ResetStream{ID: id, FinalSize: 99}, wire.StopSending{ID: id},
			wire.MaxStreamData{ID: id, Max: 1e6}, wire.StreamDataBlocked{ID: id},
		} {
			require.NoError(t, client.handle(f), "frames that come late are ignored")
			require.NoError(t, server.handle(f), "frames that come late are ignored")
		}
		client.events = nil
		server.wantNoEvent("late frames are no news")
		exchangeStreams(client, server) // carries the credit for the next stream
	}
}

func TestStreamCreditComesBackBeforeThePeerMustWait(t *testing.T) { // spec: STR-21
	limits := testLimits()
	limits.MaxStreamsUni = 100
	client, server := newStreamsEnds(t, limits)
	frames := 0
	for range 1000 {
		s := client.openStream(true) // never refused
		s.CloseWrite()
		client.arrive(server, client.packet(testPacket))
		peer := server.wantEvent(EventStreamOpened, "opened")
		server.wantEvent(EventStreamReadable, "its end is there")
		wantStreamRead(t, peer, "", io.EOF, "empty stream")
		_, err := peer.Read(nil)
		require.Equal(t, io.EOF, err)
		if p := server.packet(testPacket); len(p.data) > 0 {
			server.arrive(client, p)
			frames++
		}
		require.Empty(t, server.table)
	}
	require.Less(t, frames, 100, "credit comes in larger steps than one stream")
}

func TestStream0EndsLikeAnyOther(t *testing.T) { // spec: STR-6
	client, server := newStreamsEnds(t, testLimits())
	client.stream0().CloseWrite()
	server.stream0().CloseWrite()
	exchangeStreams(client, server)
	wantStreamRead(t, client.stream0(), "", io.EOF, "client")
	wantStreamRead(t, server.stream0(), "", io.EOF, "server")
	require.True(t, client.stream0().forgotten)
	require.NoError(t, client.handle(dataFrame(0, 5000, "late")))
	require.EqualValues(t, testMaxStreams, client.counts().theirs[0].limit.value, "it had no credit to give back")
}

func TestFinishDeliversWhatWasWritten(t *testing.T) {
	client, server := newStreamsEnds(t, testLimits())
	a, b := client.openStream(false), client.openStream(true)
	writeStream(t, a, []byte("written"))
	writeStream(t, b, []byte("too"))
	require.False(t, client.drained())
	client.finish()
	_, err := client.open(false)
	require.ErrorIs(t, err, ErrSessionClosed)
	_, err = a.Write([]byte("more"))
	require.ErrorIs(t, err, ErrWriteClosed)
	lost := client.packet(testPacket)
	require.False(t, client.drained(), "sent is not delivered")
	client.lose(lost)
	before := client.ackedBytes()
	exchangeStreams(client, server)
	require.True(t, client.drained())
	require.EqualValues(t, 10, client.ackedBytes()-before, "progress can be watched")
	wantStreamRead(t, server.table[a.ID()], "written", io.EOF, "a")
	wantStreamRead(t, server.table[b.ID()], "too", io.EOF, "b")
}

func TestFailedSessionStillGivesWhatHadArrived(t *testing.T) {
	client, server := newStreamsEnds(t, testLimits())
	writeStream(t, client.stream0(), []byte("all of it"))
	client.stream0().CloseWrite()
	part := client.openStream(false)
	writeStream(t, part, []byte("part"))
	exchangeStreams(client, server)
	server.events = nil
	ended := &TransportError{Code: wire.Internal}
	writeStream(t, server.stream0(), []byte("never sent"))
	server.fail(ended)
	wantStreamRead(t, server.stream0(), "all of it", io.EOF, "data and end were there")
	wantStreamRead(t, server.table[4], "part", ended, "then the session's end")
	_, err := server.stream0().Write([]byte("x"))
	require.Equal(t, ended, err)
	_, err = server.open(false)
	require.Equal(t, ended, err)
	require.True(t, server.drained())
	require.True(t, server.stream0().Readable() && server.stream0().Writable(), "nobody waits for a dead session")
	server.wantNothing("a dead session sends nothing")
	require.NoError(t, server.handle(dataFrame(8, 0, "x")), "and takes nothing")
	server.wantNoEvent("after the end")
	server.stream0().Reset(1)
	server.table[4].CancelRead(1)
	require.Zero(t, server.stream0().send.pipe.memory()+server.table[4].recv.pipe.memory())
}

func TestStreamsKeepTheOwnersContext(t *testing.T) {
	client, _ := newStreamsEnds(t, testLimits())
	require.Nil(t, client.stream0().Context())
	client.stream0().SetContext(7)
	require.Equal(t, 7, client.stream0().Context())
}

func TestLargeTransferArrivesWhole(t *testing.T) {
	client, server := newStreamsEnds(t, testLimits())
	sent := pattern(0, 200_000)
	rest := sent
	var got []byte
	for len(got) < len(sent) {
		n, err := client.stream0().Write(rest[:min(len(rest), 7000)])
		require.NoError(t, err)
		rest = rest[n:]
		if len(rest) == 0 {
			client.stream0().CloseWrite()
		}
		exchangeStreams(client, server)
		b, _ := readStream(server.stream0())
		got = append(got, b...)
		exchangeStreams(client, server)
	}
	require.True(t, bytes.Equal(sent, got))
	wantStreamRead(t, server.stream0(), "", io.EOF, "the end")
	require.Zero(t, client.stream0().send.pipe.memory()+server.stream0().recv.pipe.memory(), "an empty stream holds no block")
}

func TestControlFramesThatDoNotFitWaitForTheNextPacket(t *testing.T) { // spec: STR-29
	queueAll := func() *streamsEnd {
		client, _ := newStreamsEnds(t, testLimits())
		for range testMaxStreams {
			client.openStream(false)
			client.openStream(true)
		}
		_, _ = client.open(false)
		_, _ = client.open(true)
		client.table[4].Reset(1)
		client.table[8].CancelRead(2)
		writeStream(t, client.table[12], make([]byte, 2000)) // beyond its limit
		require.NoError(t, client.handle(wire.StreamFrame{ID: 0, Data: make([]byte, testStreamWindow)}))
		require.NoError(t, client.handle(wire.StreamFrame{ID: 1, Data: make([]byte, testStreamWindow)}))
		require.NoError(t, client.handle(finFrame(3, 0, "")))
		for _, id := range []uint64{0, 1, 3} {
			s, _ := client.find(id, 0)
			_, _ = readStream(s)
		}
		writeStream(t, client.table[2], []byte("x"))
		client.max = testStreamWindow // stream 12 uses it up, stream 2 has to wait
		var facts []fact
		client.appendData(nil, testPacket, &facts, false)
		return client
	}
	var whole []fact
	all := framesOf(t, queueAll().appendControl(nil, testPacket, &whole))
	require.Len(t, all, 10, "one of each kind, two of some: %v", all)
	for size := 1; size < 60; size++ {
		e := queueAll()
		var got []fact
		for packets := 0; packets < 40 && e.hasControl(); packets++ {
			var facts []fact
			b := e.appendControl(nil, size, &facts)
			require.LessOrEqual(t, len(b), size)
			require.Len(t, framesOf(t, b), len(facts), "a fact for every frame")
			got = append(got, facts...)
		}
		if size < maxControlFrame {
			e.appendControl(nil, testPacket, &got)
		}
		require.Equal(t, sortedKinds(whole), sortedKinds(got), "packets of %d bytes", size)
		for _, f := range got {
			e.lost(f)
		}
		var again []fact
		e.appendControl(nil, testPacket, &again)
		require.Equal(t, sortedKinds(got), sortedKinds(again), "all of it is sent again when it is lost")
		for _, f := range again {
			e.acked(f)
		}
		for _, f := range again {
			e.lost(f)
		}
		require.False(t, e.hasControl(), "and not once it has arrived")
	}
}

func sortedKinds(facts []fact) (kinds []factKind) {
	for _, f := range facts {
		kinds = append(kinds, f.kind)
	}
	slices.Sort(kinds)
	return kinds
}
