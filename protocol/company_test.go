package protocol_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/wire"
)

// besideMessages returns the Mbit/s that a stream carries from the second to the tenth second, with sixty small messages a
// second beside it or without.
func besideMessages(t *testing.T, seed uint64, link string, messages bool) float64 {
	t.Helper()
	s, session, _ := bulkSession(t, seed, link)
	got, payload := 0, make([]byte, 64)
	read := readAll(func(n int) { got += n })
	s.server.Event = func(session *protocol.Session, e protocol.Event) {
		for e.Kind == protocol.EventMessagesReadable {
			if _, _, ok := session.ReceiveMessage(nil); !ok {
				return
			}
		}
		read(session, e)
	}
	var tick func()
	tick = func() {
		require.NoError(t, session.SendMessage(s.Now(), payload, protocol.MessageOptions{Mode: wire.ReliableOrdered}))
		s.client.Wake(session)
		s.After(time.Second/60, tick)
	}
	s.Run(s.Now().Add(time.Second))
	if messages {
		tick()
	}
	s.Run(s.Now().Add(time.Second))
	before := got
	s.Run(s.Now().Add(8 * time.Second))
	return float64(8*(got-before)) / 8e6
}

// Messages every 16 ms make a transfer gentle. It must stay a transfer.
//
// spec: REL-47
func TestATransferBesideMessagesGivesUpLittle(t *testing.T) {
	for _, link := range []string{"dsl", "dsl,loss=5%", "dsl,jitter=10ms", "rate=5mbit,delay=40ms,queue=1bdp"} {
		alone, beside := besideMessages(t, 1, link, false), besideMessages(t, 1, link, true)
		require.Greater(t, beside, 0.9*alone, "%s: %.2f Mbit/s alone, %.2f beside messages", link, alone, beside)
	}
}
