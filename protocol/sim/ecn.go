package sim

import "time"

// The ECN bits of an IP header (RFC 3168, section 5).
const (
	ecnNot uint8 = 0 // not ECN-capable
	ect1   uint8 = 1
	ect0   uint8 = 2
	ecnCE  uint8 = 3 // the queue was long
)

// What Config.Mangle may be.
const (
	mangleBleach = "bleach" // the bits are cleared
	mangleCE     = "ce"     // whatever is ECN-capable comes as CE
	mangleECT1   = "ect1"   // ECT(0) comes as ECT(1)
)

// Mangles returns what Config.Mangle may be.
func Mangles() []string { return []string{mangleBleach, mangleCE, mangleECT1} }

// stepPackets is the least queue at which ECT(1) is marked, in full packets: on a slow link one packet
// alone takes longer than the step (RFC 9332, appendix A.1).
const stepPackets = 2

// step is the wait from which on ECT(1) is marked.
func (l *Link) step() time.Duration {
	if l.config.Rate == 0 {
		return l.config.L4S
	}
	return max(l.config.L4S, transmission(stepPackets*l.config.mtu(), l.config.Rate))
}

// mark returns the ECN bits of a datagram behind the queue, in which it waited, and whatever mangles them.
func (l *Link) mark(ecn uint8, waited time.Duration) uint8 {
	step := l.config.ECN
	if ecn == ect1 && l.config.L4S > 0 {
		step = l.step()
	}
	if step > 0 && waited >= step && ecn != ecnNot {
		l.stats.Marked++
		ecn = ecnCE
	}
	switch {
	case l.config.Mangle == mangleBleach:
		return ecnNot
	case l.config.Mangle == mangleCE && ecn != ecnNot:
		return ecnCE
	case l.config.Mangle == mangleECT1 && ecn == ect0:
		return ect1
	}
	return ecn
}
