package conn

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn/udp"
	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/monotime"
)

// stretch is so many bytes of a stream, to be sent in datagrams of a size that carry nothing else.
type stretch struct {
	left, size int
	calls      int // of AppendDatagram
}

func (s *stretch) AppendDatagram(_ monotime.Time, b []byte) ([]byte, protocol.Meta, bool) {
	n := min(s.left, s.size)
	s.left -= n
	s.calls++
	meta := protocol.Meta{Addr: protocol.AddrPair{Remote: netip.MustParseAddrPort("192.0.2.1:1")}}
	return append(b, make([]byte, n)...), meta, n > 0
}

func (s *stretch) AppendMore(_ monotime.Time, b []byte, _ protocol.Meta, size, most int) ([]byte, int) {
	n := min(most, s.left/s.size, (cap(b)-len(b))/size)
	s.left -= n * s.size
	return append(b, make([]byte, n*size)...), n
}

func (s *stretch) EndsWithin(n int) bool { return s.left > 0 && s.left <= n }

func TestABatchIsAsManyWholeWritesOrAllThatIsLeft(t *testing.T) {
	for _, size := range []int{1200, 1452, 9000, 30_000, 65_507} {
		whole := batchRuns * udp.RunLength(size)
		for _, test := range []struct{ bytes, datagrams int }{
			{size / 2, 1},
			{size * (whole - 1), whole - 1},
			{size*whole + 1, whole + 1},
			{size*whole + maxTail, whole + (maxTail+size-1)/size},
			{size*whole + maxTail + size, whole},
			{size * whole * 10, whole},
		} {
			b := newBatch()
			src := &stretch{left: test.bytes, size: size}
			require.True(t, b.fill(0, src) || src.left == 0, "%d bytes in datagrams of %d", test.bytes, size)
			require.Len(t, b.msgs, test.datagrams, "%d bytes in datagrams of %d", test.bytes, size)
			require.LessOrEqual(t, len(b.buf), batchBytes-udp.MaxDatagram, "the last datagram may be of any size")
			require.LessOrEqual(t, src.calls, 4, "most are made in one go")
			at := 0
			for _, m := range b.msgs {
				require.Same(t, &b.buf[at], &m.Data[0], "back to back")
				at += len(m.Data)
			}
			require.Equal(t, at, len(b.buf))
			require.Equal(t, test.bytes, at+src.left, "nothing is lost")
			b.free()
		}
	}
}
