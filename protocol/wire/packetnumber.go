package wire

const (
	// MaxPacketNumber is the largest packet number. Acknowledgements carry packet numbers as
	// variable-length integers, which end there.
	MaxPacketNumber = MaxVarint
	// MaxPacketNumberLen is the longest truncated packet number in bytes: 2 bits of the first octet
	// carry the length.
	MaxPacketNumberLen = 4
)

// PacketNumberLen returns how many bytes (1 to 4) the packet number pn needs so that a peer that has
// everything up to largestAcked, and nothing later, still decodes it: the numbers that the bytes can
// tell apart are at least twice the span from largestAcked to pn (RFC 9000, appendix A.2). Without an
// acknowledgement so far (acked false) the span counts from before number 0. A span above 2^31 cannot
// be encoded; the congestion window ends long before.
func PacketNumberLen(pn, largestAcked uint64, acked bool) int {
	span := pn - largestAcked // spec: WIRE-12
	if !acked {
		span = pn + 1
	}
	switch {
	case span <= 1<<7:
		return 1
	case span <= 1<<15:
		return 2
	case span <= 1<<23:
		return 3
	default:
		return 4
	}
}

// AppendPacketNumber appends the lowest n bytes (1 to 4) of pn, most significant first.
func AppendPacketNumber(b []byte, pn uint64, n int) []byte {
	switch n {
	case 1:
		return append(b, byte(pn))
	case 2:
		return append(b, byte(pn>>8), byte(pn))
	case 3:
		return append(b, byte(pn>>16), byte(pn>>8), byte(pn))
	case 4:
		return append(b, byte(pn>>24), byte(pn>>16), byte(pn>>8), byte(pn))
	default:
		panic("BUG: packet number length")
	}
}

// DecodePacketNumber returns the packet number whose lowest n bytes (1 to 4) are truncated and that
// lies closest to expected, which is one more than the largest number opened on the path so far, or 0
// (RFC 9000, appendix A.3). The result never exceeds [MaxPacketNumber].
func DecodePacketNumber(expected uint64, truncated uint32, n int) uint64 {
	window := uint64(1) << (8 * n)
	half := window / 2
	candidate := expected&^(window-1) | uint64(truncated)&(window-1)
	switch { // spec: WIRE-13
	case candidate+half <= expected && candidate+window <= MaxPacketNumber:
		return candidate + window
	case (candidate > expected+half || candidate > MaxPacketNumber) && candidate >= window:
		return candidate - window
	default:
		return candidate
	}
}
