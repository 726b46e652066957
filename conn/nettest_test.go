package conn_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/protocol/sim"
)

// links that the conformance tests run over. Their delay is short, since those tests measure real time.
var conformanceLinks = map[string]sim.Config{
	"clean":  {Delay: 500 * time.Microsecond},
	"loss10": {Delay: 500 * time.Microsecond, Loss: 0.10},
}

func TestSessionIsANetConn(t *testing.T) {
	t.Run("sockets", func(t *testing.T) {
		nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
			l, err := conn.Listen("127.0.0.1:0", nil)
			if err != nil {
				return nil, nil, nil, err
			}
			c, err := conn.Dial(t.Context(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
			if err != nil {
				return nil, nil, nil, err
			}
			s, err := l.Accept()
			return c, s, func() { _, _, _ = c.Close(), s.Close(), l.Close() }, err
		})
	})
	for name, link := range conformanceLinks {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				w := newWorld(t, link, nil)
				c, s := w.pair()
				return c, s, func() { _, _ = c.Close(), s.Close() }, nil
			})
		})
	}
}

func TestStreamIsANetConn(t *testing.T) {
	for name, link := range conformanceLinks {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, link, nil)
			c, s := w.pair()
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				a, b := streams(t, c, s)
				return a, b, func() { _, _ = a.Close(), b.Close() }, nil
			})
			require.NoError(t, c.Err(), "the session outlives its streams")
		})
	}
}
