//go:build !race

package protocol // not with the race detector: it has pools forget

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Of 10,000 sessions one is kept alive every millisecond and a half. What that took of the heap would be garbage until
// the next collection.
func TestKeepAlivesNeedNoMemory(t *testing.T) {
	p := connected(t)
	p.say("hello")
	p.answer("hello to you")
	p.run(2*restAfter, func() bool { return p.ss.Resting() && p.cs.Resting() })
	from := map[*Session]AddrPair{p.cs: {Remote: p.serverAddr}, p.ss: {Remote: p.clientAddr}}
	buf := make([]byte, 0, 2*MinDatagram)
	send := func(by, to *Session) {
		datagram, _, ok := by.AppendDatagram(p.now, buf)
		require.True(t, ok)
		d := Datagram{Data: datagram, Addr: from[to]}
		_, _, ok = by.AppendDatagram(p.now, datagram[len(datagram):])
		require.False(t, ok)
		to.Receive(p.now, &d)
	}
	for _, by := range []*Session{p.cs, p.ss} {
		to := p.cs
		if by == p.cs {
			to = p.ss
		}
		allocations := testing.AllocsPerRun(20, func() {
			p.now = p.now.Add(dozeFor / 2)
			by.HandleTimeout(p.now)
			to.HandleTimeout(p.now)
			by.idle.pingDue = true
			send(by, to)
			p.now = p.now.Add(10 * time.Millisecond)
			send(to, by)
		})
		require.False(t, by.idle.asked, "the ping is acknowledged")
		require.True(t, by.Resting() && to.Resting())
		require.Zero(t, allocations)
	}
}
