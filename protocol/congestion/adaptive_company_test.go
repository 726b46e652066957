package congestion

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// few is messages beside a transfer: one packet in forty has some.
const few = 40

// longestQueue is how long the queue gets in a transfer of half a second that comes after a pause, when nine have
// come before it.
func longestQueue(t *testing.T, urgent int) time.Duration {
	a := NewAdaptive(Config{})
	p := newTestPath(t, a)
	const trickle = 50_000 // bytes a second: what there is in the pauses
	for range 10 {
		p.urgent, p.app = urgent, 0
		p.run(500 * time.Millisecond)
		p.app = trickle
		transfer := p.maxQueue
		p.run(200 * time.Millisecond)
		p.maxQueue = transfer
	}
	return p.maxQueue
}

// spec: REL-47
func TestATransferMakesAShortQueueForUrgentDataOfItsSession(t *testing.T) {
	gentle, usual := longestQueue(t, few), longestQueue(t, 0)
	require.Less(t, gentle, 5*time.Millisecond)
	require.Greater(t, usual, gentle)
}

func TestTheUsualTargetIsBackWhenUrgentDataHasEnded(t *testing.T) {
	a := NewAdaptive(Config{})
	p := newTestPath(t, a)
	p.urgent = few
	p.run(2 * time.Second)
	require.Equal(t, companyTarget+a.path.noise, a.target())
	p.urgent = 0
	p.run(companyFor + time.Second)
	require.Equal(t, adaptiveTarget+a.path.noise, a.target())
}

func TestUrgentDataThatFillsThePathIsNoCompany(t *testing.T) {
	a := NewAdaptive(Config{})
	p := newTestPath(t, a)
	p.urgent = 1
	p.run(2 * time.Second)
	require.Equal(t, adaptiveTarget+a.path.noise, a.target())
}
