package protocol

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThePacketAfterAPauseIsMarkedForTheController(t *testing.T) {
	s := newSender(t)
	s.sendOne()
	require.False(t, s.cc.sent[0].AppLimited, "the first of all")
	s.l.appLimited()
	s.advance(testRTT)
	s.ack(0, 1)
	s.sendOne()
	require.True(t, s.cc.sent[1].AppLimited)
	require.Equal(t, testSize, s.cc.sent[1].InFlight)
	s.advance(testRTT)
	s.ack(1, 2)
	s.sendOne()
	require.False(t, s.cc.sent[2].AppLimited, "there was no pause since")
}
