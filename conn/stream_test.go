package conn_test

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/protocol/sim"
)

func TestHalfCloseLeavesTheOtherDirectionOpen(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		a, b := streams(t, c, s)
		for _, ends := range [][2]interface {
			net.Conn
			CloseWrite() error
		}{{c, s}, {a, b}} {
			write(t, ends[0], "question")
			require.NoError(t, ends[0].CloseWrite())
			_, err := ends[0].Write([]byte("more"))
			require.ErrorIs(t, err, net.ErrClosed)
			got, err := io.ReadAll(ends[1])
			require.NoError(t, err)
			require.Equal(t, "question", string(got))
			write(t, ends[1], "answer")
			require.NoError(t, ends[1].CloseWrite())
			got, err = io.ReadAll(ends[0])
			require.NoError(t, err)
			require.Equal(t, "answer", string(got))
		}
	})
}

// WriteLast ends a direction after all bytes, as many as they are, and none is enough; not before all are taken.
func TestWriteLastEndsAStreamAfterAllOfIt(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		for _, size := range []int{0, 1, 10 << 20} {
			out, err := c.OpenStream(t.Context())
			require.NoError(t, err)
			var taken sync.WaitGroup
			taken.Go(func() {
				n, err := out.WriteLast(make([]byte, size))
				require.NoError(t, err)
				require.Equal(t, size, n)
			})
			in, err := s.AcceptStream(t.Context())
			require.NoError(t, err)
			got, err := io.ReadAll(in)
			require.NoError(t, err)
			require.Len(t, got, size)
			taken.Wait()
			_, err = out.WriteLast([]byte("more"))
			require.ErrorIs(t, err, net.ErrClosed)
		}
		out, in := streams(t, c, s)
		require.NoError(t, out.SetWriteDeadline(time.Now().Add(-time.Second)))
		_, err := out.WriteLast([]byte("late"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, out.SetWriteDeadline(time.Time{}))
		_, err = out.WriteLast([]byte("in time"))
		require.NoError(t, err)
		got, err := io.ReadAll(in)
		require.NoError(t, err)
		require.Equal(t, "in time", string(got))
	})
}

func TestStreamsAreIndependent(t *testing.T) {
	inBubble(t, sim.Config{Delay: 10 * time.Millisecond, Loss: 0.02}, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 50 {
				in, err := s.AcceptStream(t.Context())
				require.NoError(t, err)
				wg.Go(func() {
					_, err := io.Copy(in, in)
					require.NoError(t, err)
					require.NoError(t, in.Close())
				})
			}
		})
		for i := range 50 {
			wg.Go(func() {
				out, err := c.OpenStream(t.Context())
				require.NoError(t, err)
				data := randomBytes(1000 * (i + 1))
				wg.Go(func() {
					_, err := out.Write(data)
					require.NoError(t, err)
					require.NoError(t, out.CloseWrite())
				})
				got, err := io.ReadAll(out)
				require.NoError(t, err)
				require.Equal(t, data, got)
			})
		}
		wg.Wait()
	})
}

func TestOneWayStreamsGoOneWay(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		out, err := s.OpenUniStream(t.Context())
		require.NoError(t, err)
		write(t, out, "news")
		_, err = out.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		in, err := c.AcceptUniStream(t.Context())
		require.NoError(t, err)
		require.Equal(t, out.ID(), in.ID())
		wantRead(t, in, "news")
		_, err = in.Write([]byte("x"))
		require.ErrorIs(t, err, net.ErrClosed)
		require.NoError(t, out.Close())
		_, err = in.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	})
}

// wantStreamError asserts that err is the peer's word on one stream.
func wantStreamError(t *testing.T, err error, code uint64) {
	t.Helper()
	var e *conn.StreamError
	require.ErrorAs(t, err, &e)
	require.True(t, e.Remote)
	require.Equal(t, code, e.Code)
}

func TestResetAndCancelCarryTheirCodes(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		a, b := streams(t, c, s)
		a.Reset(11)
		_, err := a.Write([]byte("x"))
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = b.Read(make([]byte, 1))
		wantStreamError(t, err, 11)
		write(t, b, "the other direction goes on")
		wantRead(t, a, "the other direction goes on")

		a.CancelRead(12)
		_, err = a.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		time.Sleep(time.Second)
		_, err = b.Write([]byte("x"))
		wantStreamError(t, err, 12)
		require.NoError(t, c.Err(), "the session does not care")
	})
}

func TestResetAndCancelWakeThoseWhoWait(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		a, b := streams(t, c, s)
		errs := make(chan error)
		go func() { _, err := b.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := a.Read(make([]byte, 1)); errs <- err }()
		time.Sleep(time.Second)
		a.Reset(21)
		wantStreamError(t, <-errs, 21)
		a.CancelRead(22)
		require.ErrorIs(t, <-errs, net.ErrClosed)

		a, b = streams(t, c, s)
		go func() { _, err := a.Write(make([]byte, 64<<20)); errs <- err }()
		time.Sleep(time.Second)
		b.CancelRead(23)
		wantStreamError(t, <-errs, 23)

		a, _ = streams(t, c, s)
		go func() { _, err := a.Write(make([]byte, 64<<20)); errs <- err }()
		go func() { _, err := a.Read(make([]byte, 1)); errs <- err }()
		time.Sleep(time.Second)
		require.NoError(t, a.Close())
		require.ErrorIs(t, <-errs, net.ErrClosed)
		require.ErrorIs(t, <-errs, net.ErrClosed)
		require.ErrorIs(t, a.Close(), net.ErrClosed)
	})
}

func TestWriteWithADeadlineSaysWhatItTook(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		start := time.Now()
		require.NoError(t, c.SetWriteDeadline(start.Add(20*time.Second)))
		n, err := c.Write(make([]byte, 64<<20)) // nobody reads
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 20*time.Second, time.Since(start))
		require.Positive(t, n)
		require.NoError(t, c.Close())
		got, err := io.ReadAll(s)
		require.NoError(t, err)
		require.Len(t, got, n, "what was taken is delivered, no more")
	})
}

func TestWriterWaitsForAReaderAndLosesNothing(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		data := randomBytes(8 << 20)
		written := make(chan error, 2)
		go func() {
			_, err := c.Write(data)
			written <- err
			written <- c.Close()
		}()
		time.Sleep(10 * time.Second)
		require.Empty(t, written, "the window is smaller than the data")
		var got []byte
		buf := make([]byte, 100_000)
		for {
			n, err := s.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			time.Sleep(5 * time.Millisecond)
		}
		require.Equal(t, data, got)
		require.NoError(t, <-written)
		require.NoError(t, <-written)
	})
}

func TestOpenStreamWaitsForThePeersLimit(t *testing.T) {
	inBubble(t, quick, &conn.Config{MaxStreams: 2}, func(t *testing.T, w *world) {
		c, s := w.pair()
		a, b := streams(t, c, s)
		streams(t, c, s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.OpenStream(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		opened := make(chan error, 1)
		go func() {
			_, err := c.OpenStream(t.Context())
			opened <- err
		}()
		time.Sleep(time.Second)
		require.Empty(t, opened)
		require.NoError(t, a.Close())
		require.NoError(t, b.Close())
		require.NoError(t, <-opened)
	})
}

func TestAcceptStreamEndsWithItsContextAndKeepsTheStream(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.AcceptStream(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, b := streams(t, c, s)
		require.Equal(t, uint64(4), b.ID(), "the client's second one, after stream 0")
		require.Same(t, s, b.Session())
	})
}

func TestUrgentStreamOvertakesBulk(t *testing.T) {
	link := sim.Config{Delay: 10 * time.Millisecond, Rate: 10_000_000}
	inBubble(t, link, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		bulk, _ := streams(t, c, s)
		urgent, peer := streams(t, c, s)
		urgent.SetPriority(200)
		go func() { _, _ = bulk.Write(make([]byte, 4<<20)) }() // ends with the session
		time.Sleep(time.Second)
		start := time.Now()
		write(t, urgent, "now")
		wantRead(t, peer, "now")
		require.Less(t, time.Since(start), 100*time.Millisecond, "four megabytes take over three seconds")
		require.NoError(t, c.CloseWithError(0, ""))
	})
}
