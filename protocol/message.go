package protocol

import (
	"errors"
	"time"

	"github.com/godwit-net/godwit/protocol/wire"
)

const (
	// DefaultMaxChannels is how many channels a peer may use when Config.Params says nothing else: a lane
	// for each kind of thing in a game, with room. Each costs at most maxSpan times four bytes.
	DefaultMaxChannels = 64
	// DefaultMessageBuffer is how much of unreliable messages waits for the application, in bytes.
	DefaultMessageBuffer = 1 << 20

	// defaultMessagePriority is the priority of messages of which nothing was said: the latency class,
	// before the streams of which nothing was said.
	defaultMessagePriority = latencyPriority
	// messageCharge is what each message counts in buffers and against the session's limit beside its bytes,
	// so that empty messages are not free: about what it costs to remember one.
	messageCharge = 64
	// maxSpan is how many numbers a channel may be ahead of its oldest message that is not settled. At both
	// ends memory is for that many, and numbers of 16 bits tell four times as many apart.
	maxSpan = 4096
	// maxQueued is how many messages of a channel wait for sending or for their fate. They cost 64 bytes each.
	maxQueued = 1 << 16
	// minQueueBytes is what the messages of a channel that wait may hold on any path: the largest message,
	// and another one while that is under way.
	minQueueBytes = 2 * wire.MaxMessageSize
	// maxDeadline is the longest deadline that the wire can say.
	maxDeadline = wire.MaxDeadlineMillis * time.Millisecond
)

// Local refusals of messages. Nothing was sent.
var (
	// ErrMessageQueueFull says that a channel holds as many messages as it may. EventMessagesWritable says
	// when there is room.
	ErrMessageQueueFull = errors.New("the channel's queue of messages is full: send less, or wait")
	// ErrMessageSize says that a message is larger than the peer takes.
	ErrMessageSize = errors.New("message larger than the peer takes: use a stream")
	// ErrChannelLimit says that the peer takes no message on yet another channel.
	ErrChannelLimit = errors.New("more channels than the peer takes")
	// ErrChannelMode says that a channel was opened by a message with another mode, deadline or play-out.
	ErrChannelMode = errors.New("mode, deadline and play-out of a channel are those of its first message")
	// ErrMessageOptions says that options make no sense.
	ErrMessageOptions = errors.New("no such mode, or a deadline or play-out that is negative or longer than 30 s")
)

// MessageOptions says how a message is to be carried. The zero value is an unreliable message on channel 0.
type MessageOptions struct {
	Channel uint16 // messages of one channel keep their order, as far as Mode keeps it
	Mode    wire.Mode
	// Deadline is the time from now, beyond the one-way delay of the path, after which no copy of the message
	// leaves any more; the receiver goes on without it. 0: none. At most 30 s, in ms, rounded up.
	Deadline time.Duration
	// Playout, unless it is 0, has the receiver give each message at a constant time after it was sent here: the
	// one-way delay of the path and Playout later, however long it took itself. So what is sent at a steady
	// pace is received at that pace, to the ms, though the clocks of the two ends drift. A message that takes
	// longer is received as soon as it comes, or not any more where a Deadline says so. The receiver holds what
	// waits in its limits for messages (Parameters.MessageBuffer, the session's window), which must be
	// large enough for that. When the session ends, all that waits is given at once. At most 30 s, in ms, rounded up; the same for all messages of a channel.
	Playout time.Duration
	// Priority of the channel from now on, compared with channels and streams: higher first. 0: 128. From
	// 128 on messages belong to the latency class.
	Priority uint8
	// Goal of the channel from now on, of messages in reliable modes that have a deadline.
	Goal Goal
	// OverheadCap of the channel from now on: what repair may add to what its messages take when nothing is lost, in
	// percent of UDP payload bytes, retransmissions included. 0, or more than the session's (Config.OverheadCap): the
	// session's. Negative: lost messages are sent again, and that is all.
	OverheadCap int
	// Twice has one extra packet leave with the message, 3 ms after it, in any mode, unless it is acknowledged by
	// then: it comes late only where both are lost. It doubles the packets and bytes of messages that are sent one
	// by one. Messages larger than a packet, and sequenced ones after which a newer one was sent, go once.
	Twice bool
	// Tag, unless it is 0, has PollOutcome say what became of the message.
	Tag uint64
}

// Goal says what the repair of messages with a deadline is to reach, within the overhead cap of the channel. Below
// 0.3 % of loss neither of them costs anything.
type Goal uint8

// The goals.
const (
	// Prompt has lost messages back as early as the cap allows: symbols of an erasure code go with them, so
	// that most losses are repaired without a round trip.
	Prompt Goal = iota
	// Economy meets the deadline at the lowest cost: what is lost is sent again, twice or more often when there is
	// time for no further round, and the code is used only where the deadline is shorter than a round trip.
	Economy
)

// Outcome is what became of a message.
type Outcome uint8

// The outcomes.
const (
	Acknowledged Outcome = 1 + iota // it has arrived at the peer's end
	Lost                            // it was lost, and its mode does not send it again; or the session ended
	Expired                         // its deadline passed before it had arrived
)

var outcomeNames = [...]string{Acknowledged: "acknowledged", Lost: "lost", Expired: "expired"}

// String returns the outcome's name.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) && o != 0 {
		return outcomeNames[o]
	}
	return "unknown outcome"
}

// reliable reports whether lost messages of a mode are sent again.
func reliable(m wire.Mode) bool { return m >= wire.ReliableUnordered }

// outcomeNote is an outcome on its way to the application.
type outcomeNote struct {
	tag     uint64
	outcome Outcome
}

// messagesState is all channels of a session, in both directions. It exists once one of them is used.
type messagesState struct {
	streams *streamsState // the session's limits and the scheduler
	local   *wire.Parameters
	remote  *wire.Parameters
	emit    func(EventKind)

	out       map[uint16]*sendChannel
	outOrder  []*sendChannel // in the order of their first messages, so that runs can be repeated
	carry     carryState
	ride      rideState
	skips     int // channels with a SKIP to send
	unsettled int // messages that a graceful close waits for
	outcomes  queue[outcomeNote]
	toldFates bool // EventMessageOutcomes was given and PollOutcome has not said that there are no more
	ended     bool

	in          map[uint16]*recvChannel
	inOrder     []*recvChannel
	inbox       inbox
	partial     int // bytes that parts of unreliable messages reserve
	gaps        int // in all messages of which parts have come
	toldMail    bool
	free        []*heldMessage
	playing     [2]playout // complete messages that wait for their time, by lane
	clock       sourceClock
	reportCheck Time // when to look for reports that are due
}

func newMessagesState(t *streamsState, local, remote *wire.Parameters, emit func(EventKind)) *messagesState {
	m := &messagesState{streams: t, local: local, remote: remote, emit: emit}
	for i := range m.inbox.lanes {
		m.inbox.lanes[i].data.book, m.inbox.lanes[i].data.peer = &t.book, true
	}
	return m
}

// deadline returns when timeout should be called; 0: never.
func (m *messagesState) deadline() Time {
	var at Time
	consider := func(t Time) {
		if t != 0 && (at == 0 || t < at) {
			at = t
		}
	}
	for _, c := range m.outOrder {
		consider(c.nextExpiry())
	}
	for _, c := range m.inOrder {
		consider(c.nextSkip())
	}
	play, _ := m.nextPlay()
	consider(play)
	return at
}

// timeout gives up what is late.
func (m *messagesState) timeout(now Time) {
	for _, c := range m.outOrder {
		c.expire(now)
	}
	for _, c := range m.inOrder {
		c.skipLate(now)
	}
	m.play(now)
}

// drained reports whether nothing waits that a graceful close should deliver.
func (m *messagesState) drained() bool { return m.unsettled == 0 }

// fail ends all channels with the session. What has arrived can still be received; what is under way is lost.
func (m *messagesState) fail() {
	for _, c := range m.outOrder {
		c.drop()
	}
	m.playAll()
	for _, c := range m.inOrder {
		c.drop()
	}
	m.ended = true
	m.skips, m.unsettled, m.carry = 0, 0, carryState{}
}

// note counts an outcome, and keeps it for the application.
func (c *sendChannel) note(tag uint64, o Outcome) {
	c.fates.add(o != Acknowledged)
	switch o {
	case Acknowledged:
		c.stats.Acknowledged++
	case Lost:
		c.stats.Lost++
	case Expired:
		c.stats.Expired++
	}
	m := c.messages
	if tag == 0 {
		return
	}
	m.outcomes.push(outcomeNote{tag, o})
	if !m.toldFates {
		m.toldFates = true
		m.emit(EventMessageOutcomes)
	}
}

// pollOutcome returns the next outcome.
func (m *messagesState) pollOutcome() (outcomeNote, bool) {
	if m.outcomes.len() == 0 {
		m.toldFates = false
		return outcomeNote{}, false
	}
	n := *m.outcomes.front()
	m.outcomes.pop()
	return n, true
}
