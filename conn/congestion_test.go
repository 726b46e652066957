package conn_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/protocol/congestion"
)

// A session sends by the controller that its Config names, and marks packets as that controller answers
// marks, from the core through the control messages of the socket and back in the peer's counts.
func TestSessionsMarkPacketsAsTheirControllerAnswers(t *testing.T) {
	for _, c := range []struct {
		name       string
		controller func(congestion.Config) congestion.Controller
		marks      bool
	}{
		{"the default", nil, true},
		{"prague", func(c congestion.Config) congestion.Controller { return congestion.NewPrague(c) }, true},
		{"fixed", func(c congestion.Config) congestion.Controller { return congestion.NewFixed(c, 50_000_000) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := conn.Listen("127.0.0.1:0", nil)
			require.NoError(t, err)
			defer l.Close()
			go serveEcho(l)
			s, err := conn.Dial(t.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey(), CongestionControl: c.controller})
			require.NoError(t, err)
			data := bytes.Repeat([]byte("marked or not "), 20_000)
			go func() {
				_, _ = s.Write(data) // the reader sees what is missing
				_ = s.CloseWrite()
			}()
			got, err := io.ReadAll(s)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
			require.Equal(t, c.marks && l.Stats().Granted.ECN, s.Stats().ECN)
			require.NoError(t, s.Close())
		})
	}
}
