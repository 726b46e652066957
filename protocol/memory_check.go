package protocol

import "fmt"

// checkMemory compares the book of memory with what is held, piece by piece.
func (s *Session) checkMemory() error {
	t := &s.streams
	held := t.zero.memory()
	for _, st := range t.table {
		held += streamMemory + st.memory()
	}
	if s.messages != nil {
		held += s.messages.memory()
	}
	if held != t.book.held {
		return fmt.Errorf("%d bytes are held, but the book says %d", held, t.book.held)
	}
	return nil
}

func (s *Stream) memory() int { return s.send.pipe.memory() + s.recv.pipe.memory() }

func (m *messagesState) memory() (n int) {
	for i := range m.inbox.lanes {
		l := &m.inbox.lanes[i]
		n += l.data.memory() + messageCharge*l.entries.len()
	}
	for _, c := range m.outOrder {
		n += channelMemory + c.data.memory() + outMessageMemory*c.queue.len()
	}
	for _, c := range m.inOrder {
		n += channelMemory + 4*len(c.uses) + c.held.memory()
		for _, h := range c.held.slots {
			n += h.memory()
		}
	}
	for _, h := range m.free {
		n += h.memory()
	}
	for i := range m.playing {
		for _, h := range m.playing[i].items {
			n += h.memory()
		}
	}
	return n
}

func (h *heldMessage) memory() int {
	if h == nil {
		return 0
	}
	return heldMessageMemory + cap(h.whole) + h.parts.memory()
}
