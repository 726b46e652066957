package protocol

import (
	"maps"
	"slices"
	"time"

	"github.com/godwit-net/godwit/protocol/wire"
)

// streamsConfig is what a session tells its streams at the start.
type streamsConfig struct {
	client        bool             // this end opened the session
	local, remote *wire.Parameters // limits of both ends
	// maxStreamWindow and maxSessionWindow bound the growth of the receive windows, in bytes.
	// 0: DefaultMaxStreamWindow, DefaultMaxSessionWindow.
	maxStreamWindow, maxSessionWindow int
	// maxSendBuffer bounds what one stream buffers for sending, in bytes. 0: DefaultMaxSendBuffer.
	maxSendBuffer int
	// onEvent is given EventStreamOpened, EventStreamReadable and EventStreamWritable with the
	// stream, and EventStreamsAvailable without one.
	onEvent func(EventKind, *Stream)
}

// streamsState is all streams of a session, with the limits on them and the order in which they
// send. It must not be moved once it is initialised: streams point to it.
//
// Nothing in it scans all streams when a packet comes or goes: streams with data wait in the
// scheduler, streams with something to say in the control list, each at most once.
type streamsState struct {
	repairing sentBytes // messages with a deadline in the packet under construction
	cfg       streamsConfig
	book      memoryBook
	zero      *Stream            // stream 0
	table     map[uint64]*Stream // the others that are not forgotten; made with the first of them
	sched     scheduler

	controlHead, controlTail *Stream // streams with frames about them to send

	// The path, as the session last told it.
	now        Time
	rtt        time.Duration
	sendBuffer uint64 // bytes that have not arrived that one stream may buffer for sending
	heldBuffer uint64 // bytes that it may buffer when some have arrived and wait behind a hole

	// Receiving: all streams together.
	window   recvWindow
	received uint64  // sum of the highest offsets of all streams; at most window.limit
	gaps     int     // in all streams
	last     *Stream // to which the last STREAM frame belonged, if it is not forgotten

	// The packet that is being made, for messages.
	packets   uint64    // counts packets
	wholeRoom int       // bytes of frames that fit an empty packet
	tail      tailFrame // the last MESSAGE frame with a length
	urgent    bool      // it has a message that the receiver acknowledges at once
	patient   bool      // all of its data is in messages that are not sent again: nobody waits to hear of them

	steady    bool // the last two STREAM frames belonged to one stream
	finishing bool

	// Sending: all streams together.
	max         uint64 // the peer's limit; only grows
	sent        uint64 // sum of the bytes sent for the first time; at most max
	dataBlocked sentVal
	progress    uint64 // bytes acknowledged, each once
	unsettled   int    // streams with something of ours to be acknowledged

	counted *streamCounts // nil until there is a stream other than stream 0

	err error // how the session ended
}

// kinds are bidirectional (0) and unidirectional (1) streams.
const kinds = 2

// ownStreams counts the streams of one kind that this end opens, stream 0 apart.
type ownStreams struct {
	opened  uint64
	max     uint64 // the peer's limit; only grows
	blocked sentVal
	wanted  bool // an open failed; EventStreamsAvailable tells when it would not
}

// peerStreams counts the streams of one kind that the peer opens, stream 0 apart.
type peerStreams struct {
	opened uint64
	closed uint64 // of those, forgotten
	size   uint64 // how many may be open at once
	limit  sentVal
}

// init makes stream 0 and sets all limits to what was agreed.
func (t *streamsState) init(cfg streamsConfig) {
	setDefault(&cfg.maxStreamWindow, DefaultMaxStreamWindow)
	setDefault(&cfg.maxSessionWindow, DefaultMaxSessionWindow)
	setDefault(&cfg.maxSendBuffer, DefaultMaxSendBuffer)
	*t = streamsState{
		cfg:        cfg,
		sendBuffer: uint64(min(minSendBuffer, cfg.maxSendBuffer)),
		heldBuffer: uint64(min(minSendBuffer, cfg.maxSendBuffer)),
		window:     newRecvWindow(cfg.local.MaxData),
		max:        cfg.remote.MaxData,
	}
	t.zero = t.newStream(0)
}

// streamCounts counts the streams of both ends, stream 0 apart, by kind. Most sessions of a server that holds many have
// no others.
type streamCounts struct {
	ours   [kinds]ownStreams  // opened by this end
	theirs [kinds]peerStreams // opened by the peer
}

// counts returns the counts, which the first use makes.
func (t *streamsState) counts() *streamCounts {
	if t.counted == nil {
		c := new(streamCounts)
		c.ours[0].max = t.cfg.remote.MaxStreamsBidi
		c.ours[1].max = t.cfg.remote.MaxStreamsUni
		c.theirs[0].init(t.cfg.local.MaxStreamsBidi)
		c.theirs[1].init(t.cfg.local.MaxStreamsUni)
		t.counted = c
	}
	return t.counted
}

func (p *peerStreams) init(size uint64) {
	p.size = min(size, wire.MaxStreamCount)
	p.limit = sentVal{value: p.size, state: sentAcked}
}

// stream0 returns the stream that exists from the start.
func (t *streamsState) stream0() *Stream { return t.zero }

// setPath tells the time, the smoothed round-trip time (0: not known) and how many bytes the path
// holds. The session calls it before it handles or makes a packet.
func (t *streamsState) setPath(now Time, srtt time.Duration, bdp int) {
	t.now, t.rtt = now, srtt
	t.sendBuffer = uint64(min(max(minSendBuffer, sendBufferPaths*bdp), t.cfg.maxSendBuffer))
	t.heldBuffer = uint64(min(max(minSendBuffer, heldBufferPaths*bdp), t.cfg.maxSendBuffer))
}

func (t *streamsState) emit(kind EventKind, s *Stream) {
	if t.err == nil {
		t.cfg.onEvent(kind, s)
	}
}

// isLocal reports whether this end opens the stream with an ID.
func (t *streamsState) isLocal(id uint64) bool { return t.cfg.client == (id&idServer == 0) }

func kindOf(id uint64) int { return int(id & idUni / idUni) }

// ordinal counts the streams of an ID's opener and kind up to and including it. Stream 0 does not
// count.
//
// spec: STR-2
func ordinal(id uint64) uint64 {
	if id&(idServer|idUni) == 0 {
		return id >> 2
	}
	return id>>2 + 1
}

// newStream makes a stream with the limits of its kind.
func (t *streamsState) newStream(id uint64) *Stream {
	local, remote := t.cfg.local, t.cfg.remote
	s := &Stream{id: id, streams: t}
	s.send.pipe.book, s.recv.pipe.book, s.recv.pipe.peer = &t.book, &t.book, true
	s.lane = lane{owner: s, need: 1, priority: defaultPriority, weight: defaultWeight}
	recv, send := local.MaxStreamDataBidiRemote, remote.MaxStreamDataBidiLocal
	switch {
	case s.Unidirectional():
		recv, send = local.MaxStreamDataUni, remote.MaxStreamDataUni
	case s.Local():
		recv, send = local.MaxStreamDataBidiLocal, remote.MaxStreamDataBidiRemote
	}
	if s.canRecv() {
		s.recv.window = newRecvWindow(recv)
	}
	if s.canSend() {
		s.send.max = send
	}
	return s
}

func (t *streamsState) add(id uint64) *Stream {
	s := t.newStream(id)
	if t.table == nil {
		t.table = make(map[uint64]*Stream)
	}
	t.table[id] = s
	t.book.add(streamMemory)
	return s
}

// open opens a stream. It fails with ErrStreamLimit when the peer allows no more at the moment, and
// EventStreamsAvailable then says when it does.
//
// spec: STR-3
func (t *streamsState) open(uni bool) (*Stream, error) {
	if t.err != nil {
		return nil, t.err
	}
	if t.finishing {
		return nil, ErrSessionClosed
	}
	kind := 0
	if uni {
		kind = 1
	}
	o := &t.counts().ours[kind]
	if o.opened >= o.max {
		o.wanted = true
		o.blocked.set(o.max)
		return nil, ErrStreamLimit
	}
	o.opened++
	return t.add(t.ownID(kind, o.opened)), nil
}

// ownID returns the ID of the n-th stream of a kind that this end opens, counted from 1.
func (t *streamsState) ownID(kind int, n uint64) uint64 {
	if t.cfg.client && kind == 0 {
		n++ // stream 0 is the first but does not count
	}
	return wire.StreamID(n-1, !t.cfg.client, kind == 1)
}

// peerID returns the ID of the n-th stream of a kind that the peer opens, counted from 1.
func (t *streamsState) peerID(kind int, n uint64) uint64 {
	if !t.cfg.client && kind == 0 {
		n++
	}
	return wire.StreamID(n-1, t.cfg.client, kind == 1)
}

// find returns the stream that a frame names, which opens it if the peer may do that. It returns nil
// for a stream that was forgotten, and for all when the session has ended.
//
// spec: STR-4
// spec: STR-5
// spec: STR-6
func (t *streamsState) find(id uint64, frame wire.FrameType) (*Stream, error) {
	if t.err != nil {
		return nil, nil
	}
	n, kind := ordinal(id), kindOf(id)
	switch {
	case n == 0:
		if t.zero.forgotten {
			return nil, nil
		}
		return t.zero, nil
	case t.isLocal(id):
		if t.counted == nil || n > t.counted.ours[kind].opened {
			return nil, transportErrorf(wire.StreamState, frame, "stream %d was never opened", id)
		}
	default:
		if err := t.openPeer(kind, n, frame); err != nil {
			return nil, err
		}
	}
	return t.table[id], nil
}

// openPeer opens the peer's streams of a kind up to the n-th, if it may do that and there is memory for them.
//
// spec: STR-4
func (t *streamsState) openPeer(kind int, n uint64, frame wire.FrameType) error {
	p := &t.counts().theirs[kind]
	switch {
	case n > p.limit.value:
		return transportErrorf(wire.StreamLimit, frame, "stream %d: only %d are allowed", t.peerID(kind, n), p.limit.value)
	case n > p.opened && uint64(t.book.room()) < streamMemory*(n-p.opened):
		t.book.refused = true // spec: SESS-26
	default:
		t.openTo(kind, n)
	}
	return nil
}

// openTo opens the peer's streams of a kind up to the n-th: a stream opens all before it.
//
// spec: STR-7
func (t *streamsState) openTo(kind int, n uint64) {
	p := &t.counts().theirs[kind]
	for p.opened < n {
		p.opened++
		t.emit(EventStreamOpened, t.add(t.peerID(kind, p.opened)))
	}
}

// findSender is find for frames that go to the sending end of a stream, findReceiver for the others.
//
// spec: STR-5
func (t *streamsState) findSender(id uint64, frame wire.FrameType) (*Stream, error) {
	if id&idUni != 0 && !t.isLocal(id) {
		return nil, transportErrorf(wire.StreamState, frame, "stream %d only receives here", id)
	}
	return t.find(id, frame)
}

func (t *streamsState) findReceiver(id uint64, frame wire.FrameType) (*Stream, error) {
	if id&idUni != 0 && t.isLocal(id) {
		return nil, transportErrorf(wire.StreamState, frame, "stream %d only sends here", id)
	}
	return t.find(id, frame)
}

// handleStream takes a STREAM frame. Its data is copied.
func (t *streamsState) handleStream(f wire.StreamFrame) error {
	s, err := t.findReceiver(f.ID, wire.FrameStream)
	if s == nil {
		return err
	}
	t.steady = s == t.last
	t.last = s
	return s.handleData(f.Offset, f.Data, f.Fin)
}

// handleReset takes a RESET_STREAM frame.
func (t *streamsState) handleReset(f wire.ResetStream) error {
	s, err := t.findReceiver(f.ID, wire.FrameResetStream)
	if s == nil {
		return err
	}
	return s.handleReset(f.Code, f.FinalSize, f.Delivered)
}

// handleStop takes a STOP_SENDING frame.
func (t *streamsState) handleStop(f wire.StopSending) error {
	s, err := t.findSender(f.ID, wire.FrameStopSending)
	if s != nil {
		s.stop(f.Code)
	}
	return err
}

// handleMaxData takes a MAX_DATA frame. A limit that is not higher says nothing.
//
// spec: STR-27
func (t *streamsState) handleMaxData(limit uint64) {
	if limit > t.max {
		t.max = limit
		t.dataBlocked.clear()
	}
}

// handleMaxStreamData takes a MAX_STREAM_DATA frame.
func (t *streamsState) handleMaxStreamData(f wire.MaxStreamData) error {
	s, err := t.findSender(f.ID, wire.FrameMaxStreamData)
	if s != nil {
		s.raiseLimit(f.Max)
	}
	return err
}

// handleMaxStreams takes a MAX_STREAMS frame of either kind.
func (t *streamsState) handleMaxStreams(uni bool, limit uint64) error {
	kind, frame := 0, wire.FrameMaxStreamsBidi
	if uni {
		kind, frame = 1, wire.FrameMaxStreamsUni
	}
	if limit > wire.MaxStreamCount {
		return transportErrorf(wire.FrameEncoding, frame, "more streams than there are IDs")
	}
	o := &t.counts().ours[kind]
	if limit <= o.max {
		return nil
	}
	o.max = limit
	o.blocked.clear()
	if o.wanted {
		o.wanted = false
		t.emit(EventStreamsAvailable, nil)
	}
	return nil
}

// handleDataBlocked takes a DATA_BLOCKED frame. For streams it is a hint for whoever reads traces: a new
// limit is sent when the application has made room, and repeated until it has arrived. But a message does
// not begin before there is credit for all of it, so the window must hold the largest one however little
// of half the window was consumed.
//
// spec: MSG-19
func (t *streamsState) handleDataBlocked(limit uint64) {
	w, least := &t.window, 2*(t.cfg.local.MaxMessageSize+messageCharge)
	if t.cfg.local.MaxChannels > 0 && limit >= w.limit && w.size < least {
		w.widen(least)
		w.widened = true
		w.consume(0)
	}
}

// handleStreamDataBlocked takes a STREAM_DATA_BLOCKED frame, a hint too, but one that opens a stream.
func (t *streamsState) handleStreamDataBlocked(f wire.StreamDataBlocked) error {
	_, err := t.findReceiver(f.ID, wire.FrameStreamDataBlocked)
	return err
}

// handleStreamsBlocked takes a STREAMS_BLOCKED frame of either kind, a hint too.
func (t *streamsState) handleStreamsBlocked(bool, uint64) error { return nil }

// consumed gives credit of the session back: the application read n bytes of some stream, or they
// were dropped for it.
func (t *streamsState) consumed(n uint64) {
	if n > 0 {
		t.book.filled = 0
	}
	t.window.consume(n)
	t.book.ample = t.window.size >= wideWindow
}

// forget drops a stream whose directions have both ended, and lets the peer open another one for it.
//
// spec: STR-21
func (t *streamsState) forget(s *Stream) {
	s.forgotten = true
	t.sched.remove(&s.lane)
	if s == t.last {
		t.last = nil
	}
	if s.id != 0 {
		delete(t.table, s.id)
		t.book.add(-streamMemory)
	}
	if s.id == 0 || s.Local() {
		return
	}
	p := &t.counts().theirs[kindOf(s.id)]
	p.closed++
	p.credit()
}

// streamCreditShare: the peer gets new stream credit when a quarter of what it may have open is owed
// to it, or when less than a quarter is left to it. So a peer that opens streams all the time hears
// of credit before it has to wait, without a frame for every stream.
const streamCreditShare = 4

func (p *peerStreams) credit() {
	target := min(p.closed+p.size, wire.MaxStreamCount)
	owed, left, share := target-p.limit.value, p.limit.value-p.opened, p.size/streamCreditShare
	if owed > 0 && (owed >= share || left < share) {
		p.limit.set(target)
	}
}

// sessionCredit is how many bytes the session's limit still allows to be sent for the first time.
func (t *streamsState) sessionCredit() uint64 { return t.max - t.sent }

// finish closes all sending directions: what was written is delivered, then the streams end.
// No stream can be opened any more.
func (t *streamsState) finish() {
	t.finishing = true
	t.zero.CloseWrite()
	for _, id := range slices.Sorted(maps.Keys(t.table)) { // in order: runs can be repeated
		t.table[id].CloseWrite()
	}
}

// drained reports whether everything that was written, every end and every reset is acknowledged.
func (t *streamsState) drained() bool { return t.unsettled == 0 }

// ackedBytes returns the number of stream bytes that arrived at the peer. It only grows.
func (t *streamsState) ackedBytes() uint64 { return t.progress }

// fail ends all streams with the session. Writes return err. Reads give what had arrived in order,
// then io.EOF if the end had arrived too, else err. Nothing is sent any more.
func (t *streamsState) fail(err error) {
	if t.err != nil {
		return
	}
	t.err = err
	t.zero.drop()
	for _, s := range t.table {
		s.drop()
	}
	t.controlHead, t.controlTail = nil, nil
	t.unsettled = 0
}

// drop frees what a stream holds for sending.
func (s *Stream) drop() {
	s.streams.sched.remove(&s.lane)
	w := &s.send
	w.pipe.truncate(w.pipe.start)
	w.acked, w.lost = nil, nil
	s.controlNext, s.controlQueued = nil, false
}
