package protocol

import (
	"github.com/godwit-net/godwit/protocol/wire"
)

// ecnPhase is what is known about ECN on a path (RFC 9000, appendix A.4).
type ecnPhase uint8

const (
	ecnOff     ecnPhase = iota // not wanted
	ecnTesting                 // the first packets are marked
	ecnUnknown                 // the test packets are out, nothing came back yet
	ecnCapable                 // marks arrive
	ecnFailed                  // marks are lost, changed, or packets with marks die
)

// ecnTestPackets is how many packets are marked before the path has shown that it carries marks: few
// enough to lose, enough not to be lost all by chance (RFC 9000, section 13.4.2).
const ecnTestPackets = 10

// ecnState decides whether packets are marked, and believes the peer's counts only while they agree
// with what was sent.
type ecnState struct {
	phase  ecnPhase
	sent   uint64 // packets sent with ECT(0)
	lost   uint64 // of the test packets, declared lost before any was acknowledged
	acked  uint64 // in the frame at hand: packets newly acknowledged that left with ECT(0)
	counts wire.ECNCounts
}

func (e *ecnState) reset(wanted bool) {
	*e = ecnState{phase: ecnOff}
	if wanted {
		e.phase = ecnTesting
	}
}

// mark returns the mark for the next packet.
func (e *ecnState) mark() wire.ECN {
	if e.phase == ecnTesting || e.phase == ecnCapable {
		return wire.ECT0
	}
	return wire.NotECT
}

func (e *ecnState) packetSent() {
	e.sent++
	if e.phase == ecnTesting && e.sent >= ecnTestPackets {
		e.phase = ecnUnknown
	}
}

// packetLost gives ECN up when all test packets died: the path may drop what is marked.
func (e *ecnState) packetLost() {
	if e.phase != ecnTesting && e.phase != ecnUnknown {
		return
	}
	if e.lost++; e.lost >= ecnTestPackets {
		e.phase = ecnFailed
	}
}

// validate checks the counts of an acknowledgement that raises the largest number, and returns how
// many packets it newly reports as marked by the network (RFC 9000, section 13.4.2.1).
// spec: REL-25
func (e *ecnState) validate(ack *wire.Ack) (marked uint64) {
	acked := e.acked
	if e.phase == ecnOff || e.phase == ecnFailed {
		return 0
	}
	if !ack.HasECN {
		if acked > 0 {
			e.phase = ecnFailed
		}
		return 0
	}
	old, counts := e.counts, ack.ECN
	switch {
	case counts.ECT0 < old.ECT0 || counts.CE < old.CE || counts.ECT1 < old.ECT1,
		counts.ECT1 != 0, // never sent
		counts.ECT0-old.ECT0+counts.CE-old.CE < acked,
		counts.ECT0 > e.sent || counts.CE > e.sent || counts.ECT0+counts.CE > e.sent:
		e.phase = ecnFailed
		return 0
	}
	e.counts = counts
	if acked > 0 {
		e.phase = ecnCapable
	}
	return counts.CE - old.CE
}
