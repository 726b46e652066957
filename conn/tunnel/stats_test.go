package tunnel

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBothEndsCountWhatTheyCarry(t *testing.T) {
	e, at := startReverse(t, echoServer(t))
	service := echoServer(t)
	require.NoError(t, e.reconfigure(func(c *ClientConfig) {
		c.Forwards = append(forwardTo(service), forwardTo(target(t, "tcp://192.0.2.7:22"))...)
	}))
	echo(t, e.connect(0), "0123456789")
	(&fakeTunnel{t: t, client: e.client}).wantReset(1)
	echo(t, dialTCP(t, at), "abc")
	e.wantServed(0)
	require.Eventually(t, func() bool {
		forwards := e.client.Stats().Forwards
		for _, s := range e.running.Stats().Sessions {
			forwards = append(append(forwards, s.Targets), s.Reverse...)
		}
		return !slices.ContainsFunc(forwards, func(f ForwardStats) bool { return f.Open != 0 })
	}, 20*time.Second, time.Millisecond)

	c := e.client.Stats()
	require.EqualValues(t, 1, c.Sessions)
	require.Equal(t, e.running.Addr().String(), c.Session.Remote.String())
	require.NotZero(t, c.Session.Session.PacketsSent)
	carried := func(f ForwardStats) [5]int64 { return [5]int64{f.Open, f.Total, f.Refused, f.Sent, f.Received} }
	require.Equal(t, [5]int64{0, 1, 0, 10, 10}, carried(c.Forwards[0]))
	require.Equal(t, [5]int64{0, 0, 1, 0, 0}, carried(c.Forwards[1]))
	require.Equal(t, [5]int64{0, 1, 0, 3, 3}, carried(c.Forwards[2]))
	require.Equal(t, e.client.config.Load().Forwards[0].String(), c.Forwards[0].Forward)

	s := e.running.Stats()
	require.Len(t, s.Sessions, 1)
	require.Equal(t, "laptop", s.Sessions[0].Client)
	require.Equal(t, e.clientKey.Public(), s.Sessions[0].Key)
	require.EqualValues(t, 1, s.Sessions[0].Number)
	require.Equal(t, [5]int64{0, 1, 1, 10, 10}, carried(s.Sessions[0].Targets))
	require.Equal(t, [5]int64{0, 1, 0, 3, 3}, carried(s.Sessions[0].Reverse[0]))
	require.Equal(t, "tcp://"+at, s.Sessions[0].Reverse[0].Forward)
	require.NotZero(t, s.Endpoint.Accepted)
	require.WithinDuration(t, time.Now(), s.Began, time.Minute)

	e.stop()
	e.wantLog(e.clientLog, "session lost")
	require.Eventually(t, func() bool { return e.client.Stats().Session == nil }, 20*time.Second, time.Millisecond)
	require.Empty(t, e.running.Stats().Sessions)
}
