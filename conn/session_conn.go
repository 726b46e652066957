package conn

import (
	"context"
	"net"
	"time"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/wire"
)

// Confirmed waits until the server has proved that it holds all keys of the session, which takes half a
// round trip more than Dial. At the server it returns at once.
func (s *Session) Confirmed(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stop := stop{ctx: ctx, session: s}
	if err := s.state.enter(&s.mu, &stop); err != nil {
		return err
	}
	defer s.state.leave()
	for !s.core.Confirmed() {
		if s.err != nil {
			return s.err
		}
		if err := s.state.wait(&s.mu, &stop); err != nil {
			return err
		}
	}
	return nil
}

// Read reads from stream 0. At the peer's end of it, or when the peer has closed the session in good order,
// it returns io.EOF after the last byte.
func (s *Session) Read(p []byte) (int, error) { return s.zero.Read(p) }

// Write writes to stream 0. It returns when the bytes are accepted for sending.
func (s *Session) Write(p []byte) (int, error) { return s.zero.Write(p) }

// CloseWrite ends the sending direction of stream 0: the peer reads io.EOF after what was written.
func (s *Session) CloseWrite() error { return s.zero.CloseWrite() }

// Close ends the session in good order. It returns at once; what was written, on all streams, is still
// delivered, as long as the peer acknowledges some of it every 5 s, and for at most 60 s. The peer reads
// what is left and then io.EOF. All calls on the session fail with net.ErrClosed from now on.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.closed = true
	if s.err == nil {
		s.end(&Error{Owner: Application, cause: net.ErrClosed})
	}
	s.core.Shutdown(s.now())
	s.flush()
	return nil
}

// CloseWithError ends the session at once and drops what was not delivered. The peer's calls fail with an
// *Error of the application that has this code (0 to 2^62-1) and reason (at most 256 bytes).
func (s *Session) CloseWithError(code uint64, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	wasClosed := s.closed
	s.closed = true
	if s.err == nil {
		s.end(newError(&protocol.ApplicationError{Code: code, Reason: reason}))
	}
	s.core.CloseWithError(s.now(), code, reason)
	s.flush()
	if wasClosed {
		return net.ErrClosed
	}
	return nil
}

// closeTransport ends the session at once for a reason that is not the application's.
func (s *Session) closeTransport(code wire.ErrorCode, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.core.CloseTransport(s.now(), code, reason)
	s.flush()
}

// Flush sends what can be sent now. Writes do so themselves; it is for programs that work in ticks. Those with many
// sessions flush them together, with Listener.Flush or Endpoint.Flush.
func (s *Session) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.flush()
	return nil
}

// Done returns a channel that is closed when the session has ended, or this end has closed it.
func (s *Session) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = true
	return s.overChan()
}

// Err returns why the session has ended, nil while it lives.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Stats returns the counters of the session and the state of its path.
func (s *Session) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.Stats()
}

// Peer returns what is known about the other end.
func (s *Session) Peer() PeerInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.core.Peer()
	return PeerInfo{
		PublicKey: p.PublicKey, PresharedKeyID: p.PSKID, Addr: p.Addr.Remote,
		AppProtocol: p.AppProtocol, ChannelBinding: p.ChannelBinding,
	}
}

// LocalAddr returns the address of this end's socket, with the IP address that the peer sends to where that is known.
func (s *Session) LocalAddr() net.Addr {
	s.mu.Lock()
	local := s.core.Peer().Addr.Local
	s.mu.Unlock()
	if local.IsValid() {
		return net.UDPAddrFromAddrPort(local)
	}
	return s.shard.sock.Addr()
}

// RemoteAddr returns the peer's current address. It can change.
func (s *Session) RemoteAddr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return net.UDPAddrFromAddrPort(s.core.Peer().Addr.Remote)
}

// SetDeadline sets both deadlines of stream 0. The zero time means none.
func (s *Session) SetDeadline(t time.Time) error { return s.zero.SetDeadline(t) }

// SetReadDeadline sets when reads of stream 0 fail with os.ErrDeadlineExceeded. The zero time means never.
func (s *Session) SetReadDeadline(t time.Time) error { return s.zero.SetReadDeadline(t) }

// SetWriteDeadline sets when writes to stream 0 fail with os.ErrDeadlineExceeded. The zero time means never.
func (s *Session) SetWriteDeadline(t time.Time) error { return s.zero.SetWriteDeadline(t) }

var (
	_ net.Conn     = (*Session)(nil)
	_ net.Conn     = (*Stream)(nil)
	_ net.Listener = (*Listener)(nil)
	_ net.Error    = (*Error)(nil)
)
