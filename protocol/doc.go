// Package protocol is the pure core of Godwit: sessions and the endpoint that tells them apart.
//
// It has no clock, goroutine, lock, socket or global randomness. Inputs are datagrams, time and
// commands; outputs are datagrams, a next timeout and events. So every behaviour runs in virtual
// time, by seed, and whoever drives the core (package conn over sockets, package sim over a model
// of a network) decides how.
//
// # The run loop
//
// One caller at a time owns a [Session]. It handles one input, drains the datagrams, drains the
// events, arms one timeout, and waits:
//
//	s.HandleDatagram(now, d)            // or HandleTimeout, or a command such as Stream.Write
//	for {
//		b, meta, ok := s.AppendDatagram(now, buf[:0])
//		if !ok {
//			break
//		}
//		send(b, meta) // AppendMore may have more of its kind
//	}
//	for {
//		e, ok := s.PollEvent()
//		if !ok {
//			break
//		}
//		deliver(e)
//	}
//	at, _ := s.NextTimeout()
//
// The core keeps no reference to a caller's buffer after a call returns, but for the memory of a Read that
// waits, which [Stream.Lend] lends and [Stream.Reclaim] takes back. It opens received datagrams in place, so
// their bytes are changed.
//
// An [Endpoint] stands before the sessions of one shard of a socket. [Endpoint.Dispatch] names the
// session that a datagram belongs to, answers first packets of a handshake with as little state as
// the load allows, and creates a session when a handshake is complete.
//
// # Where things are
//
// Type Session has one file per verb: session_recv.go, session_send.go, session_loss.go and so on.
// Its state is made of smaller states that own their fields: the loss detection of a path (loss.go),
// acknowledgements to send (acks.go), streams (streams.go), path size discovery (mtu.go).
package protocol
