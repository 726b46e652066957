package protocol

// Unsent returns how many bytes were written and did not leave yet, not even once.
func (s *Stream) Unsent() int { return int(s.send.pipe.end - s.send.next) }

// LastElicits reports whether the packet that left last on the active path wants to be acknowledged, and so can be lost.
func (s *Session) LastElicits() bool {
	l := &s.paths.active.loss.list
	return l.len() > 0 && l.at(l.next-1).eliciting
}
