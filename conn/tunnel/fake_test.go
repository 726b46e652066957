package tunnel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
)

// errCode is the error of a stream that was reset or stopped with a code.
type errCode int

func (e errCode) Error() string { return "stream ended early" }

var errKilled = errors.New("session killed by the test")

// halfSize bounds the octets on their way in one direction of a fake stream.
const halfSize = 64 << 10

// half is one direction of a fake stream.
type half struct {
	mu      sync.Mutex
	changed chan struct{}
	data    []byte
	ended   bool  // FIN behind data
	readErr error // what the reader gets instead of data
	sendErr error // what the writer gets
}

func newHalf() *half { return &half{changed: make(chan struct{})} }

// update runs f under the lock and wakes everyone who waits.
func (h *half) update(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *half) write(p []byte) (n int, err error) {
	for {
		var wait chan struct{}
		h.update(func() {
			if err = h.sendErr; err != nil {
				return
			}
			k := min(len(p)-n, halfSize-len(h.data))
			h.data = append(h.data, p[n:n+k]...)
			n += k
		})
		if err != nil || n == len(p) {
			return n, err
		}
		h.mu.Lock()
		wait = h.changed
		full := len(h.data) == halfSize && h.sendErr == nil
		h.mu.Unlock()
		if full {
			<-wait
		}
	}
}

func (h *half) read(p []byte, deadline time.Time) (int, error) {
	for {
		h.mu.Lock()
		if h.readErr != nil {
			defer h.mu.Unlock()
			return 0, h.readErr
		}
		if len(h.data) > 0 {
			n := copy(p, h.data)
			h.data = h.data[n:]
			close(h.changed)
			h.changed = make(chan struct{})
			h.mu.Unlock()
			return n, nil
		}
		ended, wait := h.ended, h.changed
		h.mu.Unlock()
		if ended {
			return 0, io.EOF
		}
		var timeout <-chan time.Time
		if !deadline.IsZero() {
			timeout = time.After(time.Until(deadline))
		}
		select {
		case <-wait:
		case <-timeout:
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// fakeStream is one end of a stream in memory.
type fakeStream struct {
	net.Conn // nil: whatever is not overridden must not be called
	in, out  *half
	mu       sync.Mutex
	deadline time.Time
}

func newFakeStreams() (a, b *fakeStream) {
	x, y := newHalf(), newHalf()
	return &fakeStream{in: x, out: y}, &fakeStream{in: y, out: x}
}

func (s *fakeStream) Read(p []byte) (int, error) {
	s.mu.Lock()
	deadline := s.deadline
	s.mu.Unlock()
	return s.in.read(p, deadline)
}

func (s *fakeStream) Write(p []byte) (int, error) { return s.out.write(p) }

func (s *fakeStream) CloseWrite() (err error) {
	s.out.update(func() {
		if err = s.out.sendErr; err == nil {
			s.out.ended = true
		}
	})
	return err
}

func (s *fakeStream) Reset(code uint64) {
	s.out.update(func() {
		if !s.out.ended {
			s.out.readErr, s.out.sendErr = errCode(code), net.ErrClosed
		}
	})
}

func (s *fakeStream) CancelRead(code uint64) {
	s.in.update(func() {
		s.in.readErr = net.ErrClosed
		if !s.in.ended {
			s.in.sendErr = errCode(code)
		}
	})
}

func (s *fakeStream) Close() error {
	_ = s.CloseWrite()
	return nil
}

func (s *fakeStream) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	return nil
}

func (s *fakeStream) kill(err error) {
	for _, h := range []*half{s.in, s.out} {
		h.update(func() { h.readErr, h.sendErr = err, err })
	}
}

// fakeSession is one end of a session in memory.
type fakeSession struct {
	mu      sync.Mutex
	streams []*fakeStream
	accept  chan stream
	done    chan struct{}
	err     error
	peer    *fakeSession
}

func newFakeSessions() (client, server *fakeSession) {
	client = &fakeSession{accept: make(chan stream, 16), done: make(chan struct{})}
	server = &fakeSession{accept: make(chan stream, 16), done: make(chan struct{})}
	client.peer, server.peer = server, client
	return client, server
}

func (s *fakeSession) OpenStream(ctx context.Context) (stream, error) {
	if err := s.Err(); err != nil {
		return nil, err
	}
	a, b := newFakeStreams()
	s.mu.Lock()
	s.streams = append(s.streams, a)
	s.mu.Unlock()
	select {
	case s.peer.accept <- b:
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.done:
		return nil, s.Err()
	}
}

func (s *fakeSession) AcceptStream(ctx context.Context) (stream, error) {
	select {
	case t := <-s.accept:
		return t, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.done:
		return nil, s.Err()
	}
}

// Streams are what the fake carries: messages vanish.

func (s *fakeSession) SendMessage([]byte, conn.MessageOptions) error { return s.Err() }
func (s *fakeSession) ReceiveBatch([]conn.Received) int              { return 0 }
func (s *fakeSession) Flush() error                                  { return s.Err() }
func (s *fakeSession) ChannelStats(uint16) conn.ChannelStats         { return conn.ChannelStats{} }
func (s *fakeSession) Stats() conn.Stats                             { return conn.Stats{} }
func (s *fakeSession) Peer() conn.PeerInfo                           { return conn.PeerInfo{} }

func (s *fakeSession) ReceiveMessageInto(ctx context.Context, _ []byte) (conn.Message, error) {
	select {
	case <-ctx.Done():
		return conn.Message{}, ctx.Err()
	case <-s.done:
		return conn.Message{}, s.Err()
	}
}

// CloseWithError ends both ends at once.
func (s *fakeSession) CloseWithError(code uint64, reason string) error {
	s.end(net.ErrClosed)
	s.peer.end(errors.New("closed by the peer: " + reason))
	return nil
}

// kill ends both ends as if the network had.
func (s *fakeSession) kill() {
	s.end(errKilled)
	s.peer.end(errKilled)
}

func (s *fakeSession) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	close(s.done)
	for _, t := range s.streams {
		t.kill(err)
	}
}

func (s *fakeSession) Done() <-chan struct{} { return s.done }

func (s *fakeSession) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// tcpPair is two ends of a TCP connection on loopback.
func tcpPair(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	accepted, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	limit := time.Now().Add(20 * time.Second) // a test that hangs fails instead
	require.NoError(t, dialled.SetDeadline(limit))
	require.NoError(t, accepted.SetDeadline(limit))
	return dialled.(*net.TCPConn), accepted.(*net.TCPConn)
}

// logBuffer collects log lines of several goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
