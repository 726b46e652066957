package main

import (
	"context"
	"net"
	"net/http"

	"github.com/godwit-net/godwit/conn"
)

// newTransport returns a transport whose connections are streams of a session. The host in URLs only names
// what the server should answer as: where requests go is the session's affair.
func newTransport(session *conn.Session) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return session.OpenStream(ctx) },
		// Streams are cheap. Those that are kept take part in the next requests without being opened.
		MaxIdleConnsPerHost: 100,
		DisableCompression:  true,
	}
}

// streamListener is a net.Listener whose connections are the streams of all sessions of a listener.
type streamListener struct {
	*conn.Listener
	streams chan net.Conn
	ctx     context.Context // done when the listener is closed
	cancel  context.CancelFunc
}

func newStreamListener(l *conn.Listener) *streamListener {
	s := &streamListener{Listener: l, streams: make(chan net.Conn)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go s.acceptSessions()
	return s
}

// Accept returns the next stream.
func (s *streamListener) Accept() (net.Conn, error) {
	select {
	case stream := <-s.streams:
		return stream, nil
	case <-s.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close ends the listener and its sessions: http.Server has closed the streams, or wants them closed.
func (s *streamListener) Close() error {
	s.cancel()
	return s.Listener.Close()
}

func (s *streamListener) acceptSessions() {
	for {
		session, err := s.AcceptSession(s.ctx)
		if err != nil {
			s.cancel()
			return
		}
		go s.acceptStreams(session)
	}
}

func (s *streamListener) acceptStreams(session *conn.Session) {
	defer session.Close()
	for {
		stream, err := session.AcceptStream(s.ctx)
		if err != nil {
			return // the session or the listener is over
		}
		select {
		case s.streams <- stream:
		case <-s.ctx.Done():
			return
		}
	}
}
