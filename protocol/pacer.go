package protocol

import "time"

const (
	// paceQuantum is how much may leave at once, in time at the pacing rate. Timers resolve about a
	// millisecond, and a burst of it is what segmentation offload gets to work with.
	paceQuantum = time.Millisecond
	// paceQuantumPackets is the least that may leave at once, in datagrams: one alone would make
	// slow paths wake for each.
	paceQuantumPackets = 2
	// maxQuantumPackets is the most that may leave at once below burstRate, what is made up for a late
	// timer included: ten datagrams are what an initial window puts on every path.
	maxQuantumPackets = 10
	// burstRate is the rate, in bytes a second, above which a millisecond is more than that: 100 Mbit/s.
	burstRate = 100_000_000 / 8
	// ackShare of what the pacer gains is the most that packets without data of ours take from it: a peer
	// that sends faster than we may would else silence us with its acknowledgements.
	ackShare = 0.5
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
//
// Data of the latency class and acknowledgements do not wait. They are debited, and what waits pays.
type pacer struct {
	rate    float64 // bytes per nanosecond; 0: no pacing yet
	credit  float64 // bytes
	last    Time    // when credit was right
	wake    Time    // when the sender was told to come back; 0: it was not
	quantum float64 // bytes
	largest float64 // bytes that may leave at once after a late timer
	acks    float64 // bytes that acknowledgements may take
}

// setRate sets the pacing rate, in bytes a second, for datagrams of at most mtu bytes.
func (p *pacer) setRate(bytesPerSecond uint64, mtu int) {
	p.rate = float64(bytesPerSecond) / float64(time.Second)
	p.quantum = max(p.rate*float64(paceQuantum), float64(paceQuantumPackets*mtu)) // spec: REL-23
	p.largest = 2 * p.quantum
	if bytesPerSecond <= burstRate {
		p.largest = min(p.largest, float64(maxQuantumPackets*mtu))
		p.quantum = min(p.quantum, p.largest)
	}
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
		limit = min(limit+p.rate*float64(late), p.largest)
	}
	gain := p.rate * float64(now.Sub(p.last))
	p.acks = min(p.acks+ackShare*gain, p.quantum)
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

// canPass is canSend for data that does not wait for credit, only for debts above a quantum: it could else
// use the path as if there were no pacer.
// spec: REL-23
func (p *pacer) canPass(now Time) (ok bool, at Time) {
	if p.rate <= 0 {
		return true, 0
	}
	p.refill(now)
	if debt := -p.quantum - p.credit; debt > 0 {
		return false, now.Add(p.duration(debt))
	}
	return true, 0
}

// untilFull is how long to wait. Waking for every packet costs more than it smooths, so the wait is
// for a whole quantum of time, or for need if that takes longer.
func (p *pacer) untilFull(need float64) time.Duration {
	want := max(need, min(p.rate*float64(paceQuantum), p.quantum))
	return p.duration(want - p.credit)
}

// duration is how long the pacer needs to gain so many bytes, an hour at most.
func (p *pacer) duration(bytes float64) time.Duration {
	wait := bytes / p.rate
	if wait >= float64(time.Hour) {
		return time.Hour
	}
	return time.Duration(wait) + 1
}

// sent takes the credit for a packet of size bytes that leaves now. Packets that do not wait drive the
// credit below zero, a quantum and themselves at most, so that they are paid back but starve nobody.
func (p *pacer) sent(now Time, size int) {
	if p.rate <= 0 {
		return
	}
	p.refill(now)
	p.wake = 0
	p.credit = max(p.credit-float64(size), -p.quantum-float64(size))
}

// ackSent takes the credit for a packet without data that leaves now, from the share for such packets.
func (p *pacer) ackSent(now Time, size int) {
	if p.rate <= 0 {
		return
	}
	p.refill(now)
	debit := min(float64(size), p.acks)
	p.acks -= debit
	p.credit -= debit
}
