package protocol

import (
	"time"

	"github.com/godwit-net/godwit/protocol/wire"
)

// playout holds messages that are complete and wait for the time at which the application gets them, the next
// one first: a binary heap, so that a peer whose stamps run backwards costs no more than others.
type playout struct {
	items []*heldMessage
	order uint64 // of the next one: those of one time keep their order
}

// keptPlayout is the room that an empty playout keeps.
const keptPlayout = 64

func (p *playout) less(i, j int) bool {
	a, b := p.items[i], p.items[j]
	return a.play < b.play || a.play == b.play && a.order < b.order
}

// next returns when the first message is due; 0: there is none.
func (p *playout) next() Time {
	if len(p.items) == 0 {
		return 0
	}
	return p.items[0].play
}

func (p *playout) push(h *heldMessage) {
	h.order = p.order
	p.order++
	p.items = append(p.items, h)
	for i := len(p.items) - 1; i > 0 && p.less(i, (i-1)/2); i = (i - 1) / 2 {
		p.items[i], p.items[(i-1)/2] = p.items[(i-1)/2], p.items[i]
	}
}

func (p *playout) pop() *heldMessage {
	h, n := p.items[0], len(p.items)-1
	p.items[0] = p.items[n]
	p.items[n] = nil
	p.items = p.items[:n]
	for i := 0; ; {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && p.less(child+1, child) {
			child++
		}
		if !p.less(child, i) {
			break
		}
		p.items[i], p.items[child] = p.items[child], p.items[i]
		i = child
	}
	if n == 0 && cap(p.items) > keptPlayout {
		p.items = nil
	}
	return h
}

// shift moves all times by -d.
func (p *playout) shift(d time.Duration) {
	for _, h := range p.items {
		h.play = h.play.Add(-d)
	}
}

// stamped takes the stamp of a message and returns the time of the peer's clock that it means. When the
// estimate of the clock falls at once, messages that wait are due earlier too.
func (m *messagesState) stamped(a *arrival, stamp uint16) time.Duration {
	source, fell := m.clock.take(a.now, stamp, a.place)
	if fell > 0 {
		for i := range m.playing {
			m.playing[i].shift(fell)
		}
		for _, c := range m.inOrder {
			c.played = c.played.Add(-fell)
		}
	}
	return source
}

// give hands a complete message over, which is not held any more: to the application, or on a channel with
// play-out to where it waits for its time. In an order none is due before the one in front of it.
//
// spec: MSG-40
func (c *recvChannel) give(h *heldMessage) {
	m, lane := c.messages, laneOf(reliable(c.mode))
	if c.playout == 0 {
		c.deliverOne(h)
		return
	}
	h.channel, h.play = c, m.streams.now
	if h.stamped {
		h.play = m.clock.at(h.source).Add(c.playout)
	}
	if c.mode == wire.ReliableOrdered {
		h.play = max(h.play, c.played)
		c.played = h.play
	}
	if lane == unreliableLane {
		m.partial += h.total + messageCharge
	}
	m.playing[lane].push(h)
}

// play gives the application the messages whose time has come.
func (m *messagesState) play(now Time) {
	for {
		at, lane := m.nextPlay()
		if at.IsZero() || now.Before(at) {
			return
		}
		m.playNext(lane)
	}
}

// nextPlay returns when the next message is due, and in which lane; 0: none waits.
func (m *messagesState) nextPlay() (at Time, lane int) {
	u, r := m.playing[unreliableLane].next(), m.playing[reliableLane].next()
	if r != 0 && (u == 0 || r < u) {
		return r, reliableLane
	}
	return u, unreliableLane
}

// playNext gives the application the message of a lane that is due next.
func (m *messagesState) playNext(lane int) {
	h := m.playing[lane].pop()
	c := h.channel
	if lane == unreliableLane {
		m.partial -= h.total + messageCharge
	}
	if c.mode == wire.Sequenced && !c.newest(h.number) { // spec: MSG-17
		c.stats.Stale++
		m.recycle(h)
		return
	}
	c.deliverOne(h)
}

// playAll gives the application all that waits for its time, in the order of that: the session has ended.
func (m *messagesState) playAll() {
	for at, lane := m.nextPlay(); at != 0; at, lane = m.nextPlay() {
		m.playNext(lane)
	}
}
