package protocol

import (
	"github.com/godwit-net/godwit/protocol/congestion"
	"github.com/godwit-net/godwit/protocol/wire"
)

// ecnPhase is what is known about ECN on a path (RFC 9000, appendix A.4).
type ecnPhase uint8

const (
	ecnOff     ecnPhase = iota // not wanted
	ecnTesting                 // the first packets are marked
	ecnUnknown                 // the test packets are out, and none is known to have kept its mark
	ecnCapable                 // marks arrive
	ecnFailed                  // marks are lost, changed, or packets with marks die
)

const (
	// ecnTestPackets is how many packets are marked before the path has shown that it carries marks:
	// few enough to lose, enough not to be lost all by chance (RFC 9000, section 13.4.2).
	ecnTestPackets = 10
	// ecnForgedRounds is after how many round trips in which every marked packet came back as CE the
	// marks are no sign of our own queue. A sender that keeps 0.7 of its rate in each of them has come
	// down to a seventeenth.
	ecnForgedRounds = 8
)

// ecnState decides whether packets are marked, and believes the peer's counts only while they agree
// with what was sent.
type ecnState struct {
	sent   wire.ECNCounts // packets that left with a mark, since the path began
	acked  wire.ECNCounts // of them, newly acknowledged by the frame at hand
	counts wire.ECNCounts // what the peer has reported, since the path began

	phase         ecnPhase
	kept, changed bool  // in this round trip, some came with the mark that they left with, some as CE
	tests         int32 // test packets sent
	lost          int32 // of them, declared lost before one was known to have kept its mark
	forged        int32 // of them, those that came as CE: counted, and not yet believed
	forgedRounds  int32 // round trips in a row in which all came as CE
}

// start begins a path.
func (e *ecnState) start(wanted bool) {
	*e = ecnState{phase: ecnOff}
	if wanted {
		e.phase = ecnTesting
	}
}

// moved begins anew for another address. The peer's counts go on.
func (e *ecnState) moved() {
	if e.phase == ecnOff {
		return
	}
	*e = ecnState{phase: ecnTesting, sent: e.sent, counts: e.counts}
}

// total is how many packets counts are about.
func total(c wire.ECNCounts) uint64 { return c.ECT0 + c.ECT1 + c.CE }

// mark returns the mark for the next packet, for a controller that wants it marked in this way.
// spec: REL-41
func (e *ecnState) mark(how congestion.Marking) wire.ECN {
	if e.phase != ecnTesting && e.phase != ecnCapable {
		return wire.NotECT
	}
	switch how {
	case congestion.MarkClassic:
		return wire.ECT0
	case congestion.MarkL4S:
		return wire.ECT1
	default:
		return wire.NotECT
	}
}

func (e *ecnState) packetSent(mark wire.ECN) {
	count(&e.sent, mark)
	if e.phase != ecnTesting {
		return
	}
	if e.tests++; e.tests >= ecnTestPackets {
		e.phase = ecnUnknown
	}
}

// count adds a packet that left with a mark.
func count(c *wire.ECNCounts, mark wire.ECN) {
	switch mark {
	case wire.ECT0:
		c.ECT0++
	case wire.ECT1:
		c.ECT1++
	}
}

func (e *ecnState) packetAcked(mark wire.ECN) { count(&e.acked, mark) }

// packetLost gives ECN up when all test packets died: the path may drop what is marked.
func (e *ecnState) packetLost() {
	if e.phase == ecnTesting || e.phase == ecnUnknown {
		e.lost++
		e.judgeTests()
	}
}

// judgeTests gives ECN up when no test packet came as it left.
// spec: REL-40
func (e *ecnState) judgeTests() {
	if e.lost+e.forged >= ecnTestPackets {
		e.phase = ecnFailed
	}
}

// ackedMarks returns how many packets of the frame at hand had left with a mark; 0 when the path does
// not carry marks.
func (e *ecnState) ackedMarks() int {
	if e.phase != ecnCapable {
		return 0
	}
	return int(total(e.acked))
}

// validate checks the counts of an acknowledgement that raises the largest number, and returns how
// many packets it newly reports as marked by the network (RFC 9000, section 13.4.2.1).
func (e *ecnState) validate(ack *wire.Ack) (marked uint64) {
	if e.phase == ecnOff || e.phase == ecnFailed {
		return 0
	}
	if !ack.HasECN {
		if total(e.acked) > 0 {
			e.phase = ecnFailed
		}
		return 0
	}
	if !e.plausible(ack.ECN) {
		e.phase = ecnFailed
		return 0
	}
	old, acked := e.counts, total(e.acked)
	e.counts = ack.ECN
	kept := ack.ECN.ECT0 > old.ECT0 || ack.ECN.ECT1 > old.ECT1
	// More than is acknowledged now left before the path moved, or was reported late.
	return e.believe(min(ack.ECN.CE-old.CE, acked), kept && acked > 0)
}

// plausible compares counts with what was sent and what is acknowledged.
// spec: REL-25
func (e *ecnState) plausible(c wire.ECNCounts) bool {
	switch old := e.counts; {
	case c.ECT0 < old.ECT0 || c.ECT1 < old.ECT1 || c.CE < old.CE: // they fell
		return false
	case c.ECT0 > e.sent.ECT0 || c.ECT1 > e.sent.ECT1: // never sent
		return false
	case c.CE > total(e.sent) || total(c) > total(e.sent):
		return false
	default: // marks were removed, or changed into another
		return c.ECT0-old.ECT0+c.CE-old.CE >= e.acked.ECT0 &&
			c.ECT1-old.ECT1+c.CE-old.CE >= e.acked.ECT1 &&
			total(c)-total(old) >= total(e.acked)
	}
}

// believe takes counts that are plausible, and returns how many marks the controller should hear of:
// none before one packet has kept its mark, since a path that sets CE on everything says nothing.
func (e *ecnState) believe(marked uint64, kept bool) uint64 {
	e.kept = e.kept || kept
	e.changed = e.changed || marked > 0
	if e.phase == ecnCapable {
		return marked
	}
	e.forged += int32(marked)
	if !kept {
		e.judgeTests()
		return 0
	}
	e.phase = ecnCapable
	marked, e.forged = uint64(e.forged), 0
	return marked
}

// round ends a round trip. ECN is given up when nothing that the sender did has kept a single packet
// from coming as CE for long: somebody on the path, or the peer, makes them up.
// spec: REL-40
func (e *ecnState) round() {
	switch {
	case e.kept:
		e.forgedRounds = 0
	case e.changed:
		e.forgedRounds++
	}
	e.kept, e.changed = false, false
	if e.phase == ecnCapable && e.forgedRounds >= ecnForgedRounds {
		e.phase = ecnFailed
	}
}

// absorb takes counts that are about packets from before the path moved.
// spec: REL-31
func (e *ecnState) absorb(ack *wire.Ack) {
	if !ack.HasECN || !e.plausible(ack.ECN) {
		return // those that follow will tell
	}
	e.counts = ack.ECN
}
