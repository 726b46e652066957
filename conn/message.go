package conn

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/wire"
)

// Mode is how reliable the messages of a channel are.
type Mode = wire.Mode

// The modes.
const (
	Unreliable        = wire.Unreliable        // lost messages stay lost; what others call a datagram
	Sequenced         = wire.Sequenced         // the same, and what is older than what was received is dropped
	ReliableUnordered = wire.ReliableUnordered // all arrive, once each, as soon as they can
	ReliableOrdered   = wire.ReliableOrdered   // all arrive, once each, in the order in which they were sent
)

// Goal says what the repair of messages with a deadline is to reach, within MessageOptions.OverheadCap.
type Goal = protocol.Goal

// The goals.
const (
	Prompt  = protocol.Prompt  // lost messages are back as early as the cap allows
	Economy = protocol.Economy // the deadline is met at the lowest cost
)

// Outcome is what became of a message.
type Outcome = protocol.Outcome

// The outcomes.
const (
	Acknowledged = protocol.Acknowledged // it has arrived at the peer's end
	Lost         = protocol.Lost         // it was lost, and its mode does not send it again; or the session ended
	Expired      = protocol.Expired      // its deadline passed before it had arrived
)

// Errors of SendMessage. The message was not taken; nothing else happened.
var (
	// ErrMessageQueueFull: the channel holds as much as it may, at least 2 MiB. Send less, or later.
	ErrMessageQueueFull = protocol.ErrMessageQueueFull
	// ErrMessageSize: the message is larger than the peer takes, 1 MiB at most.
	ErrMessageSize = protocol.ErrMessageSize
	// ErrChannelLimit: the peer takes no more channels, or no messages at all.
	ErrChannelLimit = protocol.ErrChannelLimit
	// ErrChannelMode: the channel was opened by a message with another mode, deadline or play-out.
	ErrChannelMode = protocol.ErrChannelMode
	// ErrMessageOptions: there is no such mode, or the deadline or play-out is negative or longer than 30 s.
	ErrMessageOptions = protocol.ErrMessageOptions
)

// MessageOptions says how a message is carried. The zero value is an unreliable message on channel 0.
type MessageOptions struct {
	// Channel has an order of its own. Those of the two ends have nothing to do with each other. The peer
	// allows so many different ones, by default 64.
	Channel uint16
	// Mode is the same for all messages of a channel.
	Mode Mode
	// Deadline, beyond the one-way delay of the path, is how long the message is worth something: no copy of it
	// leaves later, and the receiver goes on without it. The same for all messages of a channel. 0: forever.
	// At most 30 s, in ms, rounded up.
	Deadline time.Duration
	// Playout, unless it is 0, has the receiver get each message at a constant time after it was sent: the one-way
	// delay of the path and Playout later, however long the message itself took, for hours, though the clocks of
	// the two ends drift. So media keeps its pace: to the ms in the core, to the next tick of the receiver's timers
	// (about 1 ms) here. What takes longer is received as soon as it comes, or not any more if its Deadline has
	// passed too: for media, set both to the same. What waits counts in the receiver's limits (message_buffer for
	// unreliable modes, the session's window for others), and comes at once when the session ends. The same for all messages of a channel. At most 30 s,
	// in ms, rounded up.
	Playout time.Duration
	// Goal of the channel from now on, of messages in reliable modes that have a deadline. Below 0.3 % of loss none
	// costs anything.
	Goal Goal
	// OverheadCap of the channel from now on: what repair may add to what its messages take when nothing is lost, in
	// percent of UDP payload bytes, retransmissions included. 0, or more than both ends agreed on (Config.OverheadCap):
	// what they agreed on. Negative: lost messages are sent again, and that is all.
	OverheadCap int
	// Twice has one extra packet leave with the message, 3 ms after it, in any mode, unless it is acknowledged by
	// then: it comes late only where both are lost. It doubles the packets and bytes of messages that are sent one
	// by one. Messages larger than a packet, and sequenced ones after which a newer one was sent, go once.
	Twice bool
	// Outcome, if not nil, is called once with what became of the message, by whoever drives the session at
	// that moment: it must not wait. It may call the session.
	Outcome func(Outcome)
	// Priority of the channel from now on, beside streams, whose default is 64: higher first. From 128 on
	// messages may exceed the congestion window by a little, and those in reliable modes are acknowledged at once, or
	// with what the peer sends in the same tick. 0: 128.
	Priority uint8
	// More says that others follow in this tick: the message may wait for Flush, of the session, its listener or its
	// endpoint, for a message without More, or for 5 ms, so that small ones share a packet and the packets of many
	// sessions a system call.
	More bool
}

// maxHold is how long a message with MessageOptions.More waits when nobody flushes: a third of a tick at 60 Hz.
const maxHold = 5 * time.Millisecond

// Message is a message that was received.
type Message struct {
	Channel uint16
	Data    []byte
}

// Received is a message in a batch of many sessions.
type Received struct {
	Session *Session
	Message
}

// mailbox is a session's side of its messages.
type mailbox struct {
	gate    gate // ReceiveMessage waits for messages
	posted  bool // on the list of a ReceiveBatch, or taken off by one that comes for the messages
	holding bool // there are messages that wait for a Flush
	held    bool // on the shard's list of sessions with such messages

	listed         bool     // on the list of a ReceiveBatch, guarded by the list, as what follows
	before, behind *Session // neighbours on the list

	watched []func(Outcome) // by tag, less 1
	unused  []uint64        // tags
	fates   []fate          // to be told
	telling []fate          // the memory of those that are being told
}

type fate struct {
	tell    func(Outcome)
	outcome Outcome
}

// mailbox returns the session's, which the first use makes.
func (s *Session) mailbox() *mailbox {
	if s.mail == nil {
		s.mail = new(mailbox)
	}
	return s.mail
}

// SendMessage queues a message for sending and sends what may leave now. It never waits. p is copied.
func (s *Session) SendMessage(p []byte, o MessageOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	options := protocol.MessageOptions{
		Channel: o.Channel, Mode: o.Mode, Deadline: o.Deadline, Playout: o.Playout, Goal: o.Goal, OverheadCap: o.OverheadCap, Twice: o.Twice,
		Priority: o.Priority, Tag: s.mailbox().watch(o.Outcome),
	}
	now := s.now()
	s.tellMemory()
	if err := s.core.SendMessage(now, p, options); err != nil {
		s.account()
		s.arm() // it may wait for memory
		s.mail.unwatch(options.Tag)
		if errors.Is(err, protocol.ErrSessionClosed) {
			return newError(err)
		}
		return err
	}
	if o.More {
		s.hold(now)
		return nil
	}
	s.flush()
	return nil
}

// watch returns a tag for an outcome that somebody wants to hear of, 0 for none.
func (m *mailbox) watch(tell func(Outcome)) uint64 {
	if tell == nil {
		return 0
	}
	if n := len(m.unused); n > 0 {
		tag := m.unused[n-1]
		m.unused = m.unused[:n-1]
		m.watched[tag-1] = tell
		return tag
	}
	m.watched = append(m.watched, tell)
	return uint64(len(m.watched))
}

// unwatch forgets a tag and returns who wanted to hear.
func (m *mailbox) unwatch(tag uint64) (tell func(Outcome)) {
	if tag == 0 {
		return nil
	}
	tell = m.watched[tag-1]
	m.watched[tag-1] = nil
	m.unused = append(m.unused, tag)
	return tell
}

// takeFates takes outcomes from the core.
func (s *Session) takeFates() {
	for {
		tag, outcome, ok := s.core.PollOutcome()
		if !ok {
			return
		}
		m := s.mailbox()
		m.fates = append(m.fates, fate{s.mail.unwatch(tag), outcome})
	}
}

// tellFates tells the application what became of messages, without the lock. Only whoever sends the session's
// datagrams calls it, one at a time.
func (s *Session) tellFates() {
	if s.mail == nil || len(s.mail.fates) == 0 {
		return
	}
	fates := s.mail.fates
	s.mail.fates = s.mail.telling[:0]
	s.mu.Unlock()
	for _, f := range fates {
		f.tell(f.outcome)
	}
	s.mu.Lock()
	clear(fates)
	s.mail.telling = fates
	s.again = true // more may have come meanwhile
}

// ReceiveMessage waits for the next message, of any channel. After the end of the session it returns what had
// arrived, then the session's error.
func (s *Session) ReceiveMessage(ctx context.Context) (Message, error) {
	return s.receiveMessage(ctx, func(size int) ([]byte, error) { return make([]byte, 0, size), nil })
}

// ReceiveMessageInto is ReceiveMessage into buf, without an allocation: Data of the message is the beginning of
// buf. It fails with io.ErrShortBuffer when the message is larger; then the message can still be received.
func (s *Session) ReceiveMessageInto(ctx context.Context, buf []byte) (Message, error) {
	return s.receiveMessage(ctx, func(size int) ([]byte, error) {
		if size > len(buf) {
			return nil, io.ErrShortBuffer
		}
		return buf[:0], nil
	})
}

func (s *Session) receiveMessage(ctx context.Context, room func(size int) ([]byte, error)) (Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &s.mailbox().gate
	stop := stop{ctx: ctx, session: s}
	if err := g.enter(&s.mu, &stop); err != nil {
		return Message{}, err
	}
	defer g.leave()
	for {
		if s.closed {
			return Message{}, s.err
		}
		if _, size, ok := s.core.NextMessage(); ok {
			buf, err := room(size)
			if err != nil {
				return Message{}, err
			}
			data, channel, _ := s.core.ReceiveMessage(buf)
			s.flushCredit()
			return Message{Channel: channel, Data: data}, nil
		}
		if s.err != nil {
			return Message{}, s.err
		}
		if err := g.wait(&s.mu, &stop); err != nil {
			return Message{}, err
		}
	}
}

// SetChannelWeight sets the share of a channel of this end, on which something was sent, among streams and channels
// of the same priority that all have something to send. 0 means the default, 16.
func (s *Session) SetChannelWeight(channel, weight uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.core.SetChannelWeight(channel, weight)
}

// mailCame lets those who wait for messages know.
func (s *Session) mailCame() {
	s.mailbox().gate.open()
	s.post()
}
