package conn_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
)

func TestListenAndDialAreACompleteProgram(t *testing.T) {
	l, err := conn.Listen("127.0.0.1:0", nil)
	require.NoError(t, err)
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := conn.Dial(ctx, l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	require.NoError(t, err)
	_, err = c.Write([]byte("hello"))
	require.NoError(t, err)
	s, err := l.AcceptSession(ctx)
	require.NoError(t, err)
	require.NoError(t, c.CloseWrite())
	got, err := io.ReadAll(s)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	_, err = s.Write([]byte("goodbye"))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	got, err = io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "goodbye", string(got))
	require.NoError(t, c.Close())
}
