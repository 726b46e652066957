package udp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// Listen opens a socket at a local "host:port". An empty host means all addresses, IPv4 and IPv6.
func Listen(ctx context.Context, address string, features Features) (*Socket, error) {
	return open(ctx, &net.ListenConfig{}, address, features)
}

// ListenShared opens n sockets at the same address and port, among which the system spreads the
// peers, or with Steer the sessions: by the last octet of the server's ID, modulo n, in the order of the result.
// Systems that cannot share a port give one socket, whatever n is; so callers count what they got. With Steer each
// has a Door.
func ListenShared(ctx context.Context, address string, n int, features Features) ([]*Socket, error) {
	if n < 1 || !canShare {
		n = 1
	}
	// The first socket asks for the port alone, and shares it only when it has it: else a second server
	// that is started by mistake would silently take a part of the first one's datagrams.
	var lc net.ListenConfig
	first, err := open(ctx, &lc, address, features)
	if err != nil {
		return nil, err
	}
	socks := []*Socket{first}
	steered := canShare && features&Steer != 0
	if n == 1 && !steered || !share(first) {
		return socks, nil
	}
	lc.Control = controlShare
	address = samePort(address, first.AddrPort()) // a port of 0 is chosen once
	if steered {
		n *= 2 // with the doors
	}
	for len(socks) < n {
		s, err := open(ctx, &lc, address, features)
		if err != nil {
			closeAll(socks)
			return nil, err
		}
		socks = append(socks, s)
	}
	if !steered {
		return socks, nil
	}
	return withDoors(socks), nil
}

// withDoors makes the second half of sockets that share a port the doors of the first half, if the kernel steers.
func withDoors(socks []*Socket) []*Socket {
	socks, doors := socks[:len(socks)/2], socks[len(socks)/2:]
	if !steer(socks[0], len(socks)) {
		closeAll(doors) // nothing was sent on them
		return socks
	}
	for i, s := range socks {
		s.steered, s.door = true, doors[i]
	}
	return socks
}

// share lets further sockets have the port of one that is open.
func share(s *Socket) bool {
	raw, err := rawConn(s.pc)
	return err == nil && raw != nil && controlShare("", "", raw) == nil
}

func open(ctx context.Context, lc *net.ListenConfig, address string, features Features) (*Socket, error) {
	pc, err := lc.ListenPacket(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	s, err := New(pc, features)
	if err != nil {
		_ = pc.Close() // the error that counts is err
		return nil, fmt.Errorf("udp: preparing socket %v: %w", pc.LocalAddr(), err)
	}
	return s, nil
}

// samePort returns address with the port that bound got.
func samePort(address string, bound netip.AddrPort) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return bound.String()
	}
	return net.JoinHostPort(host, fmt.Sprint(bound.Port()))
}

func closeAll(socks []*Socket) {
	for _, s := range socks {
		_ = s.Close() // nothing was sent on them
	}
}
