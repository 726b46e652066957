package conn_test

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
)

func benchPair(b *testing.B) (c, s *conn.Session) {
	b.Helper()
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(b, err)
	c, err = conn.Dial(context.Background(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	require.NoError(b, err)
	s, err = l.AcceptSession(context.Background())
	require.NoError(b, err)
	b.Cleanup(func() {
		_ = c.CloseWithError(0, "") // the benchmark is over
		_ = l.Close()
	})
	return c, s
}

func BenchmarkBulk(b *testing.B) {
	c, s := benchPair(b)
	go func() { _, _ = io.Copy(io.Discard, s) }()
	buf := make([]byte, 256<<10)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		_, err := c.Write(buf)
		require.NoError(b, err)
	}
}

func BenchmarkPingPong(b *testing.B) {
	c, s := benchPair(b)
	go func() { _, _ = io.Copy(s, s) }()
	buf := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		_, err := c.Write(buf)
		require.NoError(b, err)
		_, err = io.ReadFull(c, buf)
		require.NoError(b, err)
	}
}

func BenchmarkDial(b *testing.B) {
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(b, err)
	defer l.Close()
	config := &conn.Config{PeerKey: l.PublicKey()}
	for b.Loop() {
		c, err := conn.Dial(context.Background(), l.Addr().String(), config)
		require.NoError(b, err)
		s, err := l.AcceptSession(context.Background())
		require.NoError(b, err)
		_ = c.CloseWithError(0, "") // only the opening is measured
		_ = s.CloseWithError(0, "")
	}
}
