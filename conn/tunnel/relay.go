package tunnel

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
)

// Sizes of copy buffers. A quiet connection holds the small one; one that fills it gets the large
// one, which makes a system call worth its price. Both directions together stay below the 256 KiB
// of TUN-16.
const (
	smallBuffer = 4 << 10
	largeBuffer = 64 << 10
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

// relay joins one TCP connection and one stream until both directions have ended, or until either
// one fails, which resets both.
type relay struct {
	tcp    tcpConn
	stream stream

	abortOnce sync.Once
	aborted   atomic.Bool
	// answered is closed when it is decided whether the connection stands: at once at a server, on
	// the reply at a client. Until then a stream that takes no more data may only mean that the
	// refusal is on its way, and must not be aborted before it was read.
	answered chan struct{}

	fromTCP, fromStream tally // octets carried
}

// tally counts for one connection and for all of its kind.
type tally struct {
	atomic.Int64
	all *atomic.Int64
}

func (t *tally) add(n int) {
	t.Add(int64(n))
	t.all.Add(int64(n))
}

// newRelay counts what it carries in all, too.
func newRelay(tcp tcpConn, s stream, all *counters) *relay {
	return &relay{
		tcp: tcp, stream: s, answered: make(chan struct{}),
		fromTCP: tally{all: &all.sent}, fromStream: tally{all: &all.received},
	}
}

// run carries both directions to their end. A ctx that ends resets the connection.
func (r *relay) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, r.abort)
	defer stop()
	close(r.answered)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.up()
	}()
	r.down()
	<-done
	r.finish()
}

// up carries the TCP connection into the stream until the FIN of TCP.
func (r *relay) up() {
	readErr, writeErr := transfer(r.stream, r.tcp, &r.fromTCP)
	switch {
	case writeErr != nil:
		<-r.answered
		r.abort()
	case readErr != io.EOF:
		r.abort() // spec: TUN-15
	case r.stream.CloseWrite() != nil: // spec: TUN-14
		<-r.answered
		r.abort()
	}
}

// down carries the stream into the TCP connection until the end of the stream. Only io.EOF itself is that end (see
// connStream): the error of a session that the peer closed in good order matches io.EOF too, and cuts streams off all
// the same.
func (r *relay) down() {
	readErr, writeErr := transfer(r.tcp, r.stream, &r.fromStream)
	if writeErr != nil || readErr != io.EOF || r.tcp.CloseWrite() != nil { // spec: TUN-14
		r.abort() // spec: TUN-15
	}
}

// abort resets both sides. What was on its way is lost, and nobody takes it for an ordinary end.
func (r *relay) abort() {
	r.abortOnce.Do(func() {
		r.aborted.Store(true)
		resetTCP(r.tcp) // spec: TUN-15
		r.stream.Reset(streamReset)
		r.stream.CancelRead(streamReset)
	})
}

// finish frees both sides after both directions have ended.
func (r *relay) finish() {
	_ = r.tcp.Close()
	_ = r.stream.Close()
}

// resetTCP ends a TCP connection with RST.
func resetTCP(c tcpConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// transfer copies src to dst until one of them fails; the end of src is readErr io.EOF.
// It holds one buffer, and reads no more than it has written. spec: TUN-16
func transfer(dst io.Writer, src io.Reader, count *tally) (readErr, writeErr error) {
	for large := false; ; {
		large, readErr, writeErr = transferRun(dst, src, count, large)
		if readErr != nil || writeErr != nil {
			return readErr, writeErr
		}
	}
}

// transferRun copies with one size of buffer until an error, or until the other size fits better.
func transferRun(dst io.Writer, src io.Reader, count *tally, large bool) (nextLarge bool, readErr, writeErr error) {
	var buf []byte
	if large {
		b := largeBuffers.Get().(*[largeBuffer]byte)
		defer largeBuffers.Put(b)
		buf = b[:]
	} else {
		b := smallBuffers.Get().(*[smallBuffer]byte)
		defer smallBuffers.Put(b)
		buf = b[:]
	}
	for nextLarge = large; nextLarge == large; {
		n, err := src.Read(buf)
		if n > 0 {
			if _, writeErr = dst.Write(buf[:n]); writeErr != nil {
				return large, nil, writeErr
			}
			count.add(n)
			nextLarge = n == len(buf) || large && n > smallBuffer
		}
		if err != nil {
			return large, err, nil
		}
	}
	return nextLarge, nil, nil
}
