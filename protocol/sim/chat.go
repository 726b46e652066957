package sim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/wire"
)

// chatChannels are the channels on which each end of a Transfer with messages sends.
var chatChannels = []protocol.MessageOptions{
	{Mode: wire.Unreliable},
	{Mode: wire.Sequenced},
	{Mode: wire.ReliableUnordered, Priority: 20},
	{Mode: wire.ReliableOrdered},
	{Mode: wire.ReliableOrdered, Deadline: 60 * time.Millisecond},
	{Mode: wire.ReliableUnordered, Deadline: 200 * time.Millisecond, Priority: 64},
}

const (
	// chatBurst is how many messages an end sends on each channel at a time, chatPause apart.
	chatBurst = 3
	chatPause = 16 * time.Millisecond
	// chatTake is how many messages a slow reader takes before it pauses.
	chatTake = 10
)

// chat is what an end knows of its messages.
type chat struct {
	sent  []int             // by channel
	got   []map[uint32]bool // by channel of the other end
	last  []int64
	fates map[uint64]protocol.Outcome // by tag: channel<<32 | number

	paused bool
}

func (e *End) startChat() {
	if e.transfer.Messages == 0 || e.chat != nil {
		return
	}
	c := &chat{sent: make([]int, len(chatChannels)), fates: make(map[uint64]protocol.Outcome)}
	for range chatChannels {
		c.got = append(c.got, make(map[uint32]bool))
		c.last = append(c.last, -1)
	}
	e.chat = c
	e.sendChat()
}

// sendChat sends some messages, and goes on later until all are sent.
func (e *End) sendChat() {
	if e.Closed != nil || e.Dead {
		return
	}
	more := false
	for channel, o := range chatChannels {
		for range chatBurst {
			n := e.chat.sent[channel]
			if n == e.transfer.Messages {
				break
			}
			o.Channel, o.Tag = uint16(channel), uint64(channel)<<32|uint64(n)|1<<63
			err := e.Session.SendMessage(e.Node.Now(), chatText(e.client, channel, uint32(n)), o)
			if errors.Is(err, protocol.ErrMessageQueueFull) {
				break
			}
			if err != nil {
				if e.Session.Err() == nil && !errors.Is(err, protocol.ErrSessionClosed) {
					e.wrong("SendMessage: %v", err)
				}
				return
			}
			e.chat.sent[channel]++
		}
		more = more || e.chat.sent[channel] < e.transfer.Messages
	}
	e.Node.Wake(e.Session)
	if more {
		e.Node.world.After(chatPause, e.sendChat)
	}
}

// chatText is the n-th message of a channel of an end.
func chatText(fromClient bool, channel int, n uint32) []byte {
	sizes := [...]int{4, 20, 64, 300, 1100, 1300, 5000, 20_000}
	size := sizes[(int(n)*7+channel)%len(sizes)]
	if n%16 > 2 {
		size = min(size, 300) // most are small
	}
	b := make([]byte, size)
	fill(b, uint64(channel)<<32|uint64(n), fromClient, 0)
	binary.BigEndian.PutUint32(b, n)
	return b
}

// receiveChat takes messages and compares them with what must have been sent. A slow reader pauses, unless
// the session is over.
func (e *End) receiveChat() {
	if e.chat == nil || e.chat.paused && e.Closed == nil {
		return
	}
	for taken := 0; ; taken++ {
		if e.transfer.ReadLimit > 0 && taken == chatTake && e.Closed == nil {
			e.chat.paused = true
			e.Node.world.After(orDefault(e.transfer.Pause, defaultPause), func() {
				e.chat.paused = false
				e.receiveChat()
				e.Node.Wake(e.Session)
			})
			return
		}
		b, channel, ok := e.Session.ReceiveMessage(nil)
		if !ok {
			return
		}
		e.checkChat(int(channel), b)
	}
}

func (e *End) checkChat(channel int, b []byte) {
	if channel >= len(chatChannels) || len(b) < 4 {
		e.wrong("a message of %d bytes on channel %d", len(b), channel)
		return
	}
	n, c, mode := binary.BigEndian.Uint32(b), e.chat, chatChannels[channel]
	switch {
	case int(n) >= e.transfer.Messages || string(b) != string(chatText(!e.client, channel, n)):
		e.wrong("channel %d: message %d is not what was sent", channel, n)
	case c.got[channel][n]:
		e.wrong("channel %d: message %d came twice", channel, n)
	case (mode.Mode == wire.Sequenced || mode.Mode == wire.ReliableOrdered) && int64(n) <= c.last[channel]:
		e.wrong("channel %d: message %d after %d", channel, n, c.last[channel])
	case mode.Mode == wire.ReliableOrdered && mode.Deadline == 0 && int64(n) != c.last[channel]+1:
		e.wrong("channel %d: message %d after %d, none may be left out", channel, n, c.last[channel])
	}
	c.got[channel][n] = true
	c.last[channel] = int64(n)
}

// takeFates takes what became of messages.
func (e *End) takeFates() {
	for {
		tag, o, ok := e.Session.PollOutcome()
		if !ok {
			return
		}
		if e.chat.fates[tag] != 0 {
			e.wrong("message %x has two outcomes", tag)
		}
		e.chat.fates[tag] = o
	}
}

// promised reports whether a channel delivers everything.
func promised(channel int) bool {
	o := &chatChannels[channel]
	return o.Mode >= wire.ReliableUnordered && o.Deadline == 0
}

// chatted reports whether everything that e was promised to receive has come, and all its own fates are known.
func (e *End) chatted() bool {
	if e.transfer.Messages == 0 {
		return true
	}
	if e.chat == nil || len(e.chat.fates) < e.transfer.Messages*len(chatChannels) {
		return false
	}
	for channel := range chatChannels {
		if promised(channel) && len(e.chat.got[channel]) < e.transfer.Messages {
			return false
		}
	}
	return true
}

// hasMessage reports whether a message was received, or had to wait for one that had not come when the session
// ended.
func (e *End) hasMessage(channel int, n uint32) bool {
	if e == nil || e.chat == nil {
		return false
	}
	got := e.chat.got[channel]
	if got[n] || chatChannels[channel].Mode != wire.ReliableOrdered {
		return got[n]
	}
	for earlier := range n {
		if !got[earlier] {
			return true
		}
	}
	return false
}

// CheckMessages compares, after the end of both ends, what was sent with its outcomes, and what the peer is said to
// have with what it has.
func (t *Transfer) CheckMessages() error {
	for i, e := range []*End{t.Client, t.Server} {
		other := []*End{t.Server, t.Client}[i]
		if e == nil || e.chat == nil {
			continue
		}
		for channel, sent := range e.chat.sent {
			for n := range sent {
				o := e.chat.fates[uint64(channel)<<32|uint64(n)|1<<63]
				switch {
				case o == 0:
					return fmt.Errorf("channel %d: nobody said what became of message %d", channel, n)
				case o == protocol.Acknowledged && promised(channel) && !other.hasMessage(channel, uint32(n)):
					return fmt.Errorf("channel %d: message %d was acknowledged and dropped", channel, n)
				}
			}
		}
	}
	return nil
}
