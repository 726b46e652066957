package protocol

import "github.com/godwit-net/godwit/protocol/wire"

// SendMessage queues a message of at most what the peer takes. p is copied. Errors: ErrMessageSize,
// ErrMessageQueueFull, ErrChannelLimit, ErrChannelMode, ErrMessageOptions, or the session's error when that
// has ended.
func (s *Session) SendMessage(now Time, p []byte, o MessageOptions) error {
	if s.state != stateEstablished || s.closing.graceful() {
		return s.endError()
	}
	return s.channels().send(now, p, &o)
}

// SetChannelWeight sets the share of a channel, on which something was sent, among the streams and channels of
// its priority. 0 means the default, 16.
func (s *Session) SetChannelWeight(channel uint16, w uint16) {
	if s.messages == nil || s.messages.out[channel] == nil {
		return
	}
	if w == 0 {
		w = defaultWeight
	}
	s.messages.out[channel].weight = w
}

// NextMessage returns channel and size in bytes of the message that ReceiveMessage gives next, or false when
// none waits.
func (s *Session) NextMessage() (channel uint16, size int, ok bool) {
	if s.messages == nil {
		return 0, 0, false
	}
	return s.messages.nextMessage()
}

// ReceiveMessage appends the oldest message that waits to b, or returns false when there is none: then
// EventMessagesReadable says when there is. Messages that had arrived can be received after the end of the
// session too. It may make room for the peer: the owner then drains the session's datagrams.
func (s *Session) ReceiveMessage(b []byte) (out []byte, channel uint16, ok bool) {
	if s.messages == nil {
		return b, 0, false
	}
	return s.messages.receive(b)
}

// CreditDue reports whether the peer should be told of room, for one since the application has read: then the owner
// drains the session's datagrams.
func (s *Session) CreditDue() bool { return s.streams.hasControl() }

// PollOutcome returns what became of a message that was sent with a tag.
func (s *Session) PollOutcome() (tag uint64, o Outcome, ok bool) {
	if s.messages == nil {
		return 0, 0, false
	}
	n, ok := s.messages.pollOutcome()
	return n.tag, n.outcome, ok
}

// channels returns the state of messages, which the first use makes.
func (s *Session) channels() *messagesState {
	if s.messages == nil {
		s.messages = newMessagesState(&s.streams, s.local, s.remote, func(k EventKind) { s.events.push(Event{Kind: k}) })
	}
	return s.messages
}

// delivered reports whether everything that a graceful close waits for has arrived.
func (s *Session) delivered() bool {
	return s.streams.drained() && (s.messages == nil || s.messages.drained())
}

func (s *Session) hasSkips() bool { return s.messages != nil && s.messages.skips > 0 }

// prepareMessages begins a packet as far as messages go: it gives up what is late, and notes how much of a
// message an empty packet holds, one byte less than all for the wish to be acknowledged at once.
func (s *Session) prepareMessages(now Time, b *packetBuilder) {
	s.settleHeld(now)
	s.takeLastChances(now)
	s.sendDoubles(now)
	s.streams.repairing = sentBytes{}
	s.streams.beginPacket(b.room() - 1)
	c := s.streams.nextChannel()
	b.path.loss.expiring = c != nil && c.repairs()
	if s.messages != nil {
		s.messages.timeout(now)
		s.messages.prepareCopies(now, &b.path.loss)
	}
}

func onlyAcks(facts []fact) bool {
	for i := range facts {
		if facts[i].kind != factAck {
			return false
		}
	}
	return true
}

// copiesDue reports whether copies of messages should leave, alone if need be.
func (s *Session) copiesDue() bool { return s.messages != nil && s.messages.carry.due }

// appendCopies appends copies of messages to a packet that leaves anyway, or since they are due. A message that
// has not left yet keeps its room.
func (s *Session) appendCopies(b *packetBuilder, latencyOnly bool) {
	if s.messages == nil {
		return
	}
	goes := s.streams.sched.pick(s.streams.sessionCredit(), latencyOnly) != nil
	if !goes && !s.copiesDue() {
		return
	}
	space := b.room()
	if goes {
		space -= s.streams.nextWhole()
	}
	before, alone := len(b.buf), onlyAcks(b.pkt.facts)
	w := copyWriter{b: b.buf, limit: len(b.buf) + space, facts: &b.pkt.facts, alone: !goes}
	s.messages.appendCopies(&w, s.streams.now)
	b.buf = w.b
	b.pkt.repeat = len(b.buf) > before && !goes && alone
}

func (s *Session) appendSkips(b *packetBuilder) {
	if s.hasSkips() {
		w := frameWriter{b: b.buf, limit: b.limit, facts: &b.pkt.facts}
		s.messages.appendSkips(&w)
		b.buf = w.b
	}
}

// appendReports tells the peer what became of its messages, in a packet that leaves anyway since something is
// acknowledged in it, and where it keeps no message out.
func (s *Session) appendReports(now Time, b *packetBuilder) {
	if s.messages == nil || b.nAcks == 0 {
		return
	}
	b.buf = s.messages.appendReports(b.buf, b.limit-max(reservedForAck, s.streams.nextWhole()), now)
}

// handleMessageFrame takes a frame about messages.
func (s *Session) handleMessageFrame(now Time, typ wire.FrameType, b []byte, kinds *frameKinds) (int, error) {
	if s.local.MaxChannels == 0 && typ != wire.FrameChannelReport { // spec: ERR-3
		return 0, transportErrorf(wire.Unsupported, typ, "messages, or their repair, were not agreed on")
	}
	switch typ {
	case wire.FrameSource:
		return handleSource(b, kinds)
	case wire.FrameRepair:
		return s.handleRepair(b, kinds), nil
	}
	a := arrival{now: now, place: kinds.place}
	n, err := s.channels().handle(typ, b, &a)
	kinds.old = kinds.old || a.old
	kinds.messages = kinds.messages || typ.IsMessage()
	kinds.urgent = kinds.urgent || a.urgent
	kinds.plain = kinds.plain || a.plain
	return n, err
}

// handle takes one frame about messages and returns its length, or -1 when it is malformed.
func (m *messagesState) handle(typ wire.FrameType, b []byte, a *arrival) (int, error) {
	defer m.play(a.now)
	switch typ {
	case wire.FrameChannel:
		f, n := wire.ParseChannel(b)
		if n < 0 {
			return n, nil
		}
		return n, m.handleChannel(f)
	case wire.FrameChannelReport:
		f, n := wire.ParseChannelReport(b)
		if n < 0 {
			return n, nil
		}
		return n, m.handleReport(&f, a)
	case wire.FrameSkip:
		f, n := wire.ParseSkip(b)
		if n < 0 {
			return n, nil
		}
		return n, m.handleSkip(f, a)
	}
	f, n := wire.ParseMessage(typ, b)
	if n < 0 {
		return n, nil
	}
	return n, m.handleMessage(&f, a)
}
