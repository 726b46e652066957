package conn

import (
	"context"
	"errors"

	"github.com/godwit-net/godwit/protocol"
)

// acceptQueue holds the streams of one kind that the peer opened and nobody has accepted. The core's limit
// of open streams bounds it.
type acceptQueue struct {
	gate    gate
	streams []*Stream
}

// streamQueues is where callers wait for streams other than stream 0.
type streamQueues struct {
	accept [2]acceptQueue // bidirectional and unidirectional streams that the peer opened
	open   [2]gate        // OpenStream and OpenUniStream wait for the peer's limits
}

// streamQueues returns the session's, which the first use makes.
func (s *Session) streamQueues() *streamQueues {
	if s.queues == nil {
		s.queues = new(streamQueues)
	}
	return s.queues
}

// opened takes a stream that the peer opened.
func (s *Session) opened(core *protocol.Stream) {
	t := s.wrap(core)
	s.wave.join(t)
	q := &s.streamQueues().accept[kindOfStream(core.Unidirectional())]
	q.streams = append(q.streams, t)
	if q.gate.open() {
		s.woke = true
	}
}

func kindOfStream(oneWay bool) int {
	if oneWay {
		return uni
	}
	return bidi
}

// wrap makes the handle of a stream.
func (s *Session) wrap(core *protocol.Stream) *Stream {
	t := &Stream{session: s, core: core}
	core.SetContext(t)
	return t
}

// OpenStream opens a stream in both directions. It waits while the peer allows no more. The peer learns of
// the stream with the first byte, or the end, that is written to it.
func (s *Session) OpenStream(ctx context.Context) (*Stream, error) { return s.openStream(ctx, bidi) }

// OpenUniStream is OpenStream for a stream that only this end writes.
func (s *Session) OpenUniStream(ctx context.Context) (*Stream, error) { return s.openStream(ctx, uni) }

func (s *Session) openStream(ctx context.Context, kind int) (*Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &s.streamQueues().open[kind]
	stop := stop{ctx: ctx, session: s}
	if err := g.enter(&s.mu, &stop); err != nil {
		return nil, err
	}
	defer g.leave()
	for {
		if s.err != nil {
			return nil, s.err
		}
		core, err := s.core.OpenStream(kind == uni)
		if err == nil {
			return s.wrap(core), nil
		}
		if !errors.Is(err, protocol.ErrStreamLimit) {
			return nil, newError(err)
		}
		if err := g.wait(&s.mu, &stop); err != nil {
			return nil, err
		}
	}
}

// AcceptStream waits for the next stream that the peer opens in both directions. Stream 0 is not among them.
func (s *Session) AcceptStream(ctx context.Context) (*Stream, error) {
	return s.acceptStream(ctx, bidi)
}

// AcceptUniStream waits for the next stream that the peer opens and only the peer writes.
func (s *Session) AcceptUniStream(ctx context.Context) (*Stream, error) {
	return s.acceptStream(ctx, uni)
}

func (s *Session) acceptStream(ctx context.Context, kind int) (*Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.streamQueues().accept[kind]
	stop := stop{ctx: ctx, session: s, listens: true}
	if err := q.gate.enter(&s.mu, &stop); err != nil {
		return nil, err
	}
	defer q.gate.leave()
	for {
		if s.closed {
			return nil, s.err
		}
		if len(q.streams) > 0 {
			t := q.streams[0]
			q.streams[0] = nil
			q.streams = q.streams[1:]
			return t, nil
		}
		if s.err != nil {
			return nil, s.err
		}
		if err := q.gate.wait(&s.mu, &stop); err != nil {
			return nil, err
		}
	}
}
