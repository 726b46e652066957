package tunnel

import (
	"context"
	"io"
	"net"

	"github.com/godwit-net/godwit/conn"
)

// Codes of CLOSE_APP on a tunnel session.
const (
	closeDone          = 0
	closeNotAuthorized = 1
	closeProtocol      = 2 // a message that the peer cannot have meant
)

// Codes of RESET_STREAM and STOP_SENDING on the streams of a tunnel.
const (
	streamReset       = 1 // the TCP connection was reset, or failed in another way
	streamRefused     = 2 // the request was refused; the reply says why
	streamBadPreamble = 3 // the preamble did not come in time or made no sense
)

// session is what a tunnel needs of a *conn.Session. It is an interface so that reconnecting is
// tested in virtual time, without packets.
type session interface {
	OpenStream(ctx context.Context) (stream, error)
	AcceptStream(ctx context.Context) (stream, error)
	SendMessage(p []byte, o conn.MessageOptions) error
	ReceiveMessageInto(ctx context.Context, buf []byte) (conn.Message, error)
	ReceiveBatch(buf []conn.Received) int
	Flush() error
	Stats() conn.Stats
	ChannelStats(channel uint16) conn.ChannelStats
	Peer() conn.PeerInfo
	CloseWithError(code uint64, reason string) error
	Done() <-chan struct{} // closed when the session has ended
	Err() error            // why it ended
}

// stream is what a tunnel needs of a *conn.Stream.
type stream interface {
	net.Conn
	CloseWrite() error
	Reset(code uint64)
	CancelRead(code uint64)
}

// tcpConn is what a tunnel needs of a *net.TCPConn.
type tcpConn interface {
	net.Conn
	CloseWrite() error
	SetLinger(seconds int) error
}

// connSession makes a session of a *conn.Session: the streams get their interface type.
type connSession struct{ *conn.Session }

func (s connSession) OpenStream(ctx context.Context) (stream, error) {
	t, err := s.Session.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	return connStream{t}, nil
}

func (s connSession) AcceptStream(ctx context.Context) (stream, error) {
	t, err := s.Session.AcceptStream(ctx)
	if err != nil {
		return nil, err
	}
	return connStream{t}, nil
}

// connStream makes a stream of a *conn.Stream.
type connStream struct{ *conn.Stream }

// Read returns io.EOF at the peer's FIN and nowhere else. A session that the peer ends in good order gives io.EOF on
// streams that it cut off, too (SESS-18), which must not look like the end of a file.
func (t connStream) Read(p []byte) (n int, err error) {
	n, err = t.Stream.Read(p)
	if err == io.EOF && t.Session().Err() != nil { // spec: TUN-15
		err = t.Session().Err()
	}
	return n, err
}
