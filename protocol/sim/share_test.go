package sim

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSocketsThatShareALinkWaitForEachOther(t *testing.T) {
	w, a, b := newTestWorld(t, 1, "rate=8mbit,delay=1ms")
	c := collect(t, w, netip.MustParseAddrPort("192.0.2.3:1000"))
	d := collect(t, w, netip.MustParseAddrPort("192.0.2.4:4433"))
	require.Error(t, w.Share(c.Addr(), d.Addr(), a.Addr(), d.Addr()), "nothing to share")
	require.NoError(t, w.Share(c.Addr(), d.Addr(), a.Addr(), b.Addr()))
	link := w.Link(a.Addr(), b.Addr())
	require.Zero(t, link.Backlog(w.Now()))

	a.Send(b.Addr(), 0, make([]byte, 972)) // a millisecond on the wire
	require.Equal(t, time.Millisecond, link.Backlog(w.Now()))
	c.Send(d.Addr(), 0, make([]byte, 972))
	require.Equal(t, 2*time.Millisecond, link.Backlog(w.Now()))
	w.Run(w.Now().Add(time.Second))
	require.Equal(t, worldStart.Add(2*time.Millisecond), b.times[0])
	require.Equal(t, worldStart.Add(3*time.Millisecond), d.times[0], "it waited for the other's datagram")
	require.Zero(t, link.Backlog(w.Now()))
}

func TestSocketsThatShareALinkMayHaveLongerLines(t *testing.T) {
	w, a, b := newTestWorld(t, 1, "rate=8mbit,delay=1ms")
	a.Delay = 5 * time.Millisecond
	a.Send(b.Addr(), 0, make([]byte, 972)) // a millisecond on the wire
	require.Equal(t, time.Millisecond, w.Link(a.Addr(), b.Addr()).Backlog(w.Now()), "the line comes after the queue")
	w.Run(w.Now().Add(time.Second))
	require.Equal(t, worldStart.Add(7*time.Millisecond), b.times[0])
}
