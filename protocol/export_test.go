package protocol

// Unsent returns how many bytes were written and did not leave yet, not even once.
func (s *Stream) Unsent() int { return int(s.send.pipe.end - s.send.next) }
