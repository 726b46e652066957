package tunnel

import "context"

// reachTarget opens a socket to a UDP target that the client may reach.
func (v *serving) reachTarget(ctx context.Context, t Target, end func()) (udpConn, func(), *RefusedError) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, refusal := v.server.dialer.addresses(ctx, v.rights().Allow, t)
	if refusal != nil {
		return nil, nil, refusal
	}
	c, a, refusal := v.server.dialer.dialUDP(t, addrs)
	if refusal != nil {
		return nil, nil, refusal
	}
	return c, v.holds.reach(reach{target: t, addr: a}, end), nil
}
