package tunnel

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// relayed is a relay under test between an application's TCP connection and the far end of a stream.
type relayed struct {
	app interface {
		io.ReadWriter
		CloseWrite() error
		SetLinger(int) error
		Close() error
	}
	far   *fakeStream
	near  *fakeStream
	relay *relay
	done  chan struct{}
}

func startRelay(t *testing.T, ctx context.Context) *relayed {
	app, inside := tcpPair(t)
	near, far := newFakeStreams()
	r := &relayed{app: app, far: far, near: near, relay: newRelay(inside, near, new(counters)), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.relay.run(ctx)
	}()
	return r
}

func (r *relayed) wait(t *testing.T) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(10 * time.Second):
		require.Fail(t, "the relay did not end")
	}
}

func TestHalfCloseIsCarriedFromTCP(t *testing.T) {
	// spec: TUN-14
	r := startRelay(t, t.Context())
	_, err := r.app.Write([]byte("question"))
	require.NoError(t, err)
	require.NoError(t, r.app.CloseWrite())
	got, err := io.ReadAll(r.far)
	require.NoError(t, err)
	require.Equal(t, "question", string(got))

	_, err = r.far.Write([]byte("answer"))
	require.NoError(t, err, "the other direction goes on")
	require.NoError(t, r.far.CloseWrite())
	got, err = io.ReadAll(r.app)
	require.NoError(t, err)
	require.Equal(t, "answer", string(got))
	r.wait(t)
	require.False(t, r.relay.aborted.Load())
}

func TestHalfCloseIsCarriedFromTheStream(t *testing.T) {
	// spec: TUN-14
	r := startRelay(t, t.Context())
	_, err := r.far.Write([]byte("question"))
	require.NoError(t, err)
	require.NoError(t, r.far.CloseWrite())
	got, err := io.ReadAll(r.app)
	require.NoError(t, err)
	require.Equal(t, "question", string(got))

	_, err = r.app.Write([]byte("answer"))
	require.NoError(t, err, "the other direction goes on")
	require.NoError(t, r.app.Close())
	got, err = io.ReadAll(r.far)
	require.NoError(t, err)
	require.Equal(t, "answer", string(got))
	r.wait(t)
}

func TestATCPResetBecomesAStreamReset(t *testing.T) {
	// spec: TUN-15
	r := startRelay(t, t.Context())
	require.NoError(t, r.app.SetLinger(0))
	require.NoError(t, r.app.Close())
	_, err := r.far.Read(make([]byte, 1))
	require.Equal(t, errCode(streamReset), err)
	r.wait(t)
	_, err = r.far.Write([]byte("x"))
	require.Equal(t, errCode(streamReset), err, "the sender is asked to stop too")
}

func TestAStreamResetBecomesATCPReset(t *testing.T) {
	// spec: TUN-15
	r := startRelay(t, t.Context())
	r.far.Reset(streamReset)
	_, err := r.app.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	r.wait(t)
}

func TestAStoppedStreamBecomesATCPReset(t *testing.T) {
	// spec: TUN-15
	r := startRelay(t, t.Context())
	r.far.CancelRead(streamReset)
	_, _ = r.app.Write([]byte("x"))
	_, err := r.app.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	r.wait(t)
}

func TestALostSessionBecomesATCPReset(t *testing.T) {
	// spec: TUN-15
	r := startRelay(t, t.Context())
	_, err := r.far.Write([]byte("half of a file"))
	require.NoError(t, err)
	_, err = io.ReadFull(r.app, make([]byte, len("half of a file")))
	require.NoError(t, err)
	r.near.kill(fmt.Errorf("closed by the peer in good order: %w", io.EOF))
	_, err = r.app.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET, "a file that was cut off never looks complete")
	r.wait(t)
}

func TestTheEndOfTheTunnelResetsBothSides(t *testing.T) {
	// spec: TUN-15
	ctx, cancel := context.WithCancel(t.Context())
	r := startRelay(t, ctx)
	cancel()
	r.wait(t)
	_, err := r.app.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	_, err = r.far.Read(make([]byte, 1))
	require.Equal(t, errCode(streamReset), err)
}

func TestMuchDataArrivesWhole(t *testing.T) {
	r := startRelay(t, t.Context())
	up, down := bytes.Repeat([]byte("abcdefg"), 500_000), bytes.Repeat([]byte("0123456789x"), 300_000)
	var all sync.WaitGroup
	all.Go(func() { _, _ = r.app.Write(up); _ = r.app.CloseWrite() })
	all.Go(func() { _, _ = r.far.Write(down); _ = r.far.CloseWrite() })
	all.Go(func() {
		got, _ := io.ReadAll(r.far)
		require.True(t, bytes.Equal(up, got))
	})
	got, err := io.ReadAll(r.app)
	require.NoError(t, err)
	require.True(t, bytes.Equal(down, got))
	all.Wait()
	r.wait(t)
	require.EqualValues(t, len(up), r.relay.fromTCP.Load())
	require.EqualValues(t, len(down), r.relay.fromStream.Load())
}

func TestASlowReaderHoldsTheWriterBack(t *testing.T) {
	// spec: TUN-16
	ctx, cancel := context.WithCancel(t.Context())
	r := startRelay(t, ctx)
	taken := make(chan int, 1)
	go func() {
		n, _ := r.far.Write(make([]byte, 64<<20)) // nobody reads the TCP side
		taken <- n
	}()
	time.Sleep(300 * time.Millisecond)
	held := r.relay.fromStream.Load()
	require.Less(t, held, int64(32<<20), "only what the kernel buffers was taken")
	select {
	case <-taken:
		require.Fail(t, "the writer was not held back")
	default:
	}
	cancel()
	r.wait(t)
	<-taken
	require.LessOrEqual(t, 2*(smallBuffer+largeBuffer), 256<<10, "the promise of the spec")
}

func TestCopyingAllocatesNothing(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 1<<20)
	r := newRelay(nil, nil, new(counters))
	sink := writerOnly{io.Discard}
	require.Less(t, testing.AllocsPerRun(20, func() {
		_, _ = transfer(sink, &chunks{data: data}, &r.fromTCP)
	}), 4.0, "a megabyte costs no more than its reader")
}

// writerOnly hides ReadFrom.
type writerOnly struct{ io.Writer }

// chunks reads in pieces of many sizes, so that both buffers are used.
type chunks struct {
	data []byte
	i    int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	c.i++
	n := min(len(p), len(c.data), 1+c.i*977%(100<<10))
	copy(p, c.data[:n])
	c.data = c.data[n:]
	return n, nil
}
