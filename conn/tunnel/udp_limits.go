package tunnel

import "time"

// Limits of UDP.
const (
	// udpIdle ends a flow without datagrams in either direction: the least that RFC 4787 (REQ-5) allows a NAT,
	// since that is what programs are made for.
	udpIdle = 2 * time.Minute
	// udpIdleFar is when the other end gives a flow up of which it hears nothing more: later, so that it is
	// the end with the peer who decides.
	udpIdleFar = udpIdle + 30*time.Second
	// udpSweep is how often idle flows are looked for.
	udpSweep = 10 * time.Second

	// maxPortFlows is how many flows a listening port has. Each is an address of a local program; beyond that
	// the one that was silent for longest ends. DNS clients that use a new port for each question have their
	// answers in time at 200 questions a second and 5 s of patience.
	maxPortFlows = 1024
	// maxSessionFlows is how many flows the other end of a session may open, each of which costs a socket and
	// a small goroutine: as many as connections.
	maxSessionFlows = DefaultMaxConnections
	// maxResolving is how many host names are being resolved for one session at once.
	maxResolving = 64

	// Datagrams that came before the word of their flow's opening wait for it: a burst of 144 with 1,472
	// bytes fits. The word is sent in front of them and again until it is acknowledged, so 2 s are many tries.
	maxHeldBytes     = 256 << 10
	maxHeldDatagrams = 512
	holdTime         = 2 * time.Second

	// refusedPause is how long datagrams to a target that the other end refused are dropped before it is asked again.
	refusedPause = 10 * time.Second

	// maxDatagram is the largest UDP payload in bytes (RFC 8200 allows 65,535 with its header).
	maxDatagram = 65527
	// maxUDPMessage is the largest message: a flow's number and a datagram.
	maxUDPMessage = 8 + maxDatagram
	// packetCost is what a packet takes of a path's datagram size beside a datagram, in bytes: short header 13, flow 4,
	// tag 16, frames CHANNEL and MESSAGE 24, and a few for what rides along.
	packetCost = 64
	// farBuffer is what the sockets to targets ask for in each direction, in bytes: several bursts. Memory is used
	// only for what waits.
	farBuffer = 1 << 20
	// udpMessageBuffer is what waits in a session for its reader, in bytes: 30 ms at 1 Gbit/s.
	udpMessageBuffer = 4 << 20
)
