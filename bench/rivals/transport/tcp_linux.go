package transport

import "golang.org/x/sys/unix"

// What IPv4 and UDP, and IPv4 and TCP, have in front of a packet, in bytes, options not counted.
const (
	udpHeaders = 20 + 8
	tcpHeaders = 20 + 20
)

// setTCP has a socket use CUBIC, whatever the system's default is, and, unless datagram is 0, packets no larger than
// a datagram with so much payload has.
func setTCP(fd, datagram int) error {
	if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic"); err != nil {
		return err
	}
	if datagram == 0 {
		return nil
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, datagram+udpHeaders-tcpHeaders)
}
