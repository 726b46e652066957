package conn

import (
	"time"

	"github.com/godwit-net/godwit/protocol/monotime"
)

const (
	// workShare is the part of one processor that first packets may take before their senders are asked to
	// prove their address: one fifth, which leaves the reader time for its sessions.
	workShare = 5
	// workBurst is how much of it may come at once.
	workBurst = 50 * time.Millisecond
)

// workMeter measures what a shard's first packets cost. The core has budgets of its own, which count
// operations and know what those cost on a usual processor; on one that is ten times slower, or busy with
// other programs, only a clock tells.
type workMeter struct {
	paid monotime.Time // the work so far is paid for by this time
	over bool          // more was spent than that
}

// spend counts the work on one packet, from its start to now, and reports whether over has changed.
func (m *workMeter) spend(start, now monotime.Time) (changed bool) {
	m.paid = max(m.paid, start.Add(-workBurst*workShare)).Add(now.Sub(start) * workShare)
	was := m.over
	m.over = m.paid.After(now)
	return m.over != was
}
