// Package udp is the one place that talks to the operating system's sockets.
//
// A Socket reads and writes batches of datagrams with their addresses and their two ECN bits, asks the
// system not to fragment, sizes the socket buffers and says what was granted. It accepts any
// net.PacketConn: one that also has the methods of *net.UDPConn keeps ECN and local addresses, any other
// one works without them, and Info says so.
//
// On Linux whole runs of datagrams pass in one system call: cut by the system on their way out (UDP_SEGMENT),
// put together on their way in (UDP_GRO), and several buffers at once (sendmmsg, recvmmsg). Windows cuts them, too. Each
// of these Features is probed, and segmentation, which depends on the way out, is switched off at its first error, as are
// ECN bits. Other systems have one system call for each datagram.
//
// It does not know what is in a datagram: sessions, packets and retries belong to its callers, package
// conn and the tools.
package udp
