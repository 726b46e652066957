package conn

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/godwit-net/godwit/protocol"
)

// Stream is an ordered sequence of bytes within a session, in both directions or in one. It is a net.Conn
// with a half-close. All methods may be called by several goroutines at once; two concurrent writes do not mix.
type Stream struct {
	session *Session
	core    *protocol.Stream // what follows is guarded by the session's lock

	reading, writing            gate
	readDeadline, writeDeadline deadline
	closed                      bool   // by Close
	wave                        uint32 // the wave in which its reader was woken, if that has not run
}

// ID returns the stream's number, the same at both ends.
func (t *Stream) ID() uint64 { return t.core.ID() }

// Session returns the session that the stream belongs to.
func (t *Stream) Session() *Session { return t.session }

// Read waits for data and reads what is there. It returns io.EOF after the last byte, a *StreamError when
// the peer reset the stream, os.ErrDeadlineExceeded when the read deadline has passed, and the session's
// error when that has ended and everything that had arrived is read. Where the peer answers what is written within about
// the time that a wake-up takes, a Read that waits keeps a processor busy for up to 0.1 ms before it sleeps.
func (t *Stream) Read(p []byte) (int, error) {
	s := t.session
	s.mu.Lock()
	defer s.mu.Unlock()
	stop := stop{deadline: &t.readDeadline, session: s, listens: true}
	if err := t.reading.enter(&s.mu, &stop); err != nil {
		return 0, err
	}
	defer t.reading.leave()
	for {
		s.wave.leave(t)
		if err := t.usable(&stop); err != nil {
			return 0, err
		}
		n, err := t.core.Read(p)
		if n > 0 {
			s.flushCredit()
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, t.readError(err)
		}
		if s.core.OwesAck() {
			s.flushWave() // nothing that was said since has taken it along
		}
		t.core.Lend(p)
		err = t.reading.wait(&s.mu, &stop)
		s.wave.leave(t)
		if n := t.core.Reclaim(); n > 0 {
			s.flushCredit()
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// Write accepts all of p for sending, and waits while the send buffer is full. What a failed Write says to
// have taken is delivered as long as the session lives. It returns a *StreamError when the peer wants no
// more, os.ErrDeadlineExceeded when the write deadline has passed, and the session's error when that has ended.
// Where one batch of datagrams has woken the readers of several streams, the first Write lets the others run before it
// sends, for about a millisecond at most, so that what they write leaves together.
func (t *Stream) Write(p []byte) (n int, err error) { return t.write(p, false) }

// WriteLast is Write and then CloseWrite, in one: the end travels with the last bytes, where CloseWrite alone takes a
// datagram of its own. After an error the direction is as open as it was.
func (t *Stream) WriteLast(p []byte) (n int, err error) { return t.write(p, true) }

func (t *Stream) write(p []byte, last bool) (n int, err error) {
	s := t.session
	s.mu.Lock()
	defer s.mu.Unlock()
	stop := stop{deadline: &t.writeDeadline, session: s}
	if err := t.writing.enter(&s.mu, &stop); err != nil {
		return 0, err
	}
	defer t.writing.leave()
	for {
		if err := t.usable(&stop); err != nil {
			return n, err
		}
		s.tellMemory()
		k, err := t.core.Write(p[n:])
		n += k
		ends := last && err == nil && n == len(p)
		if ends {
			t.core.CloseWrite()
		}
		if k > 0 || ends {
			s.dialogue.said = true
			s.flushWave()
		} else {
			s.account()
			s.arm() // it may wait for memory
		}
		if err != nil || n == len(p) {
			return n, t.writeError(err)
		}
		if err := t.writing.wait(&s.mu, &stop); err != nil {
			return n, err
		}
	}
}

// usable returns why a call fails before it starts.
func (t *Stream) usable(stop *stop) error {
	if t.session.closed {
		return t.session.err
	}
	if t.closed {
		return net.ErrClosed
	}
	return stop.err()
}

// readError turns an error of the core's into the one that the application gets.
func (t *Stream) readError(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if errors.Is(err, protocol.ErrReadCanceled) {
		return errReadClosed
	}
	return t.otherError(err)
}

func (t *Stream) writeError(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, protocol.ErrWriteClosed) {
		return errWriteClosed
	}
	return t.otherError(err)
}

// otherError returns the peer's word on this stream as it is, and for everything else the session's kept error.
func (t *Stream) otherError(err error) error {
	var stream *StreamError
	if t.session.err == nil || errors.As(err, &stream) {
		return err
	}
	return t.session.err
}

// CloseWrite ends the sending direction: the peer reads io.EOF after what was written. Reading goes on.
func (t *Stream) CloseWrite() error {
	s := t.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.closed {
		return net.ErrClosed
	}
	if s.err != nil {
		return s.err
	}
	t.core.CloseWrite()
	t.writing.open()
	s.flushWave()
	return nil
}

// Close ends both directions: what was written is still delivered, then the peer reads io.EOF; what the
// peer still sends is dropped and its writes fail with a *StreamError of code 0.
func (t *Stream) Close() error {
	s := t.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.closed {
		return net.ErrClosed
	}
	t.closed = true
	t.stopTimers()
	t.core.CloseWrite()
	t.core.CancelRead(0)
	t.reading.open()
	t.writing.open()
	s.flushNews()
	return nil
}

// Reset ends the sending direction at once: what has not arrived may never do, and the peer's reads fail
// with a *StreamError of this code (0 to 2^62-1). Reading goes on.
func (t *Stream) Reset(code uint64) {
	s := t.session
	s.mu.Lock()
	defer s.mu.Unlock()
	t.core.Reset(code)
	t.writing.open()
	s.flush()
}

// CancelRead ends the receiving direction: reads fail, and the peer's writes fail with a *StreamError of
// this code (0 to 2^62-1). Writing goes on.
func (t *Stream) CancelRead(code uint64) {
	s := t.session
	s.mu.Lock()
	defer s.mu.Unlock()
	t.core.CancelRead(code)
	t.reading.open()
	s.flush()
}

// SetPriority says how soon the stream's data leaves, compared with other streams: higher first; the
// default is 64. From 128 on it may exceed the congestion window by a little and is acknowledged at once:
// that is for small amounts of urgent data.
func (t *Stream) SetPriority(p uint8) {
	t.session.mu.Lock()
	defer t.session.mu.Unlock()
	t.core.SetPriority(p)
}

// SetWeight sets the stream's share among streams of the same priority that all have data. 0 means the
// default, 16.
func (t *Stream) SetWeight(w uint16) {
	t.session.mu.Lock()
	defer t.session.mu.Unlock()
	t.core.SetWeight(w)
}

// LocalAddr returns the session's local address.
func (t *Stream) LocalAddr() net.Addr { return t.session.LocalAddr() }

// RemoteAddr returns the peer's current address.
func (t *Stream) RemoteAddr() net.Addr { return t.session.RemoteAddr() }

// SetDeadline sets both deadlines. The zero time means none.
func (t *Stream) SetDeadline(at time.Time) error {
	return t.setDeadlines(at, &t.readDeadline, &t.writeDeadline)
}

// SetReadDeadline sets when reads fail with os.ErrDeadlineExceeded, those that wait included. The zero time
// means never.
func (t *Stream) SetReadDeadline(at time.Time) error { return t.setDeadlines(at, &t.readDeadline) }

// SetWriteDeadline sets when writes fail with os.ErrDeadlineExceeded, those that wait included. The zero
// time means never.
func (t *Stream) SetWriteDeadline(at time.Time) error { return t.setDeadlines(at, &t.writeDeadline) }

func (t *Stream) setDeadlines(at time.Time, which ...*deadline) error {
	s := t.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.closed || s.closed {
		return net.ErrClosed
	}
	for _, d := range which {
		d.to(at, &s.mu)
	}
	return nil
}

func (t *Stream) stopTimers() {
	t.readDeadline.stop(&t.session.mu)
	t.writeDeadline.stop(&t.session.mu)
}
