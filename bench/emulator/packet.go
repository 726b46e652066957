package emulator

import "encoding/binary"

// ecnMask takes the last two bits of a traffic class (RFC 3168, section 5).
const ecnMask = 0x03

// Sizes of the headers of IP, without options, in bytes.
const (
	ipv4Header = 20 // RFC 791, section 3.1
	ipv6Header = 40 // RFC 8200, section 3
)

// isPacket reports whether b begins with a whole header of IPv4 or IPv6.
func isPacket(b []byte) bool {
	if len(b) < ipv4Header {
		return false
	}
	version := b[0] >> 4
	return version == 4 || version == 6 && len(b) >= ipv6Header
}

// packetECN returns the ECN bits of an IP packet.
func packetECN(packet []byte) uint8 {
	if packet[0]>>4 == 4 {
		return packet[1] & ecnMask
	}
	return packet[1] >> 4 & ecnMask
}

// setPacketECN changes the ECN bits of an IP packet, and the checksum of its header with them.
func setPacketECN(packet []byte, ecn uint8) {
	if packet[0]>>4 == 6 {
		packet[1] = packet[1]&^(ecnMask<<4) | ecn<<4
		return
	}
	before := binary.BigEndian.Uint16(packet)
	packet[1] = packet[1]&^ecnMask | ecn
	after := binary.BigEndian.Uint16(packet)
	// RFC 1624, section 3, equation 3: HC' = ~(~HC + ~m + m'), in one's complement.
	sum := uint32(^binary.BigEndian.Uint16(packet[10:])) + uint32(^before) + uint32(after)
	sum = sum>>16 + sum&0xffff
	sum += sum >> 16
	binary.BigEndian.PutUint16(packet[10:], ^uint16(sum))
}
