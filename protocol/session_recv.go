package protocol

import (
	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/wire"
)

// maxEarly and maxEarlyBytes bound the 1-RTT packets that a server keeps for a session whose
// handshake is not complete: a burst of small first messages, no more.
const (
	maxEarly      = 8
	maxEarlyBytes = 10_000

	// maxWorkingEarly and maxWorkingEarlyBytes are the same while the last handshake packet is being worked on,
	// which few are at a time: the ten packets of a first window.
	maxWorkingEarly      = 16
	maxWorkingEarlyBytes = 20_000
)

// HandleDatagram takes one datagram from the network. Whatever is in it, the session survives: it
// is dropped and counted, or it is authentic and broke the rules, and closes the session by code.
func (s *Session) HandleDatagram(now Time, d Datagram) { s.Receive(now, &d) }

// Receive is HandleDatagram without a copy of d, for whoever has many.
func (s *Session) Receive(now Time, d *Datagram) {
	s.handleEarly(now)
	s.handleDatagram(now, d)
	if s.Resting() {
		s.rest() // what the datagram has woken
	}
}

func (s *Session) handleDatagram(now Time, d *Datagram) {
	s.stats.DatagramsReceived++
	s.stats.BytesReceived += uint64(len(d.Data))
	switch {
	case s.state == stateDead || s.state == stateDraining:
		s.stats.Dropped.Ended++
	case len(d.Data) == 0:
		s.stats.Dropped.Malformed++
	case wire.IsShort(d.Data[0]):
		s.handleShort(now, d)
	case wire.IsLong(d.Data[0]):
		s.handleLong(now, d)
	default:
		s.stats.Dropped.Malformed++
	}
}

// handleEarly takes the packets that came before the handshake was complete.
func (s *Session) handleEarly(now Time) {
	if s.early == nil {
		return
	}
	early := *s.early
	s.early = nil
	for i := range early {
		s.handleDatagram(now, &early[i])
	}
}

// handleShort takes one protected packet. The order of the checks is the order of their cost, and
// nothing of the packet is believed before it is opened (RFC 9001, section 9.5).
func (s *Session) handleShort(now Time, d *Datagram) {
	p, pnOff := s.pathFor(now, d)
	if p == nil || s.keys.recv == nil {
		s.unmatched(now, d)
		return
	}
	pnLen, truncated, phase, err := s.keys.recv.Unmask(d.Data, pnOff)
	if err != nil {
		s.stats.Dropped.Malformed++
		return
	}
	expected := uint64(0)
	if p.received {
		expected = p.largest + 1
	}
	pn := wire.DecodePacketNumber(expected, truncated, pnLen)
	fresh := p.replay.Check(pn)
	var land landing
	if fresh && pn == expected && s.state == stateEstablished && s.repair == nil {
		land.expect(&s.streams, len(d.Data)-pnOff-pnLen-crypto.TagSize)
	}
	payload, updated, err := s.keys.recv.OpenPacketInto(land.memory, d.Data, pnOff, pnLen, phase, uint32(p.id), pn)
	if err != nil {
		land.clear()
		s.stats.Dropped.Forged++ // spec: ERR-5
		s.checkKeyLimits(now)
		s.checkReset(now, d)
		return
	}
	if !fresh {
		if s.repair == nil || !s.repair.cameAfterAll(p.id, pn) {
			s.stats.Dropped.Duplicate++
			return
		}
		p.noteArrival(pn)
		p.acks.receive(now, pn, true, false, d.ECN) // spec: FEC-32
		return
	}
	p.replay.Set(pn)
	if updated {
		s.peerUpdatedKey(now)
	}
	payload, data := land.take(d.Data[pnOff+pnLen:], payload)
	s.handlePacket(now, d, p, pn, payload, land.stream, data)
}

// handlePacket takes an authentic packet that was not seen before. If data is not nil, it is all of the packet: the next
// of a stream.
func (s *Session) handlePacket(now Time, d *Datagram, p *path, pn uint64, payload []byte, stream *Stream, data []byte) {
	p.noteArrival(pn)
	newest := !p.received || pn > p.largest
	if newest {
		p.largest, p.received = pn, true
	}
	s.stats.PacketsReceived++
	if s.state == stateEstablished && s.paths.find(p.id) == nil {
		s.addPath(now, p)
	}
	s.arrived(now, p, d, newest)
	s.idle.received(now)
	if s.state == stateClosing {
		if typ, _ := wire.ConsumeFrameType(payload); typ == wire.FrameClose || typ == wire.FrameCloseApp {
			s.state, s.closing.again = stateDraining, 0 // both have said it
			return
		}
		s.closing.provoke()
		return
	}
	s.confirm(now)
	s.streams.setPath(now, p.loss.rtt.smoothed, p.loss.window())
	kinds := frameKinds{place: packetPlace{p.id, pn}}
	var err error
	if data != nil {
		kinds.eliciting, kinds.stream, kinds.plain, kinds.data = true, true, true, true
		err = stream.handleData(stream.recv.ready, data, false)
	} else {
		err = s.handleFrames(now, &d.Addr, p, payload, &kinds)
	}
	if err != nil {
		s.fail(now, err)
		return
	}
	if s.repair != nil && s.repair.recv != nil {
		s.repair.recv.bursts.arrived(p.id, pn)
	}
	if !s.streams.book.tookAll() {
		s.turnAway()
		return
	}
	if kinds.old {
		return // spec: MSG-7
	}
	if kinds.source {
		s.takeSource(p, pn, &kinds)
	}
	until, immediate := s.rideUntil(now, &kinds)
	asked := immediate && kinds.stream && !kinds.message
	p.acks.receiveUntil(now, pn, kinds.eliciting, immediate && !asked, until, d.ECN)
	if asked {
		p.acks.ask(now)
	}
	if kinds.eliciting {
		p.acks.expect(now, kinds.stream && !immediate, p.loss.rtt.smoothed)
	}
	if kinds.stream || kinds.message {
		s.idle.wake(now)
	}
	if kinds.data {
		s.dataArrived(now, p)
	}
	if kinds.repair {
		s.takeRecovered(now)
	}
}

// pathFor returns the path that a short packet belongs to by its destination ID, and the offset of
// its packet number. A spare ID opens its path, which is kept once a packet on it proves authentic.
func (s *Session) pathFor(now Time, d *Datagram) (*path, int) {
	for n := range s.ids.local {
		l := &s.ids.local[n]
		if !wire.HasDestination(d.Data, l.id) {
			continue
		}
		pnOff := 1 + l.id.Len()
		if p := s.paths.find(l.path); p != nil {
			return p, pnOff
		}
		if s.role == client || !s.confirmed {
			return nil, 0
		}
		return s.openPath(now, l.path, d.Addr), pnOff
	}
	return nil, 0
}

// frameKinds sums up what the frames of a packet ask of the receiver.
type frameKinds struct {
	eliciting bool // wants an acknowledgement
	immediate bool // wants it now
	stream    bool // stream data
	message   bool // messages, or words about them
	messages  bool // messages themselves
	urgent    bool // the end of one that is acknowledged at once
	plain     bool // something else than such messages and those that are not sent again
	data      bool // more than probing of a path
	old       bool // has a message that cannot be told any more: the packet counts as lost

	place packetPlace // of the packet; the caller sets it

	recovered bool   // the packet did not come, the code has brought it back; the caller sets it
	first     bool   // the frame at hand is the first
	repair    bool   // the code has got something
	source    bool   // repair covers the packet
	sequence  uint16 // under this number
	content   []byte // with these frames
}

// handleFrames takes the frames of one packet. Each handler gets a view into payload and keeps none.
// An empty payload is an error: no honest end sends one, and it must not be a free ride.
func (s *Session) handleFrames(now Time, from *AddrPair, p *path, payload []byte, kinds *frameKinds) error {
	if len(payload) == 0 { // spec: SESS-5
		return transportErrorf(wire.ProtocolViolation, 0, "packet without frames")
	}
	kinds.first = true
	for len(payload) > 0 {
		typ, n := wire.ConsumeFrameType(payload)
		if n < 0 {
			return transportErrorf(wire.FrameEncoding, 0, "truncated frame type")
		}
		payload = payload[n:]
		used, err := s.handleFrame(now, from, p, typ, payload, kinds)
		if err != nil {
			return err
		}
		if used < 0 {
			return transportErrorf(wire.FrameEncoding, typ, "malformed frame")
		}
		payload = payload[used:]
		kinds.first = false
		if s.state != stateEstablished {
			return nil // a CLOSE ends the packet too
		}
	}
	return nil
}

// handleFrame takes one frame and returns its length behind the type, or -1 when it is malformed.
func (s *Session) handleFrame(now Time, from *AddrPair, p *path, typ wire.FrameType, b []byte, kinds *frameKinds) (int, error) {
	if kinds.recovered {
		if n, ok := skipMoment(typ, b); ok {
			return n, nil
		}
	}
	switch typ {
	case wire.FramePadding:
		return wire.SkipPadding(b), nil
	case wire.FramePathChallenge:
		kinds.plain = true
		f, n := wire.ParsePathChallenge(b)
		if n >= 0 {
			p.handleChallenge(*from, f.Data)
		}
		kinds.eliciting = true
		return n, nil
	case wire.FramePathResponse:
		kinds.plain = true
		f, n := wire.ParsePathResponse(b)
		if n >= 0 {
			s.handlePathResponse(now, p, *from, f.Data)
		}
		kinds.eliciting = true
		return n, nil
	case wire.FrameNewSessionID:
		kinds.plain = true
		f, n := wire.ParseNewSessionID(b)
		kinds.eliciting = true
		if n < 0 {
			return n, nil
		}
		return n, s.handleNewID(now, f)
	case wire.FrameClose, wire.FrameCloseApp:
		return s.handleClose(now, typ, b)
	case wire.FrameImmediateAck:
		kinds.eliciting, kinds.immediate = true, true
		return 0, nil
	}
	if typ.IsAck() {
		kinds.data = true
		return s.handleAck(now, typ, b)
	}
	if typ == wire.FrameRepairReport {
		kinds.data = true
		return s.handleReport(b)
	}
	kinds.eliciting, kinds.data = kinds.eliciting || typ != wire.FrameChannelReport, true
	kinds.plain = kinds.plain || !typ.IsMessage() && typ != wire.FrameChannelReport
	if typ.IsStream() {
		kinds.stream = true
		f, n := wire.ParseStream(typ, b)
		if n < 0 {
			return n, nil
		}
		return n, s.streams.handleStream(f)
	}
	if wire.IsMessageFrame(typ) {
		kinds.message = true
		return s.handleMessageFrame(now, typ, b, kinds)
	}
	return s.handleControl(now, p, typ, b)
}

// handleControl takes the frames that are neither hot nor allowed to probe a path.
func (s *Session) handleControl(now Time, p *path, typ wire.FrameType, b []byte) (int, error) {
	switch typ {
	case wire.FramePing:
		return 0, nil
	case wire.FrameAckFrequency:
		f, n := wire.ParseAckFrequency(b)
		if n >= 0 {
			s.handleAckFrequency(f)
		}
		return n, nil
	case wire.FrameRetireSessionID:
		f, n := wire.ParseRetireSessionID(b)
		if n < 0 {
			return n, nil
		}
		return n, s.handleRetireID(now, f, p)
	case wire.FrameAddressToken:
		f, n := wire.ParseAddressToken(b)
		if n >= 0 && s.role == client {
			token := f.Token
			s.control.addressToken = &token
		}
		return n, s.onlyFromServer(typ)
	case wire.FrameTicket:
		_, n := wire.ParseTicket(b) // tickets come with a later version of the library
		return n, s.onlyFromServer(typ)
	case wire.FrameKeyPace:
		_, n := wire.ParseKeyPace(b)
		return n, nil
	case wire.FrameDone:
		return 0, s.onlyFromServer(typ)
	}
	if typ >= wire.FrameResetStream && typ <= wire.FrameStreamsBlockedUni {
		return s.handleStreamControl(typ, b)
	}
	if wire.IsGrease(typ) {
		return wire.SkipGrease(b), nil
	}
	return 0, transportErrorf(wire.FrameEncoding, typ, "unknown frame type") // spec: ERR-1 ERR-2
}

// onlyFromServer refuses frames that a client must not send.
func (s *Session) onlyFromServer(typ wire.FrameType) error {
	if s.role == server { // spec: SESS-4
		return transportErrorf(wire.ProtocolViolation, typ, "sent by a client")
	}
	return nil
}

// handleStreamControl takes the frames about streams that carry no data.
func (s *Session) handleStreamControl(typ wire.FrameType, b []byte) (int, error) {
	switch typ {
	case wire.FrameResetStream:
		f, n := wire.ParseResetStream(b)
		if n < 0 {
			return n, nil
		}
		return n, s.streams.handleReset(f)
	case wire.FrameStopSending:
		f, n := wire.ParseStopSending(b)
		if n < 0 {
			return n, nil
		}
		return n, s.streams.handleStop(f)
	case wire.FrameMaxStreamData:
		f, n := wire.ParseMaxStreamData(b)
		if n < 0 {
			return n, nil
		}
		return n, s.streams.handleMaxStreamData(f)
	case wire.FrameStreamDataBlocked:
		f, n := wire.ParseStreamDataBlocked(b)
		if n < 0 {
			return n, nil
		}
		return n, s.streams.handleStreamDataBlocked(f)
	}
	// The rest carry one number.
	v, n := wire.ConsumeVarint(b)
	if n < 0 {
		return n, nil
	}
	switch typ {
	case wire.FrameMaxData:
		s.streams.handleMaxData(v)
	case wire.FrameMaxStreamsBidi, wire.FrameMaxStreamsUni:
		return n, s.streams.handleMaxStreams(typ == wire.FrameMaxStreamsUni, v)
	case wire.FrameDataBlocked:
		s.streams.handleDataBlocked(v)
	case wire.FrameStreamsBlockedBidi, wire.FrameStreamsBlockedUni:
		if _, n = wire.ParseStreamsBlocked(typ, b); n < 0 {
			return n, nil
		}
		return n, s.streams.handleStreamsBlocked(typ == wire.FrameStreamsBlockedUni, v)
	}
	return n, nil
}

// handleAck takes an acknowledgement, of any path that still has state.
func (s *Session) handleAck(now Time, typ wire.FrameType, b []byte) (int, error) {
	f, n := wire.ParseAck(typ, b)
	if n < 0 {
		return n, nil
	}
	p := s.paths.find(f.Path)
	if p == nil {
		if f.Path >= s.ids.nextPath && s.ids.peerFor(f.Path) == nil {
			return n, transportErrorf(wire.AckUnsent, typ, "acknowledges path %d, which was never used", f.Path)
		}
		return n, nil // a path that was given up
	}
	err := p.loss.handleAck(now, &f, s.peerAckDelay(), (*sentHandler)(s))
	s.keys.keyAcked(p)
	p.acks.setRTT(p.loss.rtt.smoothed)
	return n, err
}

// handleAckFrequency takes the peer's wish for acknowledgements. An older one that was overtaken counts
// for nothing.
func (s *Session) handleAckFrequency(f wire.AckFrequency) {
	if f.Sequence < s.control.ackWishes {
		return
	}
	s.control.ackWishes = f.Sequence + 1
	for _, p := range s.paths.list {
		p.acks.setFrequency(int(f.Packets), microseconds(f.DelayMicros))
	}
}

// unmatched counts a datagram that names no path of ours, unless it is the peer's stateless reset.
func (s *Session) unmatched(now Time, d *Datagram) {
	if !s.checkReset(now, d) {
		s.stats.Dropped.Unmatched++
	}
}
