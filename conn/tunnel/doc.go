// Package tunnel carries TCP connections and UDP datagrams through Godwit sessions.
//
// What it is: a Client listens on ports, a Server reaches targets, and one session between them carries every
// connection on a stream of its own, with both half-closes and resets kept, and every datagram as a message, repaired
// within a deadline where a forward asks for it (spec/12-tunnel.md). A server may listen for a client, too. A client
// can serve SOCKS 5, and connections that the packet filter redirects. The client reconnects by itself; the server
// dials only what the rules of the client at hand allow, checked on the address that is really dialled. Both take
// another configuration while they run, and count what they carry.
//
// What it does not know: packets, key schedules, sockets of the session. It stands on the public
// interface of package conn only.
//
// Who calls it: cmd/godwit (godwit tunnel server, godwit tunnel client), and any program that
// wants a tunnel inside.
package tunnel
