// Package udp is the one place that talks to the operating system's sockets.
//
// A Socket reads and writes batches of datagrams with their addresses and their two ECN bits, asks the
// system not to fragment, sizes the socket buffers and says what was granted. It accepts any
// net.PacketConn: one that also has the methods of *net.UDPConn keeps ECN and local addresses, any other
// one works without them, and Info says so.
//
// It does not know what is in a datagram: sessions, packets and retries belong to its callers, package
// conn and the tools.
package udp
