package protocol

import "time"

const (
	// paceQuantum is how much may leave at once, in time at the pacing rate. Timers resolve about a
	// millisecond, and a burst of it is what segmentation offload gets to work with.
	paceQuantum = time.Millisecond
	// paceQuantumPackets is the least that may leave at once, in datagrams: one alone would make
	// slow paths wake for each.
	paceQuantumPackets = 2
	// lateTimer is how late a timer may be. Who comes later than that had nothing to send.
	lateTimer = 5 * time.Millisecond
	// derivedPacing is the rate that a controller without one gets, in windows per round trip: a
	// window that doubles must not be held back.
	derivedPacing = 2
)

// pacer spreads packets over the round trip. It is a bucket of credit in bytes that fills at the
// pacing rate and holds one quantum.
//
// Whoever is told to wait may be woken late, since timers are coarse. What the bucket would have
// gained by then, at most one quantum more, is not lost: else a late timer would halve the rate.
type pacer struct {
	rate    float64 // bytes per nanosecond; 0: no pacing yet
	credit  float64 // bytes
	last    Time    // when credit was right
	wake    Time    // when the sender was told to come back; 0: it was not
	quantum float64 // bytes
}

// setRate sets the pacing rate, in bytes a second, for datagrams of at most mtu bytes.
func (p *pacer) setRate(bytesPerSecond uint64, mtu int) {
	p.rate = float64(bytesPerSecond) / float64(time.Second)
	p.quantum = max(p.rate*float64(paceQuantum), float64(paceQuantumPackets*mtu)) // spec: REL-23
}

func (p *pacer) refill(now Time) {
	if p.last.IsZero() {
		p.credit, p.last = p.quantum, now
		return
	}
	if now <= p.last {
		return
	}
	limit := p.quantum
	if late := now.Sub(p.wake); late > 0 && late <= lateTimer {
		limit += min(p.rate*float64(late), p.quantum)
	}
	gain := p.rate * float64(now.Sub(p.last))
	p.credit = max(p.credit, min(p.credit+gain, limit))
	p.last = now
}

// canSend reports whether size bytes may leave now, and when they may if not.
func (p *pacer) canSend(now Time, size int) (ok bool, at Time) {
	if p.rate <= 0 {
		return true, 0
	}
	p.refill(now)
	if need := min(float64(size), p.quantum); p.credit < need {
		p.wake = now.Add(p.untilFull(need))
		return false, p.wake
	}
	return true, 0
}

// untilFull is how long to wait. Waking for every packet costs more than it smooths, so the wait is
// for a whole quantum of time, or for need if that takes longer.
func (p *pacer) untilFull(need float64) time.Duration {
	want := max(need, min(p.rate*float64(paceQuantum), p.quantum))
	wait := (want - p.credit) / p.rate
	if wait >= float64(time.Hour) {
		return time.Hour
	}
	return time.Duration(wait) + 1
}

// sent takes the credit for a packet of size bytes that leaves now. Packets that may not wait drive
// the credit below zero, one quantum at most, so that they are paid back but starve nobody.
func (p *pacer) sent(now Time, size int) {
	if p.rate <= 0 {
		return
	}
	p.refill(now)
	p.wake = 0
	p.credit = max(p.credit-float64(size), -p.quantum)
}
